"""What passes through one response: the bytes of a window, made and checked in threads, in order.

A passage is used by one thread at a time and knows nothing of the event loop. It gathers headers and whole small files
into long pieces, one after the other, reading the columns of the plan rather than making objects; large files, and
whatever is cut by the window, go piece by piece through the layout's segments.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from pannier.archive.entries import Entry
from pannier.archive.layout import Content, Late, Literal
from pannier.archive.plan import Shape
from pannier.crc import crc32
from pannier.errors import SourceChanged
from pannier.streams.hashing import SMALL, Hashing, Place
from pannier.streams.helpers import NONE, Helpers
from pannier.streams.passing import Passing, Run
from pannier.streams.runs import Contents, Runs
from pannier.volumes.base import Folder, WholeReader
from pannier.volumes.whole import read_all
from pannier.window import Window

_RECORDS = 2_000
"""Records of a trailer that are made at once."""


@dataclass(frozen=True, slots=True)
class Burst:
    """What one call gave: bytes, and what must happen before the next one can go on.

    Attributes:
        data: The bytes.
        wants: The number of an entry whose checksum must be known, or the run of a file that comes next.
        ended: Whether nothing comes after that.
    """

    data: bytes
    wants: int | Run | None = None
    ended: bool = False


class Passage:
    """The state of one response between thread calls.

    Attributes:
        large: The large file that passes, and those before it.
    """

    def __init__(
        self, place: Place, shape: Shape, hashing: Hashing, *, quiet_after_ns: int | None, helpers: Helpers = NONE
    ) -> None:
        """``quiet_after_ns``: how long nobody must have touched a file to call it quiet; None: no file ever is."""
        self._place, self._shape, self._hashing, self._helpers = place, shape, hashing, helpers
        self.large = Passing(place, shape, hashing, quiet_after_ns)
        self._folder: Folder | None = None
        self._whole: WholeReader | None = None
        self._runs: Runs | None = None
        self._small: tuple[int, bytes] = (-1, b"")
        self._enough = self._gathered = 0
        self._parts: list[bytes | memoryview] = []
        self._steps: Iterator[int | Late | Run] = iter(())

    def enter(self) -> None:
        """Open the folder."""
        self._folder = self._place.open()
        self._whole = self._folder.whole_reader()
        self._runs = Runs(self._shape, self._helpers, self._whole)

    def begin(self, window: Window) -> None:
        """Go on with the bytes of ``window``. A large file that is open stays so."""
        self._steps = self._through(window)

    def gather(self, enough: int, *, ahead: bool = False) -> Burst:
        """Collect bytes until there are ``enough`` or something else must happen first.

        ``ahead``: whether the next call follows at once, so that helpers may work for it already: see ``rest``.

        Raises:
            SourceChanged: A file is not what was planned.
            VolumeFailed: A file cannot be read.
        """
        self.large.check()
        assert self._runs is not None
        self._runs.expect(enough, ahead=ahead)
        self._enough, self._gathered = enough, 0
        wants: int | Run | None = None
        ended = True
        try:
            for step in self._steps:
                if isinstance(step, int):
                    self._gathered += step
                    if self._gathered < enough:
                        continue
                else:
                    wants = step.entry if isinstance(step, Late) else step
                ended = False
                break
            return Burst(b"".join(self._parts), wants, ended)
        finally:
            self._parts.clear()
            self._runs.release()

    def rest(self) -> None:
        """Have helpers work for it no more: a client that waits keeps none."""
        if self._runs is not None:
            self._runs.rest()

    def settle(self) -> None:
        """Check what has passed, all of which is through; errors as ``gather``."""
        self.large.settle()
        self.large.check()

    def close(self) -> None:
        """Give everything back."""
        self.large.close()
        if self._runs is not None:
            self._runs.close()
        if self._whole is not None:
            self._whole.close()
        if self._folder is not None:
            self._folder.close()

    # -- the way through a window

    def _through(self, window: Window) -> Iterator[int | Late | Run]:
        """Put parts where ``gather`` finds them; yield their length, or what must happen before the next part."""
        layout = self._shape.layout
        count = len(layout.entries)
        yield from self._members(layout.entries_in(window), window)
        yield from self._pieces(Window(layout.entry_offset(count), layout.trailer_offset).intersect(window))
        yield from self._trailer(layout.trailer_entries(window), window)
        yield from self._pieces(Window(layout.trailer_entry_offset(count), layout.length).intersect(window))

    def _members(self, numbers: range, window: Window) -> Iterator[int | Late | Run]:
        """The entries that touch the window: runs of small ones, and in between, one by one, what is large or cut."""
        offset_of, sizes = self._shape.layout.entry_offset, self._shape.layout.entries.sizes
        whole = _whole(numbers, offset_of, window)
        number = numbers.start
        while number < numbers.stop:
            if number in whole and sizes[number] <= SMALL:
                number = yield from self._small_files(range(number, whole.stop))
            else:
                yield from self._pieces(Window(offset_of(number), offset_of(number + 1)).intersect(window))
                number += 1

    def _small_files(self, numbers: range) -> Generator[int, None, int]:
        """Entries up to the first that is not small: return its number."""
        assert self._runs is not None
        self.large.settle()
        self._runs.begin(numbers)
        while (taken := self._runs.take(self._enough - self._gathered)) is not None:
            run, read = taken
            if isinstance(read, Contents):
                parts = self._around(run, read.contents, read.checksums)
            elif self._shape.layout.recipe(run) is None:
                parts = [b"".join(self._around(run, read.contents, read.checksums))]
            else:
                self._passed(run, read.checksums)
                parts = [read.whole]
            self._parts += parts
            yield sum(map(len, parts))
        return self._runs.stop

    def _around(
        self, numbers: range, contents: Sequence[bytes | memoryview], checksums: Sequence[int]
    ) -> list[bytes | memoryview]:
        """Return contents with what stands around them."""
        self._passed(numbers, checksums)
        parts: list[bytes | memoryview] = [b""] * (3 * len(numbers))
        layout = self._shape.layout
        parts[0::3], parts[1::3], parts[2::3] = (
            layout.befores(numbers, checksums),
            contents,
            layout.afters(numbers, checksums),
        )
        return parts

    def _passed(self, numbers: range, checksums: Sequence[int]) -> None:
        if self._shape.layout.checksums:
            self._hashing.passed_many(self._place, self._shape, numbers, checksums)

    def _pieces(self, window: Window) -> Iterator[int | Late | Run]:
        """Whatever lies in a window, segment by segment."""
        if not window:
            return
        for segment in self._shape.layout.segments(window):
            if not (isinstance(segment, Content) and segment.entry == self.large.number):
                self.large.settle()
            match segment:
                case Literal(data=data):
                    pass
                case Late(entry=number):
                    while (crc := self._crc(number)) is None:
                        yield segment
                    data = segment.build(crc)
                case Content(entry=number, window=run):
                    if self._shape.layout.entries.sizes[number] > SMALL:
                        yield self.large.take(self._opened(), number, run)
                        continue
                    data = self._small_content(number, run)
                case _:
                    assert_never(segment)
            self._parts.append(data)
            yield len(data)

    def _trailer(self, numbers: range, window: Window) -> Iterator[int | Late | Run]:
        """The trailer's records of some entries, many at a time, once their checksums are known."""
        layout, checksums = self._shape.layout, self._shape.checksums
        offset_of = layout.trailer_entry_offset
        whole = _whole(numbers, offset_of, window)
        number = numbers.start
        while number < numbers.stop:
            if number not in whole:
                yield from self._pieces(Window(offset_of(number), offset_of(number + 1)).intersect(window))
                number += 1
                continue
            self.large.settle()
            part = range(number, min(number + _RECORDS, whole.stop))
            for unknown in checksums.unknown(part):
                while self._crc(unknown) is None:
                    yield Late(unknown)
            data = layout.trailer(part, checksums.values[part.start : part.stop])
            self._parts.append(data)
            yield len(data)
            number = part.stop

    # -- one file

    def _crc(self, number: int) -> int | None:
        known = self._hashing.known(self._place, self._shape, number)
        if known is None and self._shape.layout.entries.sizes[number] <= SMALL:
            self._small_content(number, None)
            known = self._hashing.known(self._place, self._shape, number)
        return known

    def _small_content(self, number: int, run: Window | None) -> bytes:
        """The content of a small file, or of a run of it; what was read for its header is not read again."""
        entry = self._shape.entry(number)
        if run is not None and run.length < entry.size and self._small[0] != number:
            return self._part(entry, run)
        if self._small[0] != number:
            assert self._whole is not None
            (data,) = self._whole.read([(entry.source, entry.identity, entry.size, entry.path)])
            self._hashing.passed(self._place, self._shape, number, crc32(data, 0))
            self._small = number, data
        data = self._small[1]
        if run is None:
            return data
        if run.stop == entry.size:
            self._small = (-1, b"")
        return data[run.start : run.stop]

    def _part(self, entry: Entry, run: Window) -> bytes:
        source = self._opened().open(entry.source, entry.identity, entry.path)
        try:
            data = read_all(source, run.start, run.length)
            source.check()
        finally:
            source.close()
        if len(data) != run.length:
            raise SourceChanged(entry.path, f"it ends after {run.start + len(data):,} of {entry.size:,} bytes")
        return data

    def _opened(self) -> Folder:
        assert self._folder is not None
        return self._folder


def _whole(numbers: range, offset_of: Callable[[int], int], window: Window) -> range:
    """Those of consecutive units that lie in the window with all their bytes: only the first and last may not."""
    if not numbers:
        return numbers
    cut_first = offset_of(numbers.start) < window.start
    cut_last = offset_of(numbers.stop) > window.stop
    return range(numbers.start + cut_first, max(numbers.stop - cut_last, numbers.start + cut_first))
