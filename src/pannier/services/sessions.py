"""The use cases of sessions: let in, account for, tell, take back. No HTTP.

One task a process looks after those that are in use: each second it writes what was delivered, and finds out whether
another process has revoked one, whose streams then are cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import structlog

from pannier import metrics
from pannier.accounts import Account
from pannier.dto.ids import FolderId
from pannier.errors import SessionMissing, SessionRevoked, SessionSpent, StateUnavailable, TokenExpired
from pannier.services.tallies import Live, Tally
from pannier.state.sessions import NewSession, Session, SqliteSessions
from pannier.streams.pacing import Pace
from pannier.window import Window

RESUMES = 600.0
"""Seconds after a single download was taken, in which it may be resumed."""
_EVERY = 1.0
_LOST = "what it delivered is no longer known here"
_MOST_KNOWN = 4_096
_NOTHING = Account()
_SETTLING = 1.0
"""Seconds that a request waits for what a client has not acknowledged of another one to the same single download."""
_BATCH = 200
"""Sessions that are written, or looked up, at once."""
_SLICE = 0.003
"""Seconds that the event loop is kept by accounts before others have their turn."""

_log = structlog.get_logger("pannier.sessions")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a session that is not over.

    Attributes:
        late: Whether the token has expired, and only what was begun may go on.
    """

    sessions: Sessions
    session: Session
    late: bool

    def permit(self, *, head: bool, continues: bool) -> None:
        """Refuse what may not be answered with an archive, or a part of it.

        ``continues``: it is a range, not from the first byte, of the archive that the session is pinned to.

        Raises:
            SessionSpent: It was for a single download, and this begins another one.
            TokenExpired: It begins a download, and the time for that is over.
        """
        if self.session.spent is not None and not head and not continues:
            raise SessionSpent("it was downloaded; for ten minutes it can only be resumed")
        if self.late and not (continues or (head and self.session.pinned is not None)):
            raise TokenExpired("the token has expired; what was begun may be resumed with a range, for a while")

    def begin(self, archive: str, length: int | None, window: Window) -> Tally:
        """Begin to account for a stream; one of the tally's ends has to follow."""
        return self.sessions.begin(self.session, archive, length, window)


