"""The wire's client-facing side, row by row: what the subject's own tests leave open (docs/wire.md names them all)."""

from __future__ import annotations

import asyncio
import io
import os
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from tests.api.disk import Disk, disk
from tests.api.live import FOLDER, KEY, MINT, Answer
from tests.api.wire import PATIENCE, exchange

PAGE = "https://page.example"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Disk]:
    async with disk(tmp_path, api={"client": {"cors_origins": [PAGE]}}) as it:
        (it.root / "docs").mkdir()
        (it.root / "docs" / "f.bin").write_bytes(b"content")
        yield it


def claims(**more: Any) -> dict[str, Any]:
    return {"volume": "m", "vfid": str(FOLDER), "exp": int(time.time()) + 600, **more}


def download(**more: Any) -> str:
    return jwt.encode(claims(op="download", **{"relpath": "docs/f.bin", **more}), KEY, algorithm="HS256")


async def get(it: Disk, path: str, method: str = "GET", query: dict[str, str] | None = None, **headers: str) -> Answer:
    return await it.it.ask(method, f"{it.it.listening.client_url}{path}?{urlencode(query or {})}", **headers)


async def archive(it: Disk, *files: str) -> dict[str, bytes]:
    """The content of an archive by its names; none of them comes twice."""
    answer = await it.it.get(await it.it.mint(*files))
    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body)) as opened:
        assert opened.testzip() is None
        names = opened.namelist()
        assert len(names) == len(set(names))
        return {name: opened.read(name) for name in names}


# ---------------------------------------------------------------- queries and headers


async def test_each_route_takes_the_query_of_the_wire(folder: Disk) -> None:
    minted = await folder.it.mint("docs")
    for path, query, expected in (
        ("/", {}, 200),
        ("/", {"x": "1"}, 400),
        ("/download", {"token": download()}, 200),
        ("/download", {"token": download(), "dst_dir": "", "archive": "true", "no_cache": "true"}, 200),
        ("/download", {"token": download(), "x": "1"}, 400),
        ("/download", {}, 400),
        ("/download-archive", {"token": minted}, 200),
        ("/download-archive", {"token": minted, "x": "1"}, 200),
        ("/download-archive", {}, 400),
    ):
        answer = await get(folder, path, query=query)
        assert answer.status == expected, (path, query)
        if expected == 400:
            shape = "generic-bad-request" if path == "/download-archive" else "storage/invalid-api-params"
            assert answer.json["type"] == f"https://api.backend.ai/probs/{shape}"
            assert ("error_code" in answer.json) == (path == "/download-archive")


async def test_a_page_may_read_every_route_that_downloads(folder: Disk) -> None:
    """Its own origin, with credentials, where it is configured; uploads say ``*`` as on the wire, whatever is."""
    minted = await folder.it.mint("docs")
    for path, query in (("/", {}), ("/download", {"token": download()}), ("/download-archive", {"token": minted})):
        answer = await get(folder, path, query=query, Origin=PAGE)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        exposed = answer.headers["Access-Control-Expose-Headers"].lower()
        assert all(name in exposed for name in ("content-length", "content-type"))
        if path != "/":
            assert all(name in exposed for name in ("content-disposition", "etag", "accept-ranges", "last-modified"))
        preflight = await get(folder, path, "OPTIONS", Origin=PAGE, Access_Control_Request_Method="GET")
        assert (preflight.status, preflight.headers["Access-Control-Allow-Methods"]) == (200, "GET")
        assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    uploading = await get(folder, "/upload", "OPTIONS", Origin=PAGE)
    assert uploading.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in uploading.headers


