"""A ZIP with packed content: small files by the group, large ones block by block, on all processors at once."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from operator import add
from typing import assert_never

from pannier.archive import zip_deflate as records
from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.plan import Shape
from pannier.archive.zip_records import DEFLATED, STORED, end_records
from pannier.crc import crc32, crc32_combine, crc32_each
from pannier.errors import SourceChanged
from pannier.streams import deflate
from pannier.streams.encoder import Work
from pannier.streams.hashing import SMALL
from pannier.streams.helping import PACK
from pannier.streams.ordered import in_order
from pannier.streams.small import read_run, request_of
from pannier.volumes.base import Folder, Source

_GROUP_BYTES = 1024 * 1024
_GROUP_ENTRIES = 512
_FILE = Kind.FILE.value
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
    held: list[Folder] = []  # filled by the thread: what it opened is closed whatever happens
    try:
        await work.readers.run(_enter, work, held)
        (folder,) = held
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
                            work.hashing.passed(work.place, work.shape, number, crc)
                            data += records.descriptor(entry, crc, packed)
                            directory.add(DEFLATED, crc, packed, begin)
                    case _:
                        assert_never(piece)
                offset += len(data)
                yield data
    finally:
        for folder in held:
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
        entries, numbers = self.shape.layout.entries, range(start, stop)
        if not any(_is_large(entries, number) for number in numbers):
            packed = self._methods[start:stop], self._packed[start:stop]
            checksums, offsets = self._checksums[start:stop], self._offsets[start:stop]
            if (made := records.central_headers(entries, numbers, checksums, packed, offsets)) is not None:
                return made
        headers = []
        for number in numbers:
            entry = self.shape.entry(number)
            headers.append(
                records.central_header(
                    entry,
                    self._methods[number],
                    self._checksums[number],
                    self._packed[number],
                    self._offsets[number],
                    late=_is_large(self.shape.layout.entries, number),
                )
            )
        return b"".join(headers)


def _is_large(entries: Entries, number: int) -> bool:
    return entries.sizes[number] > SMALL and entries.kinds[number] == _FILE


async def _calls(work: Work, folder: Folder) -> AsyncGenerator[_Call, None]:
    """Cut the archive into calls that may run side by side, in the order of its entries."""
    entries = work.shape.layout.entries
    start, count = 0, len(entries)
    while start < count:
        if _is_large(entries, start):
            async with aclosing(_blocks(work, folder, start)) as blocks:
                async for block in blocks:
                    yield block
            start += 1
            continue
        stop, size = start, 0
        while stop < min(count, start + _GROUP_ENTRIES) and size < _GROUP_BYTES and not _is_large(entries, stop):
            size += entries.sizes[stop]
            stop += 1
        yield partial(_group, work, folder, range(start, stop))
        start = stop


def _enter(work: Work, held: list[Folder]) -> None:
    held.append(work.place.open())


async def _blocks(work: Work, folder: Folder, number: int) -> AsyncGenerator[_Call, None]:
    """Read a large file from one end to the other, and give its blocks to be packed."""
    entry = work.shape.entry(number)
    opened: list[Source] = []  # filled by the thread: what it opened for who was cancelled is closed all the same
    try:
        await work.readers.run(_open, folder, entry, opened)
        (source,) = opened
        for start in range(0, entry.size, deflate.BLOCK):
            stop = min(start + deflate.BLOCK, entry.size)
            data = await work.readers.run(_read, source, entry, start, stop)
            yield partial(_pack_block, number, data, start == 0, stop == entry.size)
    finally:
        for source in opened:
            await work.readers.surely(source.close)


def _open(folder: Folder, entry: Entry, opened: list[Source]) -> None:
    opened.append(folder.open(entry.source, entry.identity, entry.path))


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


def _group(work: Work, folder: Folder, numbers: range) -> _Group:
    """Read, hash and pack small entries, by a helper or here."""
    entries = work.shape.layout.entries
    with closing(folder.whole_reader()) as reader:
        root = reader.root()
        helped = root is not None and work.helpers.ready(len(numbers))
        request = request_of(entries, numbers, PACK) if helped else None
        if root is not None and request is not None and (ticket := work.helpers.ask(root, request, waiting=1)):
            try:
                if (answer := ticket.result()) is not None:
                    packed = [DEFLATED if method else STORED for method in answer.methods]
                    return _grouped(work, numbers, request.sizes, answer.checksums, packed, answer.contents)
            finally:
                ticket.release()
        contents = read_run(reader, entries, numbers)
    for number, target in entries.targets(numbers.start, numbers.stop).items():
        contents[number - numbers.start] = target
    sizes, checksums = list(map(len, contents)), crc32_each(contents)
    methods = bytearray(len(contents))
    for at, content in enumerate(contents):
        if (smaller := deflate.packed_whole(content)) is not None:
            contents[at], methods[at] = smaller, DEFLATED
    return _grouped(work, numbers, sizes, checksums, methods, contents)


def _grouped(
    work: Work,
    numbers: range,
    sizes: Sequence[int],
    checksums: Sequence[int],
    methods: Sequence[int],
    contents: Sequence[bytes | memoryview],
) -> _Group:
    """Put headers before packed contents. ``sizes`` are those before packing."""
    work.hashing.passed_many(work.place, work.shape, numbers, checksums)
    entries, packed = work.shape.layout.entries, list(map(len, contents))
    names, mtimes = entries.names(numbers.start, numbers.stop), [entries.mtime_ns(number) for number in numbers]
    headers = records.local_headers(names, sizes, mtimes, checksums, (methods, packed))
    data = b"".join(chain.from_iterable(zip(headers, contents, strict=True)))
    return _Group(data, methods, checksums, packed, list(map(add, map(len, headers), packed)))