class Sessions:
    """The sessions of archive tokens.

    Args:
        records: Where they are kept.
        session_expire: Seconds that a token lives, where nobody says.
        clock: Seconds since the epoch.
        every: Seconds between two writes.
        most_known: Sessions that can go on while the records cannot be read.
    """

    def __init__(
        self,
        records: SqliteSessions,
        *,
        session_expire: float,
        clock: Callable[[], float] = time.time,
        every: float = _EVERY,
        most_known: int = _MOST_KNOWN,
    ) -> None:
        self._records, self._session_expire, self._clock, self._every = records, session_expire, clock, every
        self._most_known = most_known
        self._known: OrderedDict[bytes, Session] = OrderedDict()
        self._live: dict[bytes, Live] = {}
        self._paces: dict[bytes, Pace] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    async def close(self) -> None:
        """Write what is not written, and end. Streams have ended before."""
        for task in list(self._settling):
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        with contextlib.suppress(StateUnavailable):
            await self.write(list(self._live.values()))

    # -- for those who hold a token

    async def register(self, new: NewSession) -> None:
        """Keep the session of a token that is about to be given out.

        Raises:
            StateUnavailable: It cannot be kept, so the token must not be given out.
        """
        await self._records.register(new, self._clock())

    async def enter(self, new: NewSession) -> Visit:
        """Let a request in to the session of its token.

        While the state is away, a session that is known here goes on, unless it is for a single download.

        Raises:
            SessionRevoked, SessionSpent: It is over.
            StateUnavailable: It cannot be told.
        """
        session = await self._session(new)
        now = self._clock()
        if session.revoked is not None:
            raise SessionRevoked
        if session.spent is not None and now >= session.spent + RESUMES:
            raise SessionSpent
        return Visit(self, session, late=now >= new.expires)

    def begin(self, session: Session, archive: str, length: int | None, window: Window) -> Tally:
        """See ``Visit.begin``."""
        live = self._live.get(session.key)
        if live is None:
            pace = self._paces.get(session.key)
            if pace is None and session.rate is not None:
                pace = self._paces[session.key] = Pace(session.rate)
            live = self._live[session.key] = Live(session, pace)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_after())
        return Tally(live, archive, length, window, self)

    async def settle(self, tally: Tally) -> None:
        """See ``Keeper.settle``."""
        task = asyncio.create_task(self._settle(tally))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        if tally.single:
            await asyncio.shield(task)  # the client may leave now: it has everything

    async def own(self, new: NewSession) -> Session:
        """Return a token's session; that of a token which nobody here has made begins with its first download.

        Raises:
            SessionSpent: It is for a single download, and what is known of it was lost.
            StateUnavailable: It cannot be told now.
        """
        await self._write_one(new.key)
        session = await self._records.find(new.key)
        if session is None and new.limited:
            raise SessionSpent(_LOST)
        return session or new.begun(self._clock())

    # -- for managers

    async def find(self, id: str) -> Session:
        """Return a session.

        Raises:
            SessionMissing: There is none of that id.
            StateUnavailable: It cannot be told now.
        """
        key = _key(id)
        await self._write_one(key)
        found = await self._records.find(key)
        if found is None:
            raise SessionMissing(id)
        return found

    async def page(
        self,
        *,
        volume: str | None = None,
        folder: FolderId | None = None,
        before: int | None,
        limit: int,
        owner: str | None = None,
    ) -> tuple[list[Session], bool]:
        """Return sessions, the newest first, and whether more follow; see ``SqliteSessions.page``."""
        text = None if folder is None else str(folder)
        return await self._records.page(volume=volume, folder=text, before=before, limit=limit, owner=owner)

    async def standing(self, keys: list[bytes]) -> list[Session]:
        """Return those of some sessions that are known, as they stand now.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        for key in keys:
            await self._write_one(key)
        return [
            found
            for at in range(0, len(keys), _BATCH)
            for found in await self._records.standing(keys[at : at + _BATCH])
        ]

    async def flush(self) -> None:
        """Write what was delivered until now, so that whoever asks next is told of it.

        Raises:
            StateUnavailable: It cannot be written now.
        """
        await self._reckon()
        await self.write([live for live in self._live.values() if live.changed])

    def running(self, key: bytes) -> int:
        """Return how many streams of a session run in this process."""
        live = self._live.get(key)
        return 0 if live is None else len(live.tallies)

    def taken_at(self, key: bytes) -> float | None:
        """Return when bytes of a session were last taken, as far as this process has seen since it is in use."""
        live = self._live.get(key)
        return None if live is None else live.taken_at

    async def revoke(self, id: str) -> Session:
        """Revoke a session: its next request is refused, and its streams are cut, in other processes within seconds.

        Raises:
            SessionMissing: There is none of that id.
            StateUnavailable: It is not known whether it is revoked; asking again is safe.
        """
        revoked = await self._records.revoke(_key(id), self._clock())
        if revoked is None:
            raise SessionMissing(id)
        session, anew = revoked
        metrics.SESSIONS_REVOKED.inc(int(anew))
        self._stands(session)
        return session

    async def revoke_folder(self, volume: str, folder: FolderId) -> int:
        """Revoke all sessions of a folder that there are, as ``revoke``; return how many were not before.

        Raises:
            StateUnavailable: It is not known whether they are revoked; asking again is safe.
        """
        count = await self._records.revoke_folder(volume, str(folder), self._clock())
        metrics.SESSIONS_REVOKED.inc(count)
        await self._look_again(list(self._live))
        return count

    # -- inside

    async def _session(self, new: NewSession) -> Session:
        try:
            if new.limited:
                await self._write_one(new.key)
            session = await self._records.find(new.key)
            if session is None and new.limited:  # it was there when its token was made
                raise SessionSpent(_LOST)
            if session is None:
                now = self._clock()
                session = await self._records.adopt(new, now, new.expires - self._session_expire)
        except StateUnavailable:
            known = self._known.get(new.key)
            if known is None or new.limited:
                raise
            return known
        self._stands(session)
        return session

    def _stands(self, session: Session) -> None:
        """Take note of how a session stands in the database."""
        self._known[session.key] = replace(session, account=_NOTHING)
        self._known.move_to_end(session.key)
        if len(self._known) > self._most_known:
            self._known.popitem(last=False)
        live = self._live.get(session.key)
        if live is not None:
            live.session = session  # what other processes have delivered counts too
            if session.revoked is not None:
                live.cut(SessionRevoked())

    async def _settle(self, tally: Tally) -> None:
        await tally.settle()
        if tally.single:
            try:
                await self.write([tally.live])
            except StateUnavailable as error:
                _log.warning("what a single download delivered is not written yet", reason=str(error))

    async def _write_one(self, key: bytes) -> None:
        live = self._live.get(key)
        if live is not None:
            if live.session.limited:  # whether it is spent depends on its last bytes
                await live.settled(_SETTLING)
            for tally in list(live.tallies):
                tally.reckon()
            await self.write([live])

    async def write(self, lives: Collection[Live]) -> None:
        """See ``Keeper.write``; one write at a time."""
        async with self._writing:
            changes = [(live, live.take()) for live in lives if live.changed]
            if not changes:
                return
            try:
                stand = await self._records.write([change for _, change in changes], self._clock())
            except BaseException:
                for live, change in changes:
                    live.failed(change)
                raise
            found = {session.key: session for session, _ in stand}
            metrics.SESSIONS_SPENT.inc(sum(spent for _, spent in stand))
            for live, _ in changes:
                session = found.get(live.session.key)
                live.written(session)
                if session is not None:
                    self._stands(session)
                elif live.session.limited:
                    live.cut(SessionSpent(_LOST))

    async def _reckon(self) -> None:
        """Account for what all streams have delivered, a few at a time: all of hundreds would hold up the others."""
        until = time.monotonic() + _SLICE
        for tally in [tally for live in self._live.values() for tally in live.tallies]:
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + _SLICE
            if tally.open:  # it may have ended meanwhile
                tally.reckon()

    async def _look_again(self, keys: list[bytes]) -> None:
        """See how sessions stand that are in use here."""
        for at in range(0, len(keys), _BATCH):
            for session in await self._records.standing(keys[at : at + _BATCH]):
                self._stands(session)

    async def _look_after(self) -> None:
        """Look after the sessions that are in use, as long as there are any."""
        away = False
        while self._live or self._paces:
            await asyncio.sleep(self._every)
            try:
                await self._reckon()
                changed = [live for live in self._live.values() if live.changed]
                others = [key for key, live in self._live.items() if not live.changed]
                for at in range(0, len(changed), _BATCH):
                    await self.write(changed[at : at + _BATCH])
                await self._look_again(others)
                away = False
            except StateUnavailable as error:
                if not away:
                    _log.warning("what was delivered is not written yet", reason=str(error))
                away = True
            for key, live in list(self._live.items()):
                if not live.tallies and not live.changed and not live.unwritten:
                    del self._live[key]
            for key in [key for key, pace in self._paces.items() if pace.idle and key not in self._live]:
                del self._paces[key]


def _key(id: str) -> bytes:
    try:
        key = bytes.fromhex(id)
    except ValueError:
        key = b""
    if len(key) != 32 or key.hex() != id:
        raise SessionMissing(id)
    return key
