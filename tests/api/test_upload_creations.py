"""Uploads that clients begin themselves, at ``/uploads``: tus 1.0.0 with its extensions."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import time
import zlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

import aiohttp
import jwt
import pytest

from pannier.parts import checksum_store
from pannier.volumes.identities import pack_identity
from tests.api.disk import Disk, disk
from tests.api.live import FOLDER, KEY, Answer
from tests.api.wire import PATIENCE

MIB = 1024 * 1024
TYPE = "application/offset+octet-stream"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Disk]:
    async with disk(tmp_path, storage_proxy={"max_upload_size": 100 * MIB}) as it:
        yield it


async def mint(it: Disk, relpath: str = ".", size: int = 50 * MIB, **more: Any) -> str:
    answer = await it.ask("upload", relpath=relpath, size=size, multiple=True, **more)
    assert answer.status == 200, answer.json
    return f"{it.it.listening.client_url}/uploads?token={answer.json['token']}"


async def ask(it: Disk, method: str, url: str, data: bytes | None = None, **headers: str) -> Answer:
    sent = {"Tus_Resumable": "1.0.0", **headers}
    body = None if data is None else io.BytesIO(data)
    return await it.it.ask(method, url, data=body, **{name: value for name, value in sent.items() if value})


def said(filename: str | bytes) -> str:
    name = filename.encode() if isinstance(filename, str) else filename
    return f"filename {base64.b64encode(name).decode()}"


async def begin(it: Disk, url: str, filename: str, size: int | str) -> Answer:
    return await ask(it, "POST", url, Upload_Length=str(size), Upload_Metadata=said(filename))


async def begun(it: Disk, url: str, filename: str, size: int) -> str:
    answer = await begin(it, url, filename, size)
    assert answer.status == 201, answer.json
    return urljoin(url, answer.headers["Location"])


async def patch(it: Disk, url: str, offset: int, data: bytes, **headers: str) -> Answer:
    return await ask(it, "PATCH", url, data, Upload_Offset=str(offset), Content_Type=TYPE, **headers)


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2].rpartition(":")[2]


async def test_an_upload_from_its_creation_to_its_end(folder: Disk) -> None:
    content = os.urandom(2 * MIB + 5)
    url = await mint(folder, "incoming")
    made = await begin(folder, url, "봄/사진.jpg", len(content))
    assert (made.status, made.headers["Upload-Offset"], made.headers["Tus-Resumable"]) == (201, "0", "1.0.0")
    where = urljoin(url, made.headers["Location"])
    expires = parsedate_to_datetime(made.headers["Upload-Expires"]).timestamp()
    assert 0 < expires - time.time() <= 3600  # when its token ends, before a day without progress does
    asked = await ask(folder, "HEAD", where)
    assert (asked.status, asked.headers["Upload-Offset"]) == (200, "0")
    assert asked.headers["Upload-Length"] == str(len(content))
    assert asked.headers["Upload-Metadata"] == said("봄/사진.jpg")
    assert asked.headers["Cache-Control"] == "no-store"
    first = await patch(folder, where, 0, content[:MIB])
    assert (first.status, first.headers["Upload-Offset"]) == (204, str(MIB))
    assert "Upload-Expires" in first.headers
    last = await patch(folder, where, MIB, content[MIB:])
    assert (last.status, last.headers["Upload-Offset"]) == (204, str(len(content)))
    assert unquote(last.headers["Upload-Name"]) == "incoming/봄/사진.jpg"
    assert (folder.root / "incoming" / "봄" / "사진.jpg").read_bytes() == content
    assert not (folder.root / ".upload").exists()
    again = await ask(folder, "HEAD", where)  # of a client whose last answer was lost
    assert (again.status, again.headers["Upload-Offset"]) == (200, str(len(content)))


async def test_what_is_spoken(folder: Disk) -> None:
    told = await folder.it.ask("OPTIONS", f"{folder.it.listening.client_url}/uploads")
    assert told.status == 204
    assert told.headers["Tus-Version"] == "1.0.0"
    assert told.headers["Tus-Max-Size"] == str(100 * MIB)
    extensions = {"creation", "creation-with-upload", "expiration", "checksum", "termination"}
    assert set(told.headers["Tus-Extension"].split(",")) == extensions
    assert set(told.headers["Tus-Checksum-Algorithm"].split(",")) == {"crc32", "md5", "sha1", "sha256"}
    assert told.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in told.headers["Access-Control-Expose-Headers"]
    url = await mint(folder)
    where = await begun(folder, url, "f", 4)
    for method, at in (("POST", url), ("HEAD", where), ("PATCH", where), ("DELETE", where)):
        for version in ("", "0.2.2"):
            refused = await ask(folder, method, at, Tus_Resumable=version, Upload_Offset="0", Upload_Length="1")
            assert refused.status == 412
            assert refused.headers["Tus-Version"] == "1.0.0"
    other = await ask(folder, "PATCH", where, b"data", Upload_Offset="0", Content_Type="text/plain")
    assert kind(other) == (415, "unsupported-media-type")
    assert (await ask(folder, "PUT", where)).status == 405


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Upload_Length": "1"}, 400),
        ({"Upload_Metadata": said("f")}, 400),
        ({"Upload_Length": "-1", "Upload_Metadata": said("f")}, 400),
        ({"Upload_Length": "x", "Upload_Metadata": said("f")}, 400),
        ({"Upload_Length": str(51 * MIB), "Upload_Metadata": said("f")}, 413),
        ({"Upload_Length": "1", "Upload_Metadata": "filename not-base64"}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said("../outside/f")}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said("/etc/f")}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said(".")}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said("a\0b")}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": "filename "}, 400),
        ({"Upload_Length": "0", "Upload_Metadata": said("../outside/f")}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said("f" * 4000)}, 400),
        ({"Upload_Length": "1", "Upload_Metadata": said("f"), "Upload_Checksum": "sha9 AAAA"}, 400),
    ],
    ids=str,
)
async def test_what_is_not_begun(folder: Disk, headers: dict[str, str], expected: int) -> None:
    url = await mint(folder, "d")
    assert (await ask(folder, "POST", url, None, **headers)).status == expected
    assert folder.tree() == {}


async def test_a_name_cannot_climb_through_a_link(folder: Disk) -> None:
    (folder.root / "out").symlink_to("../outside")
    where = await begun(folder, await mint(folder), "out/f", 4)
    assert (await patch(folder, where, 0, b"data")).status == 400
    (folder.root / ".upload").exists()


async def test_a_token_is_for_one_kind_of_upload(folder: Disk) -> None:
    url = await mint(folder)
    assert kind(await patch(folder, url, 0, b"data")) == (400, "jwt-payload-validation-error")
    core = url.replace("/uploads?", "/upload?")
    assert kind(await patch(folder, core, 0, b"data")) == (400, "jwt-payload-validation-error")
    where = await begun(folder, url, "f", 4)
    assert kind(await begin(folder, where, "g", 4)) == (400, "jwt-payload-validation-error")
    one = await folder.ask("upload", relpath="one", size=4)
    assert kind(await begin(folder, url.partition("=")[0] + "=" + one.json["token"], "g", 4))[0] == 400
    claims = {"op": "upload", "volume": "m", "vfid": str(FOLDER), "relpath": ".", "size": 9, "session": "0" * 32}
    late = jwt.encode({**claims, "exp": 1, "pannier": {"v": 1, "multiple": True}}, KEY, algorithm="HS256")
    assert (await begin(folder, f"{folder.it.listening.client_url}/uploads?token={late}", "f", 4)).status == 401


async def test_bytes_with_the_creation_and_empty_files(folder: Disk) -> None:
    url = await mint(folder)
    whole = await ask(folder, "POST", url, b"data", Upload_Length="4", Upload_Metadata=said("whole"), Content_Type=TYPE)
    assert (whole.status, whole.headers["Upload-Offset"]) == (201, "4")
    part = await ask(folder, "POST", url, b"da", Upload_Length="4", Upload_Metadata=said("part"), Content_Type=TYPE)
    assert (part.status, part.headers["Upload-Offset"]) == (201, "2")
    assert (await patch(folder, urljoin(url, part.headers["Location"]), 2, b"ta")).status == 204
    empty = await begin(folder, url, "new/empty", 0)
    assert (empty.status, empty.headers["Upload-Offset"]) == (201, "0")
    asked = await ask(folder, "HEAD", urljoin(url, empty.headers["Location"]))
    assert (asked.status, asked.headers["Upload-Offset"]) == (200, "0")
    assert folder.tree() == {"whole": "data", "part": "data", "new": "directory", "new/empty": ""}


def given(algorithm: str, data: bytes) -> str:
    plain = zlib.crc32(data).to_bytes(4, "big") if algorithm == "crc32" else hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(plain).decode()}"


@pytest.mark.parametrize("algorithm", ["crc32", "md5", "sha1", "sha256"])
async def test_bytes_count_only_with_their_checksum(folder: Disk, algorithm: str) -> None:
    content = os.urandom(3 * MIB)
    where = await begun(folder, await mint(folder), "f", len(content))
    assert (await patch(folder, where, 0, content[:MIB], Upload_Checksum=given(algorithm, content[:MIB]))).status == 204
    wrong = await patch(folder, where, MIB, content[MIB:], Upload_Checksum=given(algorithm, b"other"))
    assert kind(wrong) == (460, "upload-checksum-mismatch")
    assert (await ask(folder, "HEAD", where)).headers["Upload-Offset"] == str(MIB)
    (staged,) = (folder.root / ".upload").iterdir()
    assert staged.stat().st_size == MIB
    assert (
        await patch(folder, where, MIB, content[MIB:], Upload_Checksum=given(algorithm, content[MIB:]))
    ).status == 204
    assert (folder.root / "f").read_bytes() == content


async def test_what_no_checksum_vouches_for_is_dropped_when_its_request_is_cut(folder: Disk) -> None:
    where = await begun(folder, await mint(folder), "f", 4 * MIB)

    async def cut() -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        raise RuntimeError("the client dies")

    headers = {"Upload-Offset": "0", "Tus-Resumable": "1.0.0", "Content-Type": TYPE}
    async with aiohttp.ClientSession() as session:
        with pytest.raises((aiohttp.ClientError, RuntimeError)):
            await session.patch(where, data=cut(), headers={**headers, "Upload-Checksum": given("sha1", b"x")})
    asked = await ask(folder, "HEAD", where)
    async with asyncio.timeout(PATIENCE):
        while asked.status == 409:
            await asyncio.sleep(0.01)
            asked = await ask(folder, "HEAD", where)
    assert (asked.status, asked.headers["Upload-Offset"]) == (200, "0")


async def test_an_upload_that_is_given_up_leaves_nothing(folder: Disk) -> None:
    where = await begun(folder, await mint(folder), "f", 4)
    assert (await patch(folder, where, 0, b"da")).status == 204
    assert (await ask(folder, "DELETE", where)).status == 204
    assert folder.tree() == {}
    for answer in (await ask(folder, "HEAD", where), await ask(folder, "DELETE", where)):
        assert answer.status == 404
    assert kind(await patch(folder, where, 2, b"ta")) == (404, "tus-session-not-found")


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("f.txt", ["f.txt"], "f (1).txt"),
        ("f.txt", ["f.txt", "f (1).txt", "f (2).txt"], "f (3).txt"),
        ("f", ["f"], "f (1)"),
        (".bashrc", [".bashrc"], ".bashrc (1)"),
        ("a.tar.gz", ["a.tar.gz"], "a.tar (1).gz"),
        ("d/f", ["d/f"], "d/f (1)"),
        ("한" * 85, ["한" * 85], "한" * 83 + " (1)"),
        ("free", [], "free"),
    ],
)
async def test_an_upload_gives_way_to_what_has_its_name(
    folder: Disk, name: str, there: list[str], expected: str
) -> None:
    for path in there:
        (folder.root / path).parent.mkdir(exist_ok=True)
        (folder.root / path).write_text("before")
    url = await mint(folder, conflict="rename")
    for size in (4, 0):
        made = await ask(
            folder, "POST", url, b"data"[:size], Upload_Length=str(size), Upload_Metadata=said(name), Content_Type=TYPE
        )
        assert made.status == 201
        appeared = unquote(made.headers["Upload-Name"])
        assert (folder.root / appeared).read_text() == "data"[:size]
        assert appeared == expected or not size
    assert all((folder.root / path).read_text() == "before" for path in there)
    assert len([content for content in folder.tree().values() if content == ""]) == 1


async def test_an_upload_is_refused_where_something_has_its_name(folder: Disk) -> None:
    (folder.root / "f").write_text("before")
    url = await mint(folder, conflict="refuse")
    for size in (0, 4):
        assert kind(await begin(folder, url, "f", size)) == (409, "target-exists")
    answer = await folder.ask("upload", relpath="f", size=4, conflict="refuse")
    assert kind(answer) == (409, "target-exists")
    where = await begun(folder, url, "g", 4)
    (folder.root / "g").write_text("quicker")
    for answer in (await patch(folder, where, 0, b"data"), await patch(folder, where, 4, b"")):
        assert kind(answer) == (409, "target-exists")
    (folder.root / "g").unlink()
    assert (await ask(folder, "HEAD", where)).status == 200  # it is whole: all it wanted was its name
    assert folder.tree() == {"f": "before", "g": "data"}


async def test_of_many_with_one_name_each_stays(folder: Disk) -> None:
    url = await mint(folder, conflict="rename")
    places = [await begun(folder, url, "f", 4) for _ in range(12)]
    answers = await asyncio.gather(*(patch(folder, place, 0, b"%04d" % n) for n, place in enumerate(places)))
    assert {answer.status for answer in answers} == {204}
    assert sorted(folder.tree().values()) == [f"{n:04d}" for n in range(12)]
    refusing = await mint(folder, conflict="refuse")
    places = [await begun(folder, refusing, "g", 4) for _ in range(12)]
    answers = await asyncio.gather(*(patch(folder, place, 0, b"%04d" % n) for n, place in enumerate(places)))
    assert sorted(answer.status for answer in answers) == [204] + [409] * 11


async def test_the_checksum_of_an_upload_is_known_when_it_is_downloaded(folder: Disk) -> None:
    content = os.urandom(3 * MIB)
    where = await begun(folder, await mint(folder), "f", len(content))
    for at in range(0, len(content), MIB):
        assert (await patch(folder, where, at, content[at : at + MIB])).status == 204
    store = checksum_store(folder.it.settings, {})
    await asyncio.to_thread(store.open)
    try:
        volume = folder.it.server._volumes["m"]
        status = (folder.root / "f").stat()
        identity = pack_identity(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        deadline = time.monotonic() + 20
        while (known := await asyncio.to_thread(store.get, volume.id, identity)) is None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        assert known == zlib.crc32(content)
    finally:
        await asyncio.to_thread(store.close)


async def test_a_finished_upload_is_known_to_be_after_a_restart(tmp_path: Path) -> None:
    async with disk(tmp_path) as first:
        url = await mint(first)
        where = await begun(first, url, "f", 4)
        assert (await patch(first, where, 0, b"data")).status == 204
        left = await begun(first, url, "g", 4)
    (tmp_path / "first").mkdir()
    for name in ("folder", "outside"):
        (tmp_path / name).rename(tmp_path / "first" / name)
    async with disk(tmp_path) as second:  # over another folder: what is said comes from the state
        path = where.partition("/uploads")[2]
        told = await ask(second, "HEAD", f"{second.it.listening.client_url}/uploads{path}")
        assert (told.status, told.headers["Upload-Offset"]) == (200, "4")
        path = left.partition("/uploads")[2]
        assert (await ask(second, "HEAD", f"{second.it.listening.client_url}/uploads{path}")).status == 404


async def test_what_is_given_up_when_whole_was_never_finished(folder: Disk) -> None:
    url = await mint(folder, conflict="refuse")
    where = await begun(folder, url, "f", 4)
    (folder.root / "f").write_text("quicker")
    assert kind(await patch(folder, where, 0, b"data")) == (409, "target-exists")
    assert (await ask(folder, "DELETE", where)).status == 204
    assert (await ask(folder, "HEAD", where)).status == 404
    assert folder.tree() == {"f": "quicker"}


async def test_what_no_header_can_carry_is_no_metadata(tmp_path: Path) -> None:
    """It is told again by HEAD: in a token that somebody else has signed, too."""
    async with disk(tmp_path) as it:
        several = (await it.ask("upload", relpath=".", size=3, multiple=True)).json["token"]
        url = f"{it.it.listening.client_url}/uploads?token="
        begun = {"Tus_Resumable": "1.0.0", "Upload_Length": "3"}
        said = {"Upload_Metadata": "filename YQ==,\u00a0other YQ=="}
        refused = await it.it.ask("POST", url + several, **begun, **said)
        assert (refused.status, list(refused.json["data"])) == (400, ["Upload-Metadata"])
        answer = await it.it.ask("POST", url + several, **begun, Upload_Metadata="filename YQ==")
        claims = jwt.decode(answer.headers["Location"].rpartition("=")[2], KEY, algorithms=["HS256"])
        for metadata in ("filename YQ==\r\nX-Injected: 1", "a\0", "\udcff", "\u20ac"):
            token = jwt.encode(claims | {"pannier": claims["pannier"] | {"metadata": metadata}}, KEY)
            told = await it.it.ask("HEAD", url + token, Tus_Resumable="1.0.0")
            assert (told.status, told.headers.get("X-Injected")) == (400, None)
