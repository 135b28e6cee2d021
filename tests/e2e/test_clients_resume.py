"""Promise: an archive can be resumed at any byte, by the clients that people have, whatever was cut or killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.clients import ARIA2C, CLIENTS, CURL, WGET, Client, have, run, wait_for
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

MOST_ATTEMPTS = 200
RATE = "20M"
"""What curl and wget keep to; aria2c does, too, but in bursts of a second, so a paced proxy stands before all three."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resume") / "some folder"
    trees.plant(path, 7, small=300, large=(3 * MIB, 4 * MIB + 1, 20 * MIB, 18 * MIB))
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


def assert_whole(out: Path, whole: bytes) -> None:
    assert out.stat().st_size == len(whole)
    assert trees.sha256(out.read_bytes()) == trees.sha256(whole)


@pytest.mark.parametrize("client", [CURL, WGET], ids=lambda client: client.name)
@pytest.mark.parametrize(
    ("seed", "each"), [(1, 12), *(pytest.param(seed, 40, marks=pytest.mark.slow) for seed in range(2, 5))]
)
def test_cuts_in_headers_contents_and_the_directory_leave_no_trace(
    client: Client, seed: int, each: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    out = tmp_path / "out.zip"
    url = server.url()
    offsets = trees.cuts_of_all_kinds(chance, whole, each)
    with CuttingProxy(server.client_port) as proxy:
        for offset in offsets:
            if offset <= have(out):
                continue
            cut = Cut(offset - have(out), reset=chance.random() < 0.3)
            proxy.cut(cut)
            ended = client.run(proxy.through(url), out)
            assert ended.code != 0, f"cut at {offset} of {len(whole)}, and: {ended}"
            assert have_exactly(out) == offset or (cut.reset and have_exactly(out) < offset)
        assert proxy.made >= each * 4
        ended = client.run(proxy.through(url), out)
    assert ended.code == 0, ended
    assert_whole(out, whole)


def have_exactly(out: Path) -> int:
    return out.stat().st_size if out.exists() else 0


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_wget_that_tries_again_by_itself_gets_the_same_archive(
    seed: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    out = tmp_path / "out.zip"
    cuts = [Cut(chance.randrange(1, len(whole) // 15), reset=chance.random() < 0.3) for _ in range(15)]
    with CuttingProxy(server.client_port, cuts) as proxy:
        command = [*WGET.command(proxy.through(server.url()), out), "--tries=0", "--waitretry=0"]
        ended = run(command)
        assert proxy.made == len(cuts)
    assert ended.code == 0, ended
    assert_whole(out, whole)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_aria2c_with_four_connections_gets_the_same_archive(
    seed: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    out = tmp_path / "out.zip"
    url = server.url()
    cuts = [Cut(chance.randrange(1, len(whole) // 25), reset=chance.random() < 0.3) for _ in range(60)]
    with CuttingProxy(server.client_port, cuts) as proxy:
        attempts = 1
        while (ended := ARIA2C.run(proxy.through(url), out)).code:
            attempts += 1
            assert attempts < MOST_ATTEMPTS, ended
        assert proxy.most_open >= 4
        assert proxy.made >= 25
    assert attempts > 1
    assert_whole(out, whole)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_a_killed_client_goes_on_where_it_was(
    client: Client, seed: int, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    out = tmp_path / "out.zip"
    url = server.url()
    with CuttingProxy(server.client_port, pace=8 * MIB) as slow:
        for kill in range(5):
            with client.running(slow.through(url), out, RATE) as process:
                wanted = have(out) + chance.randrange(1, len(whole) // 8)
                assert wait_for(out, wanted, process), f"over before {kill=}"
    ended = client.run(url, out)
    assert ended.code == 0, ended
    assert_whole(out, whole)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_a_killed_server_goes_on_where_it_was(seed: int, server: Pannier, whole: bytes, tmp_path: Path) -> None:
    """All clients are at it when it is killed."""
    chance = random.Random(seed)
    downloads = [(client, server.url(), tmp_path / f"{client.name}.zip") for client in CLIENTS]
    with CuttingProxy(server.client_port, pace=3 * MIB) as slow:
        for kill in range(2):
            with ExitStack() as running:
                begun = []
                for client, url, out in downloads:
                    wanted = have(out) + chance.randrange(1, len(whole) // 20)  # the kernel still sends megabytes then
                    process = running.enter_context(client.running(slow.through(url), out, RATE))
                    begun.append((client, process, out, wanted))
                for client, process, out, wanted in begun:
                    assert wait_for(out, wanted, process), f"{client.name}: over before {kill=}"
                server.kill()
                for client, process, _, _ in begun:
                    assert process.wait(60) != 0, f"{client.name}: over in spite of {kill=}"
            server.start()
    for client, url, out in downloads:
        ended = client.run(url, out)
        assert ended.code == 0, f"{client.name}: {ended}"
        assert_whole(out, whole)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.slow
def test_cuts_and_kills_of_both_together_leave_no_trace(
    client: Client, server: Pannier, whole: bytes, tmp_path: Path
) -> None:
    chance = random.Random(11)
    events = 0
    for download in range(6):
        out = tmp_path / f"{download}.zip"
        url = server.url()
        with CuttingProxy(server.client_port, pace=60 * MIB) as proxy:
            while not is_complete(out, whole):
                proxy.cut(*(_some_cut(chance, len(whole)) for _ in range(8)))
                with client.running(proxy.through(url), out, "60M") as process:
                    wait_for(out, have(out) + chance.randrange(1, len(whole) // 3), process)
                    if chance.random() < 0.2:
                        server.kill()
                        process.wait(60)
                        server.start()
                events += 1
                assert events < 10 * MOST_ATTEMPTS
        assert_whole(out, whole)
    assert events > 20


def is_complete(out: Path, whole: bytes) -> bool:
    """Whether a client, or whoever looks at what it left, would take the download for complete."""
    return have_exactly(out) == len(whole) and not out.with_name(f"{out.name}.aria2").exists()


def _some_cut(chance: random.Random, length: int) -> Cut | None:
    return Cut(chance.randrange(1, length // 3), reset=chance.random() < 0.3) if chance.random() < 0.7 else None
