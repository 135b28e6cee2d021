"""``GET`` and ``HEAD /download-archive``."""

from __future__ import annotations

import io
import random
import time
import zipfile
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.api.live import FOLDER, KEY, Answer, Live, live

CHANCE = random.Random(3)
BIG = CHANCE.randbytes(700_000)
OLD = 1_600_000_000
VARIES = {"date", "x-request-id"}


def constant(answer: Answer) -> dict[str, str]:
    """The headers that are the same each time, by lower-case name."""
    return {name.lower(): value for name, value in answer.headers.items() if name.lower() not in VARIES}


def lose_state(state: Path) -> None:
    for file in state.glob("state.db*"):
        file.unlink()


def fill(it: Live) -> None:
    it.write("a.txt", b"alpha", mtime_ns=OLD * 10**9)
    it.write("b/big.bin", BIG, mtime_ns=(OLD + 5) * 10**9)


async def test_a_token_gives_the_selection_with_every_promised_header(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        answer = await it.get(await it.mint("b", "a.txt", filename='여행 "x".zip'))
        assert answer.status == 200
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.read("b/big.bin") == BIG
            assert archive.testzip() is None
        headers = constant(answer)
        assert headers == {
            "content-type": "application/zip",
            "content-length": str(len(answer.body)),
            "content-disposition": 'attachment;filename=" \\"x\\".zip"; filename*=UTF-8\'\''
            "%EC%97%AC%ED%96%89%20%22x%22.zip",
            "etag": headers["etag"],
            "last-modified": "Sun, 13 Sep 2020 12:26:45 GMT",
            "accept-ranges": "bytes",
            "cache-control": "private, no-transform",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "x-accel-buffering": "no",
            "server": "pannier",
        }


async def test_head_equals_the_headers_of_get(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        head, get = await it.ask("HEAD", it.url(token)), await it.get(token)
        assert head.status == get.status == 200
        assert head.body == b""
        assert constant(head) == constant(get)
        assert (await it.ask("HEAD", it.url(token), Range="bytes=5-")).status == 200  # ranges are defined for GET only


async def test_the_token_may_come_as_a_bearer(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        bare = f"{it.listening.client_url}/download-archive"
        assert (await it.ask("GET", bare, Authorization=f"Bearer {token}")).body == (await it.get(token)).body
        missing = await it.ask("GET", bare)
        assert (missing.status, missing.json["error_code"]) == (400, "api_parsing_invalid-parameters")


async def test_last_modified_is_never_later_than_the_date(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("future", b"x", mtime_ns=(int(time.time()) + 10**6) * 10**9)
        headers = (await it.get(await it.mint())).headers
        assert parsedate_to_datetime(headers["Last-Modified"]) <= parsedate_to_datetime(headers["Date"])


async def test_ranges_of_a_download_that_has_begun(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        whole = await it.get(token)
        size, etag = len(whole.body), whole.headers["ETag"]
        for header, start, stop in [
            ("bytes=0-0", 0, 1),
            ("bytes=100-", 100, size),
            (f"bytes={size - 1}-", size - 1, size),
            ("bytes=-7", size - 7, size),
            ("bytes=50-99999999", 50, size),
        ]:
            for more in ({}, {"If_Range": etag}):
                part = await it.get(token, Range=header, **more)
                assert part.status == 206
                assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
                assert part.headers["Content-Length"] == str(stop - start)
                assert part.headers["ETag"] == etag
                assert part.body == whole.body[start:stop]
        for header in ("bytes=0-1,5-6", "lines=1-2", "bytes=x", "bytes=9-3"):
            answer = await it.get(token, Range=header)
            assert (answer.status, answer.body) == (200, whole.body)
        beyond = await it.get(token, Range=f"bytes={size}-")
        assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
        assert beyond.json["type"] == "urn:pannier:problem:range-not-satisfiable"
        other = await it.get(token, Range="bytes=5-", If_Range='"another"')
        assert (other.status, other.body) == (200, whole.body)


async def test_conditions(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        etag = (await it.get(token)).headers["ETag"]
        unchanged = await it.get(token, If_None_Match=f'"x", {etag}')
        assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", etag)
        assert (await it.get(token, If_None_Match='"x"')).status == 200
        assert (await it.get(token, If_Match=etag)).status == 200
        failed = await it.get(token, If_Match='"x"')
        assert (failed.status, failed.json["type"]) == (412, "urn:pannier:problem:precondition-failed")


async def test_a_bare_range_before_anything_was_given_is_served_only_from_an_edge(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        for header, status in [
            ("bytes=5-", 409),
            ("bytes=5-9,0-1", 409),
            ("bytes=99999999-", 409),
            ("bytes=0-", 206),
            ("bytes=-9", 206),
        ]:
            answer = await it.get(await it.mint(), Range=header)
            assert answer.status == status, header
            if status == 409:
                assert answer.json["type"] == "urn:pannier:problem:resume-unverified"
        token = await it.mint()
        assert (await it.get(token, Range="bytes=0-3")).status == 206
        assert (await it.get(token, Range="bytes=4-")).status == 206  # the first one pinned it


async def test_after_a_change_a_bare_range_is_a_conflict_and_a_whole_get_is_new(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        it.write("a.txt", b"beta!!")
        for header in ("bytes=5-", "bytes=0-", "bytes=-5", "bytes=5-6,8-9", "bytes=99999999-"):
            answer = await it.get(token, Range=header)
            assert (answer.status, answer.json["type"]) == (409, "urn:pannier:problem:selection-changed"), header
        stale = await it.get(token, Range="bytes=5-", If_Range=old.headers["ETag"])
        assert stale.status == 200
        new = await it.get(token)
        assert new.headers["ETag"] == stale.headers["ETag"] != old.headers["ETag"]
        assert (await it.get(token, Range="bytes=5-")).status == 409  # a pin is never replaced
        part = await it.get(token, Range="bytes=5-", If_Range=new.headers["ETag"])
        assert (part.status, part.body) == (206, new.body[5:])


async def test_a_bare_range_of_what_is_gone_is_a_conflict_too(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint("a.txt", "b")
        assert (await it.get(token)).status == 200
        it.memory.remove(FOLDER, b"a.txt")
        assert (await it.get(token, Range="bytes=5-")).status == 409
        assert (await it.get(token)).status == 404


async def test_an_archive_that_only_gained_files_can_be_finished(tmp_path: Path) -> None:
    """Its own files are unchanged, so the plan that the range goes on with still holds."""
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        it.write("c.txt", b"new")
        assert (await it.get(token, Range="bytes=9-")).body == old.body[9:]
        assert len((await it.get(token)).body) > len(old.body)


async def test_pins_outlive_the_server_and_a_lost_store_never_mixes(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        memory = it.memory
    async with live(tmp_path, volume=memory) as it:
        assert (await it.get(token, Range="bytes=9-")).body == old.body[9:]
    lose_state(tmp_path)
    async with live(tmp_path, volume=memory) as it:
        assert (await it.get(token, Range="bytes=9-")).status == 409
        assert (await it.get(token, Range="bytes=9-", If_Range=old.headers["ETag"])).body == old.body[9:]


async def test_a_store_that_cannot_be_written_is_503_before_the_first_byte(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        lose_state(tmp_path)
        (tmp_path / "state.db").mkdir()
        answer = await it.get(token)
        assert (answer.status, answer.json["type"]) == (503, "urn:pannier:problem:unavailable")
        assert "Retry-After" in answer.headers
        (tmp_path / "state.db").rmdir()
        assert (await it.get(token)).status == 200


@pytest.mark.parametrize(
    ("prepare", "files", "status", "code"),
    [
        (None, ["nope"], 404, "vfolder_read_not-found"),
        (None, ["../x"], 400, "storage-proxy_request_invalid-parameters"),
        (None, ["/etc/passwd"], 400, "storage-proxy_request_invalid-parameters"),
        (None, ["a\0b"], 400, "storage-proxy_request_invalid-parameters"),
        (None, ["a\nb"], 400, "storage-proxy_request_invalid-parameters"),
        (None, [".upload/selection-" + "0" * 64], 404, "vfolder_read_not-found"),
        ("special", ["."], 400, "vfs-storage_read_invalid-parameters"),
        ("deny", ["."], 403, "vfolder_read_forbidden"),
        ("escape", ["."], 400, "storage-proxy_request_invalid-parameters"),
        ("dangle", ["."], 404, "vfolder_read_not-found"),
        ("loop", ["."], 400, "storage-proxy_request_invalid-parameters"),
    ],
)
async def test_what_cannot_be_included_refuses_the_whole(
    tmp_path: Path, prepare: str | None, files: list[str], status: int, code: str
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        match prepare:
            case "special":
                it.memory.special(FOLDER, b"pipe")
            case "deny":
                it.memory.deny(FOLDER, b"a.txt")
            case "escape":
                it.memory.symlink(FOLDER, b"out", b"../../etc")
            case "dangle":
                it.memory.symlink(FOLDER, b"out", b"nowhere")
            case "loop":
                it.memory.symlink(FOLDER, b"out", b"out")
        answer = await it.get(signed(files=files))
        assert (answer.status, answer.json["error_code"]) == (status, code), answer.json
        assert answer.json["type"] == "urn:pannier:problem:selection-refused"
        assert answer.json["total"] == len(answer.json["offenders"]) == 1
        assert answer.headers["Content-Type"].startswith("application/problem+json")


def signed(key: str = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """A token as upstream mints it, with some claims replaced (None: left out)."""
    plain = {
        "operation": "download",
        "volume": "m",
        "virtual_folder_id": str(FOLDER),
        "files": ["a.txt"],
        "filename": None,
        "exp": int(time.time()) + 86_400,  # made when tests are collected, which may be long before its turn
        **claims,
    }
    return jwt.encode({k: v for k, v in plain.items() if v is not ...}, key, algorithm)


async def test_a_token_of_upstream_opens_what_it_names(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        answer = await it.get(signed(aud="x", iss="y", iat=1, more={"z": 1}))
        assert answer.status == 200
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.namelist() == ["a.txt"]
        assert answer.headers["Content-Disposition"].startswith('attachment;filename="archive.zip"')


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("garbage", 400, "auth_auth_bad-request"),
        ("a.b.c", 400, "auth_auth_bad-request"),
        (signed(key="", algorithm="none"), 401, "auth_auth_unauthorized"),
        (signed(key="x" * 32), 401, "auth_auth_unauthorized"),
        (signed(key=KEY * 2, algorithm="HS512"), 401, "auth_auth_unauthorized"),
        (signed(exp=1), 401, "auth_auth_data-expired"),
        (signed(exp="soon"), 400, "auth_auth_invalid-parameters"),
        (signed(exp=...), 400, "auth_auth_invalid-parameters"),
        (signed(nbf=2**33), 400, "auth_auth_invalid-parameters"),
        (signed(operation="upload"), 400, "auth_auth_invalid-parameters"),
        (signed(files=[]), 400, "auth_auth_invalid-parameters"),
        (signed(files=["a"], pannier={"v": 1, "one-time": True}), 400, "auth_auth_invalid-parameters"),
        (signed(volume="other"), 400, "storage_access_invalid-parameters"),
        (signed(virtual_folder_id="0" * 32), 404, "vfolder_read_not-found"),
        (signed(virtual_folder_id="../x"), 400, "auth_auth_invalid-parameters"),
        (jwt.encode({"op": "download", "relpath": "a", "exp": 2**33}, KEY), 400, "auth_auth_invalid-parameters"),
    ],
)  # fmt: skip
async def test_tokens_that_open_nothing_are_told_so(tmp_path: Path, token: str, status: int, code: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        answer = await it.get(token)
        assert (answer.status, answer.json["error_code"]) == (status, code), answer.json
        assert token not in answer.body.decode()
