"""Single files: their tokens, what they open, and how it is sent (WIRE sections 4, 5 and 6.2)."""

from __future__ import annotations

import asyncio
import io
import os
import time
import zipfile
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
import pytest

from pannier.volumes.posix import SingleFolderVolume
from tests.api.disk import Disk, disk
from tests.api.live import FOLDER, KEY, Answer, live, until

CONTENT = bytes(range(256)) * 1024  # 256 KiB
SETTLED = 0.05
"""Seconds after which a file's clock has ticked."""


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Disk]:
    async with disk(tmp_path) as it:
        (it.root / "docs").mkdir()
        write(it.root / "docs" / "f.bin", CONTENT)
        yield it


def write(path: Path, content: bytes, age: float = 3600.0) -> None:
    """Write a file that was last modified some time ago, and wait until the clock has ticked."""
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    time.sleep(SETTLED)


def token(**claims: Any) -> str:
    """A token as upstream signs it."""
    wire = {"op": "download", "volume": "m", "vfid": str(FOLDER), "relpath": "docs/f.bin", "exp": int(time.time()) + 60}
    return jwt.encode(wire | claims, KEY, algorithm="HS256")


async def mint(it: Disk, relpath: str = "docs/f.bin", **more: Any) -> str:
    answer = await it.ask("download", relpath=relpath, **more)
    assert answer.status == 200, answer.json
    return str(answer.json["token"])


async def get(
    it: Disk, token: str, *, method: str = "GET", query: dict[str, str] | None = None, **headers: str
) -> Answer:
    url = f"{it.it.listening.client_url}/download?{urlencode({'token': token, **(query or {})})}"
    return await it.it.ask(method, url, **headers)


async def rest_of(response: aiohttp.ClientResponse) -> int:
    received = 0
    while data := await response.content.read(1 << 20):
        received += len(data)
    return received


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2].rpartition(":")[2]


# ---------------------------------------------------------------- the token


async def test_a_token_says_what_the_wire_has(folder: Disk) -> None:
    claims = jwt.decode(await mint(folder, archive=True), KEY, algorithms=["HS256"])
    assert claims.pop("jti")
    assert abs(claims.pop("exp") - time.time() - 3600) < 60
    assert claims == {"op": "download", "volume": "m", "vfid": str(FOLDER), "relpath": "docs/f.bin"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"relpath": "nothing/there"}, 200),
        ({"relpath": "../x"}, 400),
        ({"relpath": "/etc/passwd"}, 400),
        ({"relpath": "a\0b"}, 400),
        ({"relpath": "a", "unmanaged_path": None}, 200),
        ({"relpath": "a", "unmanaged_path": "/etc"}, 400),
        ({"relpath": "a", "unknown": 1}, 400),
        ({"relpath": "a", "volume": "other"}, 400),
        ({}, 400),
    ],
    ids=str,
)
async def test_what_is_minted(folder: Disk, body: dict[str, Any], expected: int) -> None:
    answer = await folder.it.manage("/folder/file/download", {"volume": "m", "vfid": str(FOLDER), **body})
    assert answer.status == expected


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, (200, "")),
        ({"archive": False, "unmanaged_path": None, "more": [1]}, (200, "")),
        ({"op": "upload"}, (400, "jwt-payload-validation-error")),
        ({"unmanaged_path": "/etc"}, (400, "jwt-payload-validation-error")),
        ({"pannier": {"v": 1, "unknown": 1}}, (400, "jwt-payload-validation-error")),
        ({"exp": 1}, (401, "jwt-expired")),
        ({"relpath": "docs/../../outside/kept"}, (404, "file-not-found")),
        ({"relpath": "/etc/passwd"}, (404, "file-not-found")),
        ({"relpath": "a\nb"}, (404, "file-not-found")),
        ({"volume": "other"}, (400, "invalid")),
        ({"vfid": "0" * 32}, (404, "not-found")),
    ],
    ids=str,
)
async def test_what_a_token_of_others_opens(folder: Disk, claims: dict[str, Any], expected: tuple[int, str]) -> None:
    answer = await get(folder, token(**claims))
    assert (answer.status, "" if answer.status == 200 else kind(answer)[1]) == expected


