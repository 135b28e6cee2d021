"""Many byte strings kept closely: 4 bytes each beside their own, none if all have one length. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice
from operator import sub

CHUNK = 4096
"""Strings that share one piece of memory: none grows past a few hundred kilobytes, and none is ever copied to grow."""


class Strings:
    """A list of byte strings, in chunks. Grows at its end; a single one can be replaced, at the cost of its chunk."""

    def __init__(self, *, even: bool = False) -> None:
        """``even``: they are likely to be of equal length; as long as they are, nothing is kept beside them."""
        self._chunks: list[bytes] = []
        self._growing = bytearray()
        self._count = 0
        self._even = even
        self._ends = array("I")
        """Where each string ends in its chunk; if they are even, those of any chunk, shared."""

    def __len__(self) -> int:
        return self._count

    def get(self, number: int) -> bytes:
        """Return string ``number``, 0 or more."""
        if number >= self._count:
            raise IndexError(f"string {number} of {self._count}")
        ends, at = self._ends, number % CHUNK if self._even else number
        start = ends[at - 1] if number % CHUNK else 0
        try:
            return self._chunks[number // CHUNK][start : ends[at]]
        except IndexError:
            return bytes(self._growing[start : ends[at]])

    def take(self, start: int, stop: int) -> list[bytes]:
        """Return the strings of a range."""
        taken: list[bytes] = []
        for first, last in _parts(start, stop):
            chunk, begin, ends = self._chunk(first), self._begin(first), self._ends_of(first, last)
            taken += [chunk[begin:end] for begin, end in zip([begin, *ends[:-1]], ends, strict=True)]
        return taken

    def lengths(self, start: int, stop: int) -> list[int]:
        """Return the lengths of the strings of a range."""
        lengths: list[int] = []
        for first, last in _parts(start, stop):
            ends = self._ends_of(first, last)
            lengths += map(sub, ends, [self._begin(first), *ends[:-1]])
        return lengths

    def joined(self, start: int, stop: int) -> tuple[bytes, array[int]]:
        """Return the strings of a range as one, and where each ends in it."""
        if start == stop:
            return b"", array("I")
        if start // CHUNK == (stop - 1) // CHUNK:
            begin, ends = self._begin(start), self._ends_of(start, stop)
            part = self._chunk(start)[begin : ends[-1]]
            return part, ends if not begin else array("I", [end - begin for end in ends])
        return joined(self.take(start, stop))

    def append(self, string: bytes) -> None:
        self._expect(len(string), len(string))
        self._growing += string
        self._count += 1
        if not self._even:
            self._ends.append(len(self._growing))
        self._seal_full()

    def extend(self, strings: Sequence[bytes], prefix: bytes = b"") -> None:
        """Append many, each behind a prefix."""
        if self._even and strings:
            lengths = [len(prefix) + len(string) for string in strings]
            self._expect(min(lengths), max(lengths))
        for first, last in self._rooms(len(strings)):
            part = strings if last - first == len(strings) else strings[first:last]
            if not self._even:
                added = map(len(prefix).__add__, map(len, part))
                self._ends.extend(islice(accumulate(added, initial=len(self._growing)), 1, None))
            self._growing += prefix.join((b"", *part))
            self._count += len(part)
            self._seal_full()

    def extend_even(self, joined: bytes, count: int) -> None:
        """Append ``count`` strings of equal length, given as one.

        Raises:
            ValueError: They cannot be of equal length.
        """
        width = len(joined) // count if count else 0
        if width * count != len(joined):
            raise ValueError(f"{len(joined)} bytes are no {count} strings of equal length")
        if count:
            self._expect(width, width)
        for first, last in self._rooms(count):
            if not self._even:
                self._ends.extend(_even_ends(width, last - first, len(self._growing)))
            self._growing += joined[first * width : last * width]
            self._count += last - first
            self._seal_full()

    def put(self, number: int, string: bytes) -> None:
        """Replace string ``number``."""
        self._expect(len(string), len(string))
        first = number // CHUNK * CHUNK
        last = min(first + CHUNK, len(self))
        strings = self.take(first, last)
        strings[number - first] = string
        if not self._even:
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

    def _begin(self, number: int) -> int:
        """Where a string begins in its chunk."""
        return self._ends[(number % CHUNK if self._even else number) - 1] if number % CHUNK else 0

    def _ends_of(self, first: int, last: int) -> array[int]:
        """Where each string of a range, all of one chunk, ends there."""
        base = first - first % CHUNK if self._even else 0
        return self._ends[first - base : last - base]

    def _expect(self, least: int, most: int) -> None:
        """Prepare for strings of these lengths."""
        if not self._even:
            return
        if not self._count and least == most:
            self._ends = _ends_of_chunk(least)
        elif not self._count or not self._ends[0] == least == most:
            of_chunk, self._ends, self._even = self._ends, array("I"), False
            for first in range(0, self._count, CHUNK):
                self._ends.extend(of_chunk[: self._count - first])

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


@lru_cache(maxsize=64)
def _ends_of_chunk(width: int) -> array[int]:
    """Where each of ``CHUNK`` strings of one length ends; the same array for all who have such, so never changed."""
    return array("I", _even_ends(width, CHUNK))


def _even_ends(width: int, count: int, begin: int = 0) -> Sequence[int]:
    return range(begin + width, begin + width * (count + 1), width) if width else [begin] * count


def _parts(start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut a range where a chunk ends."""
    while start < stop:
        last = min(stop, start // CHUNK * CHUNK + CHUNK)
        yield start, last
        start = last
