"""Resuming: what every kind of request gets, before and after the world has moved (design, promise 2)."""

from __future__ import annotations

import asyncio
import io
import random
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from pannier.api.admission import Admission
from pannier.api.applications import ClientFace, client_application
from pannier.api.client_archives import ClientArchives
from pannier.api.connections import Runner
from pannier.api.middlewares import Drain
from pannier.api.streaming import Streaming
from pannier.dto.archives import ArchiveTokenRequest
from pannier.dto.ids import FolderId
from pannier.services.archives import Archives
from pannier.services.orders import PlanSettings
from pannier.services.places import Places
from pannier.services.planning import Plans
from pannier.services.sessions import Sessions
from pannier.state.checksums import ChecksumMemory
from pannier.state.sessions import SqliteSessions
from pannier.state.sqlite import SqliteState
from pannier.streams.ahead import AheadSettings, Background
from pannier.streams.archive import Engine
from pannier.streams.encoding import Encoding
from pannier.streams.hashing import Hashing
from pannier.streams.pump import Pump
from pannier.streams.workers import Workers
from pannier.tokens import PydanticJWT
from pannier.volumes.base import Folder, Source
from tests.api.live import FOLDER, Live, gist, live
from tests.services.watched import Watched, WatchedFolder

CHANCE = random.Random(11)
OLD = 1_600_000_000
LATEST = "Sun, 13 Sep 2020 12:26:45 GMT"
"""The newest file of `fill`."""


def fill(it: Live) -> None:
    it.write("a", b"alpha" * 10, mtime_ns=OLD * 10**9)
    it.write("b", b"beta" * 10, mtime_ns=(OLD + 5) * 10**9)


