"""Gathering ahead of who sends: how far, by how many thread calls, and how it ends."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pannier.errors import SourceChanged
from pannier.streams.gathering import Gathering
from pannier.streams.passage import Burst, Passage
from pannier.window import Window
from tests.streams.bench import Bench, bench, until

CHANCE = random.Random(13)
FILES, SIZE = 1_200, 4_000
PIECE = 512 * 1024


@asynccontextmanager
async def gathering(it: Bench, piece: int = PIECE) -> AsyncIterator[Gathering]:
    """Gather an archive of small files in pieces of one length."""
    shape = await it.shape()
    passage = Passage(it.place, shape, it.hashing, quiet_after_ns=None)
    workers = it.workers[0]
    await workers.run(passage.enter)
    passage.begin(Window(0, shape.layout.length))
    made = Gathering(workers, passage, lambda: piece)
    try:
        yield made
    finally:
        await made.stop()
        await workers.run(passage.close)


def plant(it: Bench) -> None:
    for number in range(FILES):
        it.write(b"%04d" % number, CHANCE.randbytes(SIZE))


def files_read(it: Bench) -> int:
    return len(it.watched.read)


async def the_rest(made: Gathering, pieces: list[Burst] | None = None) -> list[Burst]:
    """Take all pieces, into the list that is given."""
    pieces = [] if pieces is None else pieces
    while not pieces or not pieces[-1].ended:
        pieces.append(await made.next())
    return pieces


async def test_a_client_that_waits_has_one_piece_waiting_for_it() -> None:
    async with bench() as it:
        plant(it)
        async with gathering(it) as made:
            await made.next()
            await made.next()
            await made.next()
            await asyncio.sleep(0.3)
            read = files_read(it)
            most = 4 * (PIECE // SIZE + 64)  # three that were taken, and one that waits, each with its last run
            assert 3 * PIECE // (SIZE + 100) < read <= most
            await asyncio.sleep(0.2)
            assert files_read(it) == read
            await the_rest(made)
        assert files_read(it) == FILES


async def test_one_thread_call_gathers_for_a_client_that_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    async with bench() as it:
        plant(it)
        submit = it.workers[0].submit

        def counting(call: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += getattr(call, "__func__", None) is Gathering._gather
            return submit(call, *args, **kwargs)

        monkeypatch.setattr(it.workers[0], "submit", counting)
        monkeypatch.setattr("pannier.streams.gathering._BURST", 60.0)
        monkeypatch.setattr("pannier.streams.gathering._PATIENCE", 10.0)
        async with gathering(it) as made:
            assert len(await the_rest(made)) >= FILES * SIZE // (PIECE + 300_000)
        assert calls <= 3  # the first may be over before anybody waits for it


async def test_a_thread_call_ends_after_a_while_however_fast_the_client_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pannier.streams.gathering._BURST", 0.0)
    threads: set[int] = set()
    async with bench() as it:
        plant(it)
        rests = 0

        def resting(passage: Passage, rest: Any = Passage.rest) -> None:
            nonlocal rests
            rests += 1
            threads.add(threading.get_ident())
            rest(passage)

        monkeypatch.setattr(Passage, "rest", resting)
        async with gathering(it) as made:
            pieces = await the_rest(made)
        assert rests >= len(pieces) // 2
        assert threading.get_ident() not in threads


async def test_what_was_gathered_comes_before_what_failed() -> None:
    async with bench() as it:
        plant(it)
        async with gathering(it) as made:
            it.write(b"%04d" % (FILES - 1), b"other")
            pieces: list[Burst] = []
            with pytest.raises(SourceChanged):
                await the_rest(made, pieces)
            assert len(pieces) >= FILES * SIZE // PIECE - 2
            with pytest.raises(SourceChanged):  # and it is not tried again
                await made.next()


async def test_it_stops_when_its_thread_has() -> None:
    async with bench() as it:
        plant(it)
        async with gathering(it) as made:
            await made.next()
            await made.next()
            it.watched.gate.clear()
            waiting = asyncio.create_task(the_rest(made))
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(made.stop())
            await asyncio.sleep(0.1)
            assert not stopping.done()
            it.watched.gate.set()
            await stopping
            waiting.cancel()
            read = files_read(it)
            await asyncio.sleep(0.1)
            assert files_read(it) == read


async def test_it_waits_until_what_a_piece_wants_is_there() -> None:
    async with bench() as it:
        it.write(b"a", b"small")
        it.write(b"b", CHANCE.randbytes(1_000_000))
        it.write(b"c", b"small")
        async with gathering(it) as made:
            piece = await made.next()
            assert piece.wants == 1
            await until(lambda: files_read(it) == 1)
            await asyncio.sleep(0.1)
            assert files_read(it) == 1  # what comes next is not begun with before that
