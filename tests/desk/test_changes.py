"""Changes that people make: nothing is replaced, a deletion can be undone, and two at once lose nothing."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pannier.denials import TrashMissing
from pannier.services.changes import topmost
from pannier.volumes.posix import SingleFolderVolume
from pannier.volumes.trash import PosixTrash
from tests.desk.desks import FOLDER, DeskServer, Person, desk, kind

TUS = {"Tus-Resumable": "1.0.0"}


async def test_directories_are_made_and_names_are_given(it: DeskServer) -> None:
    owner = await it.owner()
    assert (await owner.post("/desk/mkdir", folder="trip", path="새 폴더")).json == {"path": "새 폴더"}
    assert kind(await owner.post("/desk/mkdir", folder="trip", path="새 폴더")) == (409, "name-exists")
    assert kind(await owner.post("/desk/mkdir", folder="trip", path="no/such")) == (404, "storage/file-not-found")
    assert (await owner.post("/desk/rename", folder="trip", path="새 폴더", name="b")).json == {"path": "b"}
    it.write("c")
    assert kind(await owner.post("/desk/rename", folder="trip", path="c", name="b")) == (409, "name-exists")
    for name in ("", ".", "..", "a/b", "a\nb", "a\x00b"):
        answer = await owner.post("/desk/rename", folder="trip", path="c", name=name)
        assert kind(answer) == (400, "name-invalid"), name
    assert kind(await owner.post("/desk/rename", folder="trip", path="c", name=".upload"))[0] == 400
    assert it.names() == {"b", "c"}


async def test_moving_replaces_nothing(it: DeskServer) -> None:
    for path in ("a", "b/a", "d/x"):
        it.write(path, path.encode())
    owner = await it.owner()
    answer = await owner.post("/desk/move", folder="trip", paths=["a", "d", "gone"], into="b")
    assert answer.json["moved"] == [{"path": "d", "to": "b/d"}]
    assert [(each["path"], each["problem"]) for each in answer.json["failed"]] == [
        ("a", "name-exists"),
        ("gone", "storage/file-not-found"),
    ]
    into_itself = await owner.post("/desk/move", folder="trip", paths=["b"], into="b/d")
    assert into_itself.json["failed"][0]["problem"] == "move-into-itself"
    onto_a_file = await owner.post("/desk/move", folder="trip", paths=["b/d/x"], into="a")
    assert onto_a_file.json["moved"] == []
    assert (it.root / "a").read_bytes() == b"a"


async def test_what_was_deleted_comes_back_over_a_restart(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.write("dir/deep/a", b"a")
        it.write("b", b"b")
        owner = await it.owner()
        deleted = (await owner.post("/desk/delete", folder="trip", paths=["dir", "dir/deep/a", "b", "none"])).json
        assert deleted["deleted"] == 2
        assert it.names() == set()
        listed = await owner.get("/desk/list?folder=trip")
        assert listed.json["names"] == []
        for path in (".upload", f".upload/trash/{deleted['id']}/0", ".upload/trash"):
            answer = await owner.post("/desk/plan", folder="trip", paths=[path])
            assert answer.json["offenders"]["total"] == 1
            assert kind(await owner.get(f"/raw/trip/{path}"))[0] == 404
    async with desk(tmp_path) as it:
        owner = await it.owner()
        (one,) = (await owner.get("/desk/trash?folder=trip")).json["items"]
        assert (one["id"], one["total"]) == (deleted["id"], 2)
        it.write("b", b"another")
        restored = (await owner.post(f"/desk/trash/{one['id']}/restore", folder="trip")).json
        assert restored["restored"] == [{"path": "b", "to": "b (1)"}, {"path": "dir", "to": "dir"}]
        assert (it.root / "b").read_bytes() == b"another"
        assert (it.root / "b (1)").read_bytes() == b"b"
        assert (it.root / "dir" / "deep" / "a").read_bytes() == b"a"
        assert not (it.root / ".upload").exists()
        again = await owner.post(f"/desk/trash/{one['id']}/restore", folder="trip")
        assert kind(again) == (404, "trash-not-found")


async def test_forgetting_is_for_good(it: DeskServer) -> None:
    it.write("dir/a")
    owner = await it.owner()
    id = (await owner.post("/desk/delete", folder="trip", paths=["dir"])).json["id"]
    assert (await owner.post(f"/desk/trash/{id}/forget", folder="trip")).status == 204
    assert (await owner.get("/desk/trash?folder=trip")).json["items"] == []
    assert list(it.root.iterdir()) == []
    assert kind(await owner.post("/desk/delete", folder="trip", paths=["dir"])) == (404, "storage/file-not-found")
    for id in ("..", "../..", "0" * 32, "a" * 31 + "/"):
        answer = await owner.ask("POST", f"/desk/trash/{id.replace('/', '%2F')}/forget", json={"folder": "trip"})
        assert answer.status in (404, 405), id


def test_the_trash_is_emptied_when_its_day_is_over(tmp_path: Path) -> None:
    volume = SingleFolderVolume("v", tmp_path, FOLDER)
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with closing(volume), closing(volume.editor(FOLDER)) as editor:
        trash = editor.trash()
        old, new = trash.put([b"a"], 1_000.0), trash.put([b"b"], 2_000.0)
        assert old is not None
        assert new is not None
        trash.collect(500.0, 1_400.0)
        assert [each.id for each in trash.deletions()] == [new.id, old.id]
        trash.collect(500.0, 1_501.0)
        assert [each.id for each in trash.deletions()] == [new.id]
        with pytest.raises(TrashMissing):
            trash.restore(old.id)
        trash.collect(500.0, 9_999.0)
        assert list(tmp_path.iterdir()) == []


KILLED = """
import os, sys
from pannier.volumes.posix import SingleFolderVolume
from pannier.dto.ids import FolderId
import pannier.volumes.trash as trash
from pathlib import Path
volume = SingleFolderVolume("v", Path(sys.argv[1]), FolderId.parse(sys.argv[2]))
left, real = int(sys.argv[3]), os.rename
def rename(*args, **more):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    real(*args, **more)
os.rename = rename
volume.editor(volume._folder_id).trash().put([b"a", b"b", b"c"], 1.0)
"""


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_deletion_that_is_killed_loses_nothing(tmp_path: Path, renames: int) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    arguments = [sys.executable, "-c", KILLED, str(tmp_path), str(FOLDER), str(renames)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    volume = SingleFolderVolume("v", tmp_path, FOLDER)
    with closing(volume), closing(volume.editor(FOLDER)) as editor:
        trash = editor.trash()
        assert isinstance(trash, PosixTrash)
        things = [thing.path for each in trash.deletions() for thing in each.things]
        there = [each.name.encode() for each in tmp_path.iterdir() if each.name != ".upload"]
        assert sorted(things + there) == [b"a", b"b", b"c"]
        assert len(things) == renames
        for each in trash.deletions():
            trash.restore(each.id)
    assert {name: (tmp_path / name).read_text() for name in "abc"} == {name: name for name in "abc"}


def test_what_is_below_something_else_goes_with_it() -> None:
    paths = [b"a/b", b"a", b"a.txt", b"b/c", b"b/c/d", b"a"]
    assert topmost(paths) == [b"a", b"a.txt", b"b/c"]


async def put(person: Person, url: str, name: str, data: bytes) -> str:
    said = base64.b64encode(name.encode()).decode()
    headers = TUS | {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {said}"}
    headers["Content-Type"] = "application/offset+octet-stream"
    answer = await person.ask("POST", url, data=data, headers=headers)
    assert answer.status == 201, answer.body
    return answer.headers["Upload-Name"]


async def test_uploads_go_where_they_are_meant_and_keep_both(it: DeskServer) -> None:
    it.write("dir/a.txt", b"old")
    owner = await it.owner()
    answer = (await owner.post("/desk/uploads", folder="trip", path="dir")).json
    assert answer["largest"] > 10**9
    assert await put(owner, answer["url"], "a.txt", b"new") == "dir/a%20%281%29.txt"
    assert await put(owner, answer["url"], "deep/er/b.txt", b"b") == "dir/deep/er/b.txt"
    assert (it.root / "dir" / "a.txt").read_bytes() == b"old"
    climbing = base64.b64encode(b"../out").decode()
    headers = TUS | {"Upload-Length": "1", "Upload-Metadata": f"filename {climbing}"}
    assert (await owner.ask("POST", answer["url"], headers=headers)).status == 400


async def test_two_people_at_once_lose_nothing(it: DeskServer) -> None:
    """Renames, moves, deletions, restores and uploads of the same names: every content is there at the end, once."""
    owners = [await it.owner() for _ in range(2)]
    contents = set()
    for number in range(6):
        it.write(f"f{number}", f"old {number}".encode())
        contents.add(f"old {number}".encode())
    it.root.joinpath("into").mkdir()
    deleted: list[str] = []

    async def one(person: Person, who: int) -> None:
        url = (await person.post("/desk/uploads", folder="trip", path=".")).json["url"]
        for number in range(6):
            data = f"new {who} {number}".encode()
            contents.add(data)
            calls: list[Any] = [
                put(person, url, f"f{number}", data),
                person.post("/desk/rename", folder="trip", path=f"f{number}", name=f"g{number}"),
                person.post("/desk/move", folder="trip", paths=[f"f{number}", f"g{number}"], into="into"),
                person.post("/desk/delete", folder="trip", paths=[f"into/f{number}", f"f{number}"]),
            ]
            answers = await asyncio.gather(*calls[who:], *calls[:who])
            told = [answer.json for answer in answers if not isinstance(answer, str) and answer.status == 200]
            deleted.extend(each["id"] for each in told if "deleted" in each)

    await asyncio.gather(*(one(person, who) for who, person in enumerate(owners)))
    for id in deleted:
        restored = await owners[0].post(f"/desk/trash/{id}/restore", folder="trip")
        assert restored.json["failed"] == []
    found = [path.read_bytes() for path in it.root.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(contents)
    assert not (it.root / ".upload").exists()


async def test_what_another_has_changed_is_seen(it: DeskServer) -> None:
    for name in ("a", "b"):
        it.write(name)
    owner = await it.owner()
    version = (await owner.get("/desk/list?folder=trip")).json["version"]
    same = await owner.get(f"/desk/changes?folder=trip&version={version}")
    assert (same.json["changed"], same.json["names"]) == (False, [])
    await asyncio.sleep(0.05)
    it.write("b", b"longer than before")
    (it.root / "a").rename(it.root / "c")
    now = (await owner.get(f"/desk/changes?folder=trip&version={version}")).json
    assert (now["changed"], now["total"], sorted(now["names"])) == (True, 2, ["b", "c"])
    assert kind(await owner.get("/desk/changes?folder=trip&version=x")) == (400, "storage/invalid-api-params")


@pytest.mark.parametrize("sort", ["name", "size", "time"])
async def test_pages_are_of_one_look(it: DeskServer, sort: str) -> None:
    for number in range(25):
        it.write(f"f{number:02}", b"x" * (100 - number))
        os.utime(it.root / f"f{number:02}", (number, number))
    it.root.joinpath("z").mkdir()
    owner = await it.owner()
    names: list[str] = []
    cursor = ""
    while True:
        page = (await owner.get(f"/desk/list?folder=trip&limit=10&sort={sort}{cursor}")).json
        names += page["names"]
        assert page["total"] == 26
        it.write(f"late{len(names)}")
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    expected = {"name": [f"f{n:02}" for n in range(25)] + ["z"], "time": ["z"] + [f"f{n:02}" for n in range(25)]}
    assert names == expected.get(sort, ["z"] + [f"f{n:02}" for n in reversed(range(25))])
