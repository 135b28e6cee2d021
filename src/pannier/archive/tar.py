"""The layout of a TAR: exact length and every window, and no checksum of content anywhere. No I/O.

Nothing in a TAR has to be known before its content is read, so any window of it can be served at once. The bytes are a
function of entries and ``VERSION``, and of nothing else; entries stay in the order in which they were planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from pannier.archive import tar_records as records
from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.layout import Content, Literal, Segment, Units, clip
from pannier.window import Window

VERSION = 1
"""Part of every ETag: raise it whenever the same entries would give other bytes."""

RECORD = 20 * records.BLOCK
"""The length of an archive is a multiple of this, as GNU tar and bsdtar make it (POSIX: blocking factor 20)."""

_END_BLOCKS = 2
_ZEROS = Literal(bytes(records.BLOCK))
_FILE = Kind.FILE.value


class TarLayout:
    """Where everything lies in the TAR of some entries; 8 bytes an entry beside the entries themselves."""

    checksums = False

    def __init__(self, entries: Sequence[Entry], late_above: int | None = None) -> None:
        """Lay out ``entries``. ``late_above`` is for formats with checksums and changes nothing here."""
        self._entries = Entries.of(entries)
        self._members = Units(len(self._entries), partial(_lengths, self._entries))
        self._length = -(-(self._members.stop + _END_BLOCKS * records.BLOCK) // RECORD) * RECORD

    @property
    def entries(self) -> Entries:
        return self._entries

    @property
    def length(self) -> int:
        return self._length

    @property
    def trailer_offset(self) -> int:
        return self._length

    def entry_offset(self, entry: int) -> int:
        return self._members.start_of(entry)

    def checksum_first(self, entry: int) -> bool:
        return False

    def entries_in(self, window: Window) -> range:
        return self._members.touching(window)

    def trailer_entry_offset(self, entry: int) -> int:
        return self._length

    def trailer_entries(self, window: Window) -> range:
        return range(0)

    def before(self, entry: int, crc32: int) -> bytes:
        """The headers of an entry. ``crc32`` is not needed."""
        return records.header(self._entries[entry])

    def after(self, entry: int, crc32: int) -> bytes:
        """The zeros behind an entry's content. ``crc32`` is not needed."""
        if self._entries.kinds[entry] != _FILE:
            return b""
        return _ZEROS.data[: records.padding(self._entries.sizes[entry])]

    def befores(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        """``before`` of consecutive entries."""
        return list(map(records.header, self._entries[entries.start : entries.stop]))

    def afters(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        """``after`` of consecutive entries."""
        return [self.after(number, 0) for number in entries]

    def recipe(self, entries: range) -> None:
        """None: padding stands behind contents."""
        return

    def trailer(self, entries: range, checksums: Sequence[int]) -> bytes:
        """Nothing: the zeros at the end belong to no entry."""
        return b""

    def segments(self, window: Window | None = None) -> Iterator[Segment]:
        window = Window(0, self._length) if window is None else window
        yield from self._members.segments(window, self._member)
        end = self._members.stop
        yield from clip([_ZEROS] * ((self._length - end) // records.BLOCK), end, window)

    def _member(self, index: int) -> Iterable[Segment]:
        entry = self._entries[index]
        header = Literal(records.header(entry))
        if entry.kind is not Kind.FILE or not entry.size:
            return [header]
        content = Content(index, Window(0, entry.size))
        padding = records.padding(entry.size)
        return [header, content, Literal(_ZEROS.data[:padding])] if padding else [header, content]


def _lengths(entries: Entries, part: range) -> list[int]:
    start, stop = part.start, part.stop
    sizes, mtimes = entries.sizes[start:stop], entries.mtimes[start:stop]
    plain = (
        entries.kinds.count(_FILE, start, stop) == len(part)
        and records.is_plain(max(sizes), min(mtimes))
        and records.is_plain(0, max(mtimes))
        and max(entries.name_lengths(start, stop)) <= records.PLAIN_NAME
        and entries.joined_names(start, stop)[0].isascii()
    )
    if plain:
        return [records.BLOCK + size + -size % records.BLOCK for size in sizes]
    return [_length_of(entries[number]) for number in part]


def _length_of(entry: Entry) -> int:
    length = records.header_length(entry)
    return length + entry.size + records.padding(entry.size) if entry.kind is Kind.FILE else length
