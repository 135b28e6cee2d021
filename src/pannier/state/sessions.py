"""Sessions in the state database: what was given out, what of it was delivered, and what was taken back.

The row is the truth that all processes share. What was delivered comes as differences, which are added to it, so that
two processes that serve one session do not undo each other's.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pannier.accounts import Account
from pannier.coverage import Coverage
from pannier.state.base import WITHDRAWN
from pannier.state.sign_ins import OF_OWNER
from pannier.state.writer import Ask

TABLES = (
    # the key is that of the token's pin; folder is the text of its id, uuid what it has in any spelling
    "CREATE TABLE sessions (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, volume TEXT NOT NULL, "
    "folder TEXT NOT NULL, uuid TEXT NOT NULL, filename TEXT NOT NULL, format TEXT NOT NULL, created REAL NOT NULL, "
    "expires INTEGER NOT NULL, grace INTEGER NOT NULL, rate INTEGER, one_time INTEGER NOT NULL, "
    "etag TEXT NOT NULL DEFAULT '', length INTEGER, ranges TEXT NOT NULL DEFAULT '', total INTEGER NOT NULL DEFAULT 0, "
    "completed REAL, spent REAL, revoked REAL, failed REAL, cause TEXT, detail TEXT, entry BLOB, place INTEGER, "
    "kept INTEGER NOT NULL)",
    "CREATE INDEX sessions_by_folder ON sessions (uuid, volume)",
    "CREATE INDEX sessions_by_end ON sessions (kept)",
    # for tokens that another host has made, and that come here for the first time only after their folder was revoked
    "CREATE TABLE revoked_folders (uuid TEXT NOT NULL, volume TEXT NOT NULL, at REAL NOT NULL, kept INTEGER NOT NULL, "
    "PRIMARY KEY (uuid, volume)) WITHOUT ROWID",
)

DELIVERIES = (
    # how often what was delivered: bytes of the archive that came again, whole archives beside the first, earlier ones.
    # one_time says for how many deliveries a session is, 0: for any number
    "ALTER TABLE sessions ADD COLUMN again TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE sessions ADD COLUMN whole INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE sessions ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0",
)

_KEPT = 24 * 3600
"""Seconds that a session is remembered after its end."""
_FOLDERS_KEPT = 400 * 24 * 3600
"""Seconds that it is remembered that a folder was revoked: longer than a token lives."""
_LAST = 2**62
_COLUMNS = (
    "number, key, volume, folder, filename, format, created, sessions.expires, grace, rate, one_time, sessions.etag, "
    "length, ranges, total, again, whole, earlier, completed, spent, revoked, failed, cause, detail, entry, place, "
    "pins.etag"
)
_FROM = "sessions LEFT JOIN pins ON pins.session = sessions.key"


def key_of(name: str) -> bytes:
    """Return what a session of a name is kept under, the same as its pin."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a token says of its session. ``folder`` is the text of its id; times in seconds, ``expires`` since 1970.

    ``times`` is for how many deliveries it is, 0: for any number.
    """

    key: bytes
    volume: str
    folder: str
    filename: str
    format: str
    expires: int
    grace: int
    rate: int | None
    times: int

    @property
    def limited(self) -> bool:
        """Whether it is for so many deliveries, and no more."""
        return self.times > 0

    def begun(self, now: float) -> Session:
        """Return the session at its beginning, which is kept nowhere."""
        said = (self.volume, self.folder, self.filename, self.format)
        terms = (self.expires, self.grace, self.rate, self.times)
        return Session(0, self.key, *said, now, *terms, Account(), None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Broken:
    """Why a stream was broken off, when, at which entry, and how far into the archive. ``at`` in seconds since 1970."""

    at: float
    cause: str
    detail: str
    entry: bytes | None
    offset: int


@dataclass(frozen=True, slots=True)
class Session:
    """A row. Times in seconds since the epoch.

    Attributes:
        number: Grows with each session.
        times: For how many deliveries it is, 0: for any number.
        pinned: The ETag that it is pinned to, if any.
        completed, spent, revoked: When, if at all.
        broken: How the last stream ended, if the server broke it off.
    """

    number: int
    key: bytes
    volume: str
    folder: str
    filename: str
    format: str
    created: float
    expires: int
    grace: int
    rate: int | None
    times: int
    account: Account
    completed: float | None
    spent: float | None
    revoked: float | None
    broken: Broken | None
    pinned: str | None

    @property
    def limited(self) -> bool:
        """Whether it is for so many deliveries, and no more."""
        return self.times > 0


@dataclass(frozen=True, slots=True)
class Change:
    """What has happened in a session since it was written last.

    Attributes:
        account: What was delivered since.
        ended: Whether a stream has ended since; then ``broken`` says why, None for as it should.
        whole: Whether one of packed output came to its end, of which no account can tell that it is complete.
    """

    key: bytes
    account: Account
    ended: bool = False
    broken: Broken | None = None
    whole: bool = False


class SqliteSessions:
    """Sessions of the processes that share a state database.

    Every call may raise ``StateUnavailable``; a write may stand nevertheless.

    Args:
        ask: Runs work on the database, as ``SqliteState.ask``.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def register(self, new: NewSession, now: float) -> None:
        """Keep a session whose token is about to be given out."""
        await self._ask(lambda connection: _insert(connection, new, now, None), writes=True)

    async def find(self, key: bytes) -> Session | None:
        """Return a session."""
        return await self._ask(lambda connection: _find(connection, key), writes=False)

    async def adopt(self, new: NewSession, now: float, minted: float) -> Session:
        """Keep the session of a token that nobody here has made, and return it, or what is there by now.

        ``minted`` is when it was made as far as can be told: if its folder was revoked since, so is the session.
        """

        def work(connection: sqlite3.Connection) -> Session:
            revoked = connection.execute(
                "SELECT at FROM revoked_folders WHERE uuid = ? AND volume = ? AND at >= ?",
                (_uuid(new.folder), new.volume, minted),
            ).fetchone()
            _insert(connection, new, now, revoked and revoked[0])
            found = _find(connection, new.key)
            assert found is not None, "a row that was inserted or was there"
            return found

        return await self._ask(work, writes=True)

    async def write(self, changes: Sequence[Change], now: float) -> list[tuple[Session, bool]]:
        """Add what has happened, and return each session as it stands now, with whether it was spent by this.

        Sessions that are known no more are left out.
        """
        return await self._ask(
            lambda connection: [told for change in changes if (told := _change(connection, change, now))], writes=True
        )

    async def standing(self, keys: Sequence[bytes]) -> list[Session]:
        """Return sessions as they stand now."""
        return await self._ask(
            lambda connection: [found for key in keys if (found := _find(connection, key))], writes=False
        )

    async def page(
        self, *, volume: str | None, folder: str | None, before: int | None, limit: int, owner: str | None = None
    ) -> tuple[list[Session], bool]:
        """Return sessions, the newest first, of those with a smaller number than ``before``; and whether more follow.

        ``folder`` is the text of an id; its spelling does not matter. ``owner``: of downloads made at the front desk.
        """
        conditions: Mapping[str, object | None] = {
            "sessions.volume = ?": volume,
            "uuid = ?": None if folder is None else _uuid(folder),
            "number < ?": before,
            OF_OWNER: owner,
        }
        wanted = {condition: value for condition, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
        statement = f"SELECT {_COLUMNS} FROM {_FROM} {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - no value in it
        rows = await self._ask(
            lambda connection: connection.execute(statement, (*wanted.values(), limit + 1)).fetchall(), writes=False
        )
        return [_session(row) for row in rows[:limit]], len(rows) > limit

    async def revoke(self, key: bytes, now: float) -> tuple[Session, bool] | None:
        """Revoke a session, and return it, with whether it was not before; None if none is known."""

        def work(connection: sqlite3.Connection) -> tuple[Session, bool] | None:
            changed = connection.execute(
                "UPDATE sessions SET revoked = ? WHERE key = ? AND revoked IS NULL", (now, key)
            ).rowcount
            found = _find(connection, key)
            return None if found is None else (found, bool(changed))

        return await self._ask(work, writes=True)

    async def revoke_folder(self, volume: str, folder: str, now: float) -> int:
        """Revoke all sessions of a folder, and those of tokens made until now that are not known yet; return how many.

        Only those count that are known and were not revoked before.
        """

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "INSERT INTO revoked_folders (uuid, volume, at, kept) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (uuid, volume) DO UPDATE SET at = max(at, excluded.at), kept = max(kept, excluded.kept)",
                (_uuid(folder), volume, now, int(now) + _FOLDERS_KEPT),
            )
            return connection.execute(
                "UPDATE sessions SET revoked = ? WHERE uuid = ? AND volume = ? AND revoked IS NULL",
                (now, _uuid(folder), volume),
            ).rowcount

        return await self._ask(work, writes=True)


