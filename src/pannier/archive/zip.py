"""The layout of a stored ZIP: exact length, every window, before a byte of content is read. No I/O.

Plain form, the only stored one all readers take: sizes and CRC-32 in the local header, no data descriptor. An entry
larger than ``late_above`` always has a descriptor instead, by its size alone, so that its first byte need not wait for
a checksum of all of it. The bytes are a function of entries, ``late_above`` and ``VERSION``, and of nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from operator import add

from pannier.archive import zip_records as records
from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.layout import CHECKSUM_LENGTH, Content, Late, Literal, Segment, Units, clip, runs
from pannier.archive.recipes import ZIP
from pannier.archive.strings import CHUNK
from pannier.window import Window

VERSION = 1
"""Part of every ETag: raise it whenever the same entries would give other bytes."""


_MEMBERS_APART, _APART = 8, 64
"""Members, and records of the directory, of which one's place is kept: that of the others is added up when somebody
asks, which is seldom for the latter."""

_FILE, _LINK = Kind.FILE.value, Kind.LINK.value


def arrange(entries: Sequence[Entry]) -> Entries:
    """Put entries into the order of the archive: as planned, but for what two readers cannot take.

    Safari's own unpacker keeps only the first member of an archive that begins with a Zip64 entry, so the first that is
    none moves to the front. Info-ZIP's unzip misreads the directory behind a file of exactly 4 GiB - 1 (the largest of
    FAT32): it takes that true size for "see the Zip64 field" when it comes to the next. Such files go to the end.
    """
    entries = Entries.of(entries)
    sizes = entries.sizes
    if not any(records.needs_zip64(max(sizes[part.start : part.stop])) for part in runs(len(entries))):
        return entries
    order = sorted(range(len(entries)), key=lambda number: sizes[number] == records.LIMIT_32)
    if records.needs_zip64(sizes[order[0]]):
        small = next((at for at, number in enumerate(order) if not records.needs_zip64(sizes[number])), 0)
        order.insert(0, order.pop(small))
    return entries if order == list(range(len(entries))) else entries.in_order(order)


class ZipLayout:
    """Where everything lies in the ZIP of some entries: a byte or two an entry beside the entries themselves."""

    checksums = True

    def __init__(self, entries: Sequence[Entry], late_above: int | None) -> None:
        """Lay out ``entries``; files of more than ``late_above`` bytes get a data descriptor (None: none do).

        Raises:
            ValueError: ``late_above`` is below 4 GiB - 2: a descriptor on a small entry is not read by all readers.
        """
        if late_above is not None and late_above < records.LIMIT_32 - 1:
            raise ValueError("late_above must be at least 4 GiB - 2: smaller entries never get a data descriptor")
        self._entries = arrange(entries)
        self._late_above = late_above
        self._odd = _odd_chunks(self._entries)
        count = len(self._entries)
        self._locals = Units(
            count,
            partial(_local_lengths, self._entries, self._odd, late_above),
            apart=_MEMBERS_APART,
            ends=partial(_local_ends, self._entries, self._odd),
        )
        self._centrals = Units(
            count,
            partial(_central_lengths, self._entries, self._odd, self._locals),
            self._locals.stop,
            apart=_APART,
            ends=partial(_central_ends, self._entries, self._odd, self._locals),
        )
        self._end = records.end_records(len(self._entries), self._locals.stop, self._centrals.stop - self._locals.stop)

    @property
    def entries(self) -> Entries:
        return self._entries

    @property
    def length(self) -> int:
        return self._centrals.stop + len(self._end)

    @property
    def trailer_offset(self) -> int:
        return self._locals.stop

    def entry_offset(self, entry: int) -> int:
        return self._locals.start_of(entry)

    def checksum_first(self, entry: int) -> bool:
        return bool(self._entries.sizes[entry]) and not self._is_late(entry)

    def entries_in(self, window: Window) -> range:
        return self._locals.touching(window)

    def trailer_entry_offset(self, entry: int) -> int:
        return self._centrals.start_of(entry)

    def trailer_entries(self, window: Window) -> range:
        return self._centrals.touching(window)

    def segments(self, window: Window | None = None) -> Iterator[Segment]:
        window = Window(0, self.length) if window is None else window
        yield from self._locals.segments(window, self._local)
        yield from self._centrals.segments(window, self._central)
        yield from clip([Literal(self._end)], self._centrals.stop, window)

    def before(self, entry: int, crc32: int) -> bytes:
        entries = self._entries
        size, mtime_ns = entries.sizes[entry], entries.mtimes[entry]
        if records.is_plain(size, mtime_ns) and entries.kinds[entry] == _FILE:
            return records.plain_local_header(entries.name(entry), size, mtime_ns, crc32 if size else 0)
        planned, late = entries[entry], self._is_late(entry)
        checksum = crc32 if self._has_content(entry) and not late else 0
        header = records.local_header(planned, descriptor=late, crc32=checksum)
        return header + planned.target

    def after(self, entry: int, crc32: int) -> bytes:
        return records.descriptor(self._entries[entry], crc32) if self._is_late(entry) else b""

    def befores(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        columns, start, stop = self._entries, entries.start, entries.stop
        sizes = columns.sizes[start:stop]
        if columns.kinds.count(_FILE, start, stop) < len(entries) or not self._all_plain(entries) or 0 in sizes:
            return [self.before(number, crc32) for number, crc32 in zip(entries, checksums, strict=True)]
        names = columns.names(start, stop)
        return records.plain_local_headers(names, sizes, columns.mtimes[start:stop], checksums)

    def afters(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        if self._late_above is None or max(self._entries.sizes[entries.start : entries.stop]) <= self._late_above:
            return [b""] * len(entries)
        return [self.after(number, crc32) for number, crc32 in zip(entries, checksums, strict=True)]

    def recipe(self, entries: range) -> str | None:
        columns, start, stop = self._entries, entries.start, entries.stop
        filled = columns.kinds.count(_FILE, start, stop) == len(entries) and 0 not in columns.sizes[start:stop]
        return ZIP if filled and self._all_plain(entries) and columns.are_named_as_found(start, stop) else None

    def trailer(self, entries: range, checksums: Sequence[int]) -> bytes:
        first = entries.start
        return b"".join(
            self._central_headers(part, checksums[part.start - first : part.stop - first])
            for part in runs(entries.stop, first)
        )

    def _is_late(self, entry: int) -> bool:
        return _is_late(self._entries, self._late_above, entry)

    def _all_plain(self, part: range) -> bool:
        return _all_plain(self._entries, self._odd, part)

    def _has_content(self, entry: int) -> bool:
        return self._entries.kinds[entry] == _FILE and self._entries.sizes[entry] > 0

    def _central_headers(self, part: range, checksums: Sequence[int]) -> bytes:
        entries, start, stop = self._entries, part.start, part.stop
        sizes, kinds, offsets = entries.sizes[start:stop], entries.kinds[start:stop], self._locals.starts(start, stop)
        far = records.needs_zip64(offsets[0])
        if not self._all_plain(part) or far != records.needs_zip64(offsets[-1]):
            return b"".join(
                self._central_header(number, offset, crc32 if self._has_content(number) else 0)
                for number, offset, crc32 in zip(part, offsets, checksums, strict=True)
            )
        if kinds.count(_FILE) < len(part) or 0 in sizes:
            checksums = [
                crc32 if kind == _FILE and size else 0
                for crc32, kind, size in zip(checksums, kinds, sizes, strict=True)
            ]
            for number, target in entries.targets(start, stop).items():
                if kinds[number - start] == _LINK:
                    checksums[number - start] = zlib.crc32(target)
        return records.plain_central_headers(
            entries.names(start, stop),
            kinds,
            sizes,
            entries.mtimes[start:stop],
            entries.modes[start:stop],
            checksums,
            offsets,
            far=far,
        )

    def _central_header(self, entry: int, offset: int, crc32: int) -> bytes:
        return records.central_header(self._entries[entry], offset, descriptor=self._is_late(entry), crc32=crc32)

    def _local(self, entry: int) -> Iterable[Segment]:
        header = self.before(entry, 0)
        if not self._has_content(entry):
            return [Literal(header)]
        content = Content(entry, Window(0, self._entries.sizes[entry]))
        if self._is_late(entry):
            descriptor = self.after(entry, 0)
            return [Literal(header), content, *_with_checksum(entry, descriptor, records.DESCRIPTOR_CRC_AT)]
        return [*_with_checksum(entry, header, records.LOCAL_CRC_AT), content]

    def _central(self, entry: int) -> Iterable[Segment]:
        header = self._central_header(entry, self._locals.start_of(entry), 0)
        if not self._has_content(entry):
            return [Literal(header)]
        return _with_checksum(entry, header, records.CENTRAL_CRC_AT)


def _is_late(entries: Entries, late_above: int | None, entry: int) -> bool:
    """Whether an entry's CRC-32 follows its content."""
    return late_above is not None and entries.sizes[entry] > late_above and entries.kinds[entry] == _FILE


