"""The reader of archives: right bytes of every window, or a failure that shows."""

from __future__ import annotations

import asyncio
import io
import random
import zipfile

import pytest

from pannier.errors import ChecksumsPending, SourceChanged, SourceUnreadable
from pannier.streams.ahead import AheadSettings
from pannier.streams.base import HELD_BACK
from pannier.streams.hashing import SMALL
from pannier.window import Window
from tests.streams.bench import FOLDER, bench, collect, until

BIG = SMALL * 5
CHANCE = random.Random(7)
TREE = {
    b"a/small": b"hello",
    b"a/empty": b"",
    b"b-big": CHANCE.randbytes(BIG),
    b"c/edge": CHANCE.randbytes(SMALL),
    b"c/over": CHANCE.randbytes(SMALL + 1),
    b"d": CHANCE.randbytes(1000),
}


async def test_a_whole_archive_holds_the_tree() -> None:
    async with bench() as it:
        for path, data in TREE.items():
            it.write(path, data)
        whole = b"".join(await collect(it.reader(await it.shape())))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert {name.encode(): archive.read(name) for name in archive.namelist()} == TREE


async def test_any_window_is_the_slice_of_the_whole() -> None:
    async with bench() as it:
        for path, data in TREE.items():
            it.write(path, data)
        shape = await it.shape()
        reader = it.reader(shape)
        whole = b"".join(await collect(reader))
        assert len(whole) == reader.length
        edges = [
            0,
            1,
            14,
            18,
            *(shape.layout.entry_offset(n) + d for n in range(shape.entries) for d in (-1, 0, 15, 60)),
        ]
        edges += [shape.layout.trailer_offset + d for d in (-1, 0, 17, 30)] + [reader.length - 1, reader.length - 22]
        for start in edges:
            for length in (1, 7, HELD_BACK, HELD_BACK + 1, reader.length):
                window = Window(max(start, 0), min(max(start, 0) + length, reader.length))
                if window:
                    assert b"".join(await collect(it.reader(shape), window)) == whole[window.start : window.stop]


async def test_a_window_needs_no_checksums_but_its_own() -> None:
    """The middle of a large file is served without hashing anything."""
    async with bench(AheadSettings(lead=1)) as it:
        it.write(b"one", CHANCE.randbytes(BIG))
        it.write(b"two", CHANCE.randbytes(BIG))
        shape = await it.shape()
        start = shape.layout.entry_offset(0) + 1_000
        await collect(it.reader(shape), Window(start, start + 10))
        assert it.watched.read == {b"one": 10}


async def test_the_first_bytes_leave_before_any_checksum_is_known() -> None:
    async with bench() as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        reader = it.reader(await it.shape())
        it.watched.gate.clear()
        items = reader.read()
        first = await anext(items)
        assert isinstance(first, bytes)
        assert first.startswith(b"PK\x03\x04")
        it.watched.gate.set()
        await items.aclose()


async def test_the_last_bytes_are_held_back_until_every_file_was_checked() -> None:
    """A change after the last byte was read, but before it was given, is still seen."""
    async with bench() as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        shape = await it.shape()
        given = 0

        async def read_and_change() -> None:
            nonlocal given
            async for item in it.reader(shape).read(Window(0, shape.layout.entry_offset(0) + 60 + BIG - HELD_BACK)):
                assert isinstance(item, bytes)
                given += len(item)
                if given >= BIG - 3 * HELD_BACK:
                    it.write(b"large", CHANCE.randbytes(BIG))

        with pytest.raises(SourceChanged, match="large"):
            await read_and_change()
        assert given <= 60 + BIG - 2 * HELD_BACK
        assert it.changes == ["s"]


async def test_an_item_never_exceeds_what_a_burst_may_hold() -> None:
    async with bench() as it:
        for number in range(300):
            it.write(b"f%03d" % number, CHANCE.randbytes(5_000))
        it.write(b"large", CHANCE.randbytes(BIG))
        sizes = [len(item) for item in await collect(it.reader(await it.shape()))]
        assert max(sizes) <= 1024 * 1024 + SMALL
        assert sizes[-1] <= HELD_BACK


async def test_a_slow_client_never_has_much_waiting_for_it() -> None:
    async with bench() as it:
        for number in range(400):
            it.write(b"f%03d" % number, CHANCE.randbytes(5_000))
        sizes = []
        async for item in it.reader(await it.shape()).read():
            assert isinstance(item, bytes)
            sizes.append(len(item))
            if len(sizes) < 12:
                await asyncio.sleep(0.11)
        assert max(sizes[2:12]) <= 64 * 1024 + 6_000


