"""What a caller is told while something runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer has come.

    Attributes:
        done: Bytes that are through, those of earlier runs included.
        total: Bytes of all, where that is known.
        note: One line for people, where something happened: a cut, a wait, going on after it.
    """

    done: int
    total: int | None
    note: str | None = None


ProgressCallback = Callable[[Progress], None]
"""Called from the event loop's thread, for each piece and for each note; it must not block."""


def ignore(progress: Progress) -> None:
    """A callback for those who do not want to know."""
