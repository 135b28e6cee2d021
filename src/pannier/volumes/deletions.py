"""What a backend promises of things that were deleted and can come back; it blocks, as all of ``base``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pannier.errors import PannierError


@dataclass(frozen=True, slots=True)
class DeletedThing:
    """Something in the trash: the path that it had, and whether it is a ``file``, ``directory``, ``link`` or else."""

    path: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """What was deleted at once, and when, in seconds since the epoch."""

    id: str
    at: float
    things: tuple[DeletedThing, ...]


class Trash(Protocol):
    """Things of one folder that were deleted and can come back; ``TrashMissing`` where they are not there."""

    def put(self, paths: Sequence[bytes], now: float) -> Deletion | None:
        """Delete what is at some paths, of which none is below another; None if nothing was there."""

    def deletions(self) -> list[Deletion]:
        """Return what is here, the latest first."""

    def restore(self, id: str) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, PannierError]]]:
        """Put things back, missing directories too, under ``name (1).ext`` where a name is taken.

        Returns:
            Which path is now where, and what could not be put back.
        """

    def forget(self, id: str) -> None:
        """Delete for good."""

    def collect(self, lifetime: float, now: float) -> None:
        """Delete for good what has been here for ``lifetime`` seconds."""
