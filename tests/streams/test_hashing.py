"""Checksums: computed once for all who wait, kept where they were, remembered."""

from __future__ import annotations

import asyncio
import random
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pannier import metrics
from pannier.archive.plan import Checksums
from pannier.errors import SourceChanged
from pannier.state.checksum_store import SqliteChecksums
from pannier.streams import running_crc
from pannier.streams.hashing import SMALL, Hashing
from tests.streams.bench import FOLDER, bench, collect, until

_MIB = 1024 * 1024
DATA = random.Random(1).randbytes(SMALL * 3)


async def test_equal_computations_are_one() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        shape = await it.shape()
        crcs = await asyncio.gather(*(it.hashing.crc(it.place, shape, 0) for _ in range(20)))
        assert set(crcs) == {zlib.crc32(DATA)}
        assert it.watched.read == {b"f": len(DATA)}


async def test_hard_links_and_other_plans_share_what_is_known() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        await it.hashing.crc(it.place, await it.shape(), 0)
        it.write(b"g", b"new")
        assert it.hashing.known(it.place, await it.shape(), 0) == zlib.crc32(DATA)


async def test_a_waiter_that_leaves_does_not_take_the_computation_from_the_others() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        shape = await it.shape()
        it.watched.gate.clear()
        leaving, staying = (asyncio.create_task(it.hashing.crc(it.place, shape, 0)) for _ in range(2))
        await asyncio.sleep(0.01)
        leaving.cancel()
        it.watched.gate.set()
        assert await staying == zlib.crc32(DATA)


async def test_whoever_comes_just_after_the_last_one_left_is_served() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        shape = await it.shape()
        for _ in range(3):
            it.watched.gate.clear()
            leaving = asyncio.create_task(it.hashing.crc(it.place, shape, 0))
            await asyncio.sleep(0.01)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            await asyncio.sleep(0.6)  # longer than a computation outlives its last waiter
            coming = asyncio.create_task(it.hashing.crc(it.place, shape, 0))
            await asyncio.sleep(0.01)
            it.watched.gate.set()
            assert await coming == zlib.crc32(DATA)
            shape.checksums.forget(0)
            it.checksums.forget(it.volume.id, shape.entry(0).identity)