@pytest.mark.parametrize(
    ("algorithm", "more"),
    [("none", {}), ("HS512", {}), ("HS256", {"nbf": int(time.time()) + 3600}), ("HS256", {"exp": None})],
    ids=["no-signature", "other-algorithm", "not-yet", "no-end"],
)
async def test_what_made_500_upstream_is_refused(folder: Disk, algorithm: str, more: dict[str, Any]) -> None:
    wire = jwt.decode(token(), KEY, algorithms=["HS256"]) | more
    claims = {name: value for name, value in wire.items() if value is not None}
    signed = jwt.encode(claims, "" if algorithm == "none" else KEY * 2, algorithm=algorithm)
    if algorithm == "HS256":
        signed = jwt.encode(claims, KEY, algorithm=algorithm)
    assert (await get(folder, signed)).status in (400, 401)


async def test_a_token_that_is_none_is_refused(folder: Disk) -> None:
    forged = jwt.encode({"op": "download"}, "x" * 32, algorithm="HS256")
    assert kind(await get(folder, forged)) == (401, "jwt-invalid-signature")
    assert kind(await get(folder, "nonsense")) == (400, "jwt-decode-error")
    archive = await folder.it.mint("docs")
    assert kind(await get(folder, archive)) == (400, "jwt-payload-validation-error")


# ---------------------------------------------------------------- what is sent


async def test_a_file_is_sent_whole_with_everything_a_client_needs(folder: Disk) -> None:
    name = '한글 "x".bin'
    write(folder.root / name, CONTENT)
    minted = await mint(folder, name)
    answer = await get(folder, minted, Accept_Encoding="gzip, br")
    assert (answer.status, answer.body) == (200, CONTENT)
    headers = answer.headers
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Length"] == str(len(CONTENT))
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Disposition"] == (
        'attachment;filename=" \\"x\\".bin"; filename*=UTF-8\'\'%ED%95%9C%EA%B8%80%20%22x%22.bin'
    )
    assert headers["Last-Modified"] == formatdate(int((folder.root / name).stat().st_mtime), usegmt=True)
    assert headers["ETag"].startswith('"')
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "private, no-transform"
    head = await get(folder, minted, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    same = ("ETag", "Content-Length", "Last-Modified", "Content-Disposition", "Accept-Ranges")
    assert {name: head.headers[name] for name in same} == {name: headers[name] for name in same}
    assert (await get(folder, minted, query={"no_cache": "true"})).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"Range": "bytes=0-9"}, 206, slice(0, 10)),
        ({"Range": "bytes=200000-"}, 206, slice(200_000, None)),
        ({"Range": "bytes=-5"}, 206, slice(-5, None)),
        ({"Range": "bytes=0-0,9-9"}, 200, slice(None)),
        ({"Range": "bytes=9999999-"}, 416, None),
        ({"If_None_Match": "*"}, 304, None),
        ({"If_None_Match": "{etag}"}, 304, None),
        ({"If_Modified_Since": "{date}"}, 304, None),
        ({"If_Match": '"other"'}, 412, None),
        ({"If_Range": "{etag}", "Range": "bytes=9-"}, 206, slice(9, None)),
        ({"If_Range": "{date}", "Range": "bytes=9-"}, 206, slice(9, None)),
        ({"If_Range": '"other"', "Range": "bytes=9-"}, 200, slice(None)),
    ],
    ids=str,
)
async def test_ranges_and_conditions(folder: Disk, headers: dict[str, str], status: int, part: slice | None) -> None:
    minted = await mint(folder)
    whole = await get(folder, minted)
    known = {"etag": whole.headers["ETag"], "date": whole.headers["Last-Modified"]}
    sent: dict[str, Any] = {name: value.format(**known) for name, value in headers.items()}
    answer = await get(folder, minted, **sent)
    assert answer.status == status
    if part is not None:
        assert answer.body == CONTENT[part]
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nothing", (404, "file-not-found")),
        ("docs", (400, "invalid-api-params")),
        (".", (400, "invalid-api-params")),
        ("pipe", (400, "invalid-api-params")),
        ("out", (404, "file-not-found")),
        ("way/kept", (404, "file-not-found")),
        ("gone", (404, "file-not-found")),
        (".upload/x", (404, "file-not-found")),
        ("in/f.bin", (200, "")),
        ("link", (200, "")),
    ],
)
async def test_what_a_path_leads_to(folder: Disk, path: str, expected: tuple[int, str]) -> None:
    root = folder.root
    os.mkfifo(root / "pipe")
    (root / "out").symlink_to("../outside/kept")
    (root / "way").symlink_to("../outside")
    (root / "gone").symlink_to("nowhere")
    (root / "in").symlink_to("docs")
    (root / "link").symlink_to("docs/f.bin")
    (root / ".upload").mkdir()
    (root / ".upload" / "x").write_text("x")
    answer = await get(folder, token(relpath=path))
    if expected[0] == 200:
        assert (answer.status, answer.body) == (200, CONTENT)
    else:
        assert kind(answer) == expected


