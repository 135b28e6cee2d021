"""``GET /archive-members``: where the entries of an archive lie in it."""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pannier.archive.entries import Entries, Entry, Kind
from pannier.errors import FileMissing
from pannier.services.members import find
from tests.api.live import SECRET, Answer, Live, gist, live

CONTENTS = {
    "a.txt": b"alpha" * 100,
    "empty": b"",
    "with\\slash": b"renamed",
    "사진/바다.bin": random.Random(8).randbytes(70_000),
}


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path) as it:
        for path, content in CONTENTS.items():
            it.write(path, content)
        yield it


async def asked(it: Live, token: str, **query: object) -> Answer:
    return await it.ask("GET", f"{it.listening.client_url}/archive-members?{urlencode({'token': token, **query})}")


@pytest.mark.parametrize("format", ["zip", "tar"])
async def test_contents_are_where_it_says(it: Live, format: str) -> None:
    token = await it.mint(format=format)
    whole = await it.get(token)
    answer = await asked(it, token)
    assert answer.status == 200
    told = answer.json
    assert (told["etag"], told["length"], told["entries"], told["next"]) == (
        whole.headers["ETag"],
        len(whole.body),
        4,
        None,
    )
    assert [each["name"] for each in told["items"]] == ["a.txt", "empty", "with_slash", "사진/바다.bin"]
    for each in told["items"]:
        content = whole.body[each["offset"] : each["offset"] + each["size"]]
        assert content == CONTENTS[each["path"]]
        known = format == "zip" or not content  # a tar has taught the server nothing
        assert each["crc32"] == (zlib.crc32(content) if known else None)


async def test_a_part_is_read_before_any_checksum_is_known(it: Live) -> None:
    token = await it.mint()
    told = (await asked(it, token, path="사진/바다.bin")).json
    (member,) = told["items"]
    assert member["crc32"] is None
    first, last = member["offset"], member["offset"] + member["size"] - 1
    part = await it.get(token, Range=f"bytes={first}-{last}", If_Range=told["etag"])
    assert part.status == 206
    whole = (await it.get(token)).body
    assert part.body == whole[first : last + 1]


async def test_an_entry_is_found_by_its_path_and_by_its_name(it: Live) -> None:
    token = await it.mint()
    by_path, by_name = await asked(it, token, path="with\\slash"), await asked(it, token, path="with_slash")
    assert by_path.json["items"] == by_name.json["items"]
    assert len(by_path.json["items"]) == 1
    assert gist(await asked(it, token, path="nothing")).startswith("404")
    assert gist(await asked(it, token, path="사진")).startswith("404")


async def test_pages_are_of_one_archive(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for number in range(1_001):
            it.write(f"{number:04}", b"x")
        token = await it.mint()
        first = (await asked(it, token)).json
        assert (len(first["items"]), first["next"]) == (1_000, 1_000)
        second = (await asked(it, token, start=1_000, etag=first["etag"])).json
        assert ([each["name"] for each in second["items"]], second["next"]) == (["1000"], None)
        it.write("0000", b"changed")
        assert gist(await asked(it, token, start=1_000, etag=first["etag"])) == "409 selection-changed"


async def test_packed_formats_have_no_places(it: Live) -> None:
    assert (await asked(it, await it.mint(format="tar.gz"))).status == 400


async def test_it_opens_by_a_token_and_no_longer_than_that(it: Live) -> None:
    token = await it.mint("a.txt")
    assert [each["path"] for each in (await asked(it, token)).json["items"]] == ["a.txt"]
    assert (await asked(it, token, path="empty")).status == 404
    forged = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    assert (await asked(it, forged)).status == 401
    assert (await asked(it, "")).status == 400
    session = (await it.ask("GET", f"{it.listening.client_url}/session?token={token}")).json["id"]
    await it.ask("DELETE", f"{it.listening.manager_url}/sessions/{session}", X_BackendAI_Storage_Auth_Token=SECRET)
    assert gist(await asked(it, token)) == "410 session-revoked"


def test_finding_passes_over_all_chunks() -> None:
    names = [b"%06d" % number for number in range(20_000)]
    entries = Entries.of([Entry(name, name, Kind.FILE, 1, 0, 0o644, b"", name) for name in names])
    assert [find(entries, name) for name in ("000000", "012345", "019999")] == [0, 12_345, 19_999]
    with pytest.raises(FileMissing):
        find(entries, "020000")
