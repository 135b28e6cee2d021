"""The CRC-32 of one file: the same however many threads read it, and however far each of them comes."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import zlib

import pytest

from pannier.errors import SourceChanged, SourceUnreadable
from pannier.streams import running_crc
from pannier.streams.running_crc import RunningCrc
from tests.streams.bench import FOLDER, Bench, bench, until

MIB = 1024 * 1024
DATA = random.Random(3).randbytes(23 * MIB + 4_321)


async def begun(it: Bench, offset: int = 0) -> RunningCrc:
    shape = await it.shape()
    return RunningCrc(it.workers[1], it.place.open, shape.entry(0), offset, zlib.crc32(DATA[:offset]))


async def end(running: RunningCrc) -> int:
    while not running.ended:
        before = running.offset
        await running.go_on()
        assert running.offset > before
        assert running.crc == zlib.crc32(DATA[: running.offset])
    return running.crc


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads read from the second burst on, whatever this machine does now; the first burst is one step."""
    monkeypatch.setattr(running_crc, "_FAST", 1.0)
    monkeypatch.setattr(running_crc, "_FIRST", 1e-9)
    monkeypatch.setattr(running_crc, "_LEAST", 2 * MIB)
    monkeypatch.setattr(running_crc, "_BURST", 60.0)


async def shared_out(it: Bench) -> RunningCrc:
    """Read one step, so that the next burst is all that is left: the first thread's up to 12 MiB."""
    running = await begun(it)
    await running.go_on()
    assert running.offset == MIB
    running._speed = 1e12
    return running


MIDDLE = 12 * MIB


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("offset", [0, 1, 5 * MIB, len(DATA) - 2 * MIB, len(DATA) - 1, len(DATA)])
async def test_two_threads_find_what_one_does(offset: int) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        assert await end(await begun(it, offset)) == zlib.crc32(DATA)
        assert it.watched.read.get(b"f", 0) == len(DATA) - offset


@pytest.mark.usefixtures("shared")
async def test_two_threads_read_at_the_same_time() -> None:
    both = threading.Barrier(2)
    async with bench() as it:
        it.write(b"f", DATA)
        running = await shared_out(it)
        readers: set[int] = set()

        def meet(offset: int) -> None:
            if threading.get_ident() not in readers:
                readers.add(threading.get_ident())
                both.wait(30)

        it.watched.told = meet
        assert await end(running) == zlib.crc32(DATA)
        assert len(readers) == 2


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("slow", "reached"), [(range(3 * MIB), 2 * MIB), (range(MIDDLE, 99 * MIB), MIDDLE + MIB)])
async def test_what_was_read_counts_as_far_as_nothing_is_missing(
    monkeypatch: pytest.MonkeyPatch, slow: range, reached: int
) -> None:
    """One of the two takes longer for a step than it may for all."""
    async with bench() as it:
        it.write(b"f", DATA)
        running = await shared_out(it)
        monkeypatch.setattr(running_crc, "_BURST", 0.5)
        it.watched.told = lambda offset: time.sleep(1.1 if offset in slow else 0)
        await running.go_on()
        assert running.offset == reached
        it.watched.told = lambda offset: None
        assert await end(running) == zlib.crc32(DATA)


async def test_one_thread_reads_slow_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_crc, "_LEAST", 2 * MIB)
    async with bench() as it:
        it.write(b"f", DATA)
        lock = threading.Lock()

        def alone(offset: int) -> None:
            assert lock.acquire(blocking=False)
            time.sleep(0.01)  # 100 MiB a second
            lock.release()

        it.watched.told = alone
        assert await end(await begun(it)) == zlib.crc32(DATA)


@pytest.mark.usefixtures("shared")
async def test_what_the_second_cannot_read_is_told() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await shared_out(it)
        it.memory.break_reads(FOLDER, b"f", at=20 * MIB)
        with pytest.raises(SourceUnreadable):
            await running.go_on()
        assert it.watched.opened == it.watched.closed
        assert running.offset == MIB


@pytest.mark.usefixtures("shared")
async def test_what_the_first_cannot_read_is_told_when_the_second_has_ended() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await shared_out(it)
        failed, released = threading.Event(), threading.Event()

        def fail(offset: int) -> None:
            if offset >= MIDDLE:
                assert released.wait(30)
            elif offset == 2 * MIB:
                failed.set()
                raise SourceChanged(b"f", "it is gone")

        it.watched.told = fail
        task = asyncio.create_task(running.go_on())
        await until(lambda: failed.is_set() and it.watched.opened == 3)
        await asyncio.sleep(0.05)
        assert not task.done()
        released.set()
        with pytest.raises(SourceChanged, match="it is gone"):
            await task
        assert it.watched.opened == it.watched.closed


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("fails", [False, True])
async def test_whoever_cancels_it_finds_nothing_reading(fails: bool) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await shared_out(it)
        it.watched.gate.clear()
        task = asyncio.create_task(running.go_on())
        await until(lambda: it.watched.opened == 3)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        if fails:
            it.memory.break_reads(FOLDER, b"f", at=20 * MIB)
        it.watched.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert it.watched.opened == it.watched.closed
        assert running.offset == MIB
        if not fails:
            assert await end(running) == zlib.crc32(DATA)  # it can be gone on with