async def test_dst_dir_leads_below_the_folder_and_nowhere_else(folder: Disk) -> None:
    minted = await mint(folder, "f.bin")
    assert (await get(folder, minted, query={"dst_dir": "docs"})).body == CONTENT
    for escape in ("../outside", "/etc", "docs/../../outside"):
        assert kind(await get(folder, minted, query={"dst_dir": escape})) == (404, "file-not-found")
    climbing = token(relpath="../docs/f.bin")
    assert kind(await get(folder, climbing, query={"dst_dir": "docs"})) == (404, "file-not-found")
    strict = await mint(folder, strict=True)
    assert (await get(folder, strict)).status == 200
    assert kind(await get(folder, strict, query={"dst_dir": "docs"})) == (400, "invalid-api-params")
    assert kind(await get(folder, minted, query={"unknown": "1"})) == (400, "invalid-api-params")


async def test_no_packed_file_is_sent_in_the_place_of_the_one_that_is_wanted(folder: Disk) -> None:
    for suffix in (".gz", ".br", ".zst"):
        write(folder.root / "docs" / f"f.bin{suffix}", b"another")
    answer = await get(folder, await mint(folder), Accept_Encoding="gzip, br, zstd")
    assert (answer.body, answer.headers.get("Content-Encoding")) == (CONTENT, None)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (b"\xff\xfe.bin", "filename=\".bin\"; filename*=UTF-8''%EF%BF%BD%EF%BF%BD.bin"),
        ("한글.txt".encode(), "filename=\".txt\"; filename*=UTF-8''%ED%95%9C%EA%B8%80.txt"),
        (b'a"b\\c;d', 'filename="a\\"b\\\\c;d"; filename*=UTF-8\'\'a%22b%5Cc%3Bd'),
        (b"a\x01\tb", "filename=\"ab\"; filename*=UTF-8''ab"),
    ],
)
async def test_any_name_makes_a_header(folder: Disk, name: bytes, header: str) -> None:
    path = os.fsencode(folder.root) + b"/" + name
    write(Path(os.fsdecode(path)), CONTENT)
    os.mkdir(path + b".d")
    write(Path(os.fsdecode(path + b".d/f")), CONTENT)
    answer = await get(folder, await mint(folder, os.fsdecode(name)))
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Disposition"] == f"attachment;{header}"
    below = await get(folder, await mint(folder, os.fsdecode(name + b".d")), query={"archive": "true"})
    assert (below.status, members(below.body)) == (200, {"f": CONTENT})


async def test_an_empty_file_is_a_file(folder: Disk) -> None:
    write(folder.root / "empty", b"")
    answer = await get(folder, await mint(folder, "empty"))
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


async def test_a_file_beyond_four_gib_is_read_at_its_end(folder: Disk) -> None:
    with (folder.root / "big").open("wb") as file:
        file.seek(5 * 2**30)
        file.write(b"the end")
    await asyncio.sleep(SETTLED)
    answer = await get(folder, await mint(folder, "big"), Range="bytes=5368709118-")
    assert (answer.status, answer.body) == (206, b"\0\0the end")
    assert answer.headers["Content-Range"] == "bytes 5368709118-5368709126/5368709127"