async def test_what_a_path_holds_is_in_no_status_line(folder: Disk) -> None:
    """A missing file is told as JSON, in every form that its name may have."""
    for relpath in ("no/such\nX-Injected: 1", "no\r\nsuch", "nul\0", "no/such"):
        for path, token in (
            ("/download", download(relpath=relpath)),
            (
                "/download-archive",
                jwt.encode(
                    {**claims(operation="download", files=[relpath], filename=None), "virtual_folder_id": str(FOLDER)},
                    KEY,
                    algorithm="HS256",
                ),
            ),
        ):
            url = folder.it.listening.client_url
            answer = await exchange(
                url, f"GET {path}?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            head, _, body = answer.partition(b"\r\n\r\n")
            status, _, fields = head.partition(b"\r\n")
            assert status in (b"HTTP/1.1 404 Not Found", b"HTTP/1.1 400 Bad Request")
            assert b"such" not in head
            assert b"application/problem+json" in fields
            assert body.startswith(b"{")


# ---------------------------------------------------------------- uploads


async def test_an_upload_without_an_offset_is_refused_and_harmless(folder: Disk) -> None:
    minted = (await folder.ask("upload", relpath="up", size=4)).json["token"]
    for more in ({}, {"Upload_Offset": "x"}, {"Upload_Offset": "-1"}):
        url = f"{folder.it.listening.client_url}/upload?token={minted}"
        refused = await folder.it.ask("PATCH", url, data=io.BytesIO(b"data"), Tus_Resumable="1.0.0", **more)
        assert (refused.status, refused.json["error_code"]) == (400, "storage-proxy_request_invalid-parameters")
        assert refused.json["type"] == "https://api.backend.ai/probs/storage/invalid-api-params"
    asked = await get(folder, "/upload", "HEAD", query={"token": minted})
    assert asked.headers["Upload-Offset"] == "0"


async def test_conflicts_of_an_upload_carry_the_codes_of_the_wire(folder: Disk) -> None:
    minted = (await folder.ask("upload", relpath="up", size=4)).json["token"]
    url = f"{folder.it.listening.client_url}/upload?token={minted}"
    elsewhere = await folder.it.ask("PATCH", url, data=io.BytesIO(b"ta"), Upload_Offset="2")
    assert (elsewhere.status, elsewhere.json["error_code"]) == (409, "storage-proxy_update_conflict")
    assert (await folder.it.ask("PATCH", url, data=io.BytesIO(b"data"), Upload_Offset="0")).status == 204
    finished = await folder.it.ask("PATCH", url, data=io.BytesIO(b""), Upload_Offset="4")
    assert (finished.status, finished.json["error_code"]) == (404, "storage-proxy_read_not-found")
    for method in ("GET", "POST", "PUT", "DELETE"):
        refused = await folder.it.ask(method, url)
        assert (refused.status, set(refused.headers["Allow"].split(","))) == (405, {"HEAD", "OPTIONS", "PATCH"})


# ---------------------------------------------------------------- archives


async def test_each_path_is_in_an_archive_once_and_under_its_own_name(folder: Disk) -> None:
    """Also where it is selected twice, by a directory above it, or is a link."""
    (folder.root / "link").symlink_to("docs/f.bin")
    got = await archive(folder, "link", "docs", "docs/f.bin", "./docs//", "docs/../docs/f.bin")
    assert got == {"docs/f.bin": b"content", "link": b"content"}


async def test_what_others_are_uploading_is_in_no_archive(folder: Disk) -> None:
    minted = await folder.ask("upload", relpath="up", size=4)
    assert minted.status == 200
    assert list((folder.root / ".upload").iterdir()) != []
    assert await archive(folder, ".") == {"docs/f.bin": b"content"}


async def test_a_pipe_is_refused_at_once_wherever_it_is_found(folder: Disk) -> None:
    os.mkfifo(folder.root / "docs" / "pipe")
    for files in (["docs/pipe"], ["docs"], ["."]):
        async with asyncio.timeout(PATIENCE):
            refused = await folder.it.manage(MINT, folder.it.order(*files))
        assert (refused.status, refused.json["error_code"]) == (400, "vfs-storage_read_invalid-parameters")


async def test_links_that_leave_the_folder_refuse_the_archive(folder: Disk) -> None:
    (folder.root / "docs" / "out").symlink_to("../../outside/kept")
    refused = await folder.it.manage(MINT, folder.it.order("docs"))
    assert (refused.status, refused.json["error_code"]) == (400, "storage-proxy_request_invalid-parameters")
    assert refused.json["paths"] == ["docs/out"]
    assert (await get(folder, "/download", query={"token": download(relpath="docs"), "archive": "true"})).status == 400


async def test_clients_that_stand_still_hold_up_nobody(folder: Disk) -> None:
    """Many more than there are threads: each has begun to read a download and then reads no more."""
    with (folder.root / "large").open("wb") as file:
        file.truncate(64 << 20)
    url = folder.it.listening.client_url.removeprefix("http://")
    host, _, port = url.partition(":")
    tokens = [await folder.it.mint("large") for _ in range(4)]
    stalled = []
    try:
        for number in range(24):
            path = f"/download-archive?token={tokens[number % 4]}"
            if number % 2:
                path = f"/download?token={download(relpath='large', jti=str(number))}"
            reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 16)
            stalled.append(writer)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(PATIENCE):
            assert await archive(folder, "docs") == {"docs/f.bin": b"content"}
            listed = await folder.ask("list", relpath="docs")
            assert [item["name"] for item in listed.json["items"]] == ["f.bin"]
            assert (await get(folder, "/download", query={"token": download()})).body == b"content"
            assert (await folder.ask("mkdir", relpath="new")).status == 200
    finally:
        for writer in stalled:
            writer.close()
