"""Readers of encoded archives: right bytes, or a failure that shows; and nothing is left behind."""

from __future__ import annotations

import asyncio
import gzip
import io
import random
import tarfile
import threading
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import zstandard

from pannier.archive.formats import FORMATS
from pannier.archive.plan import Shape
from pannier.dto.selections import Selection
from pannier.errors import SourceChanged, SourceUnreadable
from pannier.services.orders import Order
from pannier.streams.base import HELD_BACK
from pannier.streams.deflate import BLOCK
from pannier.streams.encoding import EncodedReader, Encoding
from pannier.streams.hashing import SMALL
from pannier.streams.workers import Workers
from pannier.window import Window
from tests.streams.bench import FOLDER, Bench, bench

CHANCE = random.Random(9)
ENCODED = [label for label, made in FORMATS.items() if made.encoding is not None]
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(80_000))
EDGES = {
    b"%s/%08d%+d" % (kind, size, more): data[: size + more]
    for size in (SMALL, BLOCK, 2 * BLOCK)
    for more in (-1, 0, 1)
    for kind, data in ((b"noise", CHANCE.randbytes(2 * BLOCK + 1)), (b"text", TEXT))
}
TREES = {
    "nothing but an empty folder": {},
    "one empty file": {b"empty": b""},
    "small ones": {b"s/%04d" % number: b"small %d " % number * number for number in range(700)},
    "many empty ones": {b"e%04d" % number: b"" for number in range(1_100)},
    "block edges": {**EDGES, b"a": b"", b"zz": b"last"},
    "one large": {b"large": TEXT[: BLOCK + 5]},
}


@dataclass
class Packing:
    """A bench, and threads that pack."""

    bench: Bench
    encoding: Encoding

    async def shape(self, label: str) -> Shape:
        plans, order = self.bench.plans, Order(self.bench.place, Selection(files=(".",)))
        return await plans.shape(order, await plans.plan(order), FORMATS[label])

    def reader(self, shape: Shape) -> EncodedReader:
        it = self.bench
        return self.encoding.reader(
            it.engine, it.place, shape, filename="x", session="s", on_changed=lambda: it.changes.append("s")
        )

    async def whole(self, label: str) -> bytes:
        return b"".join([item async for item in self.reader(await self.shape(label)).read()])


@asynccontextmanager
async def packing(tree: dict[bytes, bytes]) -> AsyncIterator[Packing]:
    """When it is left, no task and no thread that packs is there any more."""
    tasks = len(asyncio.all_tasks())
    async with bench() as it:
        for path, data in tree.items():
            it.write(path, data)
        workers = Workers("pack", 3)
        try:
            yield Packing(it, Encoding(workers, 4))
        finally:
            it.watched.gate.set()
            await workers.close()
    assert len(asyncio.all_tasks()) == tasks
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pannier-pack")]


def held(label: str, archive: bytes) -> dict[bytes, bytes]:
    """Return what an archive holds, by independent readers."""
    if label.startswith("zip"):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return {each.filename.encode(): opened.read(each) for each in opened.infolist() if not each.is_dir()}
    plain = gzip.decompress(archive) if label == "tar.gz" else unpacked_zstd(archive)
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
        members = {each.name.encode(): tar.extractfile(each) for each in tar if each.isfile()}
        return {name: content.read() for name, content in members.items() if content is not None}