@pytest.mark.parametrize("path", [b"small", b"large"])
@pytest.mark.parametrize("change", ["grow", "shrink", "same size", "remove", "replace by link"])
async def test_a_change_before_its_turn_breaks_the_download(path: bytes, change: str) -> None:
    async with bench() as it:
        data = {b"small": b"x" * 1_000, b"large": CHANCE.randbytes(BIG)}[path]
        it.write(b"0-first", CHANCE.randbytes(BIG))
        it.write(path, data)
        it.write(b"secret", b"s" * len(data))
        shape = await it.shape()
        if change != "replace by link":
            it.memory.remove(FOLDER, b"secret")
        match change:
            case "grow":
                it.write(path, data + b"+")
            case "shrink":
                it.write(path, data[:-1])
            case "same size":
                it.write(path, bytes(len(data)))
            case "remove":
                it.memory.remove(FOLDER, path)
            case _:
                it.memory.remove(FOLDER, path)
                it.memory.symlink(FOLDER, path, b"secret")
        with pytest.raises(SourceChanged):
            await collect(it.reader(shape))


async def test_a_file_that_cannot_be_read_breaks_the_download() -> None:
    async with bench() as it:
        it.write(b"a", CHANCE.randbytes(BIG))
        it.write(b"b", CHANCE.randbytes(BIG))
        shape = await it.shape()
        it.memory.break_reads(FOLDER, b"b", at=BIG // 2)
        with pytest.raises(SourceUnreadable, match="b"):
            await collect(it.reader(shape))
        assert it.changes == []


async def test_content_that_contradicts_a_remembered_checksum_is_never_sent_whole() -> None:
    """Whatever was remembered wrongly heals: the next download is right."""
    async with bench() as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        it.write(b"small", b"small")
        shape = await it.shape()
        for number in range(2):
            it.hashing.learn(it.place, shape, number, 0xDEAD)
            with pytest.raises(SourceChanged, match="CRC-32"):
                await collect(it.reader(shape))
        whole = b"".join(await collect(it.reader(shape)))
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            assert archive.testzip() is None


async def test_a_second_download_reads_each_file_once() -> None:
    """Checksums are remembered: hashing ahead is not needed again."""
    async with bench() as it:
        for path, data in TREE.items():
            it.write(path, data)
        shape = await it.shape()
        await collect(it.reader(shape))
        it.watched.read.clear()
        await collect(it.reader(shape))
        assert it.watched.read == {path: len(data) for path, data in TREE.items() if data}


async def test_the_end_of_a_large_unhashed_archive_is_pending_and_feeds_its_session() -> None:
    async with bench(pending_above=BIG) as it:
        for number in range(3):
            it.write(b"f%d" % number, CHANCE.randbytes(BIG))
        shape = await it.shape()
        window = Window(shape.layout.trailer_offset, shape.layout.length)
        with pytest.raises(ChecksumsPending) as pending:
            await collect(it.reader(shape), window)
        assert (pending.value.known, pending.value.total) == (0, 3 * BIG)
        await until(lambda: all(it.hashing.known(it.place, shape, number) is not None for number in range(3)))
        tail = b"".join(await collect(it.reader(shape), window))
        assert tail == b"".join(await collect(it.reader(shape)))[window.start :]


async def test_hashing_goes_on_for_a_client_that_was_cut_off() -> None:
    async with bench() as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        shape = await it.shape()
        it.watched.gate.clear()
        items = it.reader(shape).read()
        await anext(items)
        await items.aclose()  # the client left while its first checksum was being computed
        assert it.hashing.known(it.place, shape, 0) is None
        it.watched.gate.set()
        await until(lambda: it.hashing.known(it.place, shape, 0) is not None)


async def test_hashing_for_a_client_that_left_ends_after_a_while() -> None:
    async with bench(AheadSettings(linger=0.05)) as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        shape = await it.shape()
        it.watched.gate.clear()
        items = it.reader(shape).read()
        await anext(items)
        await items.aclose()
        await asyncio.sleep(0.2)
        it.watched.gate.set()
        await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_reader_that_is_cancelled_gives_everything_back() -> None:
    async with bench(AheadSettings(linger=0)) as it:
        it.write(b"large", CHANCE.randbytes(BIG))
        shape = await it.shape()
        it.watched.gate.clear()
        reading = asyncio.create_task(collect(it.reader(shape)))
        await asyncio.sleep(0.05)
        reading.cancel()
        it.watched.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await reading