# A line: what was before, the request's headers, what it gets, and of which archive.
# {old} is the ETag of the archive as it was at first, {size} its length.
CONFLICT, UNVERIFIED, BEYOND, FAILED = (
    "409 selection-changed",
    "409 resume-unverified",
    "416 range-not-satisfiable",
    "412 precondition-failed",
)
TABLE: list[tuple[str, dict[str, str], str, slice | None]] = [
    # nothing was given yet
    ("", {}, "200", slice(None)),
    ("", {"Range": "bytes=0-"}, "206", slice(None)),
    ("", {"Range": "bytes=0-4"}, "206", slice(0, 5)),
    ("", {"Range": "bytes=-7"}, "206", slice(-7, None)),
    ("", {"Range": "bytes=-99999"}, "206", slice(None)),
    ("", {"Range": "bytes=5-"}, UNVERIFIED, None),
    ("", {"Range": "bytes=5-9,0-1"}, UNVERIFIED, None),
    ("", {"Range": "bytes={size}-"}, UNVERIFIED, None),
    ("", {"Range": "bytes=-0"}, BEYOND, None),
    ("", {"Range": "bytes=0-1,-5"}, "200", slice(None)),
    ("", {"Range": "lines=5-"}, "200", slice(None)),
    ("", {"Range": "bytes=9-5"}, "200", slice(None)),
    ("", {"Range": "bytes=5-", "If-Range": "{old}"}, "206", slice(5, None)),
    ("", {"Range": "bytes=5-", "If-Range": "W/{old}"}, "200", slice(None)),
    ("", {"Range": "bytes=5-", "If-Range": '"other"'}, "200", slice(None)),
    ("", {"Range": "bytes=5-", "If-Range": LATEST}, "200", slice(None)),  # a date proves nothing before a pin
    ("", {"Range": "bytes=5-", "If-Range": "nonsense"}, "200", slice(None)),
    ("", {"If-Range": '"other"'}, "200", slice(None)),
    ("", {"If-None-Match": "{old}"}, "304", None),
    ("", {"If-None-Match": "W/{old}"}, "304", None),
    ("", {"If-None-Match": "*"}, "304", None),
    ("", {"If-Modified-Since": LATEST}, "200", slice(None)),
    ("", {"If-Match": "*"}, "200", slice(None)),
    ("", {"If-Match": '"other"'}, FAILED, None),
    ("", {"If-Match": "W/{old}"}, FAILED, None),
    # the download has begun, nothing changed
    ("begun", {}, "200", slice(None)),
    ("begun", {"Range": "bytes=5-"}, "206", slice(5, None)),
    ("begun", {"Range": "bytes={last}-"}, "206", slice(-1, None)),
    ("begun", {"Range": "bytes=5-9,0-1"}, "200", slice(None)),
    ("begun", {"Range": "bytes={size}-"}, BEYOND, None),
    ("begun", {"Range": "bytes={size}-", "If-Range": "{old}"}, BEYOND, None),
    ("begun", {"Range": "bytes=5-", "If-Range": LATEST}, "206", slice(5, None)),
    ("begun", {"Range": "bytes=5-", "If-Range": "Sun, 13 Sep 2020 12:26:46 GMT"}, "200", slice(None)),
    ("begun", {"If-Modified-Since": LATEST}, "304", None),
    ("begun", {"If-Modified-Since": "Sun, 13 Sep 2020 12:26:44 GMT"}, "200", slice(None)),
    ("begun", {"If-Unmodified-Since": LATEST}, "200", slice(None)),
    ("begun", {"If-Unmodified-Since": "Sun, 13 Sep 2020 12:26:44 GMT"}, FAILED, None),
    ("begun", {"If-Match": "{old}", "Range": "bytes=5-"}, "206", slice(5, None)),
    # it has begun, and a file changed
    ("begun changed", {}, "200 new", slice(None)),
    ("begun changed", {"Range": "bytes=5-"}, CONFLICT, None),
    ("begun changed", {"Range": "bytes=0-"}, CONFLICT, None),
    ("begun changed", {"Range": "bytes=-5"}, CONFLICT, None),
    ("begun changed", {"Range": "bytes=5-9,0-1"}, CONFLICT, None),
    ("begun changed", {"Range": "bytes=99999-"}, CONFLICT, None),
    ("begun changed", {"Range": "bytes=-0"}, CONFLICT, None),
    ("begun changed", {"Range": "lines=5-"}, "200 new", slice(None)),
    ("begun changed", {"Range": "bytes=5-", "If-Range": "{old}"}, "200 new", slice(None)),
    ("begun changed", {"Range": "bytes=5-", "If-Range": LATEST}, "200 new", slice(None)),
    ("begun changed", {"If-None-Match": "{old}"}, "200 new", slice(None)),
    ("begun changed", {"If-Modified-Since": LATEST}, "200 new", slice(None)),
    ("begun changed", {"If-Match": "{old}", "Range": "bytes=5-"}, FAILED, None),
    # it has begun, and there is more now; what it began with is as it was
    ("begun grown", {}, "200 new", slice(None)),
    ("begun grown", {"Range": "bytes=5-"}, "206", slice(5, None)),
    ("begun grown", {"Range": "bytes=5-", "If-Range": "{old}"}, "206", slice(5, None)),
    ("begun grown", {"Range": "bytes=5-", "If-Range": LATEST}, "206", slice(5, None)),
    ("begun grown", {"Range": "lines=5-"}, "200 new", slice(None)),
    # another token for the same began: that says nothing of this one
    ("other begun", {"Range": "bytes=5-"}, UNVERIFIED, None),
    ("other begun changed", {"Range": "bytes=0-"}, "206 new", slice(None)),
    # the state store was lost
    ("begun lost", {"Range": "bytes=5-"}, UNVERIFIED, None),
    ("begun lost", {"Range": "bytes=5-", "If-Range": "{old}"}, "206", slice(5, None)),
    ("begun changed lost", {"Range": "bytes=5-"}, UNVERIFIED, None),
    ("begun changed lost", {"Range": "bytes=5-", "If-Range": "{old}"}, "200 new", slice(None)),
]


