"""Runs of small files that a response comes to next, in order: read whole, by this process and its helpers at once.

Helpers are asked for the runs after the next one; this process reads what nobody was asked for, ahead, too, rather
than wait for an answer. So whoever is faster at the moment reads more. Blocks; used by one thread at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from pannier.archive.plan import Shape
from pannier.crc import crc32_each
from pannier.streams.hashing import SMALL
from pannier.streams.helpers import Answer, Helpers, Ticket
from pannier.streams.helping import READ
from pannier.streams.small import read_run, request_of
from pannier.streams.turns import Turns
from pannier.volumes.base import WholeReader

_RUN = 256
_RUN_BYTES = 256 * 1024
"""Small entries, and bytes of theirs, that are read at once."""
_ASKED = 5
"""Runs that one helper is asked for at a time: to begin one, while this process has something else to do for a
while, as long as it takes to send a piece."""

_READING = Turns()
"""Of all responses: the interpreter that they wait for is one."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents that were read here, and their checksums."""

    contents: Sequence[bytes]
    checksums: Sequence[int]


@dataclass(eq=False, slots=True)
class _Run:
    """Consecutive small entries, ``length`` bytes of the archive.

    Attributes:
        ticket: What a helper was asked for them.
        read: What was read here.
    """

    numbers: range
    length: int
    ticket: Ticket | None = None
    read: Contents | None = None

    @property
    def is_left(self) -> bool:
        """Whether nobody has read it, nor been asked to."""
        return self.ticket is None and self.read is None


class Runs:
    """The runs that come next, of one response."""

    def __init__(self, shape: Shape, helpers: Helpers, whole: WholeReader) -> None:
        self._shape, self._helpers, self._whole = shape, helpers, whole
        self._root = whole.root()
        self._numbers = range(0)
        self._likely = _RUN
        """Small entries that the next run may have: more are not looked at."""
        self._piece, self._ahead = _RUN_BYTES, False
        self._next: deque[_Run] = deque()
        self._taken: list[Ticket] = []

    def begin(self, numbers: range) -> None:
        """Go on with entries, the first a small one, up to the next that is not; all before have been taken."""
        self._numbers = numbers

    def expect(self, piece: int, *, ahead: bool) -> None:
        """Say of how many bytes the next piece is, and whether there will be another one at once after that.

        If so, helpers are asked for it already.
        """
        self._piece, self._ahead = piece, ahead

    def take(self, left: int) -> tuple[range, Answer | Contents] | None:
        """Return the next run, and what it holds, valid until ``release``; None if there is none.

        ``left``: how many bytes the piece lacks.

        Raises:
            SourceChanged, SourceUnreadable: As ``WholeReader.read``, of this run or one after it.
        """
        self._cut(left)
        if not self._next:
            return None
        self._ask()
        run = self._next[0]
        while run.ticket is not None and not run.ticket.is_told() and (other := self._left()) is not None:
            other.read = self._read(other.numbers)
            self._ask()
        answer = None if run.ticket is None else run.ticket.result()
        self._next.popleft()
        if run.ticket is not None:
            self._taken.append(run.ticket)
        if answer is not None:
            return run.numbers, answer
        # what a helper did not do is done here, and fails here if it cannot be done
        return run.numbers, self._read(run.numbers) if run.read is None else run.read

    @property
    def stop(self) -> int:
        """The entry after the last one that was taken, when ``take`` has returned None."""
        return self._numbers.start

    def release(self) -> None:
        """Give back what helpers made of the runs that were taken."""
        for ticket in self._taken:
            ticket.release()
        self._taken.clear()

    def rest(self) -> None:
        """Wait for helpers no more: what they were asked for ahead is read by whoever comes to it."""
        for run in self._next:
            if run.ticket is not None:
                run.ticket.release()
                run.ticket = None

    def close(self) -> None:
        """Give everything back."""
        self.release()
        self.rest()
        self._next.clear()

    def _cut(self, left: int) -> None:
        """Have before us what the piece lacks, and enough to be asked for ahead, as far as there are small entries."""
        layout, numbers = self._shape.layout, self._numbers
        sizes = layout.entries.sizes
        least = len(self._helpers) * _ASKED + 2 if self._ahead and self._helpers else 1
        length = sum(run.length for run in self._next)
        while numbers and (length < left or len(self._next) < least) and sizes[numbers.start] <= SMALL:
            run = sizes[numbers.start : min(numbers.start + self._likely, numbers.stop)]
            if max(run) > SMALL:
                run = run[: next(at for at, size in enumerate(run) if size > SMALL)]
            ends = list(accumulate(run))
            count = max(1, bisect_right(ends, min(self._piece, _RUN_BYTES)))
            self._likely = min(_RUN, count + count // 2 + 4)
            part, numbers = numbers[:count], numbers[count:]
            self._next.append(_Run(part, layout.entry_offset(part.stop) - layout.entry_offset(part.start)))
            length += self._next[-1].length
        self._numbers = numbers

    def _ask(self) -> None:
        """Have helpers read runs, but not the next of those that nobody has read: this process does that."""
        if self._root is None or not self._helpers.ready(len(self._next[0].numbers)):
            return
        asked = sum(run.ticket is not None and run.ticket.told is None for run in self._next)
        left = (run for run in self._next if run.is_left)
        layout = self._shape.layout
        for run in islice(left, 1, 1 + max(0, len(self._helpers) * _ASKED - asked)):
            request = request_of(layout.entries, run.numbers, layout.recipe(run.numbers) or READ)
            if request is not None and (ticket := self._helpers.ask(self._root, request)) is not None:
                run.ticket = ticket

    def _left(self) -> _Run | None:
        return next((run for run in self._next if run.is_left), None)

    def _read(self, numbers: range) -> Contents:
        layout = self._shape.layout
        with _READING.turn():
            contents = read_run(self._whole, layout.entries, numbers)
        return Contents(contents, crc32_each(contents) if layout.checksums else [0] * len(numbers))
