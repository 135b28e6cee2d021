"""One link, two archives: once another one was given out than was begun, no bare range is served any more."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.api.live import FOLDER, Answer, Live, gist, live
from tests.examples import examples

CHANCE = random.Random(12)
OLD = 1_600_000_000
LATEST = "Sun, 13 Sep 2020 12:26:45 GMT"
"""The newest file of `fill`."""
CONFLICT, UNAVAILABLE = "409 selection-changed", "503 unavailable"


def fill(it: Live) -> None:
    it.write("a", b"alpha" * 10, mtime_ns=OLD * 10**9)
    it.write("b", b"beta" * 10, mtime_ns=(OLD + 5) * 10**9)


CHANGES: dict[str, Callable[[Live], object]] = {
    "a file was added": lambda it: it.write("c", b"more"),
    "a file was removed": lambda it: it.memory.remove(FOLDER, b"b"),
    "a file was rewritten": lambda it: it.write("b", b"gamma" * 12),
}
WITHDRAWING = [
    ("GET", {}),
    ("HEAD", {}),
    ("GET", {"Range": "bytes=5-", "If-Range": "{new}"}),
    ("GET", {"Range": "bytes=5-", "If-Range": '"other"'}),
    ("GET", {"Range": "bytes=0-1,5-6", "If-Range": "{new}"}),
    ("GET", {"If-None-Match": "{old}"}),
]
BARE_RANGES = ("bytes=5-", "bytes=0-", "bytes=-5", "bytes=0-0,5-6", "bytes=99999-", "bytes=-0")


@pytest.mark.parametrize(("method", "headers"), WITHDRAWING, ids=str)
@pytest.mark.parametrize("change", CHANGES)
async def test_a_link_that_gave_out_another_archive_serves_no_bare_range_any_more(
    tmp_path: Path, change: str, method: str, headers: dict[str, str]
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        CHANGES[change](it)
        new = await it.get(await it.mint())
        known = {"old": old.headers["ETag"], "new": new.headers["ETag"]}
        given = await it.ask(
            method, it.url(token), **{name: value.format_map(known) for name, value in headers.items()}
        )
        assert (given.status in (200, 206), given.headers["ETag"]) == (True, known["new"])
        for _ in range(2):
            for wanted in BARE_RANGES:
                assert gist(await it.get(token, Range=wanted)) == CONFLICT, wanted
            # who says what it holds, or holds nothing, is served as ever
            assert (await it.get(token)).body == new.body
            assert (await it.get(token, Range="bytes=5-", If_Range=known["new"])).body == new.body[5:]
            dated = await it.get(token, Range="bytes=5-", If_Range=new.headers["Last-Modified"])
            assert (dated.status, dated.body) == (200, new.body)
            assert (await it.get(token, If_Modified_Since=LATEST)).status == 200
        fill(it)  # what was begun is there again, but that is not all that was given out
        if change == "a file was added":
            it.memory.remove(FOLDER, b"c")
        assert gist(await it.get(token, Range="bytes=5-")) == CONFLICT
        memory = it.memory
    async with live(tmp_path, volume=memory) as it:
        assert gist(await it.get(token, Range="bytes=5-")) == CONFLICT


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({"If-None-Match": "{new}"}, "304"),
        ({"If-None-Match": "*"}, "304"),
        ({"If-Match": "{old}"}, "412 precondition-failed"),
        ({"Range": "bytes=99999-", "If-Range": "{new}"}, "416 range-not-satisfiable"),
    ],
    ids=str,
)
async def test_what_carries_no_byte_of_another_archive_withdraws_nothing(
    tmp_path: Path, headers: dict[str, str], outcome: str
) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        it.write("c", b"more")
        known = {"old": old.headers["ETag"], "new": (await it.get(await it.mint())).headers["ETag"]}
        given = await it.get(token, **{name: value.format_map(known) for name, value in headers.items()})
        assert gist(given) == outcome
        part = await it.get(token, Range="bytes=5-")
        assert (part.status, part.body) == (206, old.body[5:])


@pytest.mark.parametrize(
    ("change", "method", "gives", "outcome"),
    [
        ("a file was added", "GET", "old", "206"),
        ("a file was added", "HEAD", "old", "206"),
        ("a file was removed", "GET", "new", CONFLICT),
        ("a file was removed", "HEAD", "old", CONFLICT),
        ("a file was rewritten", "GET", "new", CONFLICT),
        ("a file was rewritten", "HEAD", "old", CONFLICT),
    ],
)
async def test_a_plan_that_is_fresh_enough_gives_out_what_was_begun(
    tmp_path: Path, change: str, method: str, gives: str, outcome: str
) -> None:
    async with live(tmp_path, archive={"plan_fresh_min": 60, "plan_fresh_max": 60}) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        CHANGES[change](it)
        given = await it.ask(method, it.url(token))
        assert (given.status, given.headers["ETag"] == old.headers["ETag"]) == (200, gives == "old")
        part = await it.get(token, Range="bytes=5-")
        assert gist(part) == outcome
        assert part.status == 409 or part.body == old.body[5:]


@pytest.mark.parametrize("range_by_date", [False, True])
async def test_a_server_that_remembers_the_pin_sees_that_another_one_has_withdrawn_it(
    tmp_path: Path, range_by_date: bool
) -> None:
    async with live(tmp_path) as one, live(tmp_path, volume=one.memory) as other:
        fill(one)
        token = await one.mint()
        old = await one.get(token)
        one.write("0", b"more", mtime_ns=OLD * 10**9)  # the archive keeps its date
        new = await other.get(token)
        assert new.headers["ETag"] != old.headers["ETag"]
        assert new.headers["Last-Modified"] == old.headers["Last-Modified"]
        if range_by_date:
            answer = await one.get(token, Range="bytes=5-", If_Range=new.headers["Last-Modified"])
            assert (answer.status, answer.body) == (200, new.body)
        else:
            assert gist(await one.get(token, Range="bytes=5-")) == CONFLICT


async def test_a_bare_range_that_runs_when_the_link_gives_out_another_archive_ends_as_it_began(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        it.write("big", CHANCE.randbytes(9_000_000))
        token = await it.mint()
        old = await it.get(token)
        headers = {"Range": "bytes=5-"}
        async with it.session.get(it.url(token), headers=headers) as running:
            begun = await running.content.readexactly(100_000)
            it.write("c", b"more")
            new = await it.get(token)
            assert new.headers["ETag"] != running.headers["ETag"] == old.headers["ETag"]
            assert gist(await it.get(token, Range="bytes=5-")) == CONFLICT
            assert begun + await running.read() == old.body[5:]


async def test_while_the_store_is_away_only_what_needs_no_pin_is_served(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        fill(it)
        token = await it.mint()
        old = await it.get(token)
        for file in tmp_path.glob("state.db*"):  # noqa: ASYNC240
            file.unlink()
        (tmp_path / "state.db").mkdir()
        assert (await it.get(token)).body == old.body
        assert (await it.get(token, Range="bytes=5-", If_Range=old.headers["ETag"])).status == 206
        assert gist(await it.get(token, Range="bytes=5-")) == UNAVAILABLE
        assert gist(await it.get(token, Range="bytes=5-", If_Range=LATEST)) == UNAVAILABLE
        it.write("c", b"more")
        assert gist(await it.get(token)) == UNAVAILABLE  # that the link gives out another archive cannot be remembered
        head = await it.ask("HEAD", it.url(token))
        assert (head.status, "Retry-After" in head.headers) == (503, True)


# ---------------------------------------------------------------- whatever happens, in any order


@dataclass
class Appender:
    """A client that goes on with what it has, as curl and wget do, and is cut now and then."""

    part: bytes = b""
    etag: str = ""
    done: bool = field(default=False)

    def take(self, answer: Answer, share: float) -> None:
        """Take a share of an answer's body, as what was there or behind it."""
        if answer.status not in (200, 206):
            return
        came = answer.body[: round(len(answer.body) * share)]
        self.part = came if answer.status == 200 else self.part + came
        self.etag = answer.headers["ETag"]
        self.done = len(came) == len(answer.body)


