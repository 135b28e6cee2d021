"""What a session's streams deliver, from the byte that left to the account that is written.

Strategy: each stream counts what the kernel took; now and then that is reckoned against what the peer has not
acknowledged yet (SIOCOUTQ, tcp(7)), and what is new in it goes to the session's account in memory. ``Sessions`` writes
the accounts behind, about once a second. Only a link for a single download waits for that, once too much is unwritten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from pannier.accounts import Account
from pannier.errors import PannierError, SessionSpent
from pannier.state.sessions import Broken, Change, Session
from pannier.streams.base import FileSpan
from pannier.streams.pacing import Pace
from pannier.window import Window

UNWRITTEN = 32 * 1024 * 1024
"""Bytes that a link for a single download may have delivered without its account being written: what a ``kill -9`` of
the process makes it forget, beside what is on its way just then."""
_STALLED = 60.0
"""Seconds after which the last bytes of a stream are given up if not one more of them was acknowledged."""
_POLL, _LONGEST_POLL, _LONGEST_WAITED_FOR = 0.001, 1.0, 0.1
"""Seconds between two looks at what was acknowledged: the first, the longest, and the longest where somebody waits."""


class Acknowledgements(Protocol):
    """What the peer of one connection has acknowledged."""

    def pending(self) -> int:
        """Return how many bytes were handed over and are not acknowledged yet, at most."""

    @property
    def lost(self) -> bool:
        """Whether the connection is gone, so that nothing more will be acknowledged."""

    def close(self) -> None:
        """Let go of the connection."""


class Keeper(Protocol):
    """Who keeps the accounts of a process."""

    async def write(self, lives: Collection[Live]) -> None:
        """Write what was delivered.

        Raises:
            StateUnavailable: It could not be; it is kept for the next time.
        """

    async def settle(self, tally: Tally) -> None:
        """See to the end of a stream that was sent as a whole.

        Of a link for a single download it is written before this returns, if it can be: who asks next is to see it.
        """


class Live:
    """A session that is in use by this process, with what is not written of it yet. Belongs to the event loop.

    Attributes:
        tallies: Of the streams that are not accounted for to their end.
        taken_at: When bytes were last taken, in seconds since the epoch; None: not yet.
    """

    def __init__(self, session: Session, pace: Pace | None) -> None:
        self.session, self.pace = session, pace
        self.tallies: set[Tally] = set()
        self.taken_at: float | None = None
        self._unwritten, self._being_written = Account(), Account()
        self._ended = self._whole = False
        self._broken: Broken | None = None

    @property
    def unwritten(self) -> int:
        """Bytes that were delivered and are not in the database."""
        return self._unwritten.total + self._being_written.total

    @property
    def changed(self) -> bool:
        """Whether there is something to be written."""
        return bool(self._unwritten.total or self._unwritten.archive or self._ended)

    def deliver(self, tally: Tally, window: Window) -> None:
        """Take note that a stream has delivered a window; it is cut if that is more than the link may give."""
        self.taken_at = time.time()
        too_much = self.session.limited and not self._allows(tally, window)
        self._unwritten = self._unwritten.add(Account(tally.archive, tally.length).deliver(window))
        if too_much:
            tally.cut(SessionSpent("more was taken than a single download needs"))

    def _allows(self, tally: Tally, window: Window) -> bool:
        account = self.session.account.add(self._being_written).add(self._unwritten)
        return account.archive != tally.archive or account.allows(window, self.session.times)

    async def settled(self, seconds: float) -> None:
        """Wait, for so long at most, for streams whose last byte has left, or leaves now."""
        until = time.monotonic() + seconds
        while any(tally.ending for tally in self.tallies) and time.monotonic() < until:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_POLL)

    def charge(self, length: int) -> None:
        """Take note of bytes that may have been delivered, nobody knows which."""
        self._unwritten = self._unwritten.add(Account(total=length))

    def ended(self, broken: Broken | None, *, whole: bool) -> None:
        """Take note that a stream has ended: broken off by the server, or not; ``whole``: all of a packed archive."""
        self._ended, self._broken = True, broken
        self._whole = self._whole or whole

    def take(self) -> Change:
        """Return what is to be written now; ``written`` or ``failed`` has to follow."""
        change = Change(self.session.key, self._unwritten, self._ended, self._broken, self._whole)
        self._being_written, self._unwritten = self._unwritten, Account()
        self._ended = self._whole = False
        return change

    def written(self, session: Session | None) -> None:
        """Take note that it was written, and of the session as it stands now; None: it is known no more."""
        self._being_written = Account()
        if session is not None:
            self.session = session

    def failed(self, change: Change) -> None:
        """Take back what could not be written. If it was after all, bytes count twice, on the safe side."""
        self._unwritten, self._being_written = change.account.add(self._unwritten), Account()
        if not self._ended:
            self._ended, self._broken = change.ended, change.broken
        self._whole = self._whole or change.whole

    def cut(self, error: PannierError) -> None:
        """Break off all streams."""
        for tally in list(self.tallies):
            tally.cut(error)


class Tally:
    """What one stream delivers.

    Attributes:
        archive: The ETag of what it sends, empty for packed output.
        length: The archive's length, None for packed output.
        window: The part that it sends; of packed output only its start means something.
        keeper: Who writes the account.
        broken_by: Why it was cut.
    """

    def __init__(self, live: Live, archive: str, length: int | None, window: Window, keeper: Keeper) -> None:
        self.live, self.archive, self.length, self.window, self._keeper = live, archive, length, window, keeper
        self.broken_by: PannierError | None = None
        self._taken = self._reckoned = self._offered = 0
        self._acknowledgements: Acknowledgements | None = None
        self._sender: asyncio.Task[object] | None = None
        live.tallies.add(self)

    @property
    def single(self) -> bool:
        """Whether it is of a link for a single download, so that every byte has to be accounted for."""
        return self.live.session.limited

    @property
    def open(self) -> bool:
        """Whether it is not accounted for to its end."""
        return self in self.live.tallies

    def attach(self, acknowledgements: Acknowledgements | None) -> None:
        """Begin to send, from this task, over a connection; None: nobody can tell what is acknowledged.

        Raises:
            SessionEnded: It was cut already.
        """
        self._acknowledgements = acknowledgements
        if self.broken_by is not None:
            raise self.broken_by
        self._sender = asyncio.current_task()

    def count(self, span: FileSpan) -> FileSpan:
        """Return a span that is counted as it leaves."""

        def feed(data: memoryview) -> None:
            span.feed(data)
            self._taken += len(data)

        def passed(length: int) -> None:
            span.passed(length)
            self._taken += length

        return replace(span, feed=feed, passed=passed)

    def took(self, length: int) -> None:
        """Count bytes that left."""
        self._taken += length

    @contextmanager
    def offering(self, length: int, sent: Callable[[], int]) -> Iterator[None]:
        """Count bytes that leave in this block, also where it fails: a client that has everything may leave at once.

        ``sent`` tells how many are known to have left, these and all before. Of others, nobody knows whether they did.
        """
        self._offered, before = length, sent()
        try:
            yield
        except BaseException:
            left = min(sent() - before, length)
            self._taken += left
            self.live.charge(length - left)
            raise
        else:
            self._taken += length
        finally:
            self._offered = 0

    @property
    def ending(self) -> bool:
        """Whether its last byte has left, or is about to."""
        return self._taken + self._offered >= self.window.length

    def reckon(self) -> None:
        """Account for what was acknowledged since the last time."""
        taken = self._taken  # before the look: a thread may be sending more
        pending = self._acknowledgements.pending() if self._acknowledgements is not None else 0
        acknowledged = taken - pending
        if acknowledged > self._reckoned:
            start = self.window.start
            window, self._reckoned = Window(start + self._reckoned, start + acknowledged), acknowledged
            self.live.deliver(self, window)

    async def room(self) -> None:
        """Wait, where it is for a single download, until not too much is unwritten.

        Raises:
            SessionEnded: It was cut.
            StateUnavailable: It cannot be written, so nothing more may be sent.
        """
        self.reckon()
        if self.live.unwritten > UNWRITTEN:
            await self._keeper.write([self.live])
        if self.broken_by is not None:
            raise self.broken_by

    def cut(self, error: PannierError) -> None:
        """Break the stream off."""
        if self.broken_by is not None:
            return
        self.broken_by = error
        if self._sender is not None and self._sender is not asyncio.current_task():
            self._sender.cancel()

    def why(self, error: BaseException) -> BaseException:
        """Return what really ended the stream: a cancellation may be the cut."""
        if self.broken_by is None or not isinstance(error, asyncio.CancelledError):
            return error
        sender, self._sender = self._sender, None
        if sender is None or sender.uncancel():
            return error
        return self.broken_by

    def stop(self, broken: Broken | None = None) -> None:
        """Account for a stream that broke off: at the server, as ``broken`` says, or by others. Idempotent.

        A client that has everything may leave before its stream has come to its end here: that is none that broke off.
        """
        self._sender = None
        everything = self.length is not None and self._taken >= self.window.length
        if self._close() and (broken is not None or everything):
            self.live.ended(broken, whole=False)

    async def finish(self) -> None:
        """See to it that a stream is accounted for that was sent to its end; see ``Keeper.settle``."""
        self._sender = None
        await self._keeper.settle(self)

    async def settle(self) -> None:
        """Account for a stream that was sent to its end, once that is acknowledged."""
        try:
            await self._acknowledged()
        finally:
            if self._close():
                self.live.ended(None, whole=not self.archive)

    async def _acknowledged(self) -> None:
        """Wait until everything is acknowledged, or nothing more will be."""
        acknowledgements = self._acknowledgements
        if acknowledgements is None:
            return
        longest = _LONGEST_WAITED_FOR if self.single else _LONGEST_POLL
        began = since = time.monotonic()
        first = least = acknowledgements.pending()
        wait = _POLL
        while least and not acknowledgements.lost and (now := time.monotonic()) < since + _STALLED:
            # Half of the time that the rest takes at this pace: of hundreds of slow clients, each is asked a few times.
            half = least * (now - began) / (first - least) / 2 if first > least else longest
            wait = max(_POLL, min(2 * wait, half, longest))
            await asyncio.sleep(wait)
            if (pending := acknowledgements.pending()) < least:
                least, since = pending, time.monotonic()

    def _close(self) -> bool:
        """Reckon for the last time; return whether it was not done before."""
        if not self.open:
            return False
        try:
            self.reckon()
        finally:
            self.live.tallies.discard(self)
            if self._acknowledgements is not None:
                self._acknowledgements.close()
        return True
