"""The manager's API by the library: each method against a real server, with and without ``await``."""

from __future__ import annotations

import inspect
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pannier.errors import InvalidRequest
from pannier.sdk import AsyncManager, Client, Declined, Folder, Forbidden, LinkOver, Manager, NotFound, SelectionRefused
from pannier.sdk.blocking import Blocking
from pannier.sdk.manager import Files, Folders, Links, Sessions, Uploads
from pannier.sdk.manager_files import AsyncFiles
from pannier.sdk.manager_folders import AsyncFolders
from pannier.sdk.manager_links import AsyncLinks
from pannier.sdk.manager_sessions import AsyncSessions
from pannier.sdk.manager_uploads import AsyncUploads
from pannier.sdk.problems import Conflict
from tests.cli.commands import LIMIT, Server, serving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("trip/사진", "trip/bad", "volume"):
        (home / name).mkdir(parents=True)
    for number in range(5):
        (home / f"trip/사진/{number}.jpg").write_text(str(number) * 1_000)
    (home / "trip/bad/gone").symlink_to("nothing")
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    settings = {"PANNIER_VOLUME__SHARED__BACKEND": "posix", "PANNIER_VOLUME__SHARED__PATH": str(home / "volume")}
    with serving(home, home / "trip", settings=settings) as running:
        yield running


@pytest.fixture
def manager(server: Server) -> Iterator[Manager]:
    told = server.runtime()
    with Manager(told["manager_url"], told["manager_secret"]) as manager:
        yield manager


@pytest.fixture
def trip(server: Server) -> Folder:
    (told,) = server.runtime()["folders"]
    return Folder(told["volume"], told["folder_id"])


@pytest.fixture
def fresh(manager: Manager) -> Folder:
    """An empty folder on a volume."""
    folder = Folder("shared", f"user:{uuid.uuid4()}/{uuid.uuid4().hex}")
    manager.folders.create(folder)
    return folder


@pytest.mark.parametrize(
    ("face", "inner"),
    [
        (Files, AsyncFiles),
        (Folders, AsyncFolders),
        (Links, AsyncLinks),
        (Sessions, AsyncSessions),
        (Uploads, AsyncUploads),
        (Manager, AsyncManager),
    ],
)
def test_the_synchronous_face_has_every_call(face: type, inner: type) -> None:
    """But those that yield one by one."""
    calls = {name for name, each in vars(inner).items() if inspect.iscoroutinefunction(each) and name[0] != "_"}
    assert calls - {"close"} == {name for name, each in vars(face).items() if isinstance(each, Blocking)}


def test_a_plan_is_counted_and_paged(manager: Manager, trip: Folder) -> None:
    told: list[int] = []
    plan = manager.plan(trip, ["사진"], counting=lambda progress: told.append(progress.entries))
    assert (plan.entries, plan.bytes, plan.offenders.total) == (5, 5_000, 0)
    assert manager.plan(trip, ["사진"]).length == plan.length
    refused = manager.plan(trip, ["."])
    assert [each.path for each in refused.offenders.items] == ["bad/gone"]
    assert manager.plan(trip, ["."], except_=["bad/gone"], exclude=["*.jpg"]).offenders.total == 0
    with pytest.raises(InvalidRequest, match="links"):
        manager.plan(trip, ["."], links="maybe")  # type: ignore[arg-type]
    with pytest.raises(Declined):
        manager.plan_page(trip, ["."], "no cursor")


def test_a_session_from_its_making_to_its_end(manager: Manager, trip: Folder, tmp_path: Path) -> None:
    link = manager.sessions.create(trip, ["사진"], filename="사진.zip", expires_in=3600)
    assert (link.entries, "token=" in repr(link)) == (5, False)
    assert manager.sessions.read(link.session).state == "new"
    with Client() as client:
        got = client.download(link.url, tmp_path)
    assert (got.path.name, got.length) == ("사진.zip", link.length)
    assert link.session in [each.id for each in manager.sessions.list(trip, limit=5).items]
    assert manager.sessions.revoke(link.session).state == "revoked"
    with Client() as client, pytest.raises(LinkOver):
        client.download(link.url, tmp_path / "again.zip")
    manager.sessions.create(trip, ["사진"])
    assert manager.sessions.revoke_all(trip) >= 1
    with pytest.raises(NotFound):
        manager.sessions.read("00" * 16)
    with pytest.raises(SelectionRefused) as refused:
        manager.sessions.create(trip, ["."])
    assert [each.code for each in refused.value.offenders] == ["link-dangling"]


