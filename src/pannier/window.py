"""Half-open byte intervals. This module imports nothing of ours.

A window is ``[start, stop)`` everywhere in the code; the inclusive form of RFC 9110 section 14 exists only in header
text.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open run of bytes ``[start, stop)``; ``start <= stop``, both at least 0."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"not a window: [{self.start}, {self.stop})")

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.stop - self.start

    def __bool__(self) -> bool:
        return self.stop > self.start

    def intersect(self, other: Window) -> Window:
        """The bytes both windows hold; an empty window where they do not touch."""
        start = max(self.start, other.start)
        return Window(start, max(start, min(self.stop, other.stop)))

    def shift(self, by: int) -> Window:
        """The same run of bytes as seen from an origin that lies ``by`` bytes earlier (negative: later)."""
        return Window(self.start + by, self.stop + by)

    def covers(self, other: Window) -> bool:
        """Whether every byte of ``other`` is in this window."""
        return self.start <= other.start and other.stop <= self.stop

    def split_tail(self, most: int) -> tuple[Window, Window]:
        """Cut into a body and a tail of at most ``most`` bytes."""
        cut = max(self.start, self.stop - most)
        return Window(self.start, cut), Window(cut, self.stop)