def unpacked_zstd(archive: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(archive, read_across_frames=True) as reader:
        return reader.read()


@pytest.mark.parametrize("label", ENCODED)
@pytest.mark.parametrize("tree", TREES)
async def test_an_encoded_archive_holds_the_tree(tree: str, label: str) -> None:
    async with packing(TREES[tree]) as it:
        assert held(label, await it.whole(label)) == TREES[tree]


@pytest.mark.parametrize(("label", "plain"), [("tar.gz", gzip.decompress), ("tar.zst", unpacked_zstd)])
async def test_a_packed_tar_is_the_stored_tar_packed(label: str, plain: object) -> None:
    async with packing(TREES["block edges"]) as it:
        stored = it.bench.reader(await it.shape("tar"))
        whole = b"".join([item async for item in stored.read() if isinstance(item, bytes)])
        assert callable(plain)
        assert plain(await it.whole(label)) == whole
        assert len(whole) == stored.length


async def test_a_packed_tar_gz_is_one_member() -> None:
    """Readers that know of one only, as browsers and some libraries do, get all of it."""
    async with packing(TREES["block edges"]) as it:
        reader = zlib.decompressobj(31)
        reader.decompress(await it.whole("tar.gz"))
        assert (reader.eof, reader.unused_data) == (True, b"")


async def test_small_files_have_plain_headers_and_large_ones_descriptors() -> None:
    async with packing({b"noise": CHANCE.randbytes(900), b"text": TEXT[:900], b"large": CHANCE.randbytes(BLOCK)}) as it:
        archive = await it.whole("zip+deflate")
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        told = {each.filename: (each.compress_type, each.flag_bits) for each in opened.infolist()}
    assert told == {"noise": (0, 0), "text": (8, 0), "large": (8, 8)}


@pytest.mark.parametrize("label", ENCODED)
async def test_the_last_item_is_short_and_there_are_no_windows(label: str) -> None:
    async with packing(TREES["block edges"]) as it:
        reader = it.reader(await it.shape(label))
        items = [item async for item in reader.read()]
        assert 0 < len(items[-1]) <= HELD_BACK
        assert (reader.length, reader.version) == (None, None)
        with pytest.raises(ValueError, match="windows"):
            await anext(reader.read(Window(0, 1)))


@pytest.mark.parametrize("label", ENCODED)
@pytest.mark.parametrize("path", [b"small", b"large"])
@pytest.mark.parametrize("change", ["grow", "shrink", "same size", "remove"])
async def test_a_change_before_its_turn_breaks_the_download(label: str, path: bytes, change: str) -> None:
    data = {b"small": b"x" * 1_000, b"large": TEXT[: BLOCK + 9]}
    async with packing({b"0-first": TEXT, **data}) as it:
        shape = await it.shape(label)
        match change:
            case "grow":
                it.bench.write(path, data[path] + b"+")
            case "shrink":
                it.bench.write(path, data[path][:-1])
            case "same size":
                it.bench.write(path, bytes(len(data[path])))
            case _:
                it.bench.memory.remove(FOLDER, path)
        with pytest.raises(SourceChanged):
            _ = [item async for item in it.reader(shape).read()]
        assert "s" in it.bench.changes


@pytest.mark.parametrize("label", ENCODED)
async def test_a_change_while_it_is_read_breaks_the_download(label: str) -> None:
    """A rewrite of what was read already: identities are compared after the last byte, too."""
    async with packing({b"large": CHANCE.randbytes(12 * BLOCK)}) as it:
        given = 0

        async def read_and_change() -> None:
            nonlocal given
            async for item in it.reader(await it.shape(label)).read():
                if not given:
                    it.bench.write(b"large", CHANCE.randbytes(12 * BLOCK))
                given += len(item)

        with pytest.raises(SourceChanged, match="large"):
            await read_and_change()
        assert 0 < given < 12 * BLOCK


@pytest.mark.parametrize("label", ENCODED)
async def test_a_file_that_cannot_be_read_breaks_the_download(label: str) -> None:
    async with packing({b"a": TEXT, b"b": TEXT}) as it:
        shape = await it.shape(label)
        it.bench.memory.break_reads(FOLDER, b"b", at=BLOCK + 7)
        with pytest.raises(SourceUnreadable, match="b"):
            _ = [item async for item in it.reader(shape).read()]
        assert it.bench.changes == []


@pytest.mark.parametrize("label", ENCODED)
async def test_a_client_that_leaves_leaves_nothing_behind(label: str) -> None:
    """Left at any item, cancelled in any wait: the benches see that tasks, threads and files are gone."""
    async with packing({b"%02d" % number: TEXT for number in range(4)}) as it:
        shape = await it.shape(label)
        for count in range(6):
            items = it.reader(shape).read()
            for _ in range(count):
                await anext(items, None)
            await items.aclose()
        for seconds in (0, 0.001, 0.01, 0.03):
            task = asyncio.create_task(it.whole(label))
            await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert it.bench.watched.opened == it.bench.watched.closed


async def test_a_client_that_pulls_no_more_has_a_bounded_number_of_blocks_waiting() -> None:
    async with packing({b"large": CHANCE.randbytes(40 * BLOCK)}) as it:
        items = it.reader(await it.shape("zip+deflate")).read()
        await anext(items)
        await asyncio.sleep(0.3)
        assert it.bench.watched.read[b"large"] <= (it.encoding.ahead + 3) * BLOCK
        await items.aclose()


async def test_checksums_that_are_learnt_serve_the_stored_zip() -> None:
    async with packing(TREES["block edges"]) as it:
        await it.whole("zip+deflate")
        stored = await it.shape("zip")
        assert it.bench.hashing.unknown(it.bench.place, stored, range(stored.entries)) == []


@pytest.mark.parametrize("number", [0, 1])
async def test_content_that_contradicts_a_remembered_checksum_breaks_the_download_once(number: int) -> None:
    async with packing({b"large": TEXT, b"small": b"small"}) as it:
        shape = await it.shape("zip+deflate")
        it.bench.hashing.learn(it.bench.place, shape, number, 0xDEAD)
        with pytest.raises(SourceChanged, match="CRC-32"):
            _ = [item async for item in it.reader(shape).read()]
        assert held("zip+deflate", await it.whole("zip+deflate")) == {b"large": TEXT, b"small": b"small"}


@pytest.mark.parametrize("size", [1_000, 3 * BLOCK], ids=["small", "large"])
async def test_a_checksum_that_content_contradicts_breaks_the_download_and_heals(size: int) -> None:
    content = CHANCE.randbytes(size)
    async with packing({b"f": content}) as it:
        shape, (place, hashing) = await it.shape("zip+deflate"), (it.bench.place, it.bench.hashing)
        hashing.learn(place, shape, 0, zlib.crc32(content) ^ 1)
        with pytest.raises(SourceChanged, match="CRC-32"):
            async for _ in it.reader(shape).read():
                pass
        assert hashing.known(place, shape, 0) == zlib.crc32(content)
        assert it.bench.changes == ["s"]