async def test_sessions_are_yielded_page_by_page(server: Server, trip: Folder) -> None:
    told = server.runtime()
    async with AsyncManager(told["manager_url"], told["manager_secret"]) as manager:
        made = [(await manager.sessions.create(trip, ["사진"])).session for _ in range(3)]
        found = [session.id async for session in manager.sessions.each(trip)]
        assert found[:3] == made[::-1]
        names = [item.name async for item in manager.files.each(trip, "사진")]
        assert names == [f"{number}.jpg" for number in range(5)]


def test_links_are_made_listed_and_taken_back(manager: Manager, trip: Folder) -> None:
    made = manager.links.create(trip, ["사진"], deliveries=2, password="열려라", note="사진", expires_in=600)
    assert (made.deliveries, made.password, made.entries, made.state) == (2, True, 5, "open")
    assert made.code in [each.code for each in manager.links.list()]
    assert manager.links.revoke(made.code).state == "revoked"
    manager.links.revoke(made.code, remove=True)
    assert made.code not in [each.code for each in manager.links.list()]
    with pytest.raises(NotFound):
        manager.links.revoke("nothing")


def test_files_are_listed_made_moved_and_deleted(manager: Manager, fresh: Folder) -> None:
    files = manager.files
    outcomes = files.make_directories(fresh, ["a/b", "c"])
    assert ([each.item for each in outcomes.success], outcomes.failed) == (["a/b", "c"], ())
    assert files.make_directories(fresh, ["c"]).failed[0].item == "c"
    assert [each.name for each in files.list(fresh).items] == ["a", "c"]
    page = files.list(fresh, limit=1)
    assert (page.truncated, [each.name for each in files.list(fresh, cursor=page.cursor).items]) == (True, ["c"])
    found = files.find(fresh, "a/b")
    assert found is not None
    assert (found.name, found.type, files.find(fresh, "a/x"), files.find(fresh, "x/y")) == (
        "b",
        "DIRECTORY",
        None,
        None,
    )
    assert (files.is_directory(fresh, "a"), files.is_directory(fresh, "x")) == (True, None)
    files.rename(fresh, "a/b", "봄")
    files.move(fresh, "a/봄", "c")
    assert files.find(fresh, "c/봄") is not None
    with pytest.raises(Conflict):
        files.rename(fresh, "a", "c")
    with pytest.raises(Declined):
        files.delete(fresh, ["c"])
    files.delete(fresh, ["c"], recursive=True)
    assert [each.name for each in files.list(fresh).items] == ["a"]


def test_folders_are_made_measured_cloned_and_deleted(manager: Manager, fresh: Folder, server: Server) -> None:
    folders = manager.folders
    served = folders.served()
    assert ([each.name for each in served.folders], served.client_url) == (["trip"], server.runtime()["client_url"])
    assert manager.client_url() == served.client_url
    assert "shared" in [each.name for each in folders.volumes()]
    space = folders.space("shared")
    assert space.capacity_bytes > space.used_bytes > 0
    with pytest.raises(Conflict):
        folders.create(fresh)
    manager.files.make_directories(fresh, ["a"])
    assert folders.usage(fresh).file_count >= 0
    target = f"user:{uuid.uuid4()}/{uuid.uuid4().hex}"
    wait(manager, folders.clone(fresh, target))
    assert manager.files.is_directory(Folder("shared", target), "a")
    wait(manager, folders.delete(fresh))
    with pytest.raises(NotFound):
        manager.files.list(fresh)
    with pytest.raises(NotFound):
        folders.task(str(uuid.uuid4()))


def wait(manager: Manager, task: str) -> None:
    deadline = time.monotonic() + LIMIT
    while (state := manager.folders.task(task).state) != "done":
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def test_a_token_of_uploads_begins_uploads(manager: Manager, fresh: Folder) -> None:
    url = manager.uploads.create(fresh, "in", conflict="refuse", largest=100)
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "0", "Upload-Metadata": "filename YS50eHQ="}
    with urllib.request.urlopen(urllib.request.Request(url, b"", headers, method="POST"), timeout=LIMIT) as answer:
        assert answer.status == 201
    assert manager.files.find(fresh, "in/a.txt") is not None


def test_a_wrong_secret_opens_nothing_and_is_told_nowhere(server: Server) -> None:
    with Manager(server.runtime()["manager_url"], "geheim" * 8) as manager, pytest.raises(Forbidden) as error:
        manager.folders.volumes()
    assert "geheim" not in str(error.value)
