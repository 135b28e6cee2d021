"""A ZIP with packed content: small files by the group, large ones block by block, on all processors at once."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from pannier.archive import zip_deflate as records
from pannier.archive.entries import Entry, Kind
from pannier.archive.plan import Shape
from pannier.archive.zip_records import end_records
from pannier.errors import SourceChanged
from pannier.streams import deflate
from pannier.streams.crc import crc32, crc32_combine
from pannier.streams.encoder import Work
from pannier.streams.hashing import SMALL, Hashing, Place, read_whole
from pannier.streams.ordered import in_order
from pannier.volumes.base import Folder, Source

_GROUP_BYTES = 1024 * 1024
_GROUP_ENTRIES = 512
_DIRECTORY_ENTRIES = 1_000
"""Directory headers that one thread call makes."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Consecutive small entries, whole: headers and content; for each its method, checksum, packed and whole length."""

    data: bytes
    methods: Sequence[int]
    checksums: Sequence[int]
    packed: Sequence[int]
    lengths: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of a large file, packed."""

    number: int
    data: bytes
    crc: int
    length: int
    first: bool
    last: bool


_Call = Callable[[], _Group | _Block]


async def deflated_zip(work: Work) -> AsyncGenerator[bytes, None]:
    """Give the archive: what holds the content, then the directory of it."""
    directory = _Directory(work.shape)
    folder = await work.readers.run(work.place.open)
    try:
        offset = begin = crc = packed = 0
        async with aclosing(in_order(_calls(work, folder), work.packers, work.ahead)) as pieces:
            async for piece in pieces:
                match piece:
                    case _Group(data=data):
                        directory.add_group(piece, offset)
                    case _Block(number=number, data=data):
                        entry, header = work.shape.entry(number), b""
                        if piece.first:
                            header, begin, crc, packed = records.late_header(entry), offset, 0, 0
                        crc = crc32_combine(crc, piece.crc, piece.length)
                        packed += len(data)
                        data = header + data
                        if piece.last:
                            _hold(work.hashing, work.place, work.shape, number, crc)
                            data += records.descriptor(entry, crc, packed)
                            directory.add(records.DEFLATED, crc, packed, begin)
                    case _:
                        assert_never(piece)
                offset += len(data)
                yield data
    finally:
        await work.readers.surely(folder.close)
    at = offset
    for start in range(0, len(directory), _DIRECTORY_ENTRIES):
        data = await work.packers.run(directory.headers, start, min(start + _DIRECTORY_ENTRIES, len(directory)))
        at += len(data)
        yield data
    yield end_records(len(directory), offset, at - offset)


@dataclass(slots=True)
class _Directory:
    """What the central directory will say, about 21 bytes an entry."""

    shape: Shape
    _methods: bytearray = field(default_factory=bytearray)
    _checksums: array[int] = field(default_factory=lambda: array("I"))
    _packed: array[int] = field(default_factory=lambda: array("Q"))
    _offsets: array[int] = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self._methods)

    def add(self, method: int, crc: int, packed: int, offset: int) -> None:
        self._methods.append(method)
        self._checksums.append(crc)
        self._packed.append(packed)
        self._offsets.append(offset)

    def add_group(self, group: _Group, offset: int) -> None:
        self._methods.extend(group.methods)
        self._checksums.extend(group.checksums)
        self._packed.extend(group.packed)
        for length in group.lengths:
            self._offsets.append(offset)
            offset += length

    def headers(self, start: int, stop: int) -> bytes:
        """Return the directory headers of a run of entries."""
        headers = []
        for number in range(start, stop):
            entry = self.shape.entry(number)
            headers.append(
                records.central_header(
                    entry,
                    self._methods[number],
                    self._checksums[number],
                    self._packed[number],
                    self._offsets[number],
                    late=_is_large(entry),
                )
            )
        return b"".join(headers)


def _is_large(entry: Entry) -> bool:
    return entry.kind is Kind.FILE and entry.size > SMALL


async def _calls(work: Work, folder: Folder) -> AsyncGenerator[_Call, None]:
    """Cut the archive into calls that may run side by side, in the order of its entries."""
    group: list[int] = []
    size = 0
    for number, entry in enumerate(work.shape.layout.entries):
        large = _is_large(entry)
        if not large:
            group.append(number)
            size += entry.size
        if group and (large or size >= _GROUP_BYTES or len(group) >= _GROUP_ENTRIES):
            yield partial(_pack_group, work.hashing, work.place, work.shape, folder, group)
            group, size = [], 0
        if large:
            async with aclosing(_blocks(work, folder, number, entry)) as blocks:
                async for block in blocks:
                    yield block
    if group:
        yield partial(_pack_group, work.hashing, work.place, work.shape, folder, group)


async def _blocks(work: Work, folder: Folder, number: int, entry: Entry) -> AsyncGenerator[_Call, None]:
    """Read a large file from one end to the other, and give its blocks to be packed."""
    source = await work.readers.run(folder.open, entry.source, entry.identity, entry.path)
    try:
        for start in range(0, entry.size, deflate.BLOCK):
            stop = min(start + deflate.BLOCK, entry.size)
            data = await work.readers.run(_read, source, entry, start, stop)
            yield partial(_pack_block, number, data, start == 0, stop == entry.size)
    finally:
        await work.readers.surely(source.close)


def _read(source: Source, entry: Entry, start: int, stop: int) -> bytes:
    """Read a block; after the last one, see that the file still is what was planned."""
    data = source.read(start, stop - start)
    while start + len(data) < stop:  # network file systems may give less than asked for
        more = source.read(start + len(data), stop - start - len(data))
        if not more:
            raise SourceChanged(entry.path, f"it ends after {start + len(data):,} of {entry.size:,} bytes")
        data += more
    if stop == entry.size:
        source.check()
    return data


def _pack_block(number: int, data: bytes, first: bool, last: bool) -> _Block:
    return _Block(number, deflate.packed(data, last=last), crc32(data, 0), len(data), first, last)


def _pack_group(hashing: Hashing, place: Place, shape: Shape, folder: Folder, numbers: Sequence[int]) -> _Group:
    """Read, check, hash and pack small files one after the other."""
    parts: list[bytes] = []
    methods, checksums, sizes, lengths = [], [], [], []
    for number in numbers:
        entry = shape.entry(number)
        if entry.kind is Kind.FILE and entry.size:
            data = read_whole(folder, entry)
            crc = crc32(data, 0)
            _hold(hashing, place, shape, number, crc)
        else:
            data = records.content_of(entry)
            crc = crc32(data, 0)
        packed = deflate.packed_whole(data)
        method = records.STORED if packed is None else records.DEFLATED
        content = data if packed is None else packed
        header = records.local_header(entry, method, crc, len(content))
        parts += (header, content)
        methods.append(method)
        checksums.append(crc)
        sizes.append(len(content))
        lengths.append(len(header) + len(content))
    return _Group(b"".join(parts), methods, checksums, sizes, lengths)


def _hold(hashing: Hashing, place: Place, shape: Shape, number: int, crc: int) -> None:
    """Hold the checksum of content that passed against the one that is known, and keep it."""
    known = hashing.known(place, shape, number)
    if known is not None and known != crc:
        hashing.unlearn(place, shape, number)
        raise SourceChanged(shape.entry(number).path, f"its CRC-32 is {crc:08x}, where {known:08x} was read before")
    hashing.learn(place, shape, number, crc)
