"""Promise: single downloads can be resumed by the clients that people have, and are never a mix of two files.

What must never be is a client that ends with 0 and holds neither the file as it was nor as it is.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.clients import ARIA2C, CLIENTS, CURL, WGET, Client, have, wait_for
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB
from tests.e2e.wire import Broken, Wire

SIZE = 24 * MIB + 1
MOST_ATTEMPTS = 200

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("download") / "some folder"
    album = folder / "album"
    album.mkdir(parents=True)
    (album / "한글 file.bin").write_bytes(trees.content(3, SIZE))
    (album / "small.txt").write_bytes(b"small")
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


@dataclass(frozen=True)
class Wanted:
    """What is downloaded."""

    name: str
    path: str
    query: str = ""

    def url(self, server: Pannier) -> str:
        """Return a download URL with a token of its own."""
        return url_of(server, self.path) + self.query


FILE = Wanted("file", "album/한글 file.bin")
DIRECTORY = Wanted("directory", "album", "&archive=true")
BOTH = pytest.mark.parametrize("wanted", [FILE, DIRECTORY], ids=lambda wanted: wanted.name)


def url_of(server: Pannier, path: str) -> str:
    return f"{server.client_url}/download?token={server.at_folder('download', relpath=path)['token']}"


@pytest.fixture(scope="module")
def whole(server: Pannier) -> dict[Wanted, bytes]:
    """Both, downloaded without interruption and with tokens of their own."""
    got = {wanted: server.fetch(wanted.url(server))[2] for wanted in (FILE, DIRECTORY)}
    assert got[FILE] == trees.content(3, SIZE)
    assert trees.contents(got[DIRECTORY]) == {"small.txt": b"small", "한글 file.bin": got[FILE]}
    return got


def assert_whole(out: Path, expected: bytes) -> None:
    assert out.stat().st_size == len(expected)
    assert trees.sha256(out.read_bytes()) == trees.sha256(expected)


# ---------------------------------------------------------------- resuming


@BOTH
@pytest.mark.parametrize("client", [CURL, WGET], ids=lambda client: client.name)
def test_cuts_leave_no_trace(
    client: Client, wanted: Wanted, server: Pannier, whole: dict[Wanted, bytes], tmp_path: Path
) -> None:
    chance, out, url = random.Random(1), tmp_path / "out", wanted.url(server)
    length = len(whole[wanted])
    # also inside the last bytes, which are kept back until the file was looked at again
    offsets = sorted({*(chance.randrange(1, length) for _ in range(6)), 1, length - 65_536, length - 9, length - 1})
    with CuttingProxy(server.client_port) as proxy:
        for offset in offsets:
            proxy.cut(Cut(offset - have_exactly(out), reset=chance.random() < 0.3))
            ended = client.run(proxy.through(url), out)
            assert ended.code != 0, f"cut at {offset} of {length}, and: {ended}"
            assert have_exactly(out) <= offset
        assert proxy.made == len(offsets)
        ended = client.run(proxy.through(url), out)
    assert ended.code == 0, ended
    assert_whole(out, whole[wanted])


def have_exactly(out: Path) -> int:
    return out.stat().st_size if out.exists() else 0


@BOTH
def test_aria2c_with_four_connections_gets_the_same(
    wanted: Wanted, server: Pannier, whole: dict[Wanted, bytes], tmp_path: Path
) -> None:
    chance, out, url = random.Random(2), tmp_path / "out", wanted.url(server)
    cuts = [Cut(chance.randrange(1, SIZE // 20), reset=chance.random() < 0.3) for _ in range(40)]
    with CuttingProxy(server.client_port, cuts) as proxy:
        attempts = 1
        while (ended := ARIA2C.run(proxy.through(url), out)).code:
            attempts += 1
            assert attempts < MOST_ATTEMPTS, ended
        assert proxy.most_open >= 4
        assert proxy.made >= 15
    assert attempts > 1
    assert_whole(out, whole[wanted])


def test_a_killed_server_goes_on_where_it_was(server: Pannier, whole: dict[Wanted, bytes], tmp_path: Path) -> None:
    """All clients are at it, with a file and with a directory, when it is killed."""
    chance = random.Random(3)
    downloads = [
        (client, wanted, wanted.url(server), tmp_path / f"{client.name}-{wanted.name}")
        for client in CLIENTS
        for wanted in (FILE, DIRECTORY)
    ]
    with CuttingProxy(server.client_port, pace=MIB) as slow:
        for kill in range(2):
            with ExitStack() as running:
                begun = []
                for client, wanted, url, out in downloads:
                    if kill and client is ARIA2C:  # four connections have megabytes each on their way
                        continue
                    reached = have(out) + chance.randrange(1, SIZE // 20)  # the kernel still sends megabytes then
                    process = running.enter_context(client.running(slow.through(url), out, "6M"))
                    begun.append((f"{client.name}, {wanted.name}", process, out, reached))
                came = {what: wait_for(out, reached, process) for what, process, out, reached in begun}
                server.kill()
                codes = {what: process.wait(60) for what, process, _, _ in begun}
            server.start()
            assert all(came.values()), f"over before {kill=}: {came}"
            assert all(codes.values()), f"over in spite of {kill=}: {codes}"
    for client, wanted, url, out in downloads:
        ended = client.run(url, out)
        assert ended.code == 0, f"{client.name}, {wanted.name}: {ended}"
        assert_whole(out, whole[wanted])


# ---------------------------------------------------------------- changes between parts


def _rewrite(path: Path) -> None:
    path.write_bytes(trees.content(99, path.stat().st_size))


def _rewrite_unseen(path: Path) -> None:
    """Rewrite it in place, and put its times back: only the kernel's own says that it was touched."""
    status = path.stat()
    _rewrite(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    """Put another file of the same size and times in its place, by renaming."""
    other = path.with_name(f"other of {path.name}")
    shutil.copy2(path, other)
    _rewrite_unseen(other)
    other.rename(path)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


CHANGES: dict[str, Callable[[Path], object]] = {
    "rewritten": _rewrite,
    "rewritten with its times": _rewrite_unseen,
    "replaced": _replace,
    "grown": _grow,
    "shorter than the part": lambda path: os.truncate(path, 300_000),
    "removed": Path.unlink,
}
CHANGED = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.replace(" ", "-"))