@pytest.mark.parametrize(
    ("before", "headers", "outcome", "part"), TABLE, ids=[f"{line[0] or 'fresh'}-{line[1]}" for line in TABLE]
)
async def test_what_a_request_gets(
    tmp_path: Path, before: str, headers: dict[str, str], outcome: str, part: slice | None
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token, other = await it.mint(), await it.mint()
        old = await it.get(await it.mint())
        for event in before.split():
            match event:
                case "begun":
                    assert (await it.get(other if "other" in before else token)).status == 200
                case "changed":
                    it.write("a", b"gamma" * 12)
                case "grown":
                    it.write("c", b"more")
                case "lost":
                    for file in tmp_path.glob("state.db*"):  # noqa: ASYNC240
                        file.unlink()
        new = await it.get(await it.mint())
        known = {"old": old.headers["ETag"], "size": str(len(old.body)), "last": str(len(old.body) - 1)}
        sent = {name: value.format_map(known) if "{" in value else value for name, value in headers.items()}
        answer = await it.get(token, **sent)
        assert gist(answer) == outcome.removesuffix(" new")
        whole = new if outcome.endswith("new") else old
        if part is not None:
            assert answer.body == whole.body[part]
            assert answer.headers["ETag"] == whole.headers["ETag"]
            assert answer.headers["Content-Length"] == str(len(answer.body))
        if answer.status == 206 and part is not None:
            start, stop, _ = part.indices(len(whole.body))
            assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole.body)}"
        if answer.status == 416:
            assert answer.headers["Content-Range"] == f"bytes */{len(whole.body)}"
        if answer.status == 304:
            assert (answer.body, answer.headers["ETag"]) == (b"", whole.headers["ETag"])
            assert answer.headers["Cache-Control"] == "private, no-transform"


@pytest.mark.parametrize(
    ("headers", "pins"),
    [
        ({}, True),
        ({"Range": "bytes=0-3"}, True),
        ({"Range": "bytes=-3"}, True),
        ({"If-None-Match": "*"}, False),
        ({"If-Match": '"x"'}, False),
        ({"Range": "bytes=-0"}, False),
        ({"Range": "bytes=3-"}, False),
    ],
    ids=str,
)
async def test_only_what_carries_the_archive_pins_it(tmp_path: Path, headers: dict[str, str], pins: bool) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        await it.get(token, **headers)
        it.write("a", b"changed")
        assert gist(await it.get(token, Range="bytes=5-")) == (CONFLICT if pins else UNVERIFIED)