# ---------------------------------------------------------------- directories


def members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        return {each.filename: opened.read(each) for each in opened.infolist()}


async def test_a_directory_comes_as_a_zip_of_what_is_in_it(folder: Disk) -> None:
    album = folder.root / "docs" / "앨범"
    (album / "empty").mkdir(parents=True)
    write(album / "a.txt", b"a")
    (album / "sub").mkdir()
    write(album / "sub" / "b.bin", CONTENT)
    (album / "link").symlink_to("../f.bin")
    (folder.root / "way").symlink_to("docs/앨범")
    wanted = {"a.txt": b"a", "empty/": b"", "link": CONTENT, "sub/b.bin": CONTENT}
    minted = await mint(folder, "docs/앨범")
    answer = await get(folder, minted, query={"archive": "true", "no_cache": "true"})
    assert (answer.status, members(answer.body)) == (200, wanted)
    headers = answer.headers
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Length"] == str(len(answer.body))
    assert headers["Content-Disposition"] == "attachment;filename=\".zip\"; filename*=UTF-8''%EC%95%A8%EB%B2%94.zip"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    head = await get(folder, minted, method="HEAD", query={"archive": "true"})
    assert (head.status, head.body) == (200, b"")
    same = ("ETag", "Content-Length", "Last-Modified", "Content-Disposition")
    assert {name: head.headers[name] for name in same} == {name: headers[name] for name in same}
    claimed = await get(folder, token(relpath="docs/앨범", archive=True))
    below = await get(folder, await mint(folder, "앨범"), query={"archive": "true", "dst_dir": "docs"})
    linked = await get(folder, await mint(folder, "way"), query={"archive": "true"})
    assert claimed.body == below.body == linked.body == answer.body
    assert "way.zip" in linked.headers["Content-Disposition"]


async def test_any_window_of_a_directory_is_the_slice_of_the_whole(folder: Disk) -> None:
    write(folder.root / "docs" / "g.bin", CONTENT[::-1])
    minted, query = await mint(folder, "docs"), {"archive": "true"}
    whole = await get(folder, minted, query=query)
    length = len(whole.body)
    windows = [
        (0, 0),
        (29, 31),
        (100, 200_000),
        (len(CONTENT), len(CONTENT) + 99),
        (length - 9, length - 1),
    ]
    for first, last in windows:
        part = await get(folder, minted, query=query, Range=f"bytes={first}-{last}")
        assert (part.status, part.body) == (206, whole.body[first : last + 1])
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{length}"
        assert part.headers["ETag"] == whole.headers["ETag"]
    for condition in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        part = await get(folder, minted, query=query, Range="bytes=300000-", If_Range=condition)
        assert (part.status, part.body) == (206, whole.body[300_000:])
    beyond = await get(folder, minted, query=query, Range=f"bytes={length}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{length}")
    unchanged = await get(folder, minted, query=query, If_None_Match=whole.headers["ETag"])
    assert unchanged.status == 304


