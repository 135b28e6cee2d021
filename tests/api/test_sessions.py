"""Sessions over a real server: what managers and holders of a token are told, and how links end."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from tests.api.live import FOLDER, KEY, MINT, SECRET, Answer, Live, gist, live
from tests.cli.commands import certificate

CHANCE = random.Random(5)
REVOKED, SPENT, EXPIRED = "410 session-revoked", "410 session-spent", "401 //api.backend.ai/probs/jwt-expired"
SLOW = 300_000
"""Bytes per second at which a download is caught in its middle."""
BIG = 3_000_000


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Live]:
    async with live(tmp_path) as it:
        it.write("a", b"alpha" * 100)
        it.write("big", CHANCE.randbytes(BIG))
        yield it


async def minted(it: Live, *files: str, **more: Any) -> tuple[str, str]:
    """Return a token and the id of its session."""
    answer = await it.manage(MINT, it.order(*files, **more))
    assert answer.status == 200, answer.json
    return answer.json["token"], answer.json["session"]


async def ask(it: Live, path: str, method: str = "GET") -> Answer:
    return await it.ask(method, it.listening.manager_url + path, X_BackendAI_Storage_Auth_Token=SECRET)


async def told(it: Live, session: str) -> dict[str, Any]:
    answer = await ask(it, f"/sessions/{session}")
    assert answer.status == 200, answer.json
    return dict(answer.json)


async def own(it: Live, token: str) -> Answer:
    return await it.ask("GET", f"{it.listening.client_url}/session?token={token}")


async def until(it: Live, session: str, **members: Any) -> dict[str, Any]:
    """Wait until a session is told of with these members."""
    async with asyncio.timeout(30):
        while True:
            now = await told(it, session)
            if {name: now[name] for name in members} == members:
                return now
            await asyncio.sleep(0.02)


@asynccontextmanager
async def caught(it: Live, token: str, **headers: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Begin a download, and give it when something has arrived."""
    async with it.session.get(it.url(token), headers=headers) as response:
        assert response.status in (200, 206)
        await response.content.readany()
        yield response


# ---------------------------------------------------------------- what is told


async def test_a_session_is_there_when_its_token_is_and_tells_what_was_given_out(it: Live) -> None:
    token, session = await minted(it, filename="x.zip", rate=10**9, expires_in=600, resume_grace=60)
    now = await told(it, session)
    assert now["state"] == "new"
    assert {name: now[name] for name in ("id", "volume", "virtual_folder_id", "filename", "format", "rate")} == {
        "id": session,
        "volume": "m",
        "virtual_folder_id": str(FOLDER),
        "filename": "x.zip",
        "format": "zip",
        "rate": 10**9,
    }
    assert (now["etag"], now["length"], now["failure"], now["one_time"]) == (None, None, None, False)
    assert now["delivered"] == {"bytes": 0, "total": 0, "ranges": []}
    for name, seconds in (("created_at", 0), ("expires_at", 600), ("resumable_until", 660)):
        moment = time.strptime(now[name], "%Y-%m-%dT%H:%M:%SZ")
        assert abs(time.mktime(moment) - time.timezone - time.time() - seconds) < 60
    part = await it.get(token, Range="bytes=0-199")
    begun = await until(it, session, state="active", delivered={"bytes": 200, "total": 200, "ranges": [[0, 200]]})
    assert begun["etag"] == part.headers["ETag"]


async def test_what_was_delivered_is_told_by_ranges_and_complete_once_they_cover_it(it: Live) -> None:
    token, session = await minted(it)
    head = await it.ask("HEAD", it.url(token))
    size = int(head.headers["Content-Length"])
    assert (await told(it, session))["delivered"]["total"] == 0
    for start, stop in ((0, 100), (300, 500), (50, 150)):
        await it.get(token, Range=f"bytes={start}-{stop - 1}")
    now = await until(it, session, delivered={"bytes": 350, "total": 400, "ranges": [[0, 150], [300, 500]]})
    assert (now["state"], now["etag"], now["length"]) == ("active", head.headers["ETag"], size)
    assert now["completed_at"] is None
    await it.get(token, Range="bytes=120-")
    now = await until(it, session, state="complete")
    assert now["delivered"] == {"bytes": size, "total": 400 + size - 120, "ranges": [[0, size]]}
    assert now["completed_at"] >= now["created_at"]