async def test_head_pins_and_is_never_partial(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        head = await it.ask("HEAD", it.url(token), Range="bytes=5-9")
        assert (head.status, "Content-Range" in head.headers) == (200, False)
        part = await it.get(token, Range="bytes=5-")
        assert (part.status, part.headers["ETag"]) == (206, head.headers["ETag"])
        assert len(part.body) == int(head.headers["Content-Length"]) - 5
        it.write("a", b"changed")
        assert gist(await it.get(token, Range="bytes=5-")) == CONFLICT
        after = await it.ask("HEAD", it.url(token))
        assert (after.status, after.headers["ETag"] == head.headers["ETag"]) == (200, False)


async def test_head_has_the_headers_of_get_whatever_the_answer(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint(filename="여행.zip")
        for path, headers in [
            (f"?token={token}", {}),
            (f"?token={token}", {"If-None-Match": "*"}),
            (f"?token={token}", {"If-Match": '"x"'}),
            (f"?token={token}", {"Origin": "https://a.example"}),
            ("?token=garbage", {}),
            ("", {}),
        ]:
            url = f"{it.listening.client_url}/download-archive{path}"
            get, head = await it.ask("GET", url, **headers), await it.ask("HEAD", url, **headers)
            assert (head.status, head.body) == (get.status, b"")
            varies = {"date", "x-request-id"}
            assert {k.lower(): v for k, v in head.headers.items() if k.lower() not in varies} == {
                k.lower(): v for k, v in get.headers.items() if k.lower() not in varies
            }


async def test_a_date_counts_only_once_it_is_a_second_old(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha" * 10, mtime_ns=(int(time.time()) + 5) * 10**9)  # a file of the very moment
        token = await it.mint()
        whole = await it.get(token)
        answer = await it.get(token, Range="bytes=5-", If_Range=whole.headers["Last-Modified"])
        assert (answer.status, answer.body) == (200, whole.body)


# ---------------------------------------------------------------- tokens on the way


async def test_only_the_token_is_read_of_the_query_and_the_first_counts(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        base = f"{it.listening.client_url}/download-archive"
        for query in (f"archive=true&token={token}&x=%ff&dst_dir=../..", f"token={token}&token=garbage"):
            assert (await it.ask("GET", f"{base}?{query}")).status == 200
        assert (await it.ask("GET", f"{base}?token=garbage&token={token}")).status == 400


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer {token}", 200),
        ("bearer   {token} ", 200),
        ("BEARER {token}", 200),
        ("Bearer garbage", 400),
        ("Bearer ", 400),
        ("Bearer", 400),
        ("Basic {token}", 400),
        ("{token}", 400),
    ],
)
async def test_a_token_may_come_in_a_header(tmp_path: Path, authorization: str, status: int) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        answer = await it.ask(
            "GET",
            f"{it.listening.client_url}/download-archive",
            Authorization=authorization.format(token=token),
        )
        assert answer.status == status
        if status == 200:  # one token is one session, however it comes
            assert (await it.get(token, Range="bytes=5-")).status == 206


@pytest.mark.parametrize("query", ["", "?token=", "?token", "?Token=x", "?a=b"])
async def test_a_request_without_a_token_says_where_to_put_it(tmp_path: Path, query: str) -> None:
    async with live(tmp_path) as it:
        answer = await it.ask("GET", f"{it.listening.client_url}/download-archive{query}")
        assert (answer.status, answer.json["error_code"]) == (400, "api_parsing_invalid-parameters")
        assert "token" in answer.json["data"]


# ---------------------------------------------------------------- a world that moves while it is asked


async def test_a_change_since_the_plan_is_served_anew_before_a_byte_has_left(tmp_path: Path) -> None:
    async with live(tmp_path, archive={"plan_fresh_min": 60, "plan_fresh_max": 60}) as it:
        fill(it)
        token = await it.mint()
        it.write("a", b"changed since", mtime_ns=OLD * 10**9)
        answer = await it.get(token)
        assert answer.status == 200
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.read("a") == b"changed since"


class Moving(Watched):
    """A volume whose file changes whenever it is about to be read."""

    def __init__(self, it: Live) -> None:
        super().__init__(it.memory)
        self.changes = 0

    def folder(self, folder: FolderId) -> Folder:
        return MovingFolder(self, self._inner.folder(folder))


class MovingFolder(WatchedFolder):
    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        assert isinstance(self._volume, Moving)
        self._volume.changes += 1
        self._volume._inner.write(FOLDER, source, b"changed %d" % self._volume.changes)  # type: ignore[attr-defined]
        return super().open(source, identity, path)


async def test_a_file_that_never_stands_still_is_a_conflict_that_names_it(tmp_path: Path) -> None:
    async with live(tmp_path / "world") as world:
        fill(world)
        async with live(tmp_path / "state", volume=Moving(world)) as it:
            answer = await it.get(await it.mint("a"))
            assert gist(answer) == "409 source-changed"
            assert answer.json["paths"] == ["a"]


async def test_a_file_that_cannot_be_read_is_a_problem_before_the_first_byte(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        it.memory.break_reads(FOLDER, b"a", reason="Input/output error")
        answer = await it.get(await it.mint())
        assert (answer.status, answer.json["error_code"]) == (500, "vfolder_read_failed")
        assert answer.json["paths"] == ["a"]


async def test_a_failure_after_the_first_byte_breaks_the_connection_visibly(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"alpha")
        it.write("big", CHANCE.randbytes(9_000_000))
        token = await it.mint()
        assert (await it.get(token)).status == 200  # its checksum is known from here on
        it.memory.break_reads(FOLDER, b"big", at=8_000_000)
        with capture_logs() as log:
            with pytest.raises(aiohttp.ClientPayloadError):
                await it.get(token)
            async with asyncio.timeout(20):
                while not [line for line in log if line["event"] == "request"]:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.01)
    broken = [line for line in log if line["event"] == "download broken off"]
    assert len(broken) == 1
    assert "'big' cannot be read" in broken[0]["cause"]
    assert broken[0]["sent"] < broken[0]["length"]


async def test_the_end_of_an_archive_that_is_not_hashed_yet_says_when_to_come_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"archive": {"pending_above": 0, "background_hash_linger": 0}}
    async with live(tmp_path, **settings) as it:
        it.write("big", CHANCE.randbytes(300_000))
        token = await it.mint()
        answer = await it.get(token, Range="bytes=-22")
        if answer.status == 206:  # the very end needs no checksum
            answer = await it.get(await it.mint(), Range="bytes=-60")
        assert gist(answer) == "503 checksums-pending"
        assert (answer.json["known"], answer.json["needed"]) == (0, 300_000)
        assert int(answer.headers["Retry-After"]) > 0


# ---------------------------------------------------------------- two first requests at once


class Racing:
    """A ``SessionStore`` in which another request is always a moment faster."""

    def __init__(self, winner: str) -> None:
        self._winner = winner
        self.asked = self.withdrawn = 0

    async def pinned(self, session: str, *, certain: bool = False) -> str | None:
        return None

    async def pin(self, session: str, etag: str, expires: int) -> str:
        self.asked += 1
        return self._winner

    async def withdraw(self, session: str, expires: int) -> None:
        self.withdrawn += 1


class NoSelections:
    """A ``SelectionStore`` that is never needed."""

    async def keep(self, digest: str, body: bytes, expires: int) -> None:
        raise AssertionError

    async def selection(self, digest: str) -> bytes | None:
        raise AssertionError


@asynccontextmanager
async def raced(it: Live, winner: str) -> AsyncIterator[tuple[str, Racing]]:
    """Serve the world of ``it`` where the pin is always another's; give the URL of a download."""
    workers = Workers("stream", 4)
    hashing = Hashing(workers, ChecksumMemory(100))
    ahead = AheadSettings()
    background = Background(ahead)
    plans, sessions = Plans(PlanSettings(), workers), Racing(winner)
    state = SqliteState(it.settings.state.path / "raced.db")
    await state.open()
    links = Sessions(SqliteSessions(state.ask), session_expire=60)
    archives = Archives(
        places=Places({"m": it.memory}),
        plans=plans,
        engine=Engine(workers, hashing, background, ahead),
        encoding=Encoding(workers, 3),
        keys=PydanticJWT("k" * 32),
        sessions=sessions,
        selections=NoSelections(),
        register=links.register,
        session_expire=60,
    )
    minted = await archives.mint(ArchiveTokenRequest.model_validate(it.order()))
    pump = Pump(workers)
    streaming = Streaming(workers, pump, Admission(100, 100))
    runner = Runner(
        client_application([ClientArchives(archives, links, streaming)], Drain(), ClientFace()), access_log=None
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/download-archive?token={minted.token}", sessions
    finally:
        await runner.cleanup()
        await links.close()
        await state.close()
        await plans.close()
        await background.close()
        await hashing.close()
        pump.close()
        await workers.close()


@pytest.mark.parametrize(
    ("method", "headers", "outcome"),
    [
        ("GET", {}, "200"),
        ("HEAD", {}, "200"),
        ("GET", {"Range": "bytes=0-"}, CONFLICT),
        ("GET", {"Range": "bytes=-5"}, CONFLICT),
        ("GET", {"Range": "bytes=0-", "If-Range": "{etag}"}, "206"),
    ],
    ids=str,
)
async def test_who_comes_second_decides_again_by_what_stands(
    tmp_path: Path, method: str, headers: dict[str, str], outcome: str
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        whole = await it.get(await it.mint())
        sent = {name: value.format(etag=whole.headers["ETag"]) for name, value in headers.items()}
        async with raced(it, '"of-another"') as (url, sessions):
            answer = await it.ask(method, url, **sent)
            assert gist(answer) == outcome
            assert (sessions.asked, sessions.withdrawn) == (1, int(outcome != CONFLICT))
            if outcome in ("200", "206") and method == "GET":
                assert answer.body == whole.body


async def test_many_first_requests_at_once_agree(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        it.write("big", CHANCE.randbytes(2_000_000))
        token = await it.mint()
        whole, *others = await asyncio.gather(it.get(token), *(it.get(token, Range="bytes=0-") for _ in range(12)))
        assert {answer.body for answer in others} == {whole.body}
        assert {answer.headers["ETag"] for answer in others} == {whole.headers["ETag"]}