def collect(connection: sqlite3.Connection, before: int, most: int) -> bool:
    """Forget some sessions, ``most`` at once, that were to be kept until ``before``; return whether more may be there.

    Whatever is in them is no longer needed: their tokens have expired.
    """
    sessions = connection.execute(
        "DELETE FROM sessions WHERE number IN (SELECT number FROM sessions WHERE kept < ? LIMIT ?)", (before, most)
    ).rowcount
    connection.execute("DELETE FROM revoked_folders WHERE kept < ?", (before,))
    return sessions == most


def _uuid(folder: str) -> str:
    return folder.rpartition("/")[2]


def _insert(connection: sqlite3.Connection, new: NewSession, now: float, revoked: float | None) -> None:
    kept = min(new.expires + new.grace + _KEPT, _LAST)
    connection.execute(
        "INSERT INTO sessions (key, volume, folder, uuid, filename, format, created, expires, grace, rate, one_time, "
        "revoked, kept) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            *(new.key, new.volume, new.folder, _uuid(new.folder), new.filename, new.format, now, new.expires),
            *(new.grace, new.rate, new.times, revoked, kept),
        ),
    )


def _find(connection: sqlite3.Connection, key: bytes) -> Session | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM {_FROM} WHERE key = ?", (key,)).fetchone()  # noqa: S608 - constants
    return None if row is None else _session(row)


