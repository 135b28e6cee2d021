"""A slow volume behind a proxy that gives up early: whoever asks again gets further each time, and gets all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.clients import CURL, WGET, Client, Ended
from tests.e2e.nginx import nginx
from tests.e2e.running import HeldPort, Pannier
from tests.e2e.trees import KIB, MIB

PROGRAM = (str(Path(__file__).with_name("slow_server.py")),)
PATIENCE = 2
"""Seconds without a byte after which the proxy gives up."""
MOST_ATTEMPTS = 20


@contextmanager
def slow(folder: Path, tmp_path: Path, toml: str = "") -> Iterator[tuple[Pannier, int]]:
    """Serve a folder that is as slow as its names say, and put the proxy before it; give both."""
    with (
        Pannier(folder, tmp_path / "state", toml=toml, program=PROGRAM) as server,
        HeldPort() as port,
        nginx(server.client_port, port, tmp_path / "nginx", patience=PATIENCE),
    ):
        yield server, port


def persist(client: Client, url: str, out: Path) -> list[Ended]:
    """Try until it is done; what was tried in vain."""
    failed: list[Ended] = []
    while (ended := client.run(url, out)).code:
        failed.append(ended)
        assert len(failed) < MOST_ATTEMPTS, failed
    return failed


def gave_up(tmp_path: Path) -> int:
    """Return how often the proxy has lost its patience."""
    return (tmp_path / "nginx" / "error.log").read_text().count("upstream timed out")


def plant(folder: Path, *, directory: str = "in", large: str = "large.bin", size: int = MIB) -> dict[str, bytes]:
    trees.plant(folder / directory, 21, small=60, large=())
    (folder / directory / large).write_bytes(trees.content(22, size))
    return trees.files(folder)


CLIENTS = [CURL, pytest.param(WGET, marks=pytest.mark.slow)]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_plan_that_outlasts_the_proxy_is_found_done_by_who_asks_again(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    held = plant(folder, directory="list=4.5")
    out = tmp_path / "out.zip"
    with slow(folder, tmp_path) as (server, port):
        url = server.url().replace(f":{server.client_port}/", f":{port}/")
        failed = persist(client, url, out)
        assert gave_up(tmp_path) == len(failed) >= 1
        assert out.read_bytes() == server.fetch(server.url())[2]
    assert trees.contents(out.read_bytes()) == held


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("piped", [False, True], ids=["descriptor", "piped"])
def test_a_hash_that_outlasts_the_proxy_is_found_further_by_who_asks_again(
    client: Client, piped: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    name = "large-read=0.7" + ("-piped" if piped else "")
    held = plant(folder, large=name, size=(4 if piped else 6) * MIB + 17)
    out = tmp_path / "out.zip"
    with slow(folder, tmp_path) as (server, port):
        url = server.url().replace(f":{server.client_port}/", f":{port}/")
        failed = persist(client, url, out)
        assert gave_up(tmp_path) == len(failed) >= 1
        assert out.read_bytes() == server.fetch(server.url())[2]
    assert trees.contents(out.read_bytes()) == held


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_looking_again_at_a_known_plan_may_outlast_the_proxy_too(client: Client, tmp_path: Path) -> None:
    """A resumed download whose plan is no longer fresh: all its files are looked at again before its first byte."""
    folder = tmp_path / "folder"
    plant(folder, large="large-read=0.7", size=6 * MIB)
    for number in range(30):
        (folder / f"look=0.1-{number}").write_bytes(trees.content(number, 5 * KIB))
    held = trees.files(folder)
    out = tmp_path / "out.zip"
    soon_stale = "[archive]\nplan-fresh-min = 1\nplan-fresh-max = 1\n"
    with slow(folder, tmp_path, soon_stale) as (server, port):
        url = server.url().replace(f":{server.client_port}/", f":{port}/")
        failed = persist(client, url, out)
        assert gave_up(tmp_path) == len(failed) >= 1
        assert out.read_bytes() == server.fetch(server.url())[2]
    assert trees.contents(out.read_bytes()) == held


@pytest.mark.slow
@pytest.mark.parametrize("client", [CURL, WGET], ids=lambda client: client.name)
def test_a_slow_plan_and_slow_hashes_together_come_to_an_end(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    plant(folder, directory="list=3", large="large-read=0.7", size=8 * MIB)
    plant(folder / "more", directory="list=2", large="large-read=1", size=6 * MIB)
    out = tmp_path / "out.zip"
    with slow(folder, tmp_path) as (server, port):
        url = server.url().replace(f":{server.client_port}/", f":{port}/")
        failed = persist(client, url, out)
        assert gave_up(tmp_path) == len(failed) >= 2
        assert out.read_bytes() == server.fetch(server.url())[2]
    assert trees.contents(out.read_bytes()) == trees.files(folder)
