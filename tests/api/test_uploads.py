"""Uploads by tus, as the wire has them (WIRE sections 4, 5 and 6.4)."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest

from tests.api.disk import Disk, disk
from tests.api.live import FOLDER, KEY, Answer, until
from tests.api.wire import PATIENCE

MIB = 1024 * 1024
CORS = "Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset, Content-Type"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Disk]:
    async with disk(tmp_path, storage_proxy={"max_upload_size": 100 * MIB}) as it:
        yield it


async def mint(it: Disk, relpath: str, size: int | str, **more: Any) -> str:
    answer = await it.ask("upload", relpath=relpath, size=size, **more)
    assert answer.status == 200, answer.json
    return str(answer.json["token"])


def url(it: Disk, token: str, **query: str) -> str:
    return f"{it.it.listening.client_url}/upload?{urlencode({'token': token, **query})}"


async def head(it: Disk, token: str, **query: str) -> Answer:
    return await it.it.ask("HEAD", url(it, token, **query))


async def patch(it: Disk, token: str, offset: int | str, data: Any, **query: str) -> Answer:
    headers = {"Upload_Offset": str(offset), "Tus_Resumable": "1.0.0"}
    body = io.BytesIO(data) if isinstance(data, bytes) else data
    return await it.it.ask("PATCH", url(it, token, **query), data=body, **headers)


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2].rpartition(":")[2]


def staged(it: Disk) -> list[str]:
    return [path.name for path in (it.root / ".upload").iterdir()] if (it.root / ".upload").exists() else []


async def test_a_file_appears_whole_when_its_last_byte_came(folder: Disk) -> None:
    content = os.urandom(3 * MIB + 17)
    token = await mint(folder, "new/한글/file.bin", str(len(content)))
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    assert abs(claims.pop("exp") - time.time() - 3600) < 60
    assert staged(folder) == [claims.pop("session")]
    expected = {
        "op": "upload",
        "volume": "m",
        "vfid": str(FOLDER),
        "relpath": "new/한글/file.bin",
        "size": len(content),
    }
    assert claims == expected
    at = 0
    for length in (0, 1, MIB, 2 * MIB + 16):
        asked = await head(folder, token)
        assert (asked.status, asked.headers["Upload-Offset"]) == (200, str(at))
        assert not (folder.root / "new").exists()
        answer = await patch(folder, token, at, content[at : at + length])
        at += length
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["Upload-Offset"] == str(at)
    file = folder.root / "new" / "한글" / "file.bin"
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o775
    assert os.listxattr(file) == []
    assert not (folder.root / ".upload").exists()
    assert (await head(folder, token)).status == 404
    assert kind(await patch(folder, token, at, b"")) == (404, "tus-session-not-found")


async def test_what_the_answers_carry(folder: Disk) -> None:
    token = await mint(folder, "f", 5)
    asked = await head(folder, token)
    told = {name: asked.headers.get(name) for name in ("Upload-Length", "Tus-Resumable", "Cache-Control")}
    assert told == {"Upload-Length": "5", "Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}
    sent = await patch(folder, token, 0, b"12")
    for answer in (asked, sent):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "*"
        assert answer.headers["Access-Control-Allow-Headers"] == CORS
        assert answer.headers["Access-Control-Expose-Headers"] == CORS
    preflight = {"Origin": "https://example.org", "Access_Control_Request_Method": "PATCH"}
    bare = f"{folder.it.listening.client_url}/upload"
    for headers in ({}, preflight):
        options = await folder.it.ask("OPTIONS", bare, **headers)
        assert options.status == 200
        assert options.headers["Tus-Version"] == options.headers["Tus-Resumable"] == "1.0.0"
        assert options.headers["Tus-Max-Size"] == str(100 * MIB)
        assert options.headers["X-Content-Type-Options"] == "nosniff"
        assert options.headers["Access-Control-Allow-Methods"] == "*"
    refused = await folder.it.ask("POST", bare)
    assert refused.status == 405
    assert set(refused.headers["Allow"].split(",")) == {"HEAD", "OPTIONS", "PATCH"}
    other = await folder.it.ask("OPTIONS", f"{folder.it.listening.client_url}/download", **preflight)
    assert other.headers["Access-Control-Allow-Methods"] == "GET"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"relpath": "f", "size": -1}, 400),
        ({"relpath": "f", "size": "-1"}, 400),
        ({"relpath": "f", "size": 1.5}, 400),
        ({"relpath": "f", "size": "many"}, 400),
        ({"relpath": "f", "size": "9" * 30}, 400),
        ({"relpath": "f", "size": True}, 400),
        ({"relpath": "f", "size": 101 * MIB}, 413),
        ({"relpath": "../outside/f", "size": 1}, 400),
        ({"relpath": "/etc/f", "size": 1}, 400),
        ({"relpath": ".", "size": 1}, 400),
        ({"relpath": "f"}, 400),
        ({"relpath": "f", "size": 1, "unknown": 1}, 400),
    ],
    ids=str,
)
async def test_what_is_not_minted(folder: Disk, body: dict[str, Any], expected: int) -> None:
    assert (await folder.ask("upload", **body)).status == expected
    assert folder.tree() == {}


@pytest.mark.parametrize("offset", ["1", "-1", "", "x", "9" * 30])
async def test_an_offset_that_is_not_the_upload_s_is_refused(folder: Disk, offset: str) -> None:
    token = await mint(folder, "f", 5)
    answer = await patch(folder, token, offset, b"abc")
    assert answer.status == (409 if offset == "1" else 400)
    assert (await head(folder, token)).headers["Upload-Offset"] == "0"


async def test_more_than_was_announced_is_refused_without_harm(folder: Disk) -> None:
    token = await mint(folder, "f", 5)
    assert (await patch(folder, token, 0, b"123")).status == 204
    assert kind(await patch(folder, token, 3, b"456")) == (413, "limit-exceeded")

    async def chunks() -> AsyncIterator[bytes]:
        yield b"456"

    assert kind(await patch(folder, token, 3, chunks())) == (413, "limit-exceeded")
    assert (await head(folder, token)).headers["Upload-Offset"] == "3"
    assert (await patch(folder, token, 3, b"45")).status == 204
    assert folder.tree() == {"f": "12345"}


async def test_an_empty_file_is_there_with_its_token_and_every_client_ends_well(folder: Disk) -> None:
    (folder.root / "empty").write_text("before")
    token = await mint(folder, "empty", 0)
    assert (folder.root / "empty").read_text() == "before"  # whoever spends the token may mean another directory
    asked = await head(folder, token)
    assert (folder.root / "empty").read_text() == ""
    assert (asked.status, asked.headers["Upload-Offset"], asked.headers["Upload-Length"]) == (200, "0", "0")
    (folder.root / "empty").write_text("somebody else's")
    assert (await patch(folder, token, 0, b"")).status == 204
    assert folder.tree() == {"empty": "somebody else's"}


async def test_an_empty_file_is_there_for_a_client_that_sends_nothing(folder: Disk) -> None:
    (folder.root / "taken").write_text("before")
    await mint(folder, "new/empty", 0)
    await mint(folder, "taken", 0, strict=True)
    tree = {name: content for name, content in folder.tree().items() if not name.startswith(".upload")}
    assert tree == {"new": "directory", "new/empty": "", "taken": ""}


async def test_an_empty_upload_into_another_directory_leaves_what_has_its_name(folder: Disk) -> None:
    (folder.root / "__init__.py").write_text("precious")
    for method in (head, lambda it, token, **query: patch(it, token, 0, b"", **query)):
        token = await mint(folder, "__init__.py", 0)
        assert (await method(folder, token, dst_dir="pkg")).status < 300
        assert (folder.root / "__init__.py").read_text() == "precious"
        assert (folder.root / "pkg" / "__init__.py").read_text() == ""
        (folder.root / "pkg" / "__init__.py").unlink()


async def test_what_a_cut_request_brought_stays(folder: Disk) -> None:
    content = os.urandom(8 * MIB)
    token = await mint(folder, "f", len(content))
    gone = asyncio.Event()

    async def cut() -> AsyncIterator[bytes]:
        yield content[: 5 * MIB]
        await until(lambda: any(path.stat().st_size for path in (folder.root / ".upload").rglob("*") if path.is_file()))
        gone.set()
        raise RuntimeError("the client dies")

    async with aiohttp.ClientSession() as session:
        with pytest.raises((aiohttp.ClientError, RuntimeError)):
            await session.patch(url(folder, token), data=cut(), headers={"Upload-Offset": "0"})
    assert gone.is_set()
    offset = 0
    async with asyncio.timeout(PATIENCE):
        while not offset:
            asked = await head(folder, token)
            offset = int(asked.headers["Upload-Offset"]) if asked.status == 200 else 0
            await asyncio.sleep(0.01)  # its lease ends when the server has noticed
    assert 0 < offset <= 5 * MIB
    assert (await patch(folder, token, offset, content[offset:])).status == 204
    assert (folder.root / "f").read_bytes() == content


async def test_one_writes_at_a_time(folder: Disk) -> None:
    token = await mint(folder, "f", 10)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"12345"
        begun.set()
        await go_on.wait()
        yield b"67890"

    writing = asyncio.create_task(patch(folder, token, 0, slowly()))
    await begun.wait()
    while (await head(folder, token)).status != 409:  # noqa: ASYNC110 - the server tells by its answers
        await asyncio.sleep(0.01)
    assert kind(await patch(folder, token, 0, b"x" * 10)) == (409, "tus-lease-held")
    assert (await head(folder, token)).status == 409
    go_on.set()
    assert (await writing).status == 204
    assert folder.tree() == {"f": "1234567890"}


async def test_of_many_who_write_the_same_bytes_exactly_one_does(folder: Disk) -> None:
    token = await mint(folder, "f", 4)
    answers = await asyncio.gather(*(patch(folder, token, 0, b"data") for _ in range(20)))
    assert sorted(answer.status for answer in answers)[0] == 204
    assert sum(answer.status == 204 for answer in answers) == 1
    assert {answer.status for answer in answers} <= {204, 404, 409}
    assert folder.tree() == {"f": "data"}


async def test_bytes_that_are_not_durable_are_no_content(folder: Disk) -> None:
    """What a crash leaves behind the last commit is cut off, whatever it is."""
    token = await mint(folder, "f", 10)
    assert (await patch(folder, token, 0, b"1234")).status == 204
    (session,) = staged(folder)
    with (folder.root / ".upload" / session).open("ab") as file:
        file.write(b"\0\0\0")
    assert (await head(folder, token)).headers["Upload-Offset"] == "4"
    assert (await patch(folder, token, 4, b"567890")).status == 204
    assert folder.tree() == {"f": "1234567890"}


async def test_an_upload_that_was_whole_when_the_server_died_appears_when_it_is_asked_for(folder: Disk) -> None:
    token = await mint(folder, "f", 4)
    (session,) = staged(folder)
    path = folder.root / ".upload" / session
    path.write_bytes(b"data")
    os.setxattr(path, "user.pannier.durable", b"4")
    asked = await head(folder, token)
    assert (asked.status, asked.headers["Upload-Offset"]) == (200, "4")
    assert folder.tree() == {"f": "data"}


async def test_an_upload_without_progress_expires(folder: Disk) -> None:
    token = await mint(folder, "f", 4)
    (session,) = staged(folder)
    os.utime(folder.root / ".upload" / session, (time.time() - 25 * 3600,) * 2)
    assert kind(await patch(folder, token, 0, b"data")) == (404, "tus-session-not-found")
    assert folder.tree() in ({}, {".upload": "directory"})


@pytest.mark.parametrize(
    ("relpath", "query", "expected"),
    [
        ("f", {"dst_dir": "d"}, "d/f"),
        ("f", {"dst_dir": "new/deep"}, "new/deep/f"),
        ("f", {"dst_dir": "../outside"}, None),
        ("f", {"dst_dir": "/tmp"}, None),
        ("out/f", {}, None),
        ("f", {"dst_dir": "out"}, None),
        ("../outside/f", {}, None),
        (".upload/f", {}, None),
        ("way", {}, "way"),
    ],
)
async def test_where_an_upload_may_appear(
    folder: Disk, relpath: str, query: dict[str, str], expected: str | None
) -> None:
    (folder.root / "d").mkdir()
    (folder.root / "out").symlink_to("../outside")
    (folder.root / "way").symlink_to("../outside/kept")  # replaced, not followed
    session = secrets.token_hex(16)
    (folder.root / ".upload").mkdir()
    (folder.root / ".upload" / session).touch()
    claims = {"op": "upload", "volume": "m", "vfid": str(FOLDER), "relpath": relpath, "size": 4, "session": session}
    token = jwt.encode({**claims, "exp": int(time.time()) + 60}, KEY, algorithm="HS256")
    answer = await patch(folder, token, 0, b"data", **query)
    if expected is None:
        assert answer.status == 400
        assert "data" not in folder.tree().values() or folder.tree().get(f".upload/{session}") == "data"
    else:
        assert answer.status == 204
        assert folder.tree()[expected] == "data"


async def test_a_strict_token_refuses_another_place(folder: Disk) -> None:
    token = await mint(folder, "f", 4, strict=True)
    assert kind(await patch(folder, token, 0, b"data", dst_dir="d")) == (400, "invalid-api-params")
    assert (await patch(folder, token, 0, b"data")).status == 204
    assert folder.tree() == {"f": "data"}


async def test_a_file_that_is_there_is_replaced_and_a_directory_stays(folder: Disk) -> None:
    (folder.root / "f").write_text("old")
    (folder.root / "d").mkdir()
    assert (await patch(folder, await mint(folder, "f", 3), 0, b"new")).status == 204
    token = await mint(folder, "d", 3)
    assert kind(await patch(folder, token, 0, b"new")) == (400, "operation-refused")
    assert (folder.root / "f").read_text() == "new"
    assert (folder.root / "d").is_dir()


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"exp": 1}, 401),
        ({"op": "download"}, 400),
        ({"size": -1}, 400),
        ({"session": "../x"}, 400),
        ({"vfid": "x"}, 400),
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_this(folder: Disk, claims: dict[str, Any], status: int) -> None:
    good = {"op": "upload", "volume": "m", "vfid": str(FOLDER), "relpath": "f", "size": 4, "session": "0" * 32}
    token = jwt.encode({**good, "exp": int(time.time()) + 60, **claims}, KEY, algorithm="HS256")
    assert (await patch(folder, token, 0, b"data")).status == status


async def test_what_nobody_goes_on_with_is_collected(folder: Disk) -> None:
    upload = folder.root / ".upload"
    old, young, held, foreign = ("a" * 32, "b" * 32, "c" * 32, "notes.txt")
    upload.mkdir()
    for name in (old, young, held, foreign):
        (upload / name).touch()
    (upload / f"removed-{'d' * 32}" / "deep").mkdir(parents=True)  # of just now: it may be being removed
    for name in (old, held, foreign):
        os.utime(upload / name, (time.time() - 25 * 3600,) * 2)
    with (upload / held).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        token = await mint(folder, "f", 4)
        session = jwt.decode(token, KEY, algorithms=["HS256"])["session"]
        assert set(staged(folder)) == {young, held, foreign, f"removed-{'d' * 32}", session}
