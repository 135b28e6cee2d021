"""The CRC-32 of one file: the same however many threads read it, and however far each of them comes."""

from __future__ import annotations

import asyncio
import random
import threading
import time
import zlib

import pytest

from pannier.errors import SourceChanged
from pannier.streams import running_crc
from pannier.streams.running_crc import RunningCrc
from tests.streams.bench import Bench, bench, until

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
    """Two threads read from the second burst on, whatever this machine does now; the first is one step."""
    monkeypatch.setattr(running_crc, "_FAST", 1.0)
    monkeypatch.setattr(running_crc, "_FIRST", 1e-9)
    monkeypatch.setattr(running_crc, "_LEAST", 2 * MIB)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("offset", [0, 1, 5 * MIB, len(DATA) - 2 * MIB, len(DATA) - 1, len(DATA)])
async def test_two_threads_find_what_one_does(offset: int) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        assert await end(await begun(it, offset)) == zlib.crc32(DATA)
        assert it.watched.read.get(b"f", 0) == len(DATA) - offset


@pytest.mark.usefixtures("shared")
async def test_two_threads_read_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_crc, "_BURST", 60.0)
    both = threading.Barrier(2)
    async with bench() as it:
        it.write(b"f", DATA)
        running = await begun(it)
        await running.go_on()
        readers: set[int] = set()

        def meet(offset: int) -> None:
            if threading.get_ident() not in readers:
                readers.add(threading.get_ident())
                both.wait(30)

        it.watched.told = meet
        assert await end(running) == zlib.crc32(DATA)
        assert len(readers) == 2


@pytest.mark.usefixtures("shared")
async def test_what_the_second_has_read_does_not_count_if_the_first_stopped_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await begun(it)
        await running.go_on()
        assert running.offset == MIB
        running._speed = 1e12
        monkeypatch.setattr(running_crc, "_BURST", 0.05)
        it.watched.told = lambda offset: time.sleep(0.2 if offset < 3 * MIB else 0)  # two steps outlast its time
        await running.go_on()
        assert running.offset == 2 * MIB
        monkeypatch.setattr(running_crc, "_BURST", 60.0)
        assert await end(running) == zlib.crc32(DATA)


async def test_one_thread_reads_slow_storage() -> None:
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
@pytest.mark.parametrize("half", ["first", "second"])
async def test_a_file_that_was_cut_has_no_checksum_and_nobody_reads_on(half: str) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await begun(it)
        await running.go_on()
        running._speed = 1e12

        def cut(offset: int) -> None:
            if (offset == MIB) is (half == "first"):
                it.write(b"f", DATA[: 3 * MIB])

        it.watched.told = cut
        with pytest.raises(SourceChanged):
            await running.go_on()
        assert it.watched.opened == it.watched.closed


@pytest.mark.usefixtures("shared")
async def test_whoever_cancels_it_finds_nothing_reading() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        running = await begun(it)
        await running.go_on()
        running._speed = 1e12
        it.watched.gate.clear()
        task = asyncio.create_task(running.go_on())
        await until(lambda: it.watched.opened == 3)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        it.watched.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert it.watched.opened == it.watched.closed
        assert running.offset == MIB  # it can be gone on with
        assert await end(running) == zlib.crc32(DATA)
