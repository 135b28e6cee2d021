"""Promise: what was promised is what was sent. A file that changes breaks the download, or changes nothing of it.

Whatever happens to a source, a client sees a broken connection, a refusal, or right bytes; and nothing of what lies
outside the folder.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.e2e import trees
from tests.e2e.running import Pannier
from tests.e2e.trees import KIB, MIB
from tests.e2e.wire import Broken, Head, Wire

IN_THE_KERNEL = int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])
"""Bytes that a socket of the server may hold for a client that does not read."""
AHEAD = IN_THE_KERNEL + 2 * MIB
"""More than a server can have read of what its client has not: a file that begins later has not had its turn."""
RECEIVE = 64 * KIB
SECRET = b"<the secret of somebody else> "
SMALL, LARGE, HUGE = 60_000, 400_000, AHEAD + MIB
"""Bytes of files that are read at once, that pass in pieces, and that a server cannot have read when it begins them."""
CRC_AT = 14
"""Where the checksum stands in the first local header: all before it can leave before anything is hashed."""
PROGRAM = (str(Path(__file__).with_name("slow_server.py")),)
NEVER_FRESH = "[archive]\nplan-fresh-min = 0\nplan-fresh-max = 0\n"
Window = tuple[int, int]
_numbers = itertools.count()


@dataclass(frozen=True)
class Place:
    """A file that will change, in a directory that no plan knows yet, and what would be found outside in its stead."""

    folder: Path
    outside: Path
    directory: Path
    target: Path

    @classmethod
    def make(cls, folder: Path, size: int, *, name: str = "target.bin") -> Place:
        number = next(_numbers)
        outside = folder.with_name(f"outside-{number}")
        outside.mkdir()
        (outside / name).write_bytes((SECRET * (size // len(SECRET) + 1))[:size])
        directory = folder / f"20-{number:05}"
        target = directory / "in" / name
        target.parent.mkdir(parents=True)
        target.write_bytes(trees.content(number, size))
        return cls(folder, outside, directory, target)

    @property
    def name(self) -> bytes:
        """The name of the file's entry."""
        return bytes(self.target.relative_to(self.folder))

    def between(self, *paths: str) -> tuple[str, ...]:
        """Return the selection of it and of others."""
        return (self.directory.name, *paths)


def _grow(place: Place) -> None:
    with place.target.open("ab") as file:
        file.write(b"more")


