"""How many responses may stream at the same time: in the process, and for one token."""

from __future__ import annotations

from collections import Counter

from pannier import metrics
from pannier.errors import Busy, LinkBusy

_RETRY = 5
"""Seconds after which a client that was refused may try again."""


class Admission:
    """Counts running streams. All methods belong to the event loop."""

    def __init__(self, most: int, most_per_session: int) -> None:
        self._most, self._most_per_session = most, most_per_session
        self._sessions: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """Streams that are open."""
        return self._sessions.total()

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
        return Admitted(self._sessions, session)

    @staticmethod
    def _refuse_beyond(limit: int, measured: int, what: str, setting: str, error: type[Busy]) -> None:
        if measured > limit:
            raise error(what, measured=measured, limit=limit, setting=setting, retry_after=_RETRY)


class Admitted:
    """A place among the running streams, until it is left."""

    def __init__(self, sessions: Counter[str], session: str) -> None:
        self._sessions, self._session = sessions, session
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
