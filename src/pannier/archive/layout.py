"""Layouts and segments: an archive as ordered runs of bytes whose lengths are known before a byte is read. No I/O.

A layout never holds its segments: it knows where each entry's bytes begin and makes the segments of a window when
asked. Offsets are absolute in the archive; a ``Content`` window is absolute in the entry.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

from pannier.archive.entries import Entries
from pannier.archive.strings import CHUNK
from pannier.window import Window


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that follow from names, sizes and times alone."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def cut(self, start: int, stop: int) -> Literal:
        return Literal(self.data[start:stop])


@dataclass(frozen=True, slots=True)
class Content:
    """A run of bytes of the content of entry number ``entry``."""

    entry: int
    window: Window

    @property
    def length(self) -> int:
        return self.window.length

    def cut(self, start: int, stop: int) -> Content:
        return Content(self.entry, Window(self.window.start + start, self.window.start + stop))


CHECKSUM_LENGTH = 4
_WHOLE_CHECKSUM = Window(0, CHECKSUM_LENGTH)


@dataclass(frozen=True, slots=True)
class Late:
    """Bytes of known length that need the CRC-32 of the content of entry number ``entry``.

    Only the checksum field itself is late, never the record around it: the bytes before it can leave at once.
    """

    entry: int
    window: Window = _WHOLE_CHECKSUM

    @property
    def length(self) -> int:
        return self.window.length

    def cut(self, start: int, stop: int) -> Late:
        return Late(self.entry, Window(self.window.start + start, self.window.start + stop))

    def build(self, crc32: int) -> bytes:
        """Return the bytes, given the checksum (little-endian, APPNOTE 4.4.7)."""
        return crc32.to_bytes(CHECKSUM_LENGTH, "little")[self.window.start : self.window.stop]


Segment = Literal | Content | Late


class Layout(Protocol):
    """The shape of one archive: a pure function of its entries and of the options that shape bytes.

    ``segments`` is the definition. ``before``, ``after`` and ``trailer`` give the same bytes to whoever passes over
    many whole entries: the archive is, for each entry, ``before``, its content (of files), ``after``; then ``trailer``
    of all entries; then what ``segments`` has behind it.
    """

    @property
    def entries(self) -> Entries:
        """The entries in the order of the archive; segments name them by their position here."""

    @property
    def length(self) -> int:
        """Length of the archive in bytes: the sum of its segments' lengths."""

    @property
    def trailer_offset(self) -> int:
        """Where the part begins that needs the checksums of all entries (``length`` where a format has none)."""

    def entry_offset(self, entry: int) -> int:
        """Where the bytes of entry number ``entry`` begin; of the number of entries: where they end."""

    def segments(self, window: Window | None = None) -> Iterator[Segment]:
        """Make the segments that hold exactly the bytes of ``window`` (default: all), in order."""

    @property
    def checksums(self) -> bool:
        """Whether any byte of this format depends on the checksum of content."""

    def checksum_first(self, entry: int) -> bool:
        """Whether the checksum of entry number ``entry`` stands before its content."""

    def entries_in(self, window: Window) -> range:
        """The numbers of the entries whose own bytes (record or content) touch ``window``."""

    def trailer_entry_offset(self, entry: int) -> int:
        """Where the trailer's record of entry number ``entry`` begins; of the number of entries: where they end."""

    def trailer_entries(self, window: Window) -> range:
        """The numbers of the entries whose records in the trailer touch ``window``."""

    def before(self, entry: int, crc32: int) -> bytes:
        """Return the record before the content of an entry; of a stored link, its content too.

        ``crc32`` is the checksum of a file's content; it counts only where ``checksum_first``.
        """

    def after(self, entry: int, crc32: int) -> bytes:
        """Return what follows the content of an entry: a descriptor, padding; often nothing."""

    def befores(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        """``before`` of consecutive entries, with their checksums."""

    def afters(self, entries: range, checksums: Sequence[int]) -> list[bytes]:
        """``after`` of consecutive entries, with their checksums."""

    def recipe(self, entries: range) -> str | None:
        """Name the recipe (``recipes``) by which others make what stands before consecutive entries, from columns.

        None where there is none, or one of them is odd. With a recipe their names are their sources, and nothing stands
        behind their contents.
        """

    def trailer(self, entries: range, checksums: Sequence[int]) -> bytes:
        """Return the records of a run of entries in the trailer, joined.

        ``checksums`` are those of the entries; what stands there for one without content does not count. Blocks for
        about a microsecond an entry.
        """


Ends = Callable[[range, int, int], Sequence[int] | None]
"""From a run of units, where it begins, and a number: where the unit of that number ends, that of twice the number, and
so on; and where the last one does. None: add the lengths up."""


class Units:
    """Consecutive runs of bytes, found by offset in O(log n): 8 bytes a unit, or for some units together."""

    def __init__(
        self,
        count: int,
        lengths: Callable[[range], Iterable[int]],
        begin: int = 0,
        *,
        apart: int = 1,
        ends: Ends | None = None,
    ) -> None:
        """Lay them out from ``begin`` on.

        Args:
            count: How many there are.
            lengths: Gives the lengths of a run of units, which is not empty: always the same.
            begin: Where the first begins.
            apart: Of how many the first one's start is kept, a divisor of ``CHUNK``; those of the others are made again
                from their lengths when they are asked for, all of a group.
            ends: Finds what the lengths amount to, faster.
        """
        self._count, self._lengths, self._apart = count, lengths, apart
        self._starts = array("Q", [begin])
        self._latest: tuple[int, Sequence[int]] = (-1, ())
        for part in runs(count):  # lists made one after the other, not one for all: other threads have their turn
            found = None if ends is None else ends(part, begin, apart)
            if found is None:
                all_ends = list(accumulate(lengths(part), initial=begin))
                found = all_ends[apart::apart] if len(part) % apart == 0 else [*all_ends[apart::apart], all_ends[-1]]
            self._starts.extend(found if len(part) % apart == 0 else found[:-1])
            begin = found[-1]
        self._stop = begin

    def __len__(self) -> int:
        return self._count

    @property
    def stop(self) -> int:
        return self._stop

    def start_of(self, unit: int) -> int:
        """Where a unit begins; of the one after the last, where that ends."""
        kept, beyond = divmod(unit, self._apart)
        return self._group(kept)[beyond] if beyond else self._starts[kept]

    def starts(self, start: int, stop: int) -> Sequence[int]:
        """Where each of a run of units begins, which is not empty; its last may be the one after all."""
        if self._apart == 1:
            return self._starts[start:stop]
        kept, beyond = divmod(start, self._apart)
        if beyond + stop - start <= self._apart + 1:
            return self._group(kept)[beyond : beyond + stop - start]
        lengths = self._lengths(range(start - beyond, stop - 1))
        return list(accumulate(lengths, initial=self._starts[kept]))[beyond:]

    def touching(self, window: Window) -> range:
        """The units that hold a byte of ``window``."""
        window = window.intersect(Window(self._starts[0], self._stop))
        if not window:
            return range(0)
        return range(self._unit_at(window.start), self._unit_at(window.stop - 1) + 1)

    def segments(self, window: Window, make: Callable[[int], Iterable[Segment]]) -> Iterator[Segment]:
        """Make the segments of the units that touch ``window``, cut to it."""
        touching = self.touching(window)
        for part in runs(touching.stop, touching.start):
            starts = self.starts(part.start, part.stop + 1)
            for unit, start, stop in zip(part, starts, starts[1:], strict=False):
                if window.start <= start and stop <= window.stop:
                    yield from make(unit)
                else:
                    yield from clip(make(unit), start, window)

    def _unit_at(self, offset: int) -> int:
        """The unit that holds a byte."""
        kept = bisect_right(self._starts, offset) - 1
        return kept if self._apart == 1 else kept * self._apart + bisect_right(self._group(kept), offset) - 1

    def _group(self, kept: int) -> Sequence[int]:
        """Where each of the units begins that have one kept start in common, and where the last of them ends."""
        number, starts = self._latest  # whoever goes on from unit to unit finds them there
        if number != kept:
            first = kept * self._apart
            lengths = self._lengths(range(first, min(first + self._apart, self._count)))
            starts = list(accumulate(lengths, initial=self._starts[kept]))
            self._latest = kept, starts  # both at once: threads share it
        return starts


def runs(stop: int, start: int = 0) -> Iterator[range]:
    """Cut a run of entries where ``Entries`` cuts it too: columns are taken in such parts."""
    while start < stop:
        last = min(stop, start // CHUNK * CHUNK + CHUNK)
        yield range(start, last)
        start = last


def clip(segments: Iterable[Segment], at: int, window: Window) -> Iterator[Segment]:
    """Cut a run of segments that begins at offset ``at`` to ``window``."""
    for segment in segments:
        stop = at + segment.length
        inside = Window(at, stop).intersect(window)
        if inside:
            yield segment if inside.length == segment.length else segment.cut(inside.start - at, inside.stop - at)
        at = stop


def render(
    layout: Layout,
    content: Callable[[int, Window], bytes],
    crc32: Callable[[int], int],
    window: Window | None = None,
) -> bytes:
    """Return the bytes of a window, given where content and checksums come from: the definition, and for tests."""
    return b"".join(
        segment.data
        if isinstance(segment, Literal)
        else content(segment.entry, segment.window)
        if isinstance(segment, Content)
        else segment.build(crc32(segment.entry))
        for segment in layout.segments(window)
    )
