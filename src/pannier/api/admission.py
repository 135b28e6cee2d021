"""How many responses may stream at the same time: in the process, and for one token."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from pannier import metrics
from pannier.errors import Busy, LinkBusy

_RETRY = 5
"""Seconds after which a client that was refused may try again."""
_MOMENT = 0.25
"""Seconds that a stream waits for a place: a client that has its last byte may ask again before that place is free."""


class Admission:
    """Counts running streams. All methods belong to the event loop."""

    def __init__(self, most: int, most_per_session: int) -> None:
        self._most, self._most_per_session = most, most_per_session
        self._sessions: Counter[str] = Counter()
        self._left = asyncio.Event()

    @property
    def running(self) -> int:
        """Streams that are open."""
        return self._sessions.total()

    async def enter(self, session: str) -> Admitted:
        """Take a place for one more stream of ``session``, waiting a moment for one; errors as ``admit``."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _MOMENT
        while True:
            try:
                return self.admit(session)
            except Busy:
                if loop.time() >= until:
                    raise
            self._left.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._left.wait()

    def admit(self, session: str) -> Admitted:
        """Take a place for one more stream of ``session``.

        Raises:
            LinkBusy: The session has as many as it may have.
            Busy: There is none.
        """
        self._refuse_beyond(self._most, self.running + 1, "streams of this server", "limits.max-streams", Busy)
        of_session = self._sessions.get(session, 0) + 1
        own = "limits.max-streams-per-token"
        self._refuse_beyond(self._most_per_session, of_session, "streams of this link", own, LinkBusy)
        self._sessions[session] = of_session
        metrics.STREAMS.inc()
        return Admitted(self._sessions, session, self._left)

    @staticmethod
    def _refuse_beyond(limit: int, measured: int, what: str, setting: str, error: type[Busy]) -> None:
        if measured > limit:
            raise error(what, measured=measured, limit=limit, setting=setting, retry_after=_RETRY)


class Admitted:
    """A place among the running streams, until it is left."""

    def __init__(self, sessions: Counter[str], session: str, told: asyncio.Event) -> None:
        """``told`` is set when the place is free."""
        self._sessions, self._session, self._told = sessions, session, told
        self._left = False

    def leave(self) -> None:
        """Give the place back. Idempotent."""
        if self._left:
            return
        self._left = True
        metrics.STREAMS.dec()
        self._sessions[self._session] -= 1
        if not self._sessions[self._session]:
            del self._sessions[self._session]
        self._told.set()