async def test_packed_output_counts_and_is_complete_at_its_end(it: Live) -> None:
    token, session = await minted(it, format="tar.gz")
    body = (await it.get(token)).body
    now = await until(it, session, state="complete")
    assert (now["delivered"]["ranges"], now["etag"], now["resumable"]) == ([], None, None)
    assert now["delivered"]["total"] == len(body)


async def test_who_has_the_token_reads_the_same_as_the_manager(it: Live) -> None:
    token, session = await minted(it)
    await it.get(token, Range="bytes=0-99")
    seen = await until(it, session, state="active")
    mine = await own(it, token)
    assert mine.status == 200
    assert mine.json == seen | {"resumable": True}
    bearer = await it.ask("GET", f"{it.listening.client_url}/session", Authorization=f"Bearer {token}")
    assert bearer.json["id"] == session


@pytest.mark.parametrize(
    ("token", "outcome"),
    [("garbage", "400 jwt-decode-error"), ("", "400 generic-bad-request"), (None, "400 generic-bad-request")],
)
async def test_nobody_reads_a_session_without_its_token(it: Live, token: str | None, outcome: str) -> None:
    query = "" if token is None else f"?token={token}"
    answer = await it.ask("GET", f"{it.listening.client_url}/session{query}")
    assert f"{answer.status} {re.split('[:/]', answer.json['type'])[-1]}" == outcome


async def test_a_token_that_somebody_else_has_made_gets_its_session_with_its_first_download(it: Live) -> None:
    claims = {"operation": "download", "volume": "m", "virtual_folder_id": str(FOLDER), "files": ["a"]}
    token = jwt.encode({**claims, "filename": None, "exp": int(time.time()) + 900}, KEY, algorithm="HS256")
    mine = (await own(it, token)).json
    assert mine["state"] == "new"
    assert (await ask(it, f"/sessions/{mine['id']}")).status == 404
    assert (await it.get(token)).status == 200
    await until(it, mine["id"], state="complete")
    assert (await ask(it, f"/sessions/{mine['id']}", "DELETE")).json["state"] == "revoked"
    assert gist(await it.get(token)) == REVOKED


async def test_sessions_are_listed_the_newest_first_page_by_page(it: Live) -> None:
    ids = [(await minted(it, "a"))[1] for _ in range(5)]
    page = (await ask(it, "/sessions?limit=2")).json
    assert [item["id"] for item in page["items"]] == [ids[4], ids[3]]
    page = (await ask(it, f"/sessions?limit=2&cursor={page['cursor']}")).json
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    page = (await ask(it, f"/sessions?limit=2&cursor={page['cursor']}")).json
    assert ([item["id"] for item in page["items"]], page["cursor"]) == ([ids[0]], None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"volume=m&vfid={FOLDER}", True),
        (f"vfid={FOLDER.folder}", True),
        (f"vfid=user:{FOLDER.folder}/{FOLDER.folder}", True),
        ("volume=m", True),
        ("volume=other", False),
        ("vfid=00000000000000000000000000000099", False),
    ],
)
async def test_sessions_are_listed_by_volume_and_folder(it: Live, query: str, found: bool) -> None:
    _, session = await minted(it, "a")
    items = (await ask(it, f"/sessions?{query}")).json["items"]
    assert [item["id"] for item in items] == ([session] if found else [])


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=x", "cursor=0", "vfid=..", "later=1"])
async def test_a_list_that_cannot_be_is_refused(it: Live, query: str) -> None:
    assert (await ask(it, f"/sessions?{query}")).status == 400


