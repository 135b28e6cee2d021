"""What a download link has delivered, and when one that is for so many deliveries is spent. Pure.

A delivery is every byte of the archive, once. Of each byte it is known how often it was delivered: the bytes delivered
at least once are one set, those delivered at least twice another within it, and so on. So it does not matter who took
which part, or in which order, and two people who take the same half have not had one delivery between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pannier.coverage import Coverage
from pannier.window import Window

MOST_WINDOWS = 256
"""Windows that an account tells apart. The shortest are forgotten first: they then count as not delivered."""
MOST_LAYERS = 16
"""Deliveries of one archive that are told apart while none of them is whole."""
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
        whole: How often, beside the first time, all of its bytes were delivered.
        again: Which of its bytes were delivered once more than that, twice more, and so on.
        earlier: Deliveries of the archives before it.
    """

    archive: str = ""
    length: int | None = None
    coverage: Coverage = _NOTHING
    total: int = 0
    whole: int = 0
    again: tuple[Coverage, ...] = ()
    earlier: int = 0

    def deliver(self, window: Window) -> Account:
        """Return the account after one more window of the same archive."""
        return replace(self._laid((window,)), total=self.total + window.length)

    def add(self, later: Account) -> Account:
        """Return the account after what another one says was delivered.

        The order of accounts of one archive does not matter, as long as none has too many windows, or layers.
        """
        total = self.total + later.total
        if not later.archive:
            return replace(self, total=total)
        if self.archive != later.archive:
            return replace(later, total=total, earlier=self.deliveries + later.earlier)
        both = self._laid(later.coverage.windows)
        for layer in later.again:
            both = both._laid(layer.windows)
        for _ in range(later.whole):
            both = both._laid((Window(0, self.length or 0),))
        return replace(both, total=total, earlier=self.earlier + later.earlier)

    @property
    def complete(self) -> bool:
        """Whether every byte of the archive was delivered."""
        return bool(self.archive) and self._covers(self.coverage)

    @property
    def deliveries(self) -> int:
        """How often all bytes of an archive were delivered, of earlier ones too."""
        return self.earlier + (1 + self.whole if self.complete else 0)

    def given(self, times: int) -> Coverage:
        """Return the bytes of the archive that were delivered at least so many times."""
        if times <= 1:
            return self.coverage
        if times <= 1 + self.whole:
            return Coverage.of((Window(0, self.length or 0),))
        number = times - 2 - self.whole
        return self.again[number] if number < len(self.again) else _NOTHING

    def exhausted(self, times: int = 1) -> bool:
        """Whether more was delivered than so many deliveries can need: 1.25 times the length of each, and 64 MiB."""
        return self.total > most(self.length or 0, times)

    def spent(self, times: int = 1) -> bool:
        """Whether a link for so many deliveries has given them."""
        return self.deliveries >= times or self.exhausted(times)

    def allows(self, window: Window, times: int = 1) -> bool:
        """Whether a link for so many deliveries may deliver a window: of one that is exhausted, only what it lacks.

        So nobody gets another copy by leaving out a byte, and who lost much on the way can still finish.
        """
        return not self.exhausted(times) or self.given(times).missing(window).length == window.length

    def _covers(self, layer: Coverage) -> bool:
        return self.length is not None and layer.covers(Window(0, self.length))

    def _laid(self, windows: tuple[Window, ...]) -> Account:
        """Return the account with windows laid on top: what a layer has already goes to the next one."""
        coverage, over = _lay(self.coverage, windows)
        if self.length is None:  # where its end is unknown, it is also unknown what comes again
            return replace(self, coverage=coverage)
        again: list[Coverage] = []
        for layer in self.again:
            laid, over = _lay(layer, over)
            again.append(laid)
        while over and len(again) < MOST_LAYERS:
            laid, over = _lay(_NOTHING, over)
            again.append(laid)
        whole = self.whole
        while again and self._covers(coverage) and self._covers(again[0]):
            del again[0]
            whole += 1
        return replace(self, coverage=coverage, again=tuple(again), whole=whole)


def _lay(layer: Coverage, windows: tuple[Window, ...]) -> tuple[Coverage, tuple[Window, ...]]:
    """Return a layer with windows added, and what of them it had already."""
    over: list[Window] = []
    for window in windows:
        if layer.covers(window):  # as in all layers but the last, where several take the same
            over.append(window)
            continue
        at = window.start
        for gap in layer.missing(window).windows:
            over.append(Window(at, gap.start))
            at = gap.stop
        over.append(Window(min(at, window.stop), window.stop))
        layer = layer.add(window)
    return layer.longest(MOST_WINDOWS), tuple(filter(None, over))


def most(length: int, times: int = 1) -> int:
    """Return how many bytes of an archive of a length so many deliveries may take."""
    return times * (length * 5 // 4) + _FREE
