"""Promise: a download by the client ends with the same bytes, whatever was cut or killed, or says why not."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pannier.coverage import Coverage
from pannier.sdk import ONCE, ArchiveChanged, Backoff, Client, ConnectionLost, Progress
from pannier.sdk.parts import PartUnusable, TargetUnusable, ledger_path, part_path
from pannier.sdk.parts import begun as begun_of
from tests.e2e import trees
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

QUICK = Backoff(first=0.02)
PATIENT = Backoff(tries=60, first=0.1, most=0.3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sdk") / "some folder"
    trees.plant(path, 11, small=60, large=(3 * MIB, 9 * MIB + 1, 20 * MIB))
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


@pytest.fixture(scope="module")
def whole(server: Pannier, folder: Path) -> bytes:
    """The archive, downloaded without interruption and with a token of its own."""
    _, _, archive = server.fetch(server.url())
    assert trees.contents(archive) == trees.files(folder)
    return archive


def same(path: Path, whole: bytes) -> bool:
    return trees.sha256(path.read_bytes()) == trees.sha256(whole)


@pytest.mark.parametrize("parallel", [1, 8])
def test_an_archive_comes_whole_and_is_checked(parallel: int, server: Pannier, whole: bytes, tmp_path: Path) -> None:
    told: list[Progress] = []
    with Client() as client:
        got = client.download(server.url(), tmp_path / "out.zip", parallel=parallel, progress=told.append)
    assert same(got.path, whole)
    assert (got.length, got.came, got.resumed) == (len(whole), len(whole), 0)
    assert got.checked.entries == 63
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]
    assert (told[-1].done, told[-1].total) == (len(whole), len(whole))
    assert [each.note for each in told if each.note] == []


def test_the_server_names_the_file(server: Pannier, tmp_path: Path) -> None:
    with Client() as client:
        got = client.download(server.url(filename="한글 이름.zip"), tmp_path)
    assert got.path == tmp_path / "한글 이름.zip"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
@pytest.mark.parametrize("parallel", [1, 8])
def test_cuts_of_the_network_leave_no_trace(
    parallel: int, seed: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    cuts = [Cut(chance.randrange(1, 3 * MIB // 2), reset=chance.random() < 0.3) for _ in range(10)]
    with CuttingProxy(server.client_port, cuts) as proxy, Client(backoff=QUICK) as client:
        got = client.download(proxy.through(server.url()), tmp_path / "out.zip", parallel=parallel)
        assert proxy.made == 10
    assert same(got.path, whole)
    assert got.resumed


_RUN = """
import sys
from pannier.sdk import Client
with Client() as client:
    client.download(sys.argv[1], sys.argv[2], parallel=int(sys.argv[3]))
