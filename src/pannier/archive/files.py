"""Files of one directory as columns: what a listing gives, and a builder of ``Entries`` takes. No I/O."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Regular files of one directory that may be read, as columns, in the byte order of their names.

    Attributes:
        names: Their last components.
        sizes: Bytes of content, ``array("Q")``.
        mtimes: Nanoseconds since the epoch: ``array("q")``, or a list where 64 bits do not hold them all.
        modes: Permission bits, ``array("H")``.
        identities: As one string where all are of equal length, else each.
        changed: The last instants at which the identities may have moved, nanoseconds since the epoch.
    """

    names: list[bytes]
    sizes: array[int]
    mtimes: array[int] | list[int]
    modes: array[int]
    identities: bytes | list[bytes]
    changed: Sequence[int]

    def __len__(self) -> int:
        return len(self.names)

    def identity(self, number: int) -> bytes:
        if isinstance(self.identities, list):
            return self.identities[number]
        width = len(self.identities) // len(self.names)
        return self.identities[number * width : number * width + width]

    def pick(self, numbers: Sequence[int]) -> Files:
        """Return some of them, by position, in that order."""
        mtimes: array[int] | list[int] = [self.mtimes[number] for number in numbers]
        identities = [self.identity(number) for number in numbers]
        return Files(
            [self.names[number] for number in numbers],
            array("Q", [self.sizes[number] for number in numbers]),
            array("q", mtimes) if isinstance(self.mtimes, array) else mtimes,
            array("H", [self.modes[number] for number in numbers]),
            b"".join(identities) if isinstance(self.identities, bytes) else identities,
            [self.changed[number] for number in numbers],
        )

    def cut(self, start: int, stop: int) -> Files:
        """Return a run of them."""
        if start == 0 and stop == len(self.names):
            return self
        identities = self.identities
        if not isinstance(identities, list):
            width = len(identities) // len(self.names)
            identities = identities[start * width : stop * width]
        else:
            identities = identities[start:stop]
        return Files(
            self.names[start:stop],
            self.sizes[start:stop],
            self.mtimes[start:stop],
            self.modes[start:stop],
            identities,
            self.changed[start:stop],
        )
