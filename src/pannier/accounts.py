"""What a download link has delivered, and when one that is for a single download is spent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pannier.coverage import Coverage
from pannier.window import Window

MOST_WINDOWS = 256
"""Windows that an account tells apart. The shortest are forgotten first: they then count as not delivered."""
_NOTHING = Coverage()
_FREE = 64 * 1024 * 1024
"""Bytes that may be delivered again of an archive of any length: what clients with several connections throw away."""


@dataclass(frozen=True, slots=True)
class Account:
    """What was delivered: which bytes of the archive that came last, and how many in all.

    Attributes:
        archive: Its ETag; empty where nothing was delivered yet.
        length: Its length in bytes; None if nobody knows it in advance.
        coverage: Which of its bytes were delivered.
        total: All bytes, as often as they were delivered, those of earlier archives too.
    """

    archive: str = ""
    length: int | None = None
    coverage: Coverage = _NOTHING
    total: int = 0

    def deliver(self, window: Window) -> Account:
        """Return the account after one more window of the same archive."""
        coverage = self.coverage.add(window).longest(MOST_WINDOWS)
        return replace(self, coverage=coverage, total=self.total + window.length)

    def add(self, later: Account) -> Account:
        """Return the account after what another one says was delivered.

        The order of accounts of one archive does not matter, as long as none has too many windows.
        """
        if not later.archive:
            return replace(self, total=self.total + later.total)
        coverage = later.coverage
        if self.archive == later.archive:
            coverage = self.coverage.union(coverage).longest(MOST_WINDOWS)
        return Account(later.archive, later.length, coverage, self.total + later.total)

    @property
    def complete(self) -> bool:
        """Whether every byte of the archive was delivered."""
        return bool(self.archive) and self.length is not None and self.coverage.covers(Window(0, self.length))

    @property
    def exhausted(self) -> bool:
        """Whether more was delivered than a single download can need: 1.25 times the length and 64 MiB."""
        return self.total > most(self.length or 0)

    @property
    def spent(self) -> bool:
        """Whether a link for a single download has given it."""
        return self.complete or self.exhausted

    def allows(self, window: Window) -> bool:
        """Whether a link for a single download may deliver a window: of one that is exhausted, only what it lacks.

        So nobody gets a second copy by leaving out a byte, and who lost much on the way can still finish.
        """
        return not self.exhausted or self.coverage.missing(window).length == window.length


def most(length: int) -> int:
    """Return how many bytes of an archive of a length a single download may take."""
    return length * 5 // 4 + _FREE
