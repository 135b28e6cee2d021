"""Checksums: computed once for all who wait, kept where they were, remembered."""

from __future__ import annotations

import asyncio
import random
import zlib

import pytest

from pannier.errors import SourceChanged
from pannier.streams.hashing import SMALL
from tests.streams.bench import FOLDER, bench

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
            it.hashing.unlearn(it.place, shape, 0)


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