def _odd_chunks(entries: Entries) -> bytes:
    """A byte for each chunk of entries: 0 where the size and the time of each are plain."""
    return bytes(not _are_plain(entries, part) for part in runs(len(entries)))


def _all_plain(entries: Entries, odd: bytes, part: range) -> bool:
    """Whether the size and the time of each of a run of entries are plain, ``odd`` what ``_odd_chunks`` says of all."""
    return odd.find(1, part.start // CHUNK, (part.stop - 1) // CHUNK + 1) == -1 or _are_plain(entries, part)


def _are_plain(entries: Entries, part: range) -> bool:
    sizes, mtimes = entries.sizes[part.start : part.stop], entries.mtimes[part.start : part.stop]
    return records.is_plain(max(sizes), min(mtimes)) and records.is_plain(0, max(mtimes))


def _local_lengths(entries: Entries, odd: bytes, late_above: int | None, part: range) -> Iterable[int]:
    if _all_plain(entries, odd, part):
        sizes, names = entries.sizes[part.start : part.stop], entries.name_lengths(part.start, part.stop)
        return map(records.PLAIN_LOCAL_LENGTH.__add__, map(add, names, sizes))
    return [
        records.local_length(entries[number])
        + entries.sizes[number]
        + (records.DESCRIPTOR_LENGTH if _is_late(entries, late_above, number) else 0)
        for number in part
    ]


def _local_ends(entries: Entries, odd: bytes, part: range, begin: int, apart: int) -> Sequence[int] | None:
    """``Ends`` of the members of plain entries: what their names, and their contents, amount to, is known or added."""
    if not _all_plain(entries, odd, part):
        return None
    _, names = entries.joined_names(part.start, part.stop)
    contents = list(accumulate(entries.sizes[part.start : part.stop]))
    return [begin + records.PLAIN_LOCAL_LENGTH * n + names[n - 1] + contents[n - 1] for n in _counts(part, apart)]


def _central_length(entries: Entries, odd: bytes, locals: Units, part: range) -> int | None:
    """The length, without its name, of each of a run of headers in the directory; None where they differ."""
    far = records.needs_zip64(locals.start_of(part[0]))
    if not _all_plain(entries, odd, part) or far != records.needs_zip64(locals.start_of(part[-1])):
        return None
    return records.FAR_CENTRAL_LENGTH if far else records.PLAIN_CENTRAL_LENGTH


def _central_lengths(entries: Entries, odd: bytes, locals: Units, part: range) -> Iterable[int]:
    length = _central_length(entries, odd, locals, part)
    if length is not None:
        return map(length.__add__, entries.name_lengths(part.start, part.stop))
    offsets = locals.starts(part.start, part.stop)
    return [records.central_length(entries[number], offset) for number, offset in zip(part, offsets, strict=True)]


def _central_ends(
    entries: Entries, odd: bytes, locals: Units, part: range, begin: int, apart: int
) -> Sequence[int] | None:
    """``Ends`` of headers in the directory that are alike but for their names."""
    length = _central_length(entries, odd, locals, part)
    if length is None:
        return None
    _, names = entries.joined_names(part.start, part.stop)
    return [begin + length * n + names[n - 1] for n in _counts(part, apart)]


def _counts(part: range, apart: int) -> Iterable[int]:
    """How many units of a run end where ``Ends`` are wanted."""
    return (*range(apart, len(part), apart), len(part))


def _with_checksum(entry: int, record: bytes, at: int) -> Sequence[Segment]:
    return Literal(record[:at]), Late(entry), Literal(record[at + CHECKSUM_LENGTH :])