NAMES = st.sampled_from(["a", "b", "c"])
WHO, WHERE = st.integers(0, 1), st.integers(0, 1)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES, st.integers(1, 3)),
        st.tuples(st.just("remove"), NAMES),
        st.tuples(st.sampled_from(["GET", "bare", "bare", "If-Range"]), WHO, WHERE, st.sampled_from([0.3, 0.6, 1.0])),
        st.tuples(st.just("HEAD"), WHERE),
    ),
    min_size=5,
    max_size=25,
)


async def archive_now(it: Live) -> bytes:
    answer = await it.get(await it.mint())
    assert answer.status == 200
    return answer.body


async def play(events: list[tuple[object, ...]], fresh: int, state: Path) -> None:
    """Two clients share a link, two servers a state file; after each event no client has a mix."""
    plans = {"archive": {"plan_fresh_min": fresh, "plan_fresh_max": fresh}}
    async with AsyncExitStack() as stack:
        truth = await stack.enter_async_context(live(state / "truth"))
        servers = [await stack.enter_async_context(live(state, volume=truth.memory, **plans)) for _ in range(2)]
        clients = [Appender(), Appender()]
        truth.write("always", b"here")
        truth.write("a", b"a" * 50)
        archives = [await archive_now(truth)]
        token = await servers[0].mint()
        for event in events:
            match event:
                case ("write", str(name), int(number)):
                    truth.write(name, name.encode() * 40 * number)
                case ("remove", str(name)):
                    if name.encode() in {found for found, _ in truth.memory.folder(FOLDER).scan(b"")}:
                        truth.memory.remove(FOLDER, name.encode())
                case ("HEAD", int(where)):
                    await servers[where].ask("HEAD", servers[where].url(token))
                case (str(way), int(who), int(where), float(share)):
                    client = clients[who]
                    if client.done and way != "GET":
                        continue
                    headers = {} if way == "GET" else {"Range": f"bytes={len(client.part)}-"}
                    if way == "If-Range" and client.etag:
                        headers["If-Range"] = client.etag
                    client.take(await servers[where].get(token, **headers), share)
                    if client.done:
                        assert client.part in archives
                    assert any(archive.startswith(client.part) for archive in archives)
                case _:
                    raise ValueError(event)
            if event[0] in ("write", "remove"):
                archives.append(await archive_now(truth))


# without shrinking: an example takes a tenth of a second or more, and the events of a failure are few enough to read
@settings(max_examples=examples(60), deadline=None, phases=[Phase.reuse, Phase.generate])
@given(EVENTS, st.sampled_from([0, 60]))
def test_no_order_of_requests_and_changes_gives_a_client_of_one_link_a_mix(
    events: list[tuple[object, ...]], fresh: int
) -> None:
    with tempfile.TemporaryDirectory() as state:
        asyncio.run(play(events, fresh, Path(state)))