async def test_a_range_of_a_directory_goes_on_with_what_was_begun_or_not_at_all(folder: Disk) -> None:
    minted, query = await mint(folder, "docs"), {"archive": "true"}
    bare = await get(folder, minted, query=query, Range="bytes=100-")
    assert kind(bare) == (409, "resume-unverified")  # as archives have it: nothing says what the part is of
    begun = await get(folder, minted, query=query)
    assert (await get(folder, minted, query=query, Range="bytes=100-")).body == begun.body[100:]
    write(folder.root / "docs" / "f.bin", CONTENT[::-1])
    assert kind(await get(folder, minted, query=query, Range="bytes=100-")) == (409, "selection-changed")
    anew = await get(folder, minted, query=query, Range="bytes=100-", If_Range=begun.headers["ETag"])
    assert (anew.status, members(anew.body)) == (200, {"f.bin": CONTENT[::-1]})
    (folder.root / "docs").rename(folder.root / "gone")
    assert kind(await get(folder, minted, query=query, Range="bytes=100-")) == (409, "selection-changed")
    assert kind(await get(folder, minted, query=query)) == (404, "file-not-found")
    write(folder.root / "docs", CONTENT)  # and a file is never the rest of a directory
    assert kind(await get(folder, minted, query=query, Range="bytes=100-")) == (409, "selection-changed")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("docs/f.bin", (200, CONTENT)),
        ("link", (200, CONTENT)),
        (".", (200, {"docs/f.bin": CONTENT, "link": CONTENT})),
        ("empty", (200, {})),
        ("nothing", (404, "file-not-found")),
        ("out", (404, "file-not-found")),
        ("way/sub", (404, "file-not-found")),
        ("docs/../../outside", (404, "file-not-found")),
        (".upload", (404, "file-not-found")),
        (".upload/x", (404, "file-not-found")),
        ("apart/pipe", (400, "invalid-api-params")),
        ("apart", (400, "selection-refused")),
        ("leaks", (400, "selection-refused")),
    ],
)
async def test_what_a_path_leads_to_where_directories_are_allowed(
    folder: Disk, path: str, expected: tuple[int, str | bytes | dict[str, bytes]]
) -> None:
    root = folder.root
    (root / "out").symlink_to("../outside")
    (root / "way").symlink_to("../outside/..")
    (root / "link").symlink_to("docs/f.bin")
    (root / ".upload").mkdir()
    (root / ".upload" / "x").write_text("x")
    if path == ".":
        (root / "out").unlink()
        (root / "way").unlink()
    else:
        for name in ("apart", "empty", "leaks"):
            (root / name).mkdir()
        os.mkfifo(root / "apart" / "pipe")
        (root / "leaks" / "kept").symlink_to("../../outside/kept")
    await asyncio.sleep(SETTLED)
    answer = await get(folder, token(relpath=path), query={"archive": "true"})
    if isinstance(expected[1], str):
        assert kind(answer) == expected
    else:
        assert answer.status == expected[0]
        assert (members(answer.body) if isinstance(expected[1], dict) else answer.body) == expected[1]
        if path == ".":
            assert "archive.zip" in answer.headers["Content-Disposition"]


async def test_a_directory_without_archive_is_refused_with_the_way_out(folder: Disk) -> None:
    answer = await get(folder, await mint(folder, "docs", archive=True))  # not signed, as upstream does
    assert kind(answer) == (400, "invalid-api-params")
    assert "archive=true" in str(answer.json)
    assert (await get(folder, await mint(folder, "docs", strict=True), query={"archive": "true"})).status == 200


async def test_a_directory_whose_file_changes_while_it_is_sent_breaks_off(folder: Disk) -> None:
    path = folder.root / "docs" / "large"
    write(path, os.urandom(1 << 20) * 24)
    url = f"{folder.it.listening.client_url}/download?archive=true&token={await mint(folder, 'docs')}"
    async with folder.it.session.get(url) as response:
        length, received = int(response.headers["Content-Length"]), len(await response.content.readexactly(300_000))
        with path.open("r+b") as file:
            file.write(b"other")
        with pytest.raises((aiohttp.ClientPayloadError, ConnectionError)):
            received += await rest_of(response)
    assert received < length


# ---------------------------------------------------------------- changes


async def test_a_bare_range_goes_on_with_the_file_it_began_with_or_not_at_all(folder: Disk) -> None:
    minted = await mint(folder)
    assert (await get(folder, minted, Range="bytes=100-199")).status == 206  # nothing was given out: as the wire has it
    assert (await get(folder, minted, Range="bytes=200-299")).status == 206
    write(folder.root / "docs" / "f.bin", CONTENT[::-1])
    assert kind(await get(folder, minted, Range="bytes=300-")) == (409, "selection-changed")
    whole = await get(folder, minted)
    assert (whole.status, whole.body) == (200, CONTENT[::-1])
    assert kind(await get(folder, minted, Range="bytes=300-")) == (409, "selection-changed")
    going_on = await get(folder, minted, Range="bytes=300-", If_Range=whole.headers["ETag"])
    assert (going_on.status, going_on.body) == (206, CONTENT[::-1][300:])
    (folder.root / "docs" / "f.bin").unlink()
    assert kind(await get(folder, minted, Range="bytes=300-")) == (409, "selection-changed")
    assert kind(await get(folder, minted)) == (404, "file-not-found")