async def test_a_computation_that_was_left_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_crc, "_LEAST", 2 * _MIB)
    monkeypatch.setattr(running_crc, "_FIRST", 1e-9)  # one step
    async with bench() as it:
        data = random.Random(2).randbytes(5 * _MIB)
        it.write(b"f", data)
        shape, read, released = await it.shape(), list[int](), threading.Event()

        def told(offset: int) -> None:
            read.append(offset)
            assert not offset or released.wait(30)

        it.watched.told = told
        leaving = asyncio.create_task(it.hashing.crc(it.place, shape, 0))
        await until(lambda: len(read) > 1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await asyncio.sleep(0.6)  # longer than a computation outlives its last waiter
        released.set()
        assert await it.hashing.crc(it.place, shape, 0) == zlib.crc32(data)
        assert read.count(0) == 1


async def test_many_small_files_are_hashed_in_one_call() -> None:
    async with bench() as it:
        for number in range(50):
            it.write(b"%02d" % number, b"x" * number)
        shape = await it.shape()
        await it.hashing.crc_of_small(it.place, shape, range(50))
        assert [it.hashing.known(it.place, shape, n) for n in range(50)] == [zlib.crc32(b"x" * n) for n in range(50)]


async def test_a_changed_file_has_no_checksum() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        shape = await it.shape()
        it.write(b"f", bytes(len(DATA)))
        for _ in range(2):
            with pytest.raises(SourceChanged):
                await it.hashing.crc(it.place, shape, 0)


async def test_unknown_names_only_what_must_be_read() -> None:
    async with bench() as it:
        it.write(b"a", b"a")
        it.write(b"b", b"")
        it.memory.mkdir(FOLDER, b"c")
        it.write(b"d", b"d")
        shape = await it.shape()
        it.hashing.learn(it.place, shape, 0, 1)
        assert it.hashing.unknown(it.place, shape, range(shape.entries)) == [3]


async def test_content_that_contradicts_ends_the_response_and_heals() -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        it.write(b"g", b"small")
        shape = await it.shape()
        for number, right in enumerate((zlib.crc32(DATA), zlib.crc32(b"small"))):
            it.hashing.learn(it.place, shape, number, right ^ 1)
            with pytest.raises(SourceChanged, match=f"its CRC-32 is {right:08x}, where {right ^ 1:08x}"):
                it.hashing.passed(it.place, shape, number, right)
            it.hashing.passed(it.place, shape, number, right)
        again = await it.shape()
        assert it.hashing.known(it.place, again, 0) == zlib.crc32(DATA)


async def test_what_a_durable_store_keeps_is_not_read_again(tmp_path: Path) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        for number in range(20):
            it.write(b"small-%02d" % number, b"x" * (number + 1))
        shape, path = await it.shape(), tmp_path / "checksums.db"
        expected = [zlib.crc32(DATA), *(zlib.crc32(b"x" * (number + 1)) for number in range(20))]
        for again in range(2):
            store = SqliteChecksums(path, 2**20)
            assert store.open(30)
            hashing = Hashing(it.workers[1], store)
            fresh = replace(shape, checksums=Checksums(shape.layout.entries))
            unknown = hashing.unknown(it.place, fresh, range(shape.entries))
            assert unknown == ([] if again else list(range(21)))
            if not again:
                await hashing.crc_of_small(it.place, fresh, range(1, 21))
            assert await hashing.crc(it.place, fresh, 0) == expected[0]
            assert [hashing.known(it.place, fresh, number) for number in range(21)] == expected
            large = replace(shape, checksums=Checksums(shape.layout.entries))
            assert await hashing.crc(it.place, large, 0) == expected[0]  # asked for alone, too
            store.close()
        assert it.watched.read[b"f"] == len(DATA)


def _noticed(hashing: Hashing, name: str, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return what is set when a look-up of this name has ended."""
    ended, look_up = threading.Event(), getattr(hashing, name)

    def noticed(*asked: Any) -> Any:
        try:
            return look_up(*asked)
        finally:
            ended.set()

    monkeypatch.setattr(hashing, name, noticed)
    return ended


@pytest.mark.parametrize(("files", "look_up"), [(3, "not_at_hand"), (30, "unknown")])
async def test_few_files_and_many_are_looked_up_before_they_are_read(
    tmp_path: Path, files: int, look_up: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are looked up one by one, many together; what the store knows is read once, to be sent, and told as a hit."""
    async with bench() as it:
        for number in range(files):
            it.write(b"f%02d" % number, DATA + b"%02d" % number)
        for reads, misses, hits in ((2, files, 0), (3, 0, files)):
            store = SqliteChecksums(tmp_path / "checksums.db", 2**20)
            assert store.open(30)
            it.hashing = Hashing(it.workers[1], store)
            it.engine = replace(it.engine, hashing=it.hashing)
            told = {name: metrics.CHECKSUMS.labels(name)._value.get() for name in ("hit", "miss")}
            shape = await it.shape()
            it.watched.gate.clear()  # nothing is hashed, or sent, until all have been looked up
            looked_up = _noticed(it.hashing, look_up, monkeypatch)
            reader = it.reader(replace(shape, checksums=Checksums(shape.layout.entries)))
            collecting = asyncio.create_task(collect(reader))
            await until(looked_up.is_set)
            it.watched.gate.set()
            await collecting
            store.close()
            more = {name: metrics.CHECKSUMS.labels(name)._value.get() - was for name, was in told.items()}
            assert more["miss"] == misses
            assert more["hit"] - hits in (0, 1)  # who sends may have the first one looked up before
            assert set(it.watched.read.values()) == {reads * (len(DATA) + 2)}


async def test_what_was_being_written_is_not_kept(tmp_path: Path) -> None:
    async with bench() as it:
        it.write(b"f", DATA)
        shape = replace(await it.shape(), unsettled=frozenset({0}))
        store = SqliteChecksums(tmp_path / "checksums.db", 2**20)
        assert store.open(30)
        await Hashing(it.workers[1], store).crc(it.place, shape, 0)
        assert store.get(it.volume.id, shape.entry(0).identity) is None
        store.close()
