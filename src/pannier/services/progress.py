"""How far a walk is, how far it may go, and that it may be told to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from pannier.errors import LimitExceeded, Offence, show

_Path = bytes  # a field of what follows has the type's name


class WalkCancelled(Exception):
    """Nobody waits for the walk any more."""


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """What a walk may cost: entries, components of a path, seconds, bytes of content (None: as many as there are)."""

    entries: int = 2_000_000
    depth: int = 100
    seconds: float = 120.0
    bytes: int | None = None

    def check(self, entries: int, content: int = 0) -> None:
        """Raise LimitExceeded where there are more entries, or bytes of content, than allowed."""
        if entries > self.entries:
            raise LimitExceeded("entries", measured=entries, limit=self.entries, setting="limits.max-entries")
        if self.bytes is not None and content > self.bytes:
            raise LimitExceeded("bytes of content", measured=content, limit=self.bytes, setting="limits.max-bytes")

    def check_depth(self, path: _Path) -> None:
        """Raise LimitExceeded where what is in the directory ``path`` lies too deep."""
        depth = path.count(b"/") + 2 if path else 1
        if depth > self.depth:
            what = f"components of the paths below {show(path[:80])}"
            raise LimitExceeded(what, measured=depth, limit=self.depth, setting="limits.max-depth")


@dataclass(slots=True)
class Progress:
    """How far a walk is; written by its thread, read by anyone."""

    entries: int = 0
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    named: threading.Event = field(default_factory=threading.Event)
    """Set once every path of the selection itself was looked up."""
    offences: list[Offence] = field(default_factory=list)
    """What is refused so far, in the order in which it was found."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began
