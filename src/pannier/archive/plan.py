"""A plan: what a selection comes to, checked as a whole before a byte is sent. ``services.planning`` makes them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.formats import Format
from pannier.archive.layout import Layout
from pannier.archive.names import Clash, Rename
from pannier.errors import Offence, SelectionRefused

SHOWN_OFFENCES = 1_000
"""How many offenders a refusal lists; all of them are in the plan."""


@dataclass(frozen=True, slots=True, order=True)
class Omitted:
    """Something left out on purpose, and by which rule of the selection: ``exclude``, ``except`` or ``link``."""

    path: bytes
    reason: str
    rule: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """An entry whose name in the archive differs from its path."""

    path: bytes
    name: bytes
    reasons: tuple[Rename, ...]


@dataclass(frozen=True, slots=True)
class Warned:
    """An entry whose name some platform may have trouble with; it is kept as it is."""

    path: bytes
    clash: Clash


class Checksums:
    """What is known of the entries' CRC-32; 5 bytes an entry. Threads may share it.

    Attributes:
        values: Each entry's CRC-32, where ``known``; 0 for what has no content.
        known: A byte each: 1 where the checksum is known, or there is no content to know it of.
    """

    def __init__(self, entries: Entries) -> None:
        self.values = array("I", bytes(4 * len(entries)))
        # without content: directories and stored links (both cannot be read), and empty files
        self.known = bytearray(entries.kinds).translate(_WITHOUT_CONTENT)
        for number in _zeros(entries.sizes):
            self.known[number] = 1

    def get(self, entry: int) -> int | None:
        return self.values[entry] if self.known[entry] else None

    def put(self, entry: int, crc32: int) -> None:
        self.values[entry] = crc32  # the value first: whoever sees the mark sees the value
        self.known[entry] = 1

    def put_new(self, entries: range, crc32s: Sequence[int]) -> bool:
        """Put the checksums of consecutive entries if none of them is known; return whether that is so."""
        start, stop = entries.start, entries.stop
        if self.known.find(1, start, stop) != -1:
            return False
        self.values[start:stop] = array("I", crc32s)  # the values first, as in `put`
        self.known[start:stop] = b"\x01" * len(entries)
        return True

    def are(self, entries: range, crc32s: Sequence[int]) -> bool:
        """Whether the checksums of consecutive entries are all known, and these."""
        start, stop = entries.start, entries.stop
        return self.known.find(0, start, stop) == -1 and self.values[start:stop] == array("I", crc32s)

    def forget(self, entry: int) -> None:
        self.known[entry] = 0

    def unknown(self, entries: range) -> list[int]:
        """Those of consecutive entries whose checksum is not known."""
        found = []
        at = self.known.find(0, entries.start, entries.stop)
        while at != -1:
            found.append(at)
            at = self.known.find(0, at + 1, entries.stop)
        return found


_WITHOUT_CONTENT = bytes(value != Kind.FILE.value for value in range(256))


def _zeros(sizes: array[int]) -> Iterator[int]:
    at = -1
    with suppress(ValueError):
        while True:
            at = sizes.index(0, at + 1)
            yield at


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The archive that a plan without offences makes."""

    format: Format
    layout: Layout
    etag: str
    last_modified: int
    """Unix seconds: the newest entry's."""
    checksums: Checksums
    unsettled: frozenset[int] = frozenset()
    """Entries that were being written while planned: what is learnt of them is not kept beyond this plan."""

    @property
    def entries(self) -> int:
        return len(self.layout.entries)

    def entry(self, number: int) -> Entry:
        return self.layout.entries[number]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A whole selection, expanded. ``offences`` non-empty: nothing of it may be sent, and ``shape`` is None.

    ``entries`` are in path order; ``shape.layout.entries`` in archive order.
    """

    entries: Entries
    offences: tuple[Offence, ...]
    omitted: tuple[Omitted, ...]
    renamed: tuple[Renamed, ...]
    warnings: tuple[Warned, ...]
    content_bytes: int
    seconds: float
    shape: Shape | None = field(repr=False)

    @property
    def tag(self) -> str:
        """What tells the plans of one selection apart: the ETag; those with offences are all alike."""
        return self.shape.etag if self.shape is not None else "refused"

    def demand(self) -> Shape:
        """Return the archive's shape.

        Raises:
            SelectionRefused: Something in the selection cannot be sent.
        """
        if self.shape is None:
            total = len(self.offences)
            codes = {offence.code for offence in self.offences}
            raise SelectionRefused(self.offences[:SHOWN_OFFENCES], total, len(self.entries) + total, codes)
        return self.shape
