"""What streams deliver, from what was acknowledged to the row that is written, below HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pannier.accounts import Account
from pannier.coverage import Coverage
from pannier.errors import SessionRevoked, SessionSpent, StateUnavailable, TokenExpired
from pannier.services.sessions import RESUMES, Sessions
from pannier.services.tallies import UNWRITTEN, Tally
from pannier.state.sessions import Broken, NewSession, SqliteSessions, key_of
from pannier.state.sqlite import SqliteState
from pannier.window import Window

MIB = 1024 * 1024
LENGTH = 1000 * MIB
END = 10_000
NEW = NewSession(key_of("a"), "v", "5e67aac8ba94470ea1172f603ea62b3a", "x.zip", "zip", END, 100, None, times=0)
ONCE = replace(NEW, times=1)
NEVER = 3_600.0


@dataclass
class Wire:
    """A connection whose peer acknowledges what it is told to."""

    waiting: int = 0
    lost: bool = False
    closed: int = 0
    asked: int = 0

    def pending(self) -> int:
        self.asked += 1
        return self.waiting

    def close(self) -> None:
        self.closed += 1


@dataclass
class Bench:
    sessions: Sessions
    records: SqliteSessions
    state: SqliteState
    now: list[float] = field(default_factory=lambda: [1_000.0])

    async def account(self) -> Account:
        found = await self.records.find(NEW.key)
        assert found is not None
        return found.account


@asynccontextmanager
async def bench(path: Path, every: float = NEVER) -> AsyncIterator[Bench]:
    state = SqliteState(path / "state.db", deadline=1.0)
    await state.open()
    records, now = SqliteSessions(state.ask), [1_000.0]
    sessions = Sessions(records, session_expire=600, clock=lambda: now[0], every=every)
    try:
        yield Bench(sessions, records, state, now)
    finally:
        await sessions.close()
        await state.close()


async def begun(it: Bench, new: NewSession, start: int = 0, stop: int = LENGTH) -> tuple[Tally, Wire]:
    await it.sessions.register(new)
    tally, wire = (await it.sessions.enter(new)).begin('"e"', LENGTH, Window(start, stop)), Wire()
    tally.attach(wire)
    return tally, wire


async def test_delivered_is_what_was_acknowledged_and_no_byte_twice(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        tally, wire = await begun(it, NEW, start=100)
        for taken, waiting, delivered in [
            (50, 50, 0),
            (10, 40, 20),
            (0, 55, 20),  # headers of what follows are in the queue too: nothing is taken back
            (5, 5, 60),
            (0, 0, 65),
        ]:
            tally.took(taken)
            wire.waiting = waiting
            tally.reckon()
            found = await it.sessions.find(NEW.key.hex())
            assert found.account.total == found.account.coverage.length == delivered
        assert (await it.account()).coverage == Coverage.of([Window(100, 165)])
        tally.stop()
        tally.stop()
        assert wire.closed == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_the_end_of_a_stream_waits_for_what_is_on_its_way_unless_it_is_lost(tmp_path: Path, lost: bool) -> None:
    async with bench(tmp_path) as it:
        tally, wire = await begun(it, ONCE, stop=100)
        tally.took(100)
        wire.waiting = 30
        finishing = asyncio.create_task(tally.finish())
        await asyncio.sleep(0.05)
        assert not finishing.done()
        wire.lost, wire.waiting = lost, 30 if lost else 0
        async with asyncio.timeout(10):
            await finishing
        assert (await it.account()).total == (70 if lost else 100)
        assert wire.closed == 1


@pytest.mark.parametrize(("new", "waits"), [(ONCE, True), (NEW, False)])
async def test_only_a_single_download_waits_until_not_too_much_is_unwritten(
    tmp_path: Path, new: NewSession, waits: bool
) -> None:
    """Whatever is killed after that: so much and no more is forgotten."""
    async with bench(tmp_path) as it:
        tally, _ = await begun(it, new)
        unwritten = 0
        for number in range(1, 30):
            tally.took(4 * MIB)
            if new.limited:
                await tally.room()
            else:
                tally.reckon()
            unwritten = number * 4 * MIB - (await it.account()).total
            assert (unwritten <= UNWRITTEN) or not waits
        assert waits == (unwritten <= UNWRITTEN)


async def test_a_single_download_that_cannot_be_written_sends_no_more(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        tally, _ = await begun(it, ONCE)
        await it.state.close()
        tally.took(UNWRITTEN)
        await tally.room()
        tally.took(1)
        with pytest.raises(StateUnavailable):
            await tally.room()
        await it.state.open()
        await tally.room()  # what could not be written is not forgotten
        assert (await it.account()).total == UNWRITTEN + 1


async def test_two_streams_of_a_single_download_share_what_they_may_repeat(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        first, _ = await begun(it, ONCE)
        second, _ = await begun(it, ONCE)

        async def send() -> None:
            for _ in range(LENGTH // MIB):
                for tally in (first, second):
                    tally.took(MIB)
                    await tally.room()

        with pytest.raises(SessionSpent):
            await send()
        account = await it.account()
        limit = LENGTH * 5 // 4 + 64 * MIB
        assert limit - UNWRITTEN - 2 * MIB <= account.total <= limit + 2 * MIB
        assert (await it.sessions.find(NEW.key.hex())).spent is not None
        third = (await it.sessions.enter(ONCE)).begin('"e"', LENGTH, Window(LENGTH - 5, LENGTH))
        third.took(5)
        await third.room()
        assert third.broken_by is None


async def test_what_leaves_while_it_fails_may_have_left(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        tally, _ = await begun(it, ONCE)
        with pytest.raises(ConnectionError), tally.offering(500, lambda: 7):
            raise ConnectionError
        tally.stop()
        await it.sessions.find(NEW.key.hex())
        assert await it.account() == Account(total=500)


async def test_what_is_known_to_have_left_counts_though_its_writing_was_cancelled(tmp_path: Path) -> None:
    """A client that has everything closes its connection before the server has taken note of its last bytes."""
    async with bench(tmp_path) as it:
        tally, _ = await begun(it, ONCE)
        sent = iter((LENGTH, 2 * LENGTH))
        with pytest.raises(asyncio.CancelledError), tally.offering(LENGTH, lambda: next(sent)):
            raise asyncio.CancelledError
        tally.stop()
        assert (await it.sessions.find(NEW.key.hex())).spent is not None
        assert (await it.account()).coverage == Coverage.of([Window(0, LENGTH)])


async def test_each_second_what_was_delivered_is_written_and_what_others_revoked_is_cut(tmp_path: Path) -> None:
    async with bench(tmp_path, every=0.01) as it:
        tally, _ = await begun(it, NEW)

        async def send() -> None:
            tally.attach(Wire())
            await asyncio.sleep(NEVER)

        sending = asyncio.create_task(send())
        tally.took(5)
        async with asyncio.timeout(10):
            while not (await it.account()).total:  # noqa: ASYNC110 - as another process sees it
                await asyncio.sleep(0.01)
            await it.records.revoke(NEW.key, it.now[0])
            await asyncio.wait({sending})
        assert sending.cancelled()
        assert isinstance(tally.broken_by, SessionRevoked)
        late = it.sessions.begin((await it.records.standing([NEW.key]))[0], '"e"', LENGTH, Window(0, LENGTH))
        async with asyncio.timeout(10):
            while late.broken_by is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(SessionRevoked):  # whoever has not begun to send does not
            late.attach(Wire())
        for each in (tally, late):
            each.stop()


async def test_a_cancellation_is_a_cut_only_if_nobody_else_cancels(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        told: list[Any] = []

        async def send(tally: Tally) -> None:
            tally.attach(Wire())
            try:
                await asyncio.sleep(NEVER)
            except asyncio.CancelledError as error:
                told.append(tally.why(error))
                tally.stop()

        for also_cancelled in (False, True):
            tally, _ = await begun(it, NEW)
            sending = asyncio.create_task(send(tally))
            await asyncio.sleep(0)
            tally.cut(SessionRevoked())
            if also_cancelled:
                sending.cancel()
            await asyncio.wait({sending})
        assert isinstance(told[0], SessionRevoked)
        assert isinstance(told[1], asyncio.CancelledError)


async def test_a_stream_that_the_server_broke_off_is_remembered_until_one_ends_well(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        broken = Broken(5.0, "source-changed", "it grew", b"big", 7)
        tally, _ = await begun(it, NEW)
        tally.stop(broken)
        assert (await it.sessions.find(NEW.key.hex())).broken == broken
        tally, _ = await begun(it, NEW)
        tally.stop()  # its client left
        assert (await it.sessions.find(NEW.key.hex())).broken == broken
        tally, _ = await begun(it, NEW)
        await tally.finish()
        async with asyncio.timeout(10):
            while (await it.sessions.find(NEW.key.hex())).broken is not None:  # noqa: ASYNC110 - as others see it
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("now", "spent", "head", "continues", "refusal"),
    [
        (END - 1, None, False, False, None),
        (END, None, False, False, TokenExpired),
        (END, None, False, True, None),
        (END, None, True, False, None),
        (END - 1, END - 2, False, False, SessionSpent),
        (END - 1, END - 2, False, True, None),
        (END - 1, END - 2, True, False, None),
        (END, END - 2, False, False, SessionSpent),
        (END - 1, END - RESUMES, False, True, None),
        (END, END - RESUMES, False, True, SessionSpent),
        (END, END - RESUMES, True, False, SessionSpent),
    ],
)
async def test_what_is_let_in_when(
    tmp_path: Path, now: float, spent: float | None, head: bool, continues: bool, refusal: type[Exception] | None
) -> None:
    async with bench(tmp_path) as it:
        await it.sessions.register(ONCE)
        await it.state.pin("a", '"e"', END)
        if spent is not None:
            it.now[0] = spent
            tally = (await it.sessions.enter(ONCE)).begin('"e"', 5, Window(0, 5))
            tally.took(5)
            tally.stop()
            assert (await it.sessions.find(NEW.key.hex())).spent == spent
        it.now[0] = now
        if refusal is None:
            (await it.sessions.enter(ONCE)).permit(head=head, continues=continues)
        else:
            with pytest.raises(refusal):
                (await it.sessions.enter(ONCE)).permit(head=head, continues=continues)


@pytest.mark.parametrize(("taken", "cause"), [(LENGTH, None), (LENGTH - 1, "source-unreadable")])
async def test_a_client_that_has_everything_and_leaves_before_its_stream_ends_has_ended_it_well(
    tmp_path: Path, taken: int, cause: str | None
) -> None:
    """What a stream before it broke off at is then over; of one that lacks a byte nothing new is known."""
    async with bench(tmp_path) as it:
        first, _ = await begun(it, NEW)
        first.stop(Broken(1_000.0, "source-unreadable", "cannot be read", b"a", 5))
        second, _ = await begun(it, NEW)
        second.took(taken)
        second.stop()
        broken = (await it.sessions.find(NEW.key.hex())).broken
        assert (None if broken is None else broken.cause) == cause


async def test_accounting_for_many_streams_lets_others_have_their_turn(tmp_path: Path) -> None:
    """A stream that ends meanwhile is not accounted for twice: what was on its way when its client left never came."""
    async with bench(tmp_path) as it:
        await it.sessions.register(NEW)
        visit = await it.sessions.enter(NEW)
        many = [visit.begin('"e"', LENGTH, Window(1_000 * n, LENGTH)) for n in range(1_000)]
        wires = [Wire(waiting=40) for _ in many]
        for tally, wire in zip(many, wires, strict=True):
            tally.attach(wire)
            tally.took(100)
        flushing = asyncio.create_task(it.sessions.flush())
        await asyncio.sleep(0)
        asked = sum(wire.asked for wire in wires)
        assert 0 < asked < 1_000
        for tally, wire in zip(many, wires, strict=True):
            tally.stop()
            wire.waiting = 0
        await flushing
        assert (await it.account()).total == 1_000 * 60
