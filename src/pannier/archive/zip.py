"""The layout of a stored ZIP: exact length, every window, before a byte of content is read. No I/O.

Plain form, the only stored one all readers take: sizes and CRC-32 in the local header, no data descriptor. An entry
larger than ``late_above`` always has a descriptor instead, by its size alone, so that its first byte need not wait for
a checksum of all of it. The bytes are a function of entries, ``late_above`` and ``VERSION``, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pannier.archive import zip_records as records
from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import CHECKSUM_LENGTH, Content, Late, Literal, Segment, Units, clip
from pannier.window import Window

VERSION = 1
"""Part of every ETag: raise it whenever the same entries would give other bytes."""


def arrange(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Put entries into the order of the archive: as planned, but for what two readers cannot take.

    Safari's own unpacker keeps only the first member of an archive that begins with a Zip64 entry, so the first that is
    none moves to the front. Info-ZIP's unzip misreads the directory behind a file of exactly 4 GiB - 1 (the largest of
    FAT32): it takes that true size for "see the Zip64 field" when it comes to the next. Such files go to the end.
    """
    if any(entry.size == records.LIMIT_32 for entry in entries):
        entries = sorted(entries, key=lambda entry: entry.size == records.LIMIT_32)
    if not entries or not records.needs_zip64(entries[0].size):
        return entries
    small = next((i for i, entry in enumerate(entries) if not records.needs_zip64(entry.size)), None)
    if small is None:
        return entries
    return [entries[small], *entries[:small], *entries[small + 1 :]]


class ZipLayout:
    """Where everything lies in the ZIP of some entries; 16 bytes an entry beside the entries themselves."""

    def __init__(self, entries: Sequence[Entry], late_above: int | None) -> None:
        """Lay out ``entries``; files of more than ``late_above`` bytes get a data descriptor (None: none do).

        Raises:
            ValueError: ``late_above`` is below 4 GiB - 2: a descriptor on a small entry is not read by all readers.
        """
        if late_above is not None and late_above < records.LIMIT_32 - 1:
            raise ValueError("late_above must be at least 4 GiB - 2: smaller entries never get a data descriptor")
        self._entries = arrange(entries)
        self._late_above = late_above
        self._locals = Units(self._local_length(entry) for entry in self._entries)
        self._centrals = Units(
            (records.central_length(entry, self._locals.start_of(i)) for i, entry in enumerate(self._entries)),
            begin=self._locals.stop,
        )
        self._end = records.end_records(len(self._entries), self._locals.stop, self._centrals.stop - self._locals.stop)

    @property
    def entries(self) -> Sequence[Entry]:
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
        return bool(self._entries[entry].size) and not self._is_late(self._entries[entry])

    def entries_in(self, window: Window) -> range:
        return self._locals.touching(window)

    def trailer_entries(self, window: Window) -> range:
        return self._centrals.touching(window)

    def segments(self, window: Window | None = None) -> Iterator[Segment]:
        window = Window(0, self.length) if window is None else window
        yield from self._locals.segments(window, self._local)
        yield from self._centrals.segments(window, self._central)
        yield from clip([Literal(self._end)], self._centrals.stop, window)

    def _is_late(self, entry: Entry) -> bool:
        """Whether the entry's CRC-32 follows its content."""
        return self._late_above is not None and entry.kind is Kind.FILE and entry.size > self._late_above

    def _local_length(self, entry: Entry) -> int:
        return records.local_length(entry) + entry.size + (records.DESCRIPTOR_LENGTH if self._is_late(entry) else 0)

    def _local(self, index: int) -> Iterable[Segment]:
        entry = self._entries[index]
        late = self._is_late(entry)
        header = records.local_header(entry, descriptor=late)
        if entry.kind is not Kind.FILE or not entry.size:
            return [Literal(header + entry.target)]
        content = Content(index, Window(0, entry.size))
        if late:
            return [
                Literal(header),
                content,
                *_with_checksum(index, records.descriptor(entry), records.DESCRIPTOR_CRC_AT),
            ]
        return [*_with_checksum(index, header, records.LOCAL_CRC_AT), content]

    def _central(self, index: int) -> Iterable[Segment]:
        entry = self._entries[index]
        header = records.central_header(entry, self._locals.start_of(index), descriptor=self._is_late(entry))
        if entry.kind is not Kind.FILE or not entry.size:
            return [Literal(header)]
        return _with_checksum(index, header, records.CENTRAL_CRC_AT)


def _with_checksum(index: int, record: bytes, at: int) -> Sequence[Segment]:
    return Literal(record[:at]), Late(index), Literal(record[at + CHECKSUM_LENGTH :])
