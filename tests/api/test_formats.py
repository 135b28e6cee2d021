"""Formats over HTTP: which are given, to whom, and how encoded output answers."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import random
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import jwt
import pytest
import zstandard

from pannier.archive.formats import FORMATS
from tests.api.live import FOLDER, MINT, PLAN, Live, live

BIG = random.Random(3).randbytes(700_000)
ENCODED = [label for label, made in FORMATS.items() if made.encoding is not None]
LABELS = list(FORMATS)
ALL = "zip, zip+deflate, tar, tar.gz, tar.zst"


def fill(it: Live) -> None:
    it.write("a.txt", b"alpha " * 1_000)
    it.write("b/big.bin", BIG)
    it.write("b/empty", b"")


def options(label: str) -> dict[str, str]:
    made = FORMATS[label]
    return {"format": made.name, "compression": made.compression}


def query(label: str) -> str:
    return "&" + "&".join(f"{key}={value}" for key, value in options(label).items())


def held(label: str, archive: bytes) -> dict[str, bytes]:
    if label.startswith("zip"):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return {each.filename: opened.read(each) for each in opened.infolist()}
    match label:
        case "tar.gz":
            archive = gzip.decompress(archive)
        case "tar.zst":
            with zstandard.ZstdDecompressor().stream_reader(archive, read_across_frames=True) as reader:
                archive = reader.read()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        contents = {each.name: tar.extractfile(each) for each in tar}
        return {name: content.read() for name, content in contents.items() if content is not None}


WANTED = {"a.txt": b"alpha " * 1_000, "b/big.bin": BIG, "b/empty": b""}


@pytest.mark.parametrize("label", LABELS)
async def test_a_token_gives_its_format_under_its_type_and_name(tmp_path: Path, label: str) -> None:
    made = FORMATS[label]
    async with live(tmp_path) as it:
        fill(it)
        answer = await it.get(await it.mint(**options(label)))
        assert (answer.status, answer.headers["Content-Type"]) == (200, made.media_type)
        assert f'filename="archive{made.extension}"' in answer.headers["Content-Disposition"]
        assert held(label, answer.body) == WANTED
        named = await it.get(await it.mint(filename="trip.2026", **options(label)))
        assert 'filename="trip.2026"' in named.headers["Content-Disposition"]  # signed as it is


@pytest.mark.parametrize("label", ENCODED)
async def test_encoded_output_has_no_length_no_validators_and_no_ranges(tmp_path: Path, label: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(**options(label))
        answer = await it.get(token)
        absent = {"Content-Length", "ETag", "Last-Modified", "Content-Range"}
        assert not absent & set(answer.headers)
        assert (answer.headers["Transfer-Encoding"], answer.headers["Accept-Ranges"]) == ("chunked", "none")
        assert answer.headers["Cache-Control"] == "private, no-transform"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        head = await it.ask("HEAD", it.url(token))
        assert (head.status, head.body) == (200, b"")
        varies = {"Date", "X-Request-ID", "Transfer-Encoding"}
        assert {k: v for k, v in head.headers.items() if k not in varies} == {
            k: v for k, v in answer.headers.items() if k not in varies
        }
        for headers in ({"Range": "bytes=5-9"}, {"Range": "bytes=5-", "If_Range": '"x"'}, {"If_None_Match": '"x"'}):
            whole = await it.get(token, **headers)
            assert (whole.status, held(label, whole.body)) == (200, WANTED), headers
        assert (await it.get(token, If_None_Match="*")).status == 304
        failed = await it.get(token, If_Match='"x"')
        assert (failed.status, failed.json["type"]) == (412, "urn:pannier:problem:precondition-failed")


@pytest.mark.parametrize("label", ENCODED)
async def test_encoded_output_needs_http_1_1(tmp_path: Path, label: str) -> None:
    """There, a cut cannot be told from the end."""
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(**options(label))
        for method in ("GET", "HEAD"):
            head, body = await by_hand(it, f"{method} /download-archive?token={token} HTTP/1.0\r\n\r\n")
            assert head.startswith("HTTP/1.0 426 ")
            assert "\r\nupgrade: http/1.1\r\n" in head.lower()
            assert "\r\nconnection: upgrade\r\n" in head.lower()
            if method == "GET":
                problem = json.loads(body)
                assert (problem["status"], problem["type"]) == (426, "urn:pannier:problem:upgrade-required")
                assert "HTTP/1.1" in problem["detail"]
        stored = await it.mint(**options("tar"))
        head, _ = await by_hand(it, f"HEAD /download-archive?token={stored} HTTP/1.0\r\n\r\n")
        assert head.startswith("HTTP/1.0 200 ")


async def by_hand(it: Live, request: str) -> tuple[str, bytes]:
    host, _, port = it.listening.client_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        return head.decode(), await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("label", ENCODED)
async def test_what_cannot_be_sent_is_refused_before_the_first_byte(tmp_path: Path, label: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint("a.txt", "b", **options(label))
        it.memory.remove(FOLDER, b"a.txt")
        answer = await it.get(token)
        assert (answer.status, answer.json["type"]) == (404, "urn:pannier:problem:selection-refused")


@pytest.mark.parametrize("label", ENCODED)
async def test_a_failure_after_the_first_byte_is_no_clean_end(tmp_path: Path, label: str) -> None:
    async with live(tmp_path) as it:
        it.write("big", random.Random(4).randbytes(24_000_000))
        token = await it.mint(**options(label))
        it.memory.break_reads(FOLDER, b"big", at=23_000_000)
        head, body = await by_hand(it, f"GET /download-archive?token={token} HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 ")
        assert b"\r\n0\r\n\r\n" not in body[-16:]


# ---------------------------------------------------------------- minting


async def test_minting_tells_a_length_only_where_there_is_one(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        for label in LABELS:
            reply = (await it.manage(MINT, it.order(**options(label)))).json
            plan = (await it.manage(PLAN, it.order(**options(label)))).json
            assert (plan["format"], plan["compression"]) == (FORMATS[label].name, FORMATS[label].compression)
            assert (reply["plan"], reply["entries"]) == ("done", 3)
            if label in ENCODED:
                assert set(reply) == {"token", "plan", "entries", "session"}
                assert (plan["length"], plan["etag"]) == (None, None)
            else:
                answer = await it.get(reply["token"])
                assert len(answer.body) == reply["length"] == plan["length"]
                assert answer.headers["ETag"] == reply["etag"] == plan["etag"]


async def test_tokens_of_the_default_format_are_those_of_the_wire(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        for more in ({}, {"format": "zip"}, {"format": "zip", "compression": "none"}, {"compression": "stored"}):
            claims = jwt.decode(await it.mint("a.txt", **more), options={"verify_signature": False})
            assert set(claims) == {"operation", "volume", "virtual_folder_id", "files", "filename", "exp", "jti"}
            assert (claims["files"], claims["filename"]) == (["a.txt"], None)


async def test_a_format_travels_in_our_claim_and_the_files_stay_where_they_are(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"format": "tar"}, {"v": 1, "format": "tar"}),
            ({"compression": "deflate"}, {"v": 1, "compression": "deflate"}),
            ({"formats": ["tar", "zip+deflate"]}, {"v": 1, "formats": ["tar", "zip+deflate"]}),
        ]
        for more, claim in cases:
            claims = jwt.decode(await it.mint("a.txt", **more), options={"verify_signature": False})
            assert (claims["files"], claims["pannier"]) == (["a.txt"], claim)
        narrowed = await it.mint(".", format="tar", exclude=["*.bin"])
        assert set(held("tar", (await it.get(narrowed)).body)) == {"a.txt", "b/empty"}
        many = [f"b/../{'x/../' * 20}a.txt" for _ in range(100)]
        kept = await it.mint(*many, "b", format="tar.gz", formats=["zip"])
        claims = jwt.decode(kept, options={"verify_signature": False})
        assert set(claims["pannier"]) == {"v", "selection", "format", "formats"}
        assert held("tar.gz", (await it.get(kept)).body) == WANTED
        assert held("zip", (await it.ask("GET", it.url(kept) + "&format=zip")).body) == WANTED


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"format": "rar"}, "'zip', 'tar', 'tar.gz' or 'tar.zst'"),
        ({"compression": "bzip2"}, "'none' or 'deflate'"),
        ({"format": "tar", "compression": "deflate"}, ALL),
        ({"formats": ["tgz"]}, "'zip', 'zip+deflate', 'tar', 'tar.gz' or 'tar.zst'"),
        ({"layout": "plain", "compression": "deflate"}, "leave one of them out"),
        ({"layout": "plain", "formats": ["zip+deflate"]}, "leave one of them out"),
    ],
)
async def test_unknown_formats_are_refused_with_a_list(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        for route in (MINT, *([PLAN] if "formats" not in more else [])):
            answer = await it.manage(route, it.order(**more))
            assert answer.status == 400
            assert told in answer.json["detail"]


# ---------------------------------------------------------------- asked for when a token is spent


@pytest.mark.parametrize("label", LABELS)
async def test_a_token_gives_the_formats_that_it_allows(tmp_path: Path, label: str) -> None:
    async with live(tmp_path) as it:
        fill(it)
        signed = next(other for other in LABELS if other != label)
        token = await it.mint(filename="trip" + FORMATS[signed].extension, formats=[label], **options(signed))
        asked = await it.ask("GET", it.url(token) + query(label))
        assert (asked.status, held(label, asked.body)) == (200, WANTED)
        assert f'filename="trip{FORMATS[label].extension}"' in asked.headers["Content-Disposition"]
        assert held(signed, (await it.get(token)).body) == WANTED
        assert held(signed, (await it.ask("GET", it.url(token) + query(signed))).body) == WANTED


async def test_what_is_not_asked_for_is_as_signed(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(compression="deflate", formats=["zip", "tar"])
        for asked, encoded in [
            ("", True),
            ("&format=zip", True),
            ("&compression=stored", False),
            ("&format=tar", False),
        ]:
            answer = await it.ask("HEAD", it.url(token) + asked)
            assert (answer.headers["Accept-Ranges"] == "none") is encoded, asked


async def test_a_format_that_the_token_does_not_allow_is_refused_with_those_it_does(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        plain, more = await it.mint(), await it.mint(format="tar.zst", formats=["tar", "zip"])
        for token, asked, told in [
            (plain, "&format=tar", "zip;"),
            (plain, "&compression=deflate", "zip;"),
            (plain, "&format=tar&compression=deflate", "zip;"),
            (more, "&format=tar.gz", "tar.zst, tar, zip;"),
            (more, "&format=zip&compression=deflate", "tar.zst, tar, zip;"),
        ]:
            answer = await it.ask("GET", it.url(token) + asked)
            assert (answer.status, answer.json["type"]) == (
                400,
                "https://api.backend.ai/probs/storage/invalid-api-params",
            )
            assert told in answer.json["detail"]
        for asked, told in [("&format=rar", "'tar.gz'"), ("&compression=lzma", "'deflate'"), ("&format=", "'tar.gz'")]:
            answer = await it.ask("GET", it.url(more) + asked)
            assert (answer.status, answer.json["type"]) == (400, "https://api.backend.ai/probs/generic-bad-request")
            assert told in answer.json["detail"]


async def test_each_stored_format_of_a_token_is_a_download_of_its_own(tmp_path: Path) -> None:
    """Pinned apart: neither breaks the other, and neither goes on with bytes of the other."""
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(formats=["tar"])
        as_zip, as_tar = it.url(token), it.url(token) + "&format=tar"
        whole = {url: await it.ask("GET", url) for url in (as_zip, as_tar)}
        assert whole[as_zip].headers["ETag"] != whole[as_tar].headers["ETag"]
        for url, answer in whole.items():
            rest = await it.ask("GET", url, Range="bytes=1000-")
            assert (rest.status, rest.body) == (206, answer.body[1000:])
        other = await it.ask("GET", as_tar, Range="bytes=1000-", If_Range=whole[as_zip].headers["ETag"])
        assert (other.status, other.body) == (200, whole[as_tar].body)
        it.write("a.txt", b"another")
        for url in whole:
            changed = await it.ask("GET", url, Range="bytes=1000-")
            assert (changed.status, changed.json["type"]) == (409, "urn:pannier:problem:selection-changed")
        fresh = await it.mint(formats=["tar"])
        await it.get(fresh)
        begun = await it.ask("GET", it.url(fresh) + "&format=tar", Range="bytes=5-")
        assert (begun.status, begun.json["type"]) == (409, "urn:pannier:problem:resume-unverified")


async def test_any_window_of_a_tar_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(format="tar")
        whole = (await it.get(token)).body
        for start, stop in [(0, 1), (511, 513), (1_000, len(whole)), (len(whole) - 20, len(whole)), (0, len(whole))]:
            part = await it.get(token, Range=f"bytes={start}-{stop - 1}")
            assert (part.status, part.body) == (206, whole[start:stop])


async def test_all_formats_of_a_selection_share_one_walk(tmp_path: Path) -> None:
    """A file that appears after it is in none of them; without sharing, the second format would show it."""
    async with live(tmp_path, archive={"plan_fresh_min": 60, "plan_fresh_max": 60}) as it:
        fill(it)
        token = await it.mint(formats=[label for label in LABELS if label != "zip"])
        it.write("late.txt", b"late")
        for label in LABELS:
            answer = await it.ask("GET", it.url(token) + query(label))
            assert held(label, answer.body) == WANTED