async def test_a_file_written_just_now_can_be_resumed_too(folder: Disk) -> None:
    for number in range(5):
        (folder.root / f"new-{number}").write_bytes(CONTENT)
        minted = token(relpath=f"new-{number}")
        assert (await get(folder, minted)).status == 200
        rest = await get(folder, minted, Range="bytes=9-")
        assert (rest.status, rest.body) == (206, CONTENT[9:])


async def test_where_clocks_are_too_coarse_to_wait_for_an_etag_never_comes_again(tmp_path: Path) -> None:
    root, outside = tmp_path / "folder", tmp_path / "outside"
    root.mkdir()
    (root / "new").write_bytes(CONTENT)
    volume = SingleFolderVolume("m", root, FOLDER, clock_granularity=3600.0)
    try:
        async with live(tmp_path / "state", volume=volume) as it:
            folder, minted = Disk(it, root, outside), token(relpath="new")
            first, second = await get(folder, minted), await get(folder, minted)
            assert (first.status, second.status) == (200, 200)
            assert first.headers["ETag"] != second.headers["ETag"]
            assert kind(await get(folder, minted, Range="bytes=9-")) == (409, "selection-changed")
    finally:
        volume.close()


async def test_pins_of_two_paths_under_one_token_are_their_own(folder: Disk) -> None:
    (folder.root / "other").mkdir()
    write(folder.root / "other" / "f.bin", b"other content")
    minted = await mint(folder, "f.bin")
    assert (await get(folder, minted, query={"dst_dir": "docs"}, Range="bytes=0-9")).status == 206
    other = await get(folder, minted, query={"dst_dir": "other"}, Range="bytes=6-")
    assert (other.status, other.body) == (206, b"content")


@pytest.mark.parametrize("change", ["truncate", "append", "rewrite", "replace"])
async def test_a_file_that_changes_while_it_is_sent_breaks_off(folder: Disk, change: str) -> None:
    path = folder.root / "large"
    write(path, os.urandom(1 << 20) * 24)
    minted = await mint(folder, "large")
    url = f"{folder.it.listening.client_url}/download?token={minted}"
    async with folder.it.session.get(url) as response:
        received = len(await response.content.readexactly(1000))
        match change:
            case "truncate":
                os.truncate(path, 2000)
            case "append":
                with path.open("ab") as file:
                    file.write(b"more")
            case "rewrite":
                with path.open("r+b") as file:
                    file.write(b"other")
            case _:
                write(folder.root / "new", b"new")
                os.replace(folder.root / "new", path)
        with pytest.raises((aiohttp.ClientPayloadError, ConnectionError)):
            received += await rest_of(response)
    assert received < 24 << 20


# ---------------------------------------------------------------- without a token


async def test_a_manager_fetches_a_file_without_a_token(folder: Disk) -> None:
    answer = await folder.ask("fetch", relpath="docs/f.bin")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    for path, expected in (
        ("nothing", (404, "file-not-found")),
        ("docs", (400, "invalid-api-params")),
        ("../outside/kept", (400, "invalid")),
    ):
        assert kind(await folder.ask("fetch", relpath=path)) == expected


async def test_no_descriptor_stays_behind(folder: Disk) -> None:
    minted = await mint(folder)
    await get(folder, minted)
    before = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(get(folder, minted, Range=f"bytes={at}-") for at in range(60)))
    await asyncio.gather(*(get(folder, token(relpath="nothing")) for _ in range(30)))
    kept_alive = 60 * 2  # both ends of connections that clients keep
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before + kept_alive)
    await until(lambda: not [name for name in descriptors() if name.startswith(str(folder.root / "docs"))])


def descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            pass
    return found