"""


def noted_of(out: Path) -> str:
    """What the ledger says is there."""
    ledger = ledger_path(out)
    return str(json.loads(ledger.read_text())["done"]) if ledger.exists() else ""


@pytest.mark.parametrize("parallel", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_a_client_that_is_killed_goes_on_with_what_it_noted(
    parallel: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out.zip"
    url = server.url()
    with CuttingProxy(server.client_port, pace=8 * MIB // parallel) as proxy:
        arguments = [sys.executable, "-c", _RUN, proxy.through(url), str(out), str(parallel)]
        noted = ""
        for number in (signal.SIGKILL, signal.SIGINT):
            with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
                deadline = time.monotonic() + 60
                while noted_of(out) == noted:  # it goes on, and notes how far it came
                    assert process.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                noted = noted_of(out)
                time.sleep(0.3)  # some more comes
                process.send_signal(number)
        assert Coverage.parse(noted_of(out)).length > Coverage.parse(noted).length  # Ctrl-C notes what came
        with Client() as client:
            got = client.download(url, out, parallel=parallel)
    assert same(out, whole)
    assert 0 < got.came < len(whole)


@pytest.mark.parametrize("parallel", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_a_server_that_is_killed_and_comes_back_is_gone_on_with(
    parallel: int, folder: Path, whole: bytes, tmp_path: Path
) -> None:
    with Pannier(folder, tmp_path / "state") as server:
        url = server.url()
        with CuttingProxy(server.client_port, pace=40 * MIB) as proxy, Client(backoff=PATIENT) as client:
            moved = threading.Event()
            done: list[Path] = []

            def get() -> None:
                got = client.download(
                    proxy.through(url), tmp_path / "out.zip", parallel=parallel, progress=lambda _: moved.set()
                )
                done.append(got.path)

            thread = threading.Thread(target=get)
            thread.start()
            for _ in range(2):
                assert moved.wait(30)
                server.kill()
                server.start()
                moved.clear()
            thread.join(60)
    assert same(done[0], whole)


def test_two_servers_over_the_same_data_give_one_archive(
    server: Pannier, folder: Path, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(5)
    with Pannier(folder, server.state) as other:  # the same secrets
        url = server.url()
        for cuts in ([], [Cut(chance.randrange(1, 3 * MIB)) for _ in range(10)]):
            out = tmp_path / f"{len(cuts)}.zip"
            with CuttingProxy(other.client_port, cuts) as proxy, Client(backoff=QUICK) as client:
                got = client.download(url, out, servers=[f"http://127.0.0.1:{proxy.port}"], parallel=8)
                assert proxy.most_open > 0
            assert same(got.path, whole)


def test_a_server_with_another_archive_is_left(server: Pannier, folder: Path, whole: bytes, tmp_path: Path) -> None:
    other_folder = tmp_path / "elsewhere" / "some folder"
    trees.plant(other_folder, 12, small=3, large=(9 * MIB,))
    with Pannier(other_folder, tmp_path / "state") as other, Client(backoff=QUICK) as client:
        told: list[Progress] = []
        got = client.download(
            server.url(), tmp_path / "out.zip", servers=[other.client_url], parallel=4, progress=told.append
        )
    assert same(got.path, whole)
    assert [each.note for each in told if each.note and "going on without it" in each.note]


class TestAfterAChange:
    """What is there is never mixed with what is not the same archive."""

    @pytest.fixture
    def changing(self, tmp_path: Path) -> Iterator[Pannier]:
        folder = tmp_path / "changing"
        trees.plant(folder, 3, small=5, large=(12 * MIB,))
        with Pannier(folder, tmp_path / "state") as server:
            yield server

    @pytest.mark.parametrize("parallel", [1, pytest.param(4, marks=pytest.mark.slow)])
    def test_a_part_stays_as_it_was(self, parallel: int, changing: Pannier, tmp_path: Path) -> None:
        out, url = tmp_path / "out.zip", changing.url()
        with (
            CuttingProxy(changing.client_port, [Cut(2 * MIB)] * 40) as proxy,
            Client(backoff=ONCE) as client,
            pytest.raises(ConnectionLost),
        ):
            client.download(proxy.through(url), out, parallel=parallel)
        before, content = begun_of(out), part_path(out).read_bytes()
        assert before is not None
        with trees.large_files(changing.folder)[0].open("r+b") as file:
            file.write(b"changed")
        with Client() as client:
            with pytest.raises(ArchiveChanged, match="must not mix"):
                client.download(url, out, parallel=parallel)
            # bytes of the archive that was begun may still have come, from before its change was seen
            after, kept = begun_of(out), part_path(out).read_bytes()
            assert after is not None
            assert after.version == before.version
            for window in before.done.windows:
                assert kept[window.start : window.stop] == content[window.start : window.stop]
            assert not out.exists()
            got = client.download(url, out, restart=True)
            assert trees.contents(got.path.read_bytes()) == trees.files(changing.folder)
            assert not part_path(out).exists()

    def test_a_change_in_the_middle_is_told_with_the_entry(self, changing: Pannier, tmp_path: Path) -> None:
        large = trees.large_files(changing.folder)[0]
        out, url = tmp_path / "out.zip", changing.url()
        changed = False

        def change(progress: Progress) -> None:
            nonlocal changed
            if progress.done > 4 * MIB and not changed:
                changed = True
                with large.open("r+b") as file:
                    file.seek(large.stat().st_size - 10)
                    file.write(b"changed")

        with (
            CuttingProxy(changing.client_port, pace=16 * MIB) as proxy,
            Client(backoff=QUICK) as client,
            pytest.raises(ArchiveChanged, match="must not mix") as caught,
        ):
            client.download(proxy.through(url), out, parallel=1, progress=change)
        assert caught.value.entry == large.name
        assert not out.exists()
        assert part_path(out).exists()


def test_what_is_in_the_way_is_never_replaced_unasked(server: Pannier, whole: bytes, tmp_path: Path) -> None:
    out, url = tmp_path / "out.zip", server.url()
    with Client() as client:
        out.write_text("mine")
        with pytest.raises(TargetUnusable, match="there already"):
            client.download(url, out)
        assert out.read_text() == "mine"
        out.unlink()
        part_path(out).write_text("of another client")
        with pytest.raises(PartUnusable, match="nothing says which"):
            client.download(url, out)
        assert part_path(out).read_text() == "of another client"
        client.download(url, out, restart=True)
    assert same(out, whole)


def test_two_downloads_to_one_file_do_not_meet(server: Pannier, whole: bytes, tmp_path: Path) -> None:
    out, url = tmp_path / "out.zip", server.url()
    with CuttingProxy(server.client_port, pace=20 * MIB) as proxy, Client() as client:
        begun = threading.Event()
        first = threading.Thread(
            target=lambda: client.download(proxy.through(url), out, progress=lambda _: begun.set())
        )
        first.start()
        assert begun.wait(30)
        with pytest.raises(TargetUnusable, match="another download"):
            client.download(url, out)
        first.join(60)
    assert same(out, whole)


@pytest.mark.parametrize(
    ("format", "how"),
    [
        ({"compression": "deflate"}, "every CRC-32 agrees"),
        ({"format": "tar"}, "a tar has no checksums to check"),
        ({"format": "tar.gz"}, "its CRC-32 agrees"),
        ({"format": "tar.zst"}, "every checksum of its frames agrees"),
    ],
)
def test_other_formats_start_over_where_they_have_no_ranges(
    format: dict[str, str], how: str, server: Pannier, tmp_path: Path
) -> None:
    url = server.url(**format)
    with CuttingProxy(server.client_port, [Cut(3 * MIB), Cut(2 * MIB)]) as proxy, Client(backoff=QUICK) as client:
        told: list[Progress] = []
        got = client.download(proxy.through(url), tmp_path / "out", progress=told.append)
        assert proxy.made == 2
    assert got.checked.how == how
    assert got.length == got.path.stat().st_size == told[-1].done
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_single_file_is_gone_on_with_too(server: Pannier, folder: Path, tmp_path: Path) -> None:
    large = trees.large_files(folder)[-1]
    token = server.at_folder("download", relpath=large.name)["token"]
    url = f"{server.client_url}/download?token={token}"
    with CuttingProxy(server.client_port, [Cut(2 * MIB)] * 4) as proxy, Client(backoff=QUICK) as client:
        got = client.download(proxy.through(url), tmp_path, parallel=1)
    assert got.path.name == large.name
    assert got.path.read_bytes() == large.read_bytes()
    assert got.checked.entries is None