def _session(row: Sequence[object]) -> Session:
    return _read(*row)  # type: ignore[arg-type]


def _read(
    number: int, key: bytes, volume: str, folder: str, filename: str, format: str, created: float, expires: int,
    grace: int, rate: int | None, times: int, archive: str, length: int | None, ranges: str, total: int,
    again: str, whole: int, earlier: int, completed: float | None, spent: float | None, revoked: float | None,
    failed: float | None, cause: str, detail: str, entry: bytes | None, place: int, pinned: str | None,
) -> Session:  # fmt: skip
    return Session(
        *(number, key, volume, folder, filename, format, created, expires, grace, rate, times),
        account=Account(archive, length, Coverage.parse(ranges), total, whole, _layers(again), earlier),
        completed=completed,
        spent=spent,
        revoked=revoked,
        broken=None if failed is None else Broken(failed, cause, detail, entry, place),
        pinned=None if pinned == WITHDRAWN else pinned,
    )


def _layers(text: str) -> tuple[Coverage, ...]:
    return tuple(map(Coverage.parse, text.split("/"))) if text else ()


def _change(connection: sqlite3.Connection, change: Change, now: float) -> tuple[Session, bool] | None:
    found = _find(connection, change.key)
    if found is None:
        return None
    account = found.account.add(change.account)
    broken = change.broken if change.ended else found.broken
    completed = found.completed
    if completed is None and (account.complete or change.whole):
        completed = now
    spends = found.limited and found.spent is None and account.spent(found.times)
    changed = replace(found, account=account, completed=completed, spent=now if spends else found.spent, broken=broken)
    connection.execute(
        "UPDATE sessions SET etag = ?, length = ?, ranges = ?, total = ?, again = ?, whole = ?, earlier = ?, "
        "completed = ?, spent = ?, failed = ?, cause = ?, detail = ?, entry = ?, place = ? WHERE number = ?",
        (account.archive, account.length, str(account.coverage), account.total)
        + ("/".join(map(str, account.again)), account.whole, account.earlier, completed)
        + (changed.spent,)
        + ((broken.at, broken.cause, broken.detail, broken.entry, broken.offset) if broken else (None,) * 5)
        + (found.number,),
    )
    return changed, spends
