"""The wire's file operations, over a real folder."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pannier.dto.paths import to_text
from tests.api.disk import Disk, disk
from tests.api.live import FOLDER, Answer, live, until

UNDECODABLE = os.fsdecode(b"caf\xe9")
KOREAN = "한글 폴더"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Disk]:
    async with disk(tmp_path) as it:
        yield it


def told(answer: Answer) -> tuple[Any, ...]:
    """Status, and of a problem the end of its type, its errno and its paths."""
    if answer.status < 300 or answer.headers["Content-Type"] != "application/problem+json":
        return (answer.status,)
    problem = answer.json
    return (answer.status, problem["type"].rpartition("/")[2].rpartition(":")[2], problem.get("errno"))


# ---------------------------------------------------------------- mkdir


async def test_directories_are_made_with_those_above_them(folder: Disk) -> None:
    answer = await folder.ask("mkdir", relpath=f"a/b/{KOREAN}")
    assert answer.status == 200
    assert answer.json == {"results": {"success": [{"msg": None, "item": f"a/b/{KOREAN}"}], "failed": []}}
    for path in ("a", "a/b", f"a/b/{KOREAN}"):
        assert stat.S_IMODE((folder.root / path).stat().st_mode) == 0o775


async def test_each_of_many_directories_is_told(folder: Disk) -> None:
    (folder.root / "there").mkdir()
    (folder.root / "file").write_text("x")
    (folder.root / "out").symlink_to("../outside")
    (folder.root / "in").symlink_to("there")
    asked = ["new", "there", "file/x", "../outside/x", "out/x", "in/x", ".upload/x", "/etc/x", "", UNDECODABLE, "a\nb"]
    answer = await folder.ask("mkdir", relpath=asked)
    assert answer.status == 207
    results = answer.json["results"]
    assert [each["item"] for each in results["success"]] == ["new", "in/x", UNDECODABLE]
    failed = {each["item"]: each["msg"] for each in results["failed"]}
    assert list(failed) == ["there", "file/x", "../outside/x", "out/x", ".upload/x", "/etc/x", "", "a\nb"]
    assert failed["there"] == "File exists"
    assert "leaves the folder" in failed["../outside/x"]
    assert (folder.root / "there" / "x").is_dir()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"relpath": []}, 422),
        ({"relpath": ["../x"]}, 422),
        ({"relpath": "a/b", "parents": False}, 422),
        ({"relpath": ["d"], "exist_ok": True}, 200),
        ({"relpath": ["f"], "exist_ok": True}, 422),
        ({"relpath": ".", "exist_ok": True}, 200),
        ({"relpath": "."}, 422),
        ({"relpath": ["x"] * 51}, 400),
        ({"relpath": 5}, 400),
        ({}, 400),
        ({"relpath": "x", "unknown": 1}, 400),
        ({"relpath": "n" * 300}, 422),
        ({"relpath": "nul\0"}, 422),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_what_mkdir_answers(folder: Disk, body: dict[str, Any], status: int) -> None:
    (folder.root / "d").mkdir()
    (folder.root / "f").write_text("x")
    answer = await folder.ask("mkdir", **body)
    assert answer.status == status, answer.json
    assert folder.tree() == {"d": "directory", "f": "x"}


# ---------------------------------------------------------------- list


async def test_a_listing_tells_everything_the_wire_has(folder: Disk) -> None:
    root = folder.root
    (root / "sub").mkdir()
    (root / "sub" / "f").write_text("12345")
    (root / "sub" / "f").chmod(0o4711)
    os.utime(root / "sub" / "f", (1_600_000_000, 1_600_000_000.5))
    (root / "sub" / "in").symlink_to("../top")
    (root / "sub" / "out").symlink_to("../../outside/kept")
    (root / "sub" / "gone").symlink_to("nothing")
    (root / "sub" / UNDECODABLE).write_text("")
    (root / "sub" / KOREAN).mkdir()
    os.mkfifo(root / "sub" / "pipe")
    (root / "top").write_text("top")
    answer = await folder.ask("list", relpath="sub")
    assert answer.status == 200
    assert set(answer.json) == {"items", "truncated"}
    assert answer.json["truncated"] is False
    items = {item["name"]: item for item in answer.json["items"]}
    assert list(items) == [to_text(name) for name in sorted(os.listdir(os.fsencode(root / "sub")))]
    file = items["f"]
    assert file["type"] == "FILE"
    assert file["stat"]["mode"] == stat.S_IFREG | 0o4711
    assert file["stat"]["size"] == 5
    assert file["stat"]["modified"] == "2020-09-13T12:26:40.500000+00:00"
    assert abs(datetime.fromisoformat(file["stat"]["created"]).timestamp() - root.stat().st_mtime) < 3600
    assert {name: item["type"] for name, item in items.items()} == {
        "f": "FILE",
        "gone": "SYMLINK",
        "in": "SYMLINK",
        "out": "SYMLINK",
        "pipe": "FILE",
        UNDECODABLE: "FILE",
        KOREAN: "DIRECTORY",
    }
    assert {name: item["symlink_target"] for name, item in items.items() if item["symlink_target"]} == {"in": "../top"}


async def test_a_long_listing_says_so_and_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    async with disk(tmp_path, storage_proxy={"scandir_limit": 7}) as folder:
        names = sorted(f"{number:02}" for number in range(20))
        for name in names:
            (folder.root / name).write_text("")
        (folder.root / ".upload").mkdir()
        seen, pages, cursor = [], 0, None
        while True:
            page = (await folder.ask("list", relpath=".", limit=50, cursor=cursor)).json
            seen += [item["name"] for item in page["items"]]
            pages += 1
            if not page["truncated"]:
                break
            cursor = page["cursor"]
        assert (seen, pages) == (names, 3)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nothing", (400, "operation-refused", errno.ENOENT)),
        ("file", (400, "operation-refused", errno.ENOTDIR)),
        ("../outside", (400, "invalid", None)),
        ("out", (400, "invalid", None)),
        ("/etc", (400, "invalid", None)),
        (".upload", (400, "operation-refused", errno.ENOENT)),
        ("a\0b", (400, "invalid", None)),
    ],
)
async def test_what_cannot_be_listed(folder: Disk, path: str, expected: tuple[Any, ...]) -> None:
    (folder.root / "file").write_text("")
    (folder.root / "out").symlink_to("../outside")
    (folder.root / ".upload").mkdir()
    answer = await folder.ask("list", relpath=path)
    assert told(answer) == expected


# ---------------------------------------------------------------- rename and move


@pytest.mark.parametrize(
    ("body", "expected", "after"),
    [
        ({"relpath": "d/f", "new_name": KOREAN}, (204,), {f"d/{KOREAN}": "f", "d/f": None}),
        ({"relpath": "d", "new_name": "e"}, (204,), {"e/f": "f", "d": None}),
        ({"relpath": "in", "new_name": "link"}, (204,), {"link": "-> d", "in": None}),
        ({"relpath": "in/f", "new_name": "g"}, (204,), {"d/g": "f"}),
        ({"relpath": "d/f", "new_name": "other"}, (409, "target-exists", None), {"d/f": "f", "d/other": "o"}),
        ({"relpath": "d", "new_name": "empty"}, (409, "target-exists", None), {"d/f": "f"}),
        ({"relpath": "no", "new_name": "x"}, (400, "operation-refused", errno.ENOENT), {}),
        ({"relpath": ".", "new_name": "x"}, (400, "operation-refused", errno.EBUSY), {}),
        ({"relpath": "d/f", "new_name": "a/b"}, (400, "invalid-api-params", None), {}),
        ({"relpath": "d/f", "new_name": ".."}, (400, "invalid-api-params", None), {}),
        ({"relpath": "d/f", "new_name": ""}, (400, "invalid-api-params", None), {}),
        ({"relpath": "d/f", "new_name": "n" * 300}, (400, "operation-refused", errno.ENAMETOOLONG), {}),
        ({"relpath": "d", "new_name": ".upload"}, (400, "invalid", None), {"d/f": "f"}),
        ({"relpath": "out/kept", "new_name": "x"}, (400, "invalid", None), {}),
        ({"relpath": ".upload", "new_name": "x"}, (400, "invalid", None), {}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_what_rename_does(
    folder: Disk, body: dict[str, Any], expected: tuple[Any, ...], after: dict[str, str | None]
) -> None:
    (folder.root / "d").mkdir()
    (folder.root / "empty").mkdir()
    (folder.root / "d" / "f").write_text("f")
    (folder.root / "d" / "other").write_text("o")
    (folder.root / "in").symlink_to("d")
    (folder.root / "out").symlink_to("../outside")
    answer = await folder.ask("rename", **body)
    assert told(answer) == expected, answer.json
    tree = folder.tree()
    assert {path: tree.get(path) for path in after} == after


@pytest.mark.parametrize(
    ("source", "target", "expected", "after"),
    [
        ("d/f", "g", (204,), {"g": "f", "d/f": None}),
        ("d/f", "top", (204,), {"top": "f", "d/f": None}),
        ("top", "d", (204,), {"d/top": "top", "top": None}),
        ("top", "in", (204,), {"d/top": "top", "top": None}),
        ("in", "d", (204,), {"d/in": "-> d", "in": None}),
        ("top", "top", (204,), {"top": "top"}),
        ("d", ".", (204,), {"d/f": "f"}),
        ("d/other", ".", (409, "target-exists", None), {"d/other": "o", "other": "top-other"}),
        ("top", "no/x", (400, "operation-refused", errno.ENOENT), {"top": "top"}),
        ("no", "x", (400, "operation-refused", errno.ENOENT), {}),
        ("d", "d/sub", (400, "operation-refused", errno.EINVAL), {"d/f": "f"}),
        ("d", "top", (400, "operation-refused", errno.ENOTDIR), {"top": "top"}),
        (".", "x", (400, "operation-refused", errno.EBUSY), {}),
        ("top", "../outside/x", (400, "invalid", None), {"top": "top"}),
        ("top", "out/x", (400, "invalid", None), {"top": "top"}),
        ("top", "out", (400, "invalid", None), {"top": "top"}),
        ("out/kept", "x", (400, "invalid", None), {"x": None}),
        ("top", ".upload", (400, "invalid", None), {"top": "top"}),
        ("top", ".upload/x", (400, "operation-refused", errno.ENOENT), {"top": "top"}),
    ],
)
async def test_what_move_does(
    folder: Disk, source: str, target: str, expected: tuple[Any, ...], after: dict[str, str | None]
) -> None:
    (folder.root / "d").mkdir()
    (folder.root / "d" / "f").write_text("f")
    (folder.root / "d" / "other").write_text("o")
    (folder.root / "other").write_text("top-other")
    (folder.root / "top").write_text("top")
    (folder.root / "in").symlink_to("d")
    (folder.root / "out").symlink_to("../outside")
    answer = await folder.ask("move", src_relpath=source, dst_relpath=target)
    assert told(answer) == expected, answer.json
    tree = folder.tree()
    assert {path: tree.get(path) for path in after} == after


# ---------------------------------------------------------------- delete


@pytest.mark.parametrize(
    ("body", "expected", "left"),
    [
        ({"relpaths": ["f", "nothing"]}, (200,), {"d", "in", "out"}),
        ({"relpaths": ["in", "out"]}, (200,), {"f", "d"}),
        ({"relpaths": ["in/deep"]}, (400, "operation-refused", errno.EISDIR), {"f", "d", "in", "out"}),
        ({"relpaths": ["d", "f"]}, (400, "operation-refused", errno.EISDIR), {"f", "d", "in", "out"}),
        ({"relpaths": ["d"], "recursive": True}, (200,), {"f", "in", "out"}),
        ({"relpaths": ["f", "../outside/kept"]}, (400, "invalid", None), {"f", "d", "in", "out"}),
        ({"relpaths": ["f", "out/kept"], "recursive": True}, (400, "invalid", None), {"f", "d", "in", "out"}),
        ({"relpaths": ["."]}, (400, "operation-refused", errno.EISDIR), {"f", "d", "in", "out"}),
        ({"relpaths": ["."], "recursive": True}, (200,), set()),
        ({"relpaths": []}, (200,), {"f", "d", "in", "out"}),
        ({"relpaths": "f"}, (400, "invalid-api-params", None), {"f", "d", "in", "out"}),
        ({"relpaths": ["f", ".upload"], "recursive": True}, (400, "invalid", None), {"f", "d", "in", "out"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
async def test_what_delete_does(folder: Disk, body: dict[str, Any], expected: tuple[Any, ...], left: set[str]) -> None:
    (folder.root / "f").write_text("f")
    (folder.root / "d" / "deep").mkdir(parents=True)
    (folder.root / "d" / "deep" / "f").write_text("x")
    (folder.root / "d" / "deep" / "out").symlink_to("../../../outside")
    (folder.root / "in").symlink_to("d")
    (folder.root / "out").symlink_to("../outside")
    (folder.root / ".upload").mkdir()
    (folder.root / ".upload" / "unfinished").write_text("u")
    answer = await folder.ask("delete", **body)
    assert told(answer) == expected, answer.json
    assert {path.name for path in folder.root.iterdir()} == left | {".upload"}
    assert [path.name for path in (folder.root / ".upload").iterdir()] == ["unfinished"]


async def test_a_tree_deeper_than_any_path_is_deleted(folder: Disk) -> None:
    at = os.open(folder.root, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir(b"d", dir_fd=at)
        below = os.open(b"d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open(b"last", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    answer = await folder.ask("delete", relpaths=["d"], recursive=True)
    assert told(answer) == (200,)
    assert list(folder.root.iterdir()) == []


# ---------------------------------------------------------------- many at once


async def test_a_path_of_thousands_of_names_is_made_and_gone_again(folder: Disk) -> None:
    """By its length, not by the square of it, which would be minutes of a thread for one request."""
    path = "d/" * 2_000 + "e"
    assert (await folder.ask("mkdir", relpath=path)).status == 200
    assert (await folder.ask("list", relpath=path)).json["items"] == []
    assert (await folder.ask("mkdir", relpath=path, exist_ok=True)).status == 200
    upload = (await folder.ask("upload", relpath="f", size=1)).json["token"]
    client = folder.it.listening.client_url
    query = f"token={upload}&dst_dir={'u/' * 2_000}"
    answer = await folder.it.ask("PATCH", f"{client}/upload?{query}", data=b"x", Upload_Offset="0")
    assert answer.status == 204
    assert (await folder.ask("fetch", relpath="u/" * 2_000 + "f")).body == b"x"
    assert (await folder.ask("delete", relpaths=["d", "u"], recursive=True)).status == 200
    assert folder.tree() == {}


@pytest.mark.parametrize("number_of_them", [60, pytest.param(220, marks=pytest.mark.slow)])
async def test_hundreds_of_requests_over_one_folder_lose_nothing_and_leave_nothing(
    folder: Disk, number_of_them: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))

    async def one(number: int) -> None:
        name = f"n{number:03}"
        assert (await folder.ask("mkdir", relpath=f"{name}/sub")).status == 200
        assert (await folder.ask("rename", relpath=name, new_name=f"r{number:03}")).status == 204
        assert (await folder.ask("move", src_relpath=f"r{number:03}/sub", dst_relpath=f"m{number:03}")).status == 204
        assert (await folder.ask("list", relpath=".")).status == 200
        if number % 2:
            assert (await folder.ask("delete", relpaths=[f"m{number:03}"], recursive=True)).status == 200

    await asyncio.gather(*map(one, range(number_of_them)))
    kept = {f"r{number:03}" for number in range(number_of_them)}
    kept |= {f"m{number:03}" for number in range(0, number_of_them, 2)}
    assert {path.name for path in folder.root.iterdir()} == kept
    await folder.it.session.close()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 5)


async def test_of_those_who_make_the_same_directory_exactly_one_does(folder: Disk) -> None:
    answers = await asyncio.gather(*(folder.ask("mkdir", relpath="one") for _ in range(50)))
    assert sorted(answer.status for answer in answers) == [200] + [422] * 49
    answers = await asyncio.gather(*(folder.ask("mkdir", relpath="a/b/c", exist_ok=True) for _ in range(50)))
    assert {answer.status for answer in answers} == {200}


async def test_of_those_who_take_the_same_name_exactly_one_does(folder: Disk) -> None:
    for number in range(40):
        (folder.root / f"{number}").write_text(str(number))
    answers = await asyncio.gather(
        *(folder.ask("rename", relpath=str(number), new_name="taken") for number in range(40))
    )
    assert sorted(answer.status for answer in answers) == [204] + [409] * 39
    assert len(folder.tree()) == 40


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("mkdir", {"relpath": "way/x", "parents": False}),
        ("rename", {"relpath": "way/kept", "new_name": "moved"}),
        ("move", {"src_relpath": "f", "dst_relpath": "way/f"}),
        ("delete", {"relpaths": ["way/kept"], "recursive": True}),
        ("list", {"relpath": "way"}),
    ],
)
async def test_a_directory_that_is_swapped_for_a_link_leads_nowhere(
    folder: Disk, operation: str, body: dict[str, Any]
) -> None:
    """What ``disk`` checks in the end is that nothing happened outside."""
    (folder.root / "way").mkdir()
    (folder.root / "link").symlink_to("../outside")
    (folder.root / "f").write_text("f")
    stop = asyncio.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(folder.root / "way", folder.root / "spare")
            os.rename(folder.root / "link", folder.root / "way")
            os.rename(folder.root / "way", folder.root / "link")
            os.rename(folder.root / "spare", folder.root / "way")

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    try:
        for _ in range(60):
            answer = await folder.ask(operation, **body)
            assert answer.status < 500, answer.json
            if operation == "list" and answer.status == 200:
                assert "kept" not in {item["name"] for item in answer.json["items"]}
    finally:
        stop.set()
        await swapping


@pytest.mark.parametrize("operation", ["mkdir", "list", "rename", "move", "delete"])
async def test_a_body_that_is_none_is_refused(folder: Disk, operation: str) -> None:
    for data in (None, b"", b"[]", b"nonsense", b"5"):
        answer = await folder.it.ask(
            "POST",
            f"{folder.it.listening.manager_url}/folder/file/{operation}",
            data=data,
            X_BackendAI_Storage_Auth_Token=folder.it.settings.api.manager.secret.get_secret_value(),
        )
        assert answer.status == 400
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_volume_that_takes_no_changes_says_so(tmp_path: Path) -> None:
    async with live(tmp_path / "state") as it:
        body = {"volume": "m", "vfid": str(FOLDER), "relpath": "x"}
        answer = await it.manage("/folder/file/mkdir", body)
    assert told(answer) == (400, "operation-unsupported", None)
