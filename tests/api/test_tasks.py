"""Background tasks over a real volume: folders deleted and cloned, files deleted, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from pannier.volumes.posix import ASIDE
from tests.api.disk import disk
from tests.api.host import OWNER, Host, kind, new_id, served
from tests.api.live import FOLDER, Answer

SCOPE = OWNER.replace("-", "")


async def ended(host: Host, begun: Answer) -> dict[str, Any]:
    """Wait for the end of a task, and return what is told of it."""
    assert set(begun.json) == {"bgtask_id"}
    async with asyncio.timeout(30):
        while True:
            answer = await host.ask_for(f"/tasks/{begun.json['bgtask_id']}")
            assert answer.status == 200, answer.json
            told: dict[str, Any] = answer.json
            assert told["id"] == begun.json["bgtask_id"]
            if told["state"] in ("done", "failed"):
                assert told["ended_at"] >= told["created_at"]
                return told
            await asyncio.sleep(0.02)


async def made(host: Host, folder: str) -> Path:
    """Make a folder with some of everything in it."""
    assert (await host.ask("POST", "/folder/create", vfid=folder)).status == 204
    root = host.where(folder)
    (root / "docs" / "deep" / "er").mkdir(parents=True)
    (root / "docs" / "a.txt").write_text("a")
    (root / "docs" / "deep" / "er" / os.fsdecode(b"caf\xe9")).write_text("é")
    (root / "empty").mkdir(mode=0o2750)
    (root / "link").symlink_to("docs/a.txt")
    (root / "out").symlink_to("/etc/passwd")
    os.link(root / "docs" / "a.txt", root / "again")
    (root / "script").write_text("#!")
    (root / "script").chmod(0o4711)
    with (root / "sparse").open("wb") as file:
        file.seek(64 * 1024 * 1024)
        file.write(b"end")
        file.truncate(128 * 1024 * 1024)
    for number, path in enumerate(sorted(root.rglob("*"))):
        os.utime(path, ns=(number * 10**9, 10**18 + number), follow_symlinks=False)
    os.utime(root, ns=(0, 10**18 - 1))
    return root


def shape(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a directory that a clone keeps: kind, permissions, time, and content or target."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted([root, *root.rglob("*")]):
        status = path.lstat()
        content: Any = None
        if path.is_symlink():
            content = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes() if status.st_size < 2**20 else status.st_size
        found[str(path.relative_to(root))] = (stat.filemode(status.st_mode), status.st_mtime_ns, content)
    return found


def left(host: Host) -> list[str]:
    """What stands aside on the volume."""
    return sorted(str(path) for path in host.root.rglob(ASIDE.decode()))


# ---------------------------------------------------------------- deleting a folder


async def test_a_deleted_folder_vanishes_with_the_directories_above_it(host: Host) -> None:
    folder = new_id()
    root = await made(host, folder)
    begun = await host.ask("POST", "/folder/delete", vfid=folder)
    assert begun.status == 202
    assert not root.exists()
    told = await ended(host, begun)
    assert told["error"] is None
    assert (told["state"], told["kind"], told["unit"]) == ("done", "remove-folder", "entries")
    assert told["done"] == told["total"] == 12
    assert list((host.root / SCOPE).iterdir()) == []


async def test_another_folder_below_the_same_directories_stays(host: Host) -> None:
    one, other = f"user:{OWNER}/{'a' * 32}", f"user:{OWNER}/{'a' * 31}b"
    for folder in (one, other):
        await made(host, folder)
    before = shape(host.where(other))
    await ended(host, await host.ask("POST", "/folder/delete", vfid=one))
    assert shape(host.where(other)) == before
    assert left(host) == []


@pytest.mark.parametrize("folder", [f"user:{OWNER}/{'c' * 32}", "d" * 32], ids=["scoped", "legacy"])
async def test_a_missing_folder_is_no_error(host: Host, folder: str) -> None:
    begun = await host.ask("POST", "/folder/delete", vfid=folder)
    assert begun.status == 202
    told = await ended(host, begun)
    assert (told["state"], told["done"], told["error"]) == ("done", 0, None)
    assert list(host.root.iterdir()) == []


async def test_a_legacy_folder_is_deleted(host: Host) -> None:
    folder = uuid.uuid4().hex
    host.where(folder).mkdir(parents=True)
    (host.where(folder) / "file").write_text("x")
    told = await ended(host, await host.ask("POST", "/folder/delete", vfid=folder))
    assert (told["state"], told["done"]) == ("done", 2)
    assert list(host.root.iterdir()) == []


async def test_folders_are_made_while_their_neighbours_are_deleted(host: Host) -> None:
    """Who deletes the last folder below some directories takes them away; who makes one there is not to notice."""
    folders = [f"user:{OWNER}/{'ab' * 14}{number:04x}" for number in range(40)]

    async def live_and_die(folder: str) -> None:
        for _ in range(5):
            answer = await host.ask("POST", "/folder/create", vfid=folder)
            assert answer.status == 204, answer.json
            assert (await host.ask("POST", "/folder/delete", vfid=folder)).status == 202

    await asyncio.gather(*map(live_and_die, folders))
    last = await host.ask("POST", "/folder/delete", vfid=folders[0])
    await ended(host, last)
    assert left(host) == []
    assert [path for path in host.root.rglob("*") if path.name != SCOPE] == []


async def test_a_volume_that_is_one_folder_is_neither_deleted_nor_cloned(tmp_path: Path) -> None:
    async with disk(tmp_path) as it:
        host = Host(it.it, it.root)
        assert kind(await host.ask("POST", "/folder/delete", vfid=str(FOLDER))) == (400, "operation-unsupported")
        body = {"src_volume": "m", "src_vfid": str(FOLDER), "dst_vfid": new_id()}
        answer = await it.it.manage("/folder/clone", body)
        assert kind(answer) == (404, "storage/vfolder/not-found")


# ---------------------------------------------------------------- deleting files


async def test_files_vanish_at_once_and_are_removed(host: Host) -> None:
    folder = new_id()
    root = await made(host, folder)
    paths = ["docs", "link", "missing", "docs/a.txt", "again"]
    begun = await host.ask("POST", "/folder/file/delete-async", vfid=folder, relpaths=paths, recursive=True, more=1)
    assert begun.status == 202
    assert {path.name for path in root.iterdir()} - {".upload"} == {"empty", "out", "script", "sparse"}
    told = await ended(host, begun)
    assert (told["state"], told["kind"], told["error"]) == ("done", "remove-files", None)
    assert {path.name for path in root.iterdir()} == {"empty", "out", "script", "sparse"}


async def test_the_whole_content_is_deleted_and_the_folder_stays(host: Host) -> None:
    folder = new_id()
    root = await made(host, folder)
    begun = await host.ask("POST", "/folder/file/delete-async", vfid=folder, relpaths=["."], recursive=True)
    assert (await ended(host, begun))["state"] == "done"
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"relpaths": ["again", "../x"]}, (400, "storage/subpath/invalid")),
        ({"relpaths": ["again", "/etc/passwd"]}, (400, "storage/subpath/invalid")),
        ({"relpaths": ["again", "up/x"]}, (400, "storage/subpath/invalid")),
        ({"relpaths": ["again", ".upload"]}, (400, "storage/subpath/invalid")),
        ({"relpaths": ["again", "docs"], "recursive": False}, (400, "operation-refused")),
        ({"relpaths": ["again", 7]}, (400, "generic-bad-request")),
        ({"relpaths": "again"}, (400, "generic-bad-request")),
        ({}, (400, "generic-bad-request")),
        ({"relpaths": ["again"], "vfid": f"user:{OWNER}/{'c' * 32}"}, (404, "storage/vfolder/not-found")),
        ({"relpaths": ["again"], "volume": "other"}, (400, "storage/volume/invalid")),
    ],
    ids=lambda value: None,
)
async def test_if_a_path_is_refused_nothing_vanishes(
    host: Host, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    folder = new_id()
    root = await made(host, folder)
    (root / "up").symlink_to("../..")
    before = shape(root)
    answer = await host.ask("POST", "/folder/file/delete-async", **{"vfid": folder, "recursive": True, **body})
    assert kind(answer) == expected
    assert shape(root) == before


# ---------------------------------------------------------------- cloning


async def clone(host: Host, source: str, target: str, **more: Any) -> Answer:
    return await host.it.manage("/folder/clone", {"src_volume": "m", "src_vfid": source, "dst_vfid": target, **more})


async def test_a_clone_equals_its_source(host: Host) -> None:
    source, target = new_id(), f"project:{uuid.uuid4()}/{uuid.uuid4().hex}"
    root = await made(host, source)
    begun = await clone(host, source, target, dst_volume=None, options={}, permission="rw", user_id="x")
    assert begun.status == 200
    told = await ended(host, begun)
    assert (told["state"], told["kind"], told["error"]) == ("done", "clone-folder", None)
    assert told["done"] == told["total"] == 11
    assert told["left_out"] == {"special": 0, "vanished": 0}
    cloned, expected = shape(host.where(target)), shape(root)
    assert expected["script"][0] == "-rws--x--x"
    expected["script"] = ("-rwx--x--x", *expected["script"][1:])  # nobody gets a program of this server's user
    assert cloned == expected
    where = host.where(target)
    assert (where / "again").stat().st_ino == (where / "docs" / "a.txt").stat().st_ino
    assert (where / "again").stat().st_ino != (root / "again").stat().st_ino
    assert (where / "sparse").stat().st_blocks * 512 < 2**20
    assert (where / "sparse").read_bytes() == (root / "sparse").read_bytes()
    assert left(host) == []


async def test_what_is_neither_file_nor_directory_is_left_out_and_counted(host: Host) -> None:
    source, target = new_id(), new_id()
    root = await made(host, source)
    os.mkfifo(root / "docs" / "fifo")
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    (root / ".upload").mkdir()
    (root / ".upload" / ("0" * 32)).write_text("unfinished")
    told = await ended(host, await clone(host, source, target, dst_volume="m"))
    assert (told["state"], told["left_out"]) == ("done", {"special": 2, "vanished": 0})
    names = {path.name for path in host.where(target).rglob("*")}
    assert not names & {"fifo", "socket", ".upload"}


async def test_what_is_not_cloned(host: Host) -> None:
    source, there = new_id(), new_id()
    for folder in (source, there):
        await made(host, folder)
    before = shape(host.root)
    for target, more, expected in (
        (there, {}, (409, "storage/vfolder/already-exists")),
        (source, {}, (409, "storage/vfolder/already-exists")),
        (new_id(), {"dst_volume": "other"}, (500, "storage/generic")),
        (new_id(), {"src_vfid": new_id()}, (404, "storage/vfolder/not-found")),
        (new_id(), {"src_volume": "other"}, (400, "storage/volume/invalid")),
        (uuid.uuid4().hex, {}, (400, "storage/invalid-api-params")),
        ("nonsense", {}, (400, "storage/invalid-api-params")),
    ):
        assert kind(await clone(host, source, target, **more)) == expected
    across = await clone(host, source, new_id(), dst_volume="other")
    assert across.json["error_code"] == "storage-proxy_generic_internal-error"
    assert shape(host.root) == before


async def test_a_missing_scope_is_made_for_a_clone_only_where_that_is_allowed(tmp_path: Path) -> None:
    async with served(tmp_path, storage_proxy={"allow_auto_quota_scope_creation": False}) as host:
        (host.root / SCOPE).mkdir()
        source = new_id()
        await made(host, source)
        answer = await clone(host, source, f"project:{uuid.uuid4()}/{uuid.uuid4().hex}")
        assert kind(answer) == (404, "storage/quota/scope/not-found")
        assert (await ended(host, await clone(host, source, new_id())))["state"] == "done"


async def test_of_those_who_clone_to_one_place_one_does_and_the_others_leave_nothing(host: Host) -> None:
    source, target = new_id(), new_id()
    root = await made(host, source)
    begun = await asyncio.gather(*(clone(host, source, target) for _ in range(6)))
    told = [await ended(host, answer) for answer in begun if answer.status == 200]
    assert [each["state"] for each in told].count("done") == 1
    assert all("exists already" in each["error"] for each in told if each["state"] == "failed")
    assert {kind(answer) for answer in begun if answer.status != 200} <= {(409, "storage/vfolder/already-exists")}
    assert (host.where(target) / "docs" / "a.txt").read_text() == (root / "docs" / "a.txt").read_text()
    assert left(host) == []


async def test_what_cannot_be_written_fails_the_clone_and_leaves_nothing(host: Host) -> None:
    """A directory takes the place of the clone after it was asked for."""
    source, target = new_id(), new_id()
    root = await made(host, source)
    for number in range(300):
        (root / f"file-{number}").write_text("x")
    begun = await clone(host, source, target)
    (host.where(target) / "mine").mkdir(parents=True)
    told = await ended(host, begun)
    assert told["state"] == "failed"
    assert told["error"] == f"virtual folder {target} exists already"
    assert [path.name for path in host.where(target).iterdir()] == ["mine"]
    assert left(host) == []


async def test_nothing_outside_is_read_whatever_is_swapped_meanwhile(host: Host, tmp_path: Path) -> None:
    """Directories and files become links that lead out, and directories again, all the while a folder is cloned."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in range(20):
        (outside / f"{number}").write_text("secret")
    source = new_id()
    assert (await host.ask("POST", "/folder/create", vfid=source)).status == 204
    root = host.where(source)
    for number in range(20):
        (root / f"{number}").mkdir()
        for name in range(20):
            (root / f"{number}" / f"{name}").write_text("mine")
        (root / f"{number}.other").symlink_to(outside)
        (root / f"{number}" / "19.other").symlink_to(outside / "19")
    stop = asyncio.Event()

    def swap(one: Path) -> None:
        other, third = one.with_name(one.name + ".other"), one.with_name(one.name + ".third")
        one.rename(third)
        other.rename(one)
        third.rename(other)

    def swap_all() -> None:
        for number in range(20):
            directory = root / f"{number}"
            for one in (directory / "19", directory, directory, directory / "19"):  # there, there, back, back
                swap(one)

    async def swapping() -> int:
        rounds = 0
        while not stop.is_set():
            await asyncio.to_thread(swap_all)
            rounds += 1
        return rounds

    running = asyncio.create_task(swapping())
    try:
        targets = [new_id() for _ in range(12)]
        states = []
        for target in targets:
            told = await ended(host, await clone(host, source, target))
            states.append(told["state"])
    finally:
        stop.set()
        rounds = await running
    assert states == ["done"] * len(targets)
    assert rounds >= len(targets)
    assert {path.read_text() for path in outside.iterdir()} == {"secret"}
    for target in targets:
        files = [path for path in host.where(target).rglob("*") if path.is_file() and not path.is_symlink()]
        content = {path.read_text() for path in files if path.parent.resolve() == path.parent}
        assert content == {"mine"}


# ---------------------------------------------------------------- being told


@pytest.mark.parametrize("task", [str(uuid.UUID(int=7)), "nonsense", "%00", "a" * 300])
async def test_an_unknown_task(host: Host, task: str) -> None:
    answer = await host.ask_for(f"/tasks/{task}")
    assert kind(answer) == ((404, "task-not-found") if len(task) < 200 else (400, "generic-bad-request"))


async def test_tasks_are_told_to_the_manager_alone(host: Host) -> None:
    answer = await host.it.ask("GET", f"{host.it.listening.manager_url}/tasks/{uuid.uuid4()}")
    assert answer.status == 403
