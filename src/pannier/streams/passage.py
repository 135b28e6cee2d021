"""What passes through one response: the bytes of a window, made and checked in threads, in order.

A passage is used by one thread at a time and knows nothing of the event loop. It gathers headers and whole small files
into long pieces, one after the other, reading the columns of the plan rather than making objects; large files, and
whatever is cut by the window, go piece by piece through the layout's segments.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import assert_never

from pannier.archive.entries import Entry
from pannier.archive.layout import Content, Late, Literal
from pannier.archive.plan import Shape
from pannier.crc import crc32, crc32_each
from pannier.errors import SourceChanged
from pannier.streams.hashing import SMALL, Hashing, Place
from pannier.streams.helpers import NONE, Helpers, Ticket
from pannier.streams.helping import READ
from pannier.streams.passing import Passing, Run
from pannier.streams.small import read_run, request_of
from pannier.volumes.base import Folder, WholeReader
from pannier.volumes.whole import read_all
from pannier.window import Window

_RUN = 256
_RUN_BYTES = 256 * 1024
"""Small entries, and bytes of theirs, that are read at once."""
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
        self._small: tuple[int, bytes] = (-1, b"")
        self._enough = self._gathered = 0
        self._likely = _RUN
        """Small entries that the next run may have: more are not looked at."""
        self._parts: list[bytes | memoryview] = []
        self._tickets: list[Ticket] = []
        """Of the helpers in whose memory some parts are."""
        self._steps: Iterator[int | Late | Run] = iter(())

    def enter(self) -> None:
        """Open the folder."""
        self._folder = self._place.open()
        self._whole = self._folder.whole_reader()

    def begin(self, window: Window) -> None:
        """Go on with the bytes of ``window``. A large file that is open stays so."""
        self._steps = self._through(window)

    def gather(self, enough: int) -> Burst:
        """Collect bytes until there are ``enough`` or something else must happen first.

        Raises:
            SourceChanged: A file is not what was planned.
            VolumeFailed: A file cannot be read.
        """
        self.large.check()
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
        finally:  # no request to a helper outlives this call: a client that waits keeps none
            self._parts.clear()
            for ticket in self._tickets:
                ticket.release()
            self._tickets.clear()

    def settle(self) -> None:
        """Check what has passed, all of which is through; errors as ``gather``."""
        self.large.settle()
        self.large.check()

    def close(self) -> None:
        """Give everything back."""
        self.large.close()
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
                runs = self._small_runs(range(number, whole.stop))
                yield self._take_runs(runs)
                number = runs[-1].stop
            else:
                yield from self._pieces(Window(offset_of(number), offset_of(number + 1)).intersect(window))
                number += 1

    def _small_runs(self, numbers: range) -> list[range]:
        """Cut runs of small entries, the first of ``numbers`` one of them: several where helpers can take some."""
        sizes, left = self._shape.layout.entries.sizes, self._enough - self._gathered
        runs: list[range] = []
        start = numbers.start
        while not runs or (left > 0 and self._helpers and start < numbers.stop and sizes[start] <= SMALL):
            run = sizes[start : min(start + self._likely, numbers.stop)]
            count = len(run)
            if max(run) > SMALL:
                count = next(at for at, size in enumerate(run) if size > SMALL)
            ends = list(accumulate(run[:count]))
            count = max(1, bisect_right(ends, min(self._enough, _RUN_BYTES)))
            self._likely = min(_RUN, count + count // 2 + 4)
            runs.append(range(start, start + count))
            start, left = start + count, left - ends[count - 1]
        return runs

    def _take_runs(self, runs: list[range]) -> int:
        """Put runs of whole small entries among the parts and return their length: each is read once.

        Helpers read some of them while the others are read here.
        """
        self.large.settle()
        tickets = self._ask_helpers(runs)
        here = {run.start: self._read(run) for run, ticket in zip(runs, tickets, strict=True) if ticket is None}
        return sum(map(self._take_run, runs, tickets, map(here.get, (run.start for run in runs))))

    def _ask_helpers(self, runs: list[range]) -> list[Ticket | None]:
        """Have helpers read some runs: one each, one that is read here, and so on; this process has the rest to do."""
        assert self._whole is not None
        root, turn, layout = self._whole.root(), len(self._helpers) + 1, self._shape.layout
        tickets: list[Ticket | None] = [None] * len(runs)
        if root is not None and self._helpers.ready(runs[-1].stop - runs[0].start):
            for at, run in enumerate(runs):
                if at % turn < turn - 1:
                    request = request_of(layout.entries, run, layout.recipe(run) or READ)
                    tickets[at] = ticket = None if request is None else self._helpers.ask(root, request)
                    if ticket is not None:
                        self._tickets.append(ticket)
        return tickets

    def _read(self, numbers: range) -> tuple[Sequence[bytes], Sequence[int]]:
        """Read small entries here; return their contents and checksums."""
        assert self._whole is not None
        contents = read_run(self._whole, self._shape.layout.entries, numbers)
        return contents, crc32_each(contents) if self._shape.layout.checksums else [0] * len(numbers)

    def _take_run(
        self, numbers: range, ticket: Ticket | None, read: tuple[Sequence[bytes], Sequence[int]] | None
    ) -> int:
        """Put a run among the parts, its headers around its contents, and return its length."""
        answer = None if ticket is None else ticket.result()
        if answer is None:  # what a helper did not do is done here, and fails here if it cannot be done
            contents, checksums = self._read(numbers) if read is None else read
            parts = self._around(numbers, contents, checksums)
        elif self._shape.layout.recipe(numbers) is None:
            parts = [b"".join(self._around(numbers, answer.contents, answer.checksums))]
        else:
            self._passed(numbers, answer.checksums)
            parts = [answer.whole]
        self._parts += parts
        return sum(map(len, parts))

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
        offset_of, crc32_of = layout.trailer_entry_offset, checksums.values.__getitem__
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
            data = layout.trailer(part, crc32_of)
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
