"""Sets of bytes: which parts of something were there already. Pure; imports ``window`` alone."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from pannier.window import Window


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of bytes, as the fewest windows that hold it: ascending, none empty, no two of them touching.

    Made by ``of``; equal sets are equal values.
    """

    windows: tuple[Window, ...] = ()

    @classmethod
    def of(cls, windows: Iterable[Window]) -> Coverage:
        """Return the bytes that any of these windows holds, in any order."""
        merged: list[Window] = []
        for window in sorted(filter(None, windows)):
            if merged and window.start <= merged[-1].stop:
                merged[-1] = Window(merged[-1].start, max(merged[-1].stop, window.stop))
            else:
                merged.append(window)
        return cls(tuple(merged))

    @property
    def length(self) -> int:
        """Number of bytes."""
        return sum(window.length for window in self.windows)

    def add(self, window: Window) -> Coverage:
        """Return these bytes and those of one window more, which costs little where it follows the last one."""
        if not window:
            return self
        first = bisect_left(self.windows, window.start, key=_stop)
        last = bisect_right(self.windows, window.stop, key=_start)
        touched = self.windows[first:last]
        if touched:
            window = Window(min(window.start, touched[0].start), max(window.stop, touched[-1].stop))
        return Coverage((*self.windows[:first], window, *self.windows[last:]))

    def union(self, other: Coverage) -> Coverage:
        """Return the bytes that either holds."""
        return Coverage.of((*self.windows, *other.windows))

    def missing(self, within: Window) -> Coverage:
        """Return the bytes of a window that are not in here."""
        gaps, at = [], within.start
        for window in self.windows[bisect_right(self.windows, within.start, key=_stop) :]:
            if window.start >= within.stop:
                break
            gaps.append(Window(at, max(at, window.start)))
            at = max(at, window.stop)
        gaps.append(Window(min(at, within.stop), within.stop))
        return Coverage(tuple(filter(None, gaps)))

    def covers(self, window: Window) -> bool:
        """Whether every byte of a window is in here; true of an empty one."""
        if not window:
            return True
        at = bisect_right(self.windows, window.start, key=_start) - 1  # windows do not touch: one has to hold it all
        return at >= 0 and self.windows[at].stop >= window.stop

    def longest(self, most: int) -> Coverage:
        """Return a part of these bytes in no more than ``most`` windows: the longest ones, the first of equals."""
        if len(self.windows) <= most:
            return self
        return Coverage(tuple(sorted(heapq.nsmallest(most, self.windows, key=lambda it: (-it.length, it.start)))))

    def __str__(self) -> str:
        """Write it as ``parse`` reads it: half-open, ``0-100,200-300``."""
        return ",".join(f"{window.start}-{window.stop}" for window in self.windows)

    @classmethod
    def parse(cls, text: str) -> Coverage:
        """Read what ``str`` wrote.

        Raises:
            ValueError: It is something else.
        """
        pairs = [part.split("-") for part in text.split(",") if text]
        return cls.of(Window(int(start), int(stop)) for start, stop in pairs)


def _start(window: Window) -> int:
    return window.start


def _stop(window: Window) -> int:
    return window.stop
