"""Links that people send are as good as tokens: one entry alone, and why something ended."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from pannier.dto.links import LinkReply
from pannier.sdk import ArchiveChanged, Backoff, Client, Declined, Folder, Forbidden, Manager, Unexpected
from pannier.sdk.filesystem import PannierFileSystem
from tests.cli.commands import Server, serving
from tests.e2e import trees
from tests.e2e.cutting import Cut, CuttingProxy

MIB = 2**20
QUICK = Backoff(tries=4, first=0.02)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    trees.plant(home / "trip", 71, small=12, large=(6 * MIB,))
    (home / "trip/사진").mkdir(exist_ok=True)
    (home / "trip/사진/바다.txt").write_text("파도")
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip") as running:
        yield running


def make(server: Server, **terms: Any) -> LinkReply:
    told = server.runtime()
    (folder,) = told["folders"]
    with Manager(told["manager_url"], told["manager_secret"]) as manager:
        return manager.links.create(Folder(folder["volume"], folder["folder_id"]), ["."], **terms)


def link(server: Server, **terms: Any) -> str:
    """Return the page of a link to all that is served."""
    return make(server, **terms).url


def test_a_link_gives_one_entry_alone(server: Server) -> None:
    """By the page or by the archive behind it, with a password or without; nothing is spent by that."""
    made = [make(server, deliveries=1), make(server, password="열려라"), make(server, format="tar")]
    with Client(password="열려라") as client:
        for each in made:
            for url in (each.url, each.file_url):
                with client.open_member(url, "사진/바다.txt") as file:
                    assert file.read().decode() == "파도"
                assert "사진/바다.txt" in [member.path for member in client.members(url)]
            if each.format == "zip":
                with zipfile.ZipFile(client.open_archive(each.url)) as archive:
                    assert archive.read("사진/바다.txt").decode() == "파도"
        assert client.download(made[0].url, server.home / "whole.zip").checked.entries == 14


def test_a_link_is_a_file_system(server: Server) -> None:
    fsspec.register_implementation("pannier", PannierFileSystem, clobber=True)
    archive = fsspec.filesystem("pannier", url=link(server, password="열려라"), password="열려라")
    assert archive.cat_file("사진/바다.txt").decode() == "파도"
    assert {name: archive.cat_file(name) for name in archive.find("")} == trees.files(server.home / "trip")


def test_who_does_not_know_the_password_learns_no_names(server: Server) -> None:
    with Client(password="wrong") as client, pytest.raises(Forbidden):
        client.members(link(server, password="열려라"))
    with Client() as client, pytest.raises(Forbidden):
        client.open_member(link(server, password="열려라"), "사진/바다.txt")


def test_a_packed_link_says_what_has_places(server: Server) -> None:
    with Client() as client:
        with pytest.raises(Declined, match="ask for zip or tar"):
            client.open_member(link(server, format="tar.gz"), "사진/바다.txt")
        with pytest.raises(Unexpected, match="take a stored zip or tar"):
            client.open_archive(link(server, format="tar.gz"))


def test_a_file_that_changed_is_named_through_a_link_too(server: Server, home: Path) -> None:
    port = int(server.runtime()["client_url"].rpartition(":")[2])
    (large,) = trees.large_files(home / "trip")
    url = link(server)
    with CuttingProxy(port, [Cut(3 * MIB)], pace=8 * MIB) as proxy, Client(backoff=QUICK) as client:
        changed: list[str] = []

        def change(progress: object) -> None:
            if getattr(progress, "done", 0) > MIB and not changed:
                changed.append(large.name)
                with large.open("r+b") as file:
                    file.write(b"another")

        with pytest.raises(ArchiveChanged) as error:
            client.download(proxy.through(url), home / "out.zip", parallel=1, progress=change)
    assert error.value.entry == str(large.relative_to(home / "trip"))
    assert repr(error.value.entry) in str(error.value)
