"""The clocks that stamp files, and what they cannot tell apart. Values only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that stamps the files of a volume, and how finely, in nanoseconds."""

    now_ns: Callable[[], int]
    granularity_ns: int

    def is_young(self, changed_ns: int, looked_ns: int | None = None) -> bool:
        """Whether another change could carry the same stamp, after it was looked at (default: now)."""
        looked_ns = self.now_ns() if looked_ns is None else looked_ns
        return looked_ns - changed_ns < self.granularity_ns
