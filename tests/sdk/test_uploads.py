"""Promise: ``upload`` sends files and directories whole, goes on after cuts, and leaves nothing out in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pannier.sdk import Backoff, Client, Folder, Forbidden, Journal, Manager, SourcesRefused, UploadProgress
from tests.cli.commands import Server, serving
from tests.e2e.cutting import CuttingProxy
from tests.e2e.nginx import nginx
from tests.e2e.running import HeldPort

MIB = 2**20
QUICK = Backoff(first=0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("trip", "mine/사진", "mine/empty"):
        (home / name).mkdir(parents=True)
    for number in range(10):
        (home / f"mine/사진/꽃 {number}.txt").write_text(f"꽃 {number}")
    (home / "mine/large.bin").write_bytes(os.urandom(20 * MIB))
    (home / "mine/none").touch()
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip") as running:
        yield running


@pytest.fixture
def place(server: Server, request: pytest.FixtureRequest) -> str:
    """Where a test uploads to: a directory of its own."""
    told = server.runtime()
    (folder,) = told["folders"]
    with Manager(told["manager_url"], told["manager_secret"]) as manager:
        return manager.uploads.create(Folder(folder["volume"], folder["folder_id"]), request.node.name)


@pytest.fixture
def arrived(home: Path, request: pytest.FixtureRequest) -> Path:
    return home / "trip" / str(request.node.name)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_directory_arrives_whole(home: Path, place: str, arrived: Path) -> None:
    """A directory without anything in it is told of: a token makes none."""
    told: list[UploadProgress] = []
    with Client() as client:
        sent = client.upload(home / "mine", place, conflict="replace", progress=told.append)
    assert files(arrived / "mine") == files(home / "mine")
    assert (len(sent.arrived), sent.failed, sent.skipped, sent.empty) == (12, [], [], ["mine/empty"])
    assert (told[-1].done, told[-1].total, told[-1].files_done, told[-1].files) == (sent.size, sent.size, 12, 12)


def test_several_paths_go_under_their_own_names(home: Path, place: str, arrived: Path) -> None:
    with Client() as client:
        client.upload([str(home / "mine/none"), home / "mine/사진"], place, except_=[str(home / "mine/사진/꽃 3.txt")])
    assert sorted(files(arrived)) == ["none", *sorted(f"사진/꽃 {n}.txt" for n in range(10) if n != 3)]


def test_what_cannot_be_sent_refuses_all_of_it(home: Path, place: str, arrived: Path, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/good").write_text("good")
    (tmp_path / "odd/gone").symlink_to("nowhere")
    with Client() as client:
        with pytest.raises(SourcesRefused, match=r"1 of 3 cannot be sent, and nothing was: '.*odd/gone': No such"):
            client.upload(tmp_path / "odd", place)
        assert not arrived.exists()
        assert len(client.upload(tmp_path / "odd", place, links="omit").arrived) == 1


def test_cuts_are_gone_on_with(home: Path, server: Server, place: str, arrived: Path) -> None:
    port = int(server.runtime()["client_url"].rpartition(":")[2])
    with CuttingProxy(port, pace=16 * MIB) as proxy, Client(backoff=QUICK) as client:
        dropped: list[int] = []

        def drop(progress: UploadProgress) -> None:
            if progress.done > 9 * MIB * (1 + len(dropped)) and len(dropped) < 2:
                dropped.append(progress.done)
                proxy.drop()

        sent = client.upload(home / "mine/large.bin", proxy.through(place), progress=drop)
    assert (len(dropped), len(sent.arrived)) == (2, 1)
    assert files(arrived) == {"large.bin": (home / "mine/large.bin").read_bytes()}


def test_a_proxy_that_takes_no_large_bodies_gets_smaller_ones(
    home: Path, server: Server, place: str, arrived: Path, tmp_path: Path
) -> None:
    """The default of nginx is 1 MiB, of others 100 MB; who meets that should not have to know."""
    upstream = int(server.runtime()["client_url"].rpartition(":")[2])
    told: list[UploadProgress] = []
    with HeldPort() as port, nginx(upstream, port, tmp_path / "nginx", largest="3m"), Client(backoff=QUICK) as client:
        url = place.replace(f":{upstream}/", f":{port}/")
        sent = client.upload(home / "mine/large.bin", url, progress=told.append)
    assert len(sent.arrived) == 1
    assert files(arrived) == {"large.bin": (home / "mine/large.bin").read_bytes()}
    assert (tmp_path / "nginx/access.log").read_text().count(" 413 ") == 2, "8 and 4 MiB, and never again so much"
    assert not any(each.note for each in told)


def test_a_journal_goes_on_in_another_call(
    home: Path, server: Server, place: str, arrived: Path, tmp_path: Path
) -> None:
    """What arrived, and what was acknowledged of the rest, is not sent again; at the end it is forgotten."""

    class Stop(Exception):
        pass

    def stop(progress: UploadProgress) -> None:
        if progress.done > 9 * MIB:
            raise Stop

    with Client() as client, Journal(tmp_path, ["mine"]) as journal, pytest.raises(Stop):
        client.upload(home / "mine", place, conflict="replace", parallel=1, journal=journal, progress=stop)
    told: list[UploadProgress] = []
    with Client() as client, Journal(tmp_path, ["mine"]) as journal:
        sent = client.upload(
            home / "mine", place, conflict="replace", parallel=1, journal=journal, progress=told.append
        )
    assert len(sent.arrived) == 12
    assert min(each.done for each in told if each.done) >= 8 * MIB
    assert files(arrived / "mine") == files(home / "mine")
    assert list(tmp_path.glob("*.jsonl")) == []


def test_a_token_of_another_purpose_is_declined(home: Path, server: Server) -> None:
    url = f"{server.runtime()['client_url']}/uploads?token=x.y.z"
    with Client(backoff=QUICK) as client, pytest.raises(Forbidden):
        client.upload(home / "mine/none", url)
