"""What an archive is made of: entries. No I/O in this package; paths and names are bytes, ``/``-separated, relative.

An ``Entry`` is one of them, as a value. ``Entries`` holds millions of them, as columns: about 55 bytes each beside the
path. Whoever passes over many reads the columns, and makes no ``Entry``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar, overload

from pannier.archive.files import Files
from pannier.archive.strings import CHUNK, Strings, joined


class Kind(Enum):
    """What a thing in a folder is. The value is part of every ETag: never renumber."""

    FILE = 1
    DIRECTORY = 2
    LINK = 3
    SPECIAL = 4
    """A socket, FIFO or device: never part of an archive."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive, as planned.

    Attributes:
        path: Where it was found below the folder's root, links on the way included.
        name: Its entry name in the archive (``archive.names``); a directory's ends in ``/``.
        kind: FILE, DIRECTORY (only empty ones are entries) or LINK (only where links are stored).
        size: Bytes of content: the file's, or of the link's target; 0 for a directory.
        mtime_ns: Last modification, nanoseconds since the epoch, UTC.
        mode: Permission bits (0o777).
        identity: The volume's opaque name of *this content at this place*; it changes whenever the content may have.
        source: The path without any link in it, by which the volume opens it.
        target: The text of a stored link, else empty.
    """

    path: bytes
    name: bytes
    kind: Kind
    size: int
    mtime_ns: int
    mode: int
    identity: bytes
    source: bytes
    target: bytes = b""


_FILE, _DIRECTORY = Kind.FILE.value, Kind.DIRECTORY.value
_KINDS = (Kind.FILE, *Kind)  # by value: calling the class takes its time
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1

T = TypeVar("T")


class Entries(Sequence[Entry]):
    """The entries of a plan, as columns; made by an ``EntriesBuilder``, and never changed after that.

    Attributes:
        sizes: Bytes of content, ``array("Q")``.
        mtimes: Nanoseconds since the epoch, ``array("q")``; the nearest where 64 bits do not hold it (years before 1677
            and after 2262), ``mtime_ns`` is exact.
        modes: Permission bits, ``array("H")``.
        kinds: Values of ``Kind``, a byte each.
    """

    __slots__ = (
        "_far",
        "_identities",
        "_moves",
        "_moves_at",
        "_paths",
        "_renamed",
        "_targets",
        "kinds",
        "modes",
        "mtimes",
        "sizes",
    )

    def __init__(self) -> None:
        self.sizes = array("Q")
        self.mtimes = array("q")
        self.modes = array("H")
        self.kinds = bytearray()
        self._paths, self._identities = Strings(), Strings(even=True)
        # What few entries have:
        self._far: dict[int, int] = {}
        self._renamed: dict[int, bytes] = {}
        self._targets: dict[int, bytes] = {}
        # Runs of entries that lie elsewhere: where each begins, its end, bytes of the path to replace, and by what.
        self._moves_at = array("Q")
        self._moves: list[tuple[int, int, bytes]] = []

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Entries:
        """Return entries as columns; those that are, as they are."""
        if isinstance(entries, Entries):
            return entries
        builder = EntriesBuilder()
        for entry in entries:
            builder.append(entry)
        return builder.build()

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self._entry(number) for number in range(*index.indices(len(self)))]
        return self._entry(range(len(self))[index])

    def __iter__(self) -> Iterator[Entry]:
        return map(self._entry, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{len(self):,} entries>"

    # -- one entry's values; ``number`` is 0 or more

    def path(self, number: int) -> bytes:
        return self._paths.get(number)

    def name(self, number: int) -> bytes:
        if self._renamed and (renamed := self._renamed.get(number)) is not None:
            return renamed
        path = self._paths.get(number)
        return path + b"/" if self.kinds[number] == _DIRECTORY else path

    def identity(self, number: int) -> bytes:
        return self._identities.get(number)

    def mtime_ns(self, number: int) -> int:
        return self._far.get(number, self.mtimes[number])

    def target(self, number: int) -> bytes:
        return self._targets.get(number, b"")

    def source(self, number: int) -> bytes:
        path = self._paths.get(number)
        move = bisect_right(self._moves_at, number) - 1 if self._moves else -1
        if move >= 0:
            stop, cut, source = self._moves[move]
            if number < stop:
                return source + path[cut:]
        return path

    # -- values of runs of entries

    def paths(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        return self._paths.take(start, len(self) if stop is None else stop)

    def sources(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        stop = len(self) if stop is None else stop
        if not self._moves:
            return self._paths.take(start, stop)
        return [self.source(number) for number in range(start, stop)]

    def joined_sources(self, start: int, stop: int) -> tuple[bytes, array[int]]:
        """Return the sources of a run as one string, and where each ends in it, ``array("I")``."""
        return joined(self.sources(start, stop)) if self._moves else self._paths.joined(start, stop)

    def names(self, start: int = 0, stop: int | None = None) -> list[bytes]:
        stop = len(self) if stop is None else stop
        names = self._paths.take(start, stop)
        for number in self._own_names(start, stop):
            names[number - start] = self.name(number)
        return names

    def are_named_as_found(self, start: int, stop: int) -> bool:
        """Whether the names of a run are its sources, as most are."""
        return not self._moves and not any(True for _ in self._own_names(start, stop))

    def name_lengths(self, start: int, stop: int) -> list[int]:
        lengths = self._paths.lengths(start, stop)
        for number in self._own_names(start, stop):
            lengths[number - start] = len(self.name(number))
        return lengths

    def joined_names(self, start: int, stop: int) -> tuple[bytes, array[int]]:
        """Return the names of a run as one string, and where each ends in it, ``array("I")``."""
        if any(True for _ in self._own_names(start, stop)):
            return joined(self.names(start, stop))
        return self._paths.joined(start, stop)

    def identities(self, start: int, stop: int) -> list[bytes]:
        return self._identities.take(start, stop)

    def joined_identities(self, start: int, stop: int) -> tuple[bytes, array[int]]:
        """Return the identities of a run as one string, and where each ends in it, ``array("I")``."""
        return self._identities.joined(start, stop)

    def far_times(self, start: int, stop: int) -> dict[int, int]:
        """Return the times of a run that ``mtimes`` cannot hold, by entry number, in order."""
        return _those_in(self._far, start, stop)

    def targets(self, start: int, stop: int) -> dict[int, bytes]:
        """Return the targets of the stored links of a run, by entry number, in order."""
        return _those_in(self._targets, start, stop)

    def newest_ns(self) -> int:
        """The time of the entry that was modified last, 0 if there is none."""
        parts = [max(self.mtimes[start : start + CHUNK]) for start in range(0, len(self), CHUNK)]
        return max([*parts, *self._far.values()], default=0)

    def in_order(self, numbers: Iterable[int]) -> Entries:
        """Return a copy with the entries in another order."""
        return Entries.of(map(self._entry, numbers))

    def _own_names(self, start: int, stop: int) -> Iterator[int]:
        """The entries of a run whose name is not their path."""
        if self._renamed:
            yield from _those_in(self._renamed, start, stop)
        at = self.kinds.find(_DIRECTORY, start, stop)
        while at != -1:
            if at not in self._renamed:
                yield at
            at = self.kinds.find(_DIRECTORY, at + 1, stop)

    def _entry(self, number: int) -> Entry:
        return Entry(
            self.path(number),
            self.name(number),
            _KINDS[self.kinds[number]],
            self.sizes[number],
            self.mtime_ns(number),
            self.modes[number],
            self.identity(number),
            self.source(number),
            self.target(number),
        )


def _those_in(exceptions: dict[int, T], start: int, stop: int) -> dict[int, T]:
    if not exceptions:
        return {}
    if len(exceptions) < stop - start:
        return {number: exceptions[number] for number in sorted(exceptions) if start <= number < stop}
    return {number: exceptions[number] for number in range(start, stop) if number in exceptions}


class EntriesBuilder:
    """Makes ``Entries`` in place: what is built is not copied."""

    def __init__(self) -> None:
        self._made = Entries()

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, number: int) -> Entry:
        return self._made[number]

    def append(self, entry: Entry) -> None:
        made, number = self._made, len(self._made)
        made._paths.append(entry.path)
        made._identities.append(entry.identity)
        made.sizes.append(entry.size)
        made.mtimes.append(0)
        made.modes.append(entry.mode)
        made.kinds.append(entry.kind.value)
        self._keep_exceptions(number, entry)

    def extend(self, prefix: bytes, source: bytes, files: Files) -> None:
        """Append files of one directory.

        Args:
            prefix: What stands before their names in their paths: empty, or a directory's path with ``/``.
            source: The same without links on the way.
            files: The files.
        """
        made, number, count = self._made, len(self._made), len(files)
        if not count:
            return
        made._paths.extend(files.names, prefix)
        if isinstance(files.identities, list):
            made._identities.extend(files.identities)
        else:
            made._identities.extend_even(files.identities, count)
        made.sizes.extend(files.sizes)
        if isinstance(files.mtimes, list):
            for at, mtime_ns in enumerate(files.mtimes, number):
                made.mtimes.append(0)
                self._keep_time(at, mtime_ns)
        else:
            made.mtimes.extend(files.mtimes)
        made.modes.extend(files.modes)
        made.kinds += _FILE.to_bytes() * count
        if source != prefix:
            self._keep_move(number, number + count, len(prefix), source)

    def put(self, number: int, entry: Entry) -> None:
        """Replace an entry by one of the same path and source.

        Raises:
            ValueError: It has another path or source.
        """
        made = self._made
        if (made.path(number), made.source(number)) != (entry.path, entry.source):
            raise ValueError("an entry stays where it is")
        made._identities.put(number, entry.identity)
        made.sizes[number], made.modes[number], made.kinds[number] = entry.size, entry.mode, entry.kind.value
        for exceptions in (made._far, made._renamed, made._targets):
            exceptions.pop(number, None)
        self._keep_exceptions(number, entry, moved=False)

    def rename(self, number: int, name: bytes) -> None:
        """Give an entry a name that is not its path."""
        self._made._renamed[number] = name

    def paths(self) -> Sequence[bytes]:
        """The paths so far, made as they are asked for."""
        return _Paths(self._made)

    def build(self) -> Entries:
        """Return the entries. The builder begins anew."""
        made, self._made = self._made, Entries()
        made._paths.seal()
        made._identities.seal()
        return made

    def _keep_exceptions(self, number: int, entry: Entry, *, moved: bool = True) -> None:
        made = self._made
        self._keep_time(number, entry.mtime_ns)
        if entry.name != (entry.path + b"/" if entry.kind is Kind.DIRECTORY else entry.path):
            made._renamed[number] = entry.name
        if entry.target:
            made._targets[number] = entry.target
        if moved and entry.source != entry.path:
            self._keep_move(number, number + 1, len(entry.path), entry.source)

    def _keep_time(self, number: int, mtime_ns: int) -> None:
        near = self._made.mtimes[number] = min(max(mtime_ns, _LEAST), _MOST)
        if near != mtime_ns:
            self._made._far[number] = mtime_ns

    def _keep_move(self, start: int, stop: int, cut: int, source: bytes) -> None:
        moves = self._made._moves
        if moves and moves[-1] == (start, cut, source):  # the run before goes on
            moves[-1] = (stop, cut, source)
            return
        self._made._moves_at.append(start)
        moves.append((stop, cut, source))


class _Paths(Sequence[bytes]):
    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self._entries.path(number) for number in range(*index.indices(len(self)))]
        return self._entries.path(range(len(self))[index])

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self), CHUNK):
            yield from self._entries.paths(start, min(start + CHUNK, len(self)))