@pytest.mark.parametrize("id", ["x", "00", "A" * 64, "ab" * 32, "%00"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_unknown_session_is_missing(it: Live, id: str, method: str) -> None:
    assert gist(await ask(it, f"/sessions/{id}", method)) == "404 session-not-found"


async def test_sessions_are_for_the_manager(it: Live) -> None:
    for path in ("/sessions", f"/sessions/{'ab' * 32}"):
        assert (await it.ask("GET", it.listening.manager_url + path)).status == 403
        assert (await it.ask("GET", it.listening.client_url + path)).status == 404


# ---------------------------------------------------------------- revoked


async def test_a_revoked_link_opens_nothing_and_still_tells_that_it_was(it: Live) -> None:
    token, session = await minted(it)
    size = len((await it.get(token)).body)
    other, _ = await minted(it)
    revoked = await ask(it, f"/sessions/{session}", "DELETE")
    assert (revoked.status, revoked.json["state"]) == (200, "revoked")
    for headers in ({}, {"Range": "bytes=5-"}, {"Range": f"bytes={size}-"}, {"If-None-Match": "*"}):
        answer = await it.get(token, **headers)
        assert gist(answer) == REVOKED
        assert answer.json["error_code"] == "auth_auth_data-expired"
    assert (await it.ask("HEAD", it.url(token))).status == 410
    again = await ask(it, f"/sessions/{session}", "DELETE")
    assert again.json["revoked_at"] == revoked.json["revoked_at"]
    mine = await own(it, token)
    assert (mine.status, mine.json["state"], mine.json["resumable"]) == (200, "revoked", False)
    assert (await it.get(other)).status == 200


@pytest.mark.parametrize("way", ["one", "folder"])
@pytest.mark.parametrize("format", ["zip", "tar", "tar.gz"])
async def test_revoking_cuts_a_stream_that_runs(it: Live, way: str, format: str) -> None:
    token, session = await minted(it, rate=SLOW, format=format)
    async with caught(it, token) as response:
        if way == "one":
            await ask(it, f"/sessions/{session}", "DELETE")
        else:
            answer = await it.manage("/folder/revoke", {"volume": "m", "vfid": str(FOLDER)})
            assert answer.json == {"revoked": 1}
        with pytest.raises(aiohttp.ClientError):
            await response.read()
    now = await told(it, session)
    assert now["state"] == "revoked"
    assert now["failure"] is None
    assert 0 < now["delivered"]["total"] < BIG


async def test_a_paced_stream_that_sleeps_is_cut_at_once_too(it: Live) -> None:
    token, session = await minted(it, rate=100)  # the second piece is due in minutes
    async with caught(it, token) as response:
        await ask(it, f"/sessions/{session}", "DELETE")
        async with asyncio.timeout(20):
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_a_folder_is_revoked_in_any_spelling_and_its_later_links_are_not(it: Live) -> None:
    token, _ = await minted(it)
    for folder, count in ((FOLDER.folder.hex[:-1] + "f", 0), (str(FOLDER.folder), 1), (str(FOLDER), 0)):
        answer = await it.manage("/folder/revoke", {"volume": "m", "vfid": folder})
        assert (answer.status, answer.json) == (200, {"revoked": count})
    assert gist(await it.get(token)) == REVOKED
    assert (await it.get((await minted(it))[0])).status == 200


async def test_a_folder_that_was_revoked_is_so_for_tokens_of_others_made_before(it: Live) -> None:
    claims = {"operation": "download", "volume": "m", "virtual_folder_id": str(FOLDER), "files": ["a"]}
    before, after = (
        jwt.encode({**claims, "filename": None, "exp": int(time.time()) + 3600 + by}, KEY, algorithm="HS256")
        for by in (-5, 5)  # seconds: tokens live for an hour here, so that their end tells when they were made
    )
    await it.manage("/folder/revoke", {"volume": "m", "vfid": str(FOLDER)})
    assert gist(await it.get(before)) == REVOKED
    assert (await it.get(after)).status == 200


async def test_another_process_of_the_same_state_revokes_too(tmp_path: Path) -> None:
    async with live(tmp_path) as one, live(tmp_path, volume=one.memory) as other:
        one.write("big", CHANCE.randbytes(BIG))
        token, session = await minted(one, rate=SLOW)
        assert (await other.get(token, Range="bytes=0-9")).status == 206
        async with caught(one, token) as response:
            assert (await ask(other, f"/sessions/{session}", "DELETE")).status == 200
            assert gist(await one.get(token, Range="bytes=5-")) == REVOKED  # at once
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        assert (await told(one, session))["delivered"]["total"] < BIG


# ---------------------------------------------------------------- a single download


async def test_a_link_for_one_download_is_spent_by_it_and_resumed_for_a_while(it: Live) -> None:
    token, session = await minted(it, one_time=True)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert re.fullmatch(r"\.upload/selection-[0-9a-f]{64}", claims["files"][0])
    assert claims["pannier"] == {"v": 1, "paths": ["."], "one_time": True}
    for _ in range(3):
        assert (await it.ask("HEAD", it.url(token))).status == 200
    assert (await told(it, session))["delivered"]["total"] == 0
    whole = await it.get(token)
    assert whole.status == 200
    now = await told(it, session)
    assert (now["state"], now["delivered"]["bytes"]) == ("spent", len(whole.body))
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=0-5"}, {"Range": "bytes=5-", "If-Range": '"x"'}):
        assert gist(await it.get(token, **headers)) == SPENT
    assert (await it.get(token, Range="bytes=5-")).body == whole.body[5:]
    assert (await it.ask("HEAD", it.url(token))).status == 200
    assert (await own(it, token)).json["state"] == "spent"


@pytest.mark.parametrize("parts", [[(0, 1000), (1000, 2**40)], [(0, 9), (2000, 2**40), (9, 2000)]])
async def test_parts_spend_it_only_together(it: Live, parts: list[tuple[int, int]]) -> None:
    token, session = await minted(it, one_time=True)
    for start, stop in parts:
        assert (await told(it, session))["spent_at"] is None
        assert (await it.get(token, Range=f"bytes={start}-{stop - 1}")).status == 206
    assert (await told(it, session))["state"] == "spent"
    assert gist(await it.get(token)) == SPENT


async def test_stopping_one_byte_short_buys_nothing(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("big", bytes(90_000_000))
        token, session = await minted(it, one_time=True)
        size = int((await it.ask("HEAD", it.url(token))).headers["Content-Length"])
        most, got, copies = size * 5 // 4 + 64 * 1024 * 1024, 0, 0
        while copies < 5:
            try:
                answer = await it.get(token, Range=f"bytes=0-{size - 2}")
            except aiohttp.ClientError:  # cut
                break
            if answer.status != 206:
                break
            copies, got = copies + 1, got + len(answer.body)
        assert copies == 1
        assert got <= most
        now = await told(it, session)
        assert (now["state"], now["completed_at"]) == ("spent", None)
        assert most < now["delivered"]["total"] < most + 16 * 1024 * 1024
        # what it lacks it can still have, and nothing else
        assert (await it.get(token, Range=f"bytes={size - 1}-")).status == 206
        with pytest.raises(aiohttp.ClientError):
            await it.get(token, Range="bytes=1-")


async def test_two_whole_downloads_at_once_do_not_both_end(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("big", bytes(400_000_000))
        token, _ = await minted(it, one_time=True)
        ends = await asyncio.gather(*(it.get(token) for _ in range(3)), return_exceptions=True)
        assert sum(isinstance(end, Answer) for end in ends) <= 1


async def test_a_single_download_of_many_small_files_is_counted_too(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for number in range(300):
            it.write(f"{number}", CHANCE.randbytes(20_000))
        token, session = await minted(it, one_time=True)
        whole = await it.get(token)
        now = await told(it, session)
        assert now["delivered"] == {
            "bytes": len(whole.body),
            "total": len(whole.body),
            "ranges": [[0, len(whole.body)]],
        }


async def test_after_ten_minutes_a_spent_link_is_over(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha" * 100)
        token, session = await minted(it, one_time=True)
        assert (await it.get(token)).status == 200
        assert (await told(it, session))["state"] == "spent"
        age(tmp_path, "spent", 601)
        for headers in ({}, {"Range": "bytes=5-"}, {"If-None-Match": "*"}):
            assert gist(await it.get(token, **headers)) == SPENT
        assert (await it.ask("HEAD", it.url(token))).status == 410
        assert (await own(it, token)).json["resumable"] is False
        assert (await told(it, session))["state"] == "spent"


def age(state: Path, column: str, seconds: int) -> None:
    """Have a moment of all sessions be longer ago."""
    with closing(sqlite3.connect(state / "state.db")) as connection:
        connection.execute(f"UPDATE sessions SET {column} = {column} - ?", (seconds,))
        connection.commit()


async def test_what_a_single_download_delivered_and_was_lost_ends_it(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha" * 100)
        token, _ = await minted(it, one_time=True)
        for file in tmp_path.glob("state.db*"):  # noqa: ASYNC240
            file.unlink()
        assert gist(await it.get(token)) == SPENT
        assert gist(await own(it, token)) == SPENT


@pytest.mark.parametrize(
    "more",
    [
        {"one_time": True, "format": "tar.gz"},
        {"one_time": True, "compression": "deflate"},
        {"one_time": True, "formats": ["tar"]},
        {"expires_in": 0},
        {"expires_in": 10**9},
        {"expires_in": "1h"},
        {"resume_grace": -1},
        {"rate": 0},
        {"rate": 2**60},
    ],
    ids=str,
)
async def test_terms_that_cannot_be_kept_are_refused(it: Live, more: dict[str, Any]) -> None:
    assert (await it.manage(MINT, it.order(**more))).status == 400


async def test_a_single_download_comes_in_its_own_format_only(it: Live) -> None:
    token, _ = await minted(it, one_time=True, format="tar")
    assert (await it.ask("GET", it.url(token) + "&format=zip")).status == 400
    assert (await it.ask("GET", it.url(token) + "&format=tar")).status == 200


async def test_a_large_selection_may_be_for_a_single_download(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        names = [f"a folder with a long name/{number:04}" for number in range(300)]
        for name in names:
            it.write(name, b"x")
        token, _ = await minted(it, *names, one_time=True)
        assert set(jwt.decode(token, options={"verify_signature": False})["pannier"]) == {"v", "selection", "one_time"}
        assert [(await it.get(token)).status for _ in range(2)] == [200, 410]


@pytest.mark.parametrize("format", ["zip", "tar"])
async def test_over_tls_it_is_counted_as_well(tmp_path: Path, format: str) -> None:
    cert, key = certificate(tmp_path)
    client = {"ssl_enabled": True, "ssl_cert": cert, "ssl_privkey": key}
    async with live(tmp_path / "state", api={"client": client}) as it:
        it.write("big", CHANCE.randbytes(BIG))
        token, session = await minted(it, one_time=True, format=format)
        async with aiohttp.TCPConnector(ssl=False) as connector, aiohttp.ClientSession(connector=connector) as https:
            async with https.get(it.url(token)) as response:
                size = len(await response.read())
            now = await until(it, session, state="spent")
            assert now["delivered"] == {"bytes": size, "total": size, "ranges": [[0, size]]}
            async with https.get(it.url(token)) as response:
                assert response.status == 410


async def test_who_never_reads_has_not_spent_it(tmp_path: Path) -> None:
    """What lies in the sockets of both ends is little beside the archive, and known to be there."""
    async with live(tmp_path) as it:
        it.write("big", bytes(60_000_000))
        token, session = await minted(it, one_time=True)
        for _ in range(3):
            async with it.session.get(it.url(token)) as response:
                await response.content.readany()
                response.close()
        now = await told(it, session)
        assert now["state"] == "active"
        assert 0 < now["delivered"]["bytes"] < 60_000_000
        assert len((await it.get(token)).body) > 60_000_000
        assert (await told(it, session))["state"] == "spent"


# ---------------------------------------------------------------- a rate, an end, and a grace


async def test_the_rate_is_that_of_all_streams_of_a_link_together(it: Live) -> None:
    token, session = await minted(it, rate=1_000_000)
    async with caught(it, token), caught(it, token, Range="bytes=0-"), caught(it, token, Range="bytes=0-"):
        began = time.monotonic()
        start = (await told(it, session))["delivered"]["total"]
        await asyncio.sleep(1)
        sent = (await told(it, session))["delivered"]["total"] - start
        assert 0 < sent < 1_000_000 * (time.monotonic() - began) + 400_000


async def test_what_was_begun_may_go_on_for_a_while_after_the_end(it: Live) -> None:
    begun, session = await minted(it, expires_in=4, resume_grace=600)
    never, _ = await minted(it, expires_in=4, resume_grace=600)
    ended, _ = await minted(it, expires_in=4)
    whole = await it.get(begun)
    assert (await it.get(ended)).status == 200
    await asyncio.sleep(5)
    assert gist(await it.get(ended, Range="bytes=5-")) == EXPIRED
    assert (await it.get(begun, Range="bytes=5-")).body == whole.body[5:]
    assert (await it.get(begun, Range="bytes=5-", If_Range=whole.headers["ETag"])).body == whole.body[5:]
    assert (await it.ask("HEAD", it.url(begun))).status == 200
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=5-", "If-Range": '"x"'}):
        assert gist(await it.get(begun, **headers)) == EXPIRED
    assert (await it.ask("HEAD", it.url(never))).status == 401
    for headers in ({}, {"Range": "bytes=0-"}, {"Range": "bytes=-5"}):
        assert gist(await it.get(never, **headers)) == EXPIRED
    assert (await told(it, session))["state"] == "complete"
    assert (await own(it, begun)).json["state"] == "complete"


# ---------------------------------------------------------------- after a failure


async def test_a_session_tells_at_which_entry_a_stream_broke_and_whether_it_can_go_on(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha")
        it.write("big", CHANCE.randbytes(9_000_000))
        token, session = await minted(it)
        first = await it.get(token)
        assert first.status == 200
        it.memory.break_reads(FOLDER, b"big", at=8_000_000)
        with pytest.raises(aiohttp.ClientPayloadError):
            await it.get(token)
        now = await until(it, session, state="failed")
        failure = now["failure"]
        assert (failure["entry"], failure["cause"]) == ("big", "source-unreadable")
        assert "'big' cannot be read" in failure["detail"]
        assert 0 < failure["offset"] < 9_000_000
        whole = await it.get(token, Range="bytes=0-99")
        assert whole.status == 206
        await until(it, session, state="complete", failure=None)


async def test_who_asks_whether_a_download_can_go_on_is_told_what_would_happen(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha")
        it.write("big", CHANCE.randbytes(9_000_000))
        token, session = await minted(it)
        assert (await own(it, token)).json["resumable"] is None
        await it.get(token, Range="bytes=0-4999999")
        await until(it, session, state="active")
        assert (await own(it, token)).json["resumable"] is True
        assert (await it.get(token, Range="bytes=5000000-5000009")).status == 206
        it.write("a", b"other")
        assert (await own(it, token)).json["resumable"] is False
        assert gist(await it.get(token, Range="bytes=5000000-")) == "409 selection-changed"


async def test_a_file_that_changed_while_it_was_sent_cannot_go_on(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("big", CHANCE.randbytes(BIG))
        token, session = await minted(it, rate=SLOW * 3)
        async with caught(it, token) as response:
            it.write("big", CHANCE.randbytes(BIG))
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        now = await until(it, session, state="failed")
        assert (now["failure"]["entry"], now["failure"]["cause"]) == ("big", "source-changed")
        assert now["resumable"] is False


async def test_a_client_that_leaves_is_no_failure(it: Live) -> None:
    token, session = await minted(it, rate=SLOW)
    async with caught(it, token) as response:
        response.close()
    now = await until(it, session, state="active")
    assert (now["failure"], now["delivered"]["total"] < BIG) == (None, True)


# ---------------------------------------------------------------- the state is away


async def test_while_the_state_is_away_only_a_link_that_is_no_single_download_goes_on(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha" * 100)
        plain, once, fresh = [(await minted(it, one_time=once))[0] for once in (False, True, False)]
        whole = await it.get(plain)
        assert (await it.get(once, Range="bytes=0-9")).status == 206
        for file in tmp_path.glob("state.db*"):  # noqa: ASYNC240
            file.unlink()
        (tmp_path / "state.db").mkdir()
        assert (await it.get(plain)).body == whole.body
        for token in (once, fresh):
            assert gist(await it.get(token)) == "503 unavailable"
        answer = await it.manage(MINT, it.order())
        assert gist(answer) == "503 unavailable"
        assert gist(await ask(it, "/sessions")) == "503 unavailable"
        assert gist(await it.manage("/folder/revoke", {"volume": "m", "vfid": str(FOLDER)})) == "503 unavailable"
        (tmp_path / "state.db").rmdir()
