"""Many byte strings kept closely: 4 bytes each beside their own. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from operator import sub

CHUNK = 4096
"""Strings that share one piece of memory: none grows past a few hundred kilobytes, and none is ever copied to grow."""


class Strings:
    """A list of byte strings, in chunks. Grows at its end; a single one can be replaced, at the cost of its chunk."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._growing = bytearray()
        self._ends = array("I")
        """Where each string ends in its chunk."""

    def __len__(self) -> int:
        return len(self._ends)

    def get(self, number: int) -> bytes:
        """Return string ``number``, 0 or more."""
        ends = self._ends
        start = ends[number - 1] if number % CHUNK else 0
        try:
            return self._chunks[number // CHUNK][start : ends[number]]
        except IndexError:
            return bytes(self._growing[start : ends[number]])

    def take(self, start: int, stop: int) -> list[bytes]:
        """Return the strings of a range."""
        taken: list[bytes] = []
        for first, last in _parts(start, stop):
            chunk, ends = self._chunk(first), self._ends[first:last]
            begins = [self._ends[first - 1] if first % CHUNK else 0, *ends[:-1]]
            taken += [chunk[begin:end] for begin, end in zip(begins, ends, strict=True)]
        return taken

    def lengths(self, start: int, stop: int) -> list[int]:
        """Return the lengths of the strings of a range."""
        lengths: list[int] = []
        for first, last in _parts(start, stop):
            ends = self._ends[first:last]
            begins = [self._ends[first - 1] if first % CHUNK else 0, *ends[:-1]]
            lengths += map(sub, ends, begins)
        return lengths

    def joined(self, start: int, stop: int) -> tuple[bytes, array[int]]:
        """Return the strings of a range as one, and where each ends in it."""
        if start == stop:
            return b"", array("I")
        if start // CHUNK == (stop - 1) // CHUNK:
            begin, ends = self._ends[start - 1] if start % CHUNK else 0, self._ends[start:stop]
            part = self._chunk(start)[begin : ends[-1]]
            return part, ends if not begin else array("I", [end - begin for end in ends])
        return joined(self.take(start, stop))

    def append(self, string: bytes) -> None:
        self._growing += string
        self._ends.append(len(self._growing))
        self._seal_full()

    def extend(self, strings: Sequence[bytes], prefix: bytes = b"") -> None:
        """Append many, each behind a prefix."""
        for first, last in self._rooms(len(strings)):
            part = strings if last - first == len(strings) else strings[first:last]
            lengths = map(len(prefix).__add__, map(len, part))
            self._ends.extend(islice(accumulate(lengths, initial=len(self._growing)), 1, None))
            self._growing += prefix.join((b"", *part))
            self._seal_full()

    def extend_even(self, joined: bytes, count: int) -> None:
        """Append ``count`` strings of equal length, given as one.

        Raises:
            ValueError: They cannot be of equal length.
        """
        width = len(joined) // count if count else 0
        if width * count != len(joined):
            raise ValueError(f"{len(joined)} bytes are no {count} strings of equal length")
        for first, last in self._rooms(count):
            begin = len(self._growing)
            if width:
                self._ends.extend(range(begin + width, begin + width * (last - first) + 1, width))
            else:
                self._ends.extend([begin] * (last - first))
            self._growing += joined[first * width : last * width]
            self._seal_full()

    def put(self, number: int, string: bytes) -> None:
        """Replace string ``number``."""
        first = number // CHUNK * CHUNK
        last = min(first + CHUNK, len(self))
        strings = self.take(first, last)
        strings[number - first] = string
        self._ends[first:last] = array("I", accumulate(map(len, strings)))
        if first // CHUNK < len(self._chunks):
            self._chunks[first // CHUNK] = b"".join(strings)
        else:
            self._growing = bytearray().join(strings)

    def seal(self) -> None:
        """Say that nothing will be added any more."""
        if len(self) % CHUNK:
            self._chunks.append(bytes(self._growing))
        self._growing = bytearray()

    def _chunk(self, number: int) -> bytes:
        chunk = number // CHUNK
        return self._chunks[chunk] if chunk < len(self._chunks) else bytes(self._growing)

    def _rooms(self, count: int) -> Iterator[tuple[int, int]]:
        """Cut a run to be appended where a chunk gets full."""
        at = 0
        while at < count:
            stop = min(count, at + CHUNK - len(self) % CHUNK)
            yield at, stop
            at = stop

    def _seal_full(self) -> None:
        if len(self) % CHUNK == 0:
            self._chunks.append(bytes(self._growing))
            self._growing = bytearray()


def joined(strings: Sequence[bytes]) -> tuple[bytes, array[int]]:
    """Return strings as one, and where each ends in it, ``array("I")``."""
    return b"".join(strings), array("I", accumulate(map(len, strings)))


def _parts(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut a range where a chunk ends."""
    while start < stop:
        last = min(stop, start // CHUNK * CHUNK + CHUNK)
        yield start, last
        start = last