def begin(server: Pannier, client: Client, tmp_path: Path) -> tuple[Path, str, Path]:
    """Have a client begin the download of a file of its own, cut; return the file, the URL and the part."""
    path = server.folder / f"changing-{next(_numbers):03}.bin"
    path.write_bytes(trees.content(5, 6 * MIB))
    url, out = url_of(server, path.name), tmp_path / "out"
    with CuttingProxy(server.client_port, [Cut(MIB // 8 if client is ARIA2C else MIB)] * 20) as proxy:
        assert client.run(proxy.through(url), out).code != 0
    assert have(out) > 300_000
    return path, url, out


@CHANGED
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_no_client_calls_a_mix_complete(client: Client, change: str, server: Pannier, tmp_path: Path) -> None:
    path, url, out = begin(server, client, tmp_path)
    part = out.read_bytes()
    CHANGES[change](path)
    for _ in range(2):
        ended = client.run(url, out)
        assert ended.code != 0, ended
        if client is not ARIA2C:  # which writes where it likes
            assert out.read_bytes() == part
    if change == "removed":
        return
    out.unlink()  # the way out, with the same link
    out.with_name("out.aria2").unlink(missing_ok=True)
    ended = client.run(url, out)
    if client is not ARIA2C:  # its further connections send bare ranges under a link that gave out two files
        assert ended.code == 0, ended
    assert ended.code != 0 or out.read_bytes() == path.read_bytes()


# ---------------------------------------------------------------- as the SDK downloads


def sdk_download(port: int, url: str, between: Callable[[int], object]) -> bytes | None:
    """Download as Backend.AI's SDK does (WIRE section 8): If-Range by date; 200 starts over, 206 goes on.

    ``between`` is called before each further try, with its number. None: it gave up.
    """
    got, length, modified = b"", -1, ""
    for number in range(20):
        if number:
            between(number)
        with Wire(port) as wire:
            wire.ask(url, **({"If_Range": modified, "Range": f"bytes={len(got)}-"} if modified else {}))
            try:
                head = wire.head()
                if head.status == 200:
                    got, length, modified = b"", head.length, head.headers["last-modified"]
                elif head.status != 206:
                    continue
                got += wire.read(head.length)
            except Broken as broken:
                got += broken.body
        if len(got) == length:
            return got
    return None


@BOTH
def test_the_sdk_goes_on_by_the_date(wanted: Wanted, server: Pannier, whole: dict[Wanted, bytes]) -> None:
    cuts = [Cut(SIZE // 5, reset=number == 2) for number in range(4)]
    with CuttingProxy(server.client_port, cuts) as proxy:
        assert sdk_download(proxy.port, wanted.url(server), lambda _: None) == whole[wanted]
        assert proxy.made == len(cuts)


@CHANGED
def test_the_sdk_gets_no_mix(change: str, server: Pannier) -> None:
    path = server.folder / f"changing-{next(_numbers):03}.bin"
    path.write_bytes(trees.content(5, 6 * MIB))
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))
    changes = [CHANGES[change]]
    with CuttingProxy(server.client_port, [Cut(2 * MIB), Cut(MIB)]) as proxy:
        got = sdk_download(proxy.port, url_of(server, path.name), lambda _: changes and changes.pop()(path))
    assert got == (None if change == "removed" else path.read_bytes())