def _shrink(place: Place) -> None:
    os.truncate(place.target, place.target.stat().st_size // 2)


def _empty(place: Place) -> None:
    os.truncate(place.target, 0)


def _rewrite(place: Place) -> None:
    with place.target.open("r+b") as file:
        file.write(trees.content(99, place.target.stat().st_size))


def _rewrite_unseen(place: Place) -> None:
    status = place.target.stat()
    _rewrite(place)
    os.utime(place.target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _delete(place: Place) -> None:
    place.target.unlink()


def _replace(place: Place) -> None:
    status = place.target.stat()
    other = place.target.with_name("other")
    other.write_bytes(trees.content(99, status.st_size))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(place.target)


def _swap_for_link(place: Place) -> None:
    link = place.target.with_name("link")
    link.symlink_to(place.outside / place.target.name)
    link.rename(place.target)


def _swap_directory_for_link(place: Place) -> None:
    directory = place.target.parent
    shutil.move(directory, place.outside / "aside")
    directory.symlink_to(place.outside)


CHANGES: dict[str, Callable[[Place], None]] = {
    "grows": _grow,
    "shrinks": _shrink,
    "is emptied": _empty,
    "is rewritten": _rewrite,
    "is rewritten with its times": _rewrite_unseen,
    "is deleted": _delete,
    "is replaced": _replace,
    "is swapped for a link": _swap_for_link,
    "has its directory swapped for a link": _swap_directory_for_link,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "folder"
    path.mkdir()
    for name, size in (("10.bin", AHEAD), ("11.txt", 3_000), ("30.txt", 3_000), ("31.bin", AHEAD), ("32.txt", 3_000)):
        (path / name).write_bytes(trees.content(len(name), size))
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


@pytest.fixture(scope="module")
def strict(folder: Path) -> Iterator[Pannier]:
    """A second server of the same folder, which takes nothing that it planned for what is there now."""
    with Pannier(folder, folder.with_name("strict-state"), toml=NEVER_FRESH) as running:
        yield running


@dataclass(frozen=True)
class Archive:
    """An archive, and where an entry lies in it."""

    whole: bytes
    etag: str
    name: bytes

    @classmethod
    def of(cls, server: Pannier, place: Place, *others: str) -> Archive:
        with Wire(server.client_port) as wire:
            wire.ask(server.url(*place.between(*others)))
            head, whole = wire.answer()
        assert head.status == 200, whole
        return cls(whole, head.headers["etag"], place.name)

    @property
    def header(self) -> int:
        return self.whole.index(self.name) - 30

    @property
    def content(self) -> int:
        return self.header + 30 + len(self.name) + 9

    @property
    def record(self) -> int:
        return self.whole.rindex(self.name) - 46


OTHERS = ("10.bin", "11.txt", "30.txt", "31.bin", "32.txt")
CASES = [
    *((change, size, "the whole") for change in CHANGES for size in (SMALL, HUGE)),
    ("is rewritten", SMALL, "the rest"),
    ("shrinks", HUGE, "the rest"),
    ("is swapped for a link", SMALL, "a part"),
    ("is rewritten with its times", HUGE, "a part"),
]
MORE = itertools.product(CHANGES, (SMALL, LARGE, HUGE), ("the rest", "a part"))


@pytest.mark.parametrize(
    ("change", "size", "asked"), [*CASES, *(pytest.param(*more, marks=pytest.mark.slow) for more in MORE)]
)
def test_a_change_breaks_the_download_before_and_during_its_turn_and_does_nothing_after_it(
    change: str, size: int, asked: str, server: Pannier, strict: Pannier, folder: Path
) -> None:
    phases = {"before": 100_000, "during": AHEAD + 300_000, "after": AHEAD + size + 400_000}
    if size != HUGE:
        del phases["during"]
    for phase, position in phases.items():
        place = Place.make(folder, size)
        # whoever asks for the whole is the first to read the file from this server, the others are not
        old = Archive.of(strict if asked == "the whole" else server, place, *OTHERS)
        start = 0 if asked == "the whole" else 50_000
        stop = len(old.whole) - 500_000 if asked == "a part" else len(old.whole)
        url = server.url(*place.between(*OTHERS))
        headers: dict[str, str] = {}
        if asked != "the whole":
            assert server.fetch(url, Range="bytes=0-0")[0] == 206
            headers["Range"] = f"bytes={start}-{stop - 1}"
        with Wire(server.client_port, receive=RECEIVE) as wire:
            wire.ask(url, **headers)
            head = wire.head()
            assert (head.status, head.length) == (206 if headers else 200, stop - start)
            got = wire.read(position)
            CHANGES[change](place)
            try:
                got += wire.read(stop - start - position)
                broken = False
            except Broken as error:
                got += error.body
                broken = True
        assert SECRET not in got
        if phase == "during" and change == "has its directory swapped for a link":
            assert not broken, "its descriptor still leads to the file, which nobody has touched"
        else:
            assert broken == (phase != "after"), phase
        if phase == "during" and change.startswith("is rewritten"):
            got = got[:position]  # then come some of the new bytes, and the break
        assert old.whole[start:stop].startswith(got)
        assert broken or len(got) == stop - start


@pytest.mark.parametrize("fresh", [True, False], ids=["plan taken for fresh", "plan looked at"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("change", CHANGES)
def test_no_window_is_of_two_states(
    change: str, size: int, fresh: bool, server: Pannier, strict: Pannier, folder: Path
) -> None:
    asked = server if fresh else strict
    place = Place.make(folder, size)
    others = ("11.txt", "30.txt", "32.txt")
    old = Archive.of(asked, place, *others)
    windows = {
        "before the header": (old.header - 1_000, old.header),
        "the header": (old.header, old.content),
        "the checksum in the header": (old.header + 14, old.header + 18),
        "the first bytes": (old.content, old.content + 10),
        "some bytes": (old.content + 20_000, old.content + 30_000),
        "the last bytes": (old.content + size - 10, old.content + size),
        "behind the last": (old.content + size, old.content + size + 1_000),
        "the record": (old.record, old.record + 46),
        "the checksum in the record": (old.record + 16, old.record + 20),
        "the directory": (old.record - 100, len(old.whole)),
        "the end": (len(old.whole) - 22, len(old.whole)),
        "from the header on": (old.header, len(old.whole)),
    }
    url = asked.url(*place.between(*others))
    assert asked.fetch(url, Range="bytes=0-0")[1]["etag"] == old.etag
    CHANGES[change](place)
    answers: list[tuple[str, Window, Head | None, bytes]] = []
    for condition in ({}, {"If_Range": old.etag}):
        for name, window in windows.items():
            with Wire(asked.client_port) as wire:
                wire.ask(url, Range=f"bytes={window[0]}-{window[1] - 1}", **condition)
                answers.append((name + " by If-Range" * bool(condition), window, *wire.whole_or_part()))
    new = None if "link" in change else Archive.of(strict, place, *others)
    for name, (start, stop), head, body in answers:
        assert SECRET not in body
        if head is None:
            assert old.whole[start:stop].startswith(body), name
        elif head.status == 206:
            assert (body, head.headers["etag"]) == (old.whole[start:stop], old.etag), name
            assert fresh, f"{name}: whoever looks sees the change"
        elif head.status == 200:
            assert new is not None
            assert (body, head.headers["etag"]) == (new.whole, new.etag), name
            assert new.etag != old.etag
        else:
            refused = new is None and name.endswith("by If-Range")  # a bare range is a conflict, whatever is there now
            assert head.status == (400 if refused else 409), (name, body)


@pytest.fixture(scope="module")
def slow(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("slow-state"), program=PROGRAM) as running:
        yield running


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_a_file_is_hashed_breaks_the_download_or_comes_before_it(
    change: str, slow: Pannier, strict: Pannier, folder: Path
) -> None:
    for first in (0, CRC_AT):  # the second is asked for before any byte can leave, so there is another look
        place = Place.make(folder, LARGE, name="read=2.bin")
        old = Archive.of(strict, place)
        url = slow.url(*place.between())
        etag = slow.fetch(url, Range="bytes=0-0")[1]["etag"]
        with Wire(slow.client_port) as wire:
            wire.ask(url, Range=f"bytes={first}-", If_Range=etag)
            wait_until(lambda place=place: has_open(slow, place.target))  # type: ignore[misc]
            CHANGES[change](place)
            head, body = wire.whole_or_part()
        assert SECRET not in body
        if head is None:
            if change == "has its directory swapped for a link":
                # its descriptor still leads to the file: the hash is right, and all of the header may leave
                assert first + len(body) <= old.content
            else:
                assert first == 0
                assert len(body) <= old.header + CRC_AT, "what is behind it needs a hash that nobody has"
            assert old.whole[first:].startswith(body)
        elif "link" in change:
            assert (first, head.status) == (CRC_AT, 400)  # it has If-Range: what is there now counts, and is refused
        else:
            new = Archive.of(strict, place)
            assert (first, head.status, body) == (CRC_AT, 200, new.whole)
            assert head.headers["etag"] == new.etag != old.etag == etag


def test_two_files_that_change_at_once_are_no_surprise(folder: Path, tmp_path: Path) -> None:
    """The first breaks the download, and then nobody waits any more for the hash of the second, which fails, too."""
    first, second = Place.make(folder, LARGE), Place.make(folder, LARGE, name="read=2.5.bin")
    selection = (*first.between("10.bin"), second.directory.name)
    with Pannier(folder, tmp_path / "state", program=PROGRAM) as server:  # which makes sure that no traceback is logged
        server.fetch(server.url("10.bin", first.directory.name))  # now these two are hashed
        with Wire(server.client_port, receive=RECEIVE) as wire:
            wire.ask(server.url(*selection))
            length = wire.head().length
            wire.read(100_000)
            time.sleep(0.6)  # the second is being hashed, for a second
            _rewrite(first)
            _rewrite(second)
            with pytest.raises(Broken):
                wire.read(length - 100_000)
        time.sleep(0.6)  # now it is read, and found to be another one
        assert server.fetch(server.url("11.txt"))[0] == 200


@pytest.mark.parametrize("change", CHANGES)
def test_bytes_that_are_queued_for_a_slow_client_do_not_change(change: str, server: Pannier, folder: Path) -> None:
    for size in (SMALL, LARGE):
        place = Place.make(folder, size)
        old = Archive.of(server, place, "32.txt")
        with Wire(server.client_port, receive=4 * KIB) as wire:
            url = server.url(*place.between("32.txt"))
            wire.ask(url)
            head = wire.head()
            wait_until(lambda number=head.headers["x-request-id"]: is_answered(server, number))  # type: ignore[misc]
            CHANGES[change](place)
            assert (head.length, wire.read(head.length)) == (len(old.whole), old.whole)


def is_answered(server: Pannier, number: str) -> bool:
    """Return whether the server has done with a request: all bytes of its answer are the kernel's matter then.

    By its number: lines of the requests before it may be written after their answers have come.
    """
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return any(line["event"] == "request" and line["request"] == number for line in lines)


def has_open(server: Pannier, path: Path) -> bool:
    """Return whether the server has a file open now."""
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed just now
            if descriptor.readlink() == path:
                return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.005)


class Restless:
    """A thread that keeps changing the files of a directory; it remembers every content that each of them had."""

    PIECE = 64 * KIB

    def __init__(self, folder: Path, outside: Path, seed: int) -> None:
        self._folder, self._outside, self._chance = folder, outside, random.Random(seed)
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._pages: dict[str, dict[int, set[bytes]]] = {}
        self.changes = 0
        folder.mkdir()
        outside.write_bytes(SECRET * 2_000)
        for name, size in (("a", 4_000), ("b", 60_000), ("c", 300_000), ("d", 90_000), ("e", MIB), ("f", 10)):
            self._replace(folder / name, self._content(name, size))

    def __enter__(self) -> Restless:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def was(self, name: str, content: bytes) -> bool:
        """Whether a file can have had this content: page by page, for it may have been read between two writes."""
        with self._lock:
            pages = self._pages[name]
            return all(
                any(page.startswith(content[at : at + KIB * 4]) for page in pages[at])
                for at in range(0, len(content), KIB * 4)
            )

    def _content(self, name: str, size: int) -> bytes:
        content = self._chance.randbytes(size)
        with self._lock:
            pages = self._pages.setdefault(name, {})
            for at in range(0, size, KIB * 4):
                pages.setdefault(at, set()).add(content[at : at + KIB * 4])
        return content

    def _replace(self, path: Path, content: bytes) -> None:
        other = self._folder.parent / "made"
        other.write_bytes(content)
        other.rename(path)

    def _run(self) -> None:
        while not self._ended.wait(self._chance.choice([0.002, 0.02, 0.1])):
            self._change(self._folder / self._chance.choice("abcdef"))
            self.changes += 1
        for name in "abcdef":
            self._replace(self._folder / name, self._content(name, 100))

    def _change(self, path: Path) -> None:
        if not path.exists() or path.is_symlink():
            self._replace(path, self._content(path.name, self._chance.randrange(200_000)))
            return
        status = path.stat()
        match self._chance.randrange(7):
            case 0:
                self._replace(path, self._content(path.name, self._chance.randrange(200_000)))
            case 1:
                path.unlink()
            case 2:
                os.truncate(path, status.st_size // 2)
            case 3:
                link = path.with_name("link")
                link.symlink_to(self._outside)
                link.rename(path)
            case how:
                content = self._content(path.name, status.st_size)
                with path.open("r+b", buffering=0) as file:
                    # in pieces: a long write shows its new time from its first byte on, and is no instant
                    for at in range(0, len(content), self.PIECE):
                        file.write(content[at : at + self.PIECE])
                if how > 4:
                    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("fresh", [True, False], ids=["plan taken for fresh", "plan looked at"])
@pytest.mark.parametrize(
    ("seed", "wanted"), [(1, 24), *(pytest.param(seed, 120, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_files_that_never_rest_give_sound_archives_or_none(seed: int, wanted: int, fresh: bool, tmp_path: Path) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "folder"
    folder.mkdir()
    wholes: dict[str, bytes] = {}
    parts: list[tuple[str, int, bytes]] = []
    complete = disturbed = 0
    with Pannier(folder, tmp_path / "state", toml="" if fresh else NEVER_FRESH) as server:
        with Restless(folder / "picked", tmp_path / "secret", seed) as restless:
            url = url_of_what_rests(server)
            changes, deadline = restless.changes, time.monotonic() + 5 * wanted
            while min(complete, restless.changes - changes) < wanted or disturbed < wanted // 4:
                counts = f"{complete=}, {disturbed=}, changes={restless.changes - changes}, {wanted=}"
                assert time.monotonic() < deadline, f"too little comes about: {counts}"
                if chance.random() < 0.5:
                    url = url_of_what_rests(server)
                start = chance.choice([0, 0, chance.randrange(1, 400_000)])
                headers = {"Range": f"bytes={start}-"} if start else {}
                if start and wholes and chance.random() < 0.5:
                    headers["If_Range"] = chance.choice(list(wholes))
                with Wire(server.client_port) as wire:
                    wire.ask(url, **headers)
                    head, body = wire.whole_or_part()
                assert SECRET not in body
                if head is None:
                    disturbed += 1
                    continue
                match head.status:
                    case 200:
                        complete += 1
                        etag = head.headers["etag"]
                        assert wholes.setdefault(etag, body) == body, "two archives under one ETag"
                        for name, content in trees.contents(body).items():
                            assert restless.was(name.removeprefix("picked/"), content), name
                    case 206:
                        complete += 1
                        parts.append((head.headers["etag"], start, body))
                    case 400 | 404 | 409 | 416:
                        disturbed += 1
                    case other:
                        raise AssertionError((other, body))
        for etag, start, body in parts:
            assert etag not in wholes or wholes[etag][start:] == body
        wait_until(lambda: contents_now(server) == trees.files(folder))


def contents_now(server: Pannier) -> dict[str, bytes]:
    """Return what an archive holds that is begun now: that of a plan which may be some seconds old."""
    with Wire(server.client_port) as wire:
        wire.ask(url_of_what_rests(server))
        head, body = wire.whole_or_part()
    return trees.contents(body) if head is not None and head.status == 200 else {}


def url_of_what_rests(server: Pannier) -> str:
    """Return a URL as soon as all of the selection can be archived, which is looked at before there is a token."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return server.url("picked")
        except HTTPError as refusal:
            refusal.close()
            if refusal.code not in (400, 404) or time.monotonic() > deadline:
                raise


def test_an_archive_of_these_tests_is_as_they_take_it_to_be(server: Pannier, folder: Path) -> None:
    place = Place.make(folder, SMALL)
    found = Archive.of(server, place, "11.txt")
    content = place.target.read_bytes()
    assert trees.contents(found.whole) == {"11.txt": (folder / "11.txt").read_bytes(), place.name.decode(): content}
    assert found.whole[found.header : found.header + 4] == b"PK\x03\x04"
    assert found.whole[found.record : found.record + 4] == b"PK\x01\x02"
    assert found.whole[found.content : found.content + SMALL] == content
