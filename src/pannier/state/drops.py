"""Requests for files, in the state database, with what came for each."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace

from pannier.state.writer import Ask

TABLES = (
    "CREATE TABLE drops (number INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, volume TEXT NOT NULL, "
    "folder TEXT NOT NULL, path BLOB NOT NULL, title TEXT NOT NULL, note TEXT, created REAL NOT NULL, "
    "expires INTEGER NOT NULL, largest INTEGER, total INTEGER, count INTEGER, closed REAL, removed REAL)",
    "CREATE INDEX drops_by_end ON drops (expires)",
    # room that is kept for a file which comes, or has come; its session is that of the upload
    "CREATE TABLE drop_files (session TEXT PRIMARY KEY, number INTEGER NOT NULL, size INTEGER NOT NULL, "
    "begun REAL NOT NULL, done REAL) WITHOUT ROWID",
    "CREATE INDEX drop_files_by_drop ON drop_files (number)",
)

_KEPT = 30 * 24 * 3600
_MOST_COLLECTED = 100


@dataclass(frozen=True, slots=True)
class Drop:
    """A row. Times in seconds since the epoch; ``path`` is a directory below the folder, ``b""`` the folder itself."""

    number: int
    code: str
    volume: str
    folder: str
    path: bytes
    title: str
    note: str | None
    created: float
    expires: int
    largest: int | None
    total: int | None
    count: int | None
    closed: float | None = None
    removed: float | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What of a request is taken: files and bytes that came, and those for which room is kept."""

    files: int
    bytes: int
    files_kept: int
    bytes_kept: int


_COLUMNS = ", ".join(field.name for field in fields(Drop))


class SqliteDrops:
    """Requests for files of the processes that share a state database.

    Every call may raise ``StateUnavailable``; a write may stand nevertheless.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def keep(self, drop: Drop) -> Drop:
        """Keep a new request, and return it with its number."""
        marks = ", ?" * (len(fields(Drop)) - 1)
        statement = f"INSERT INTO drops ({_COLUMNS}) VALUES (NULL{marks})"  # noqa: S608 - no value in it
        values = astuple(drop)[1:]
        number = await self._ask(lambda connection: connection.execute(statement, values).lastrowid, writes=True)
        return replace(drop, number=number or 0)

    async def find(self, code: str) -> Drop | None:
        """Return a request, also one that takes nothing any more."""
        return await self._ask(lambda connection: _find(connection, code), writes=False)

    async def listed(self, most: int) -> list[Drop]:
        """Return the requests that were not removed, the newest first."""
        statement = f"SELECT {_COLUMNS} FROM drops WHERE removed IS NULL ORDER BY number DESC LIMIT ?"  # noqa: S608 - as above
        rows = await self._ask(lambda connection: connection.execute(statement, (most,)).fetchall(), writes=False)
        return [_drop(row) for row in rows]

    async def close(self, code: str, now: float, *, remove: bool) -> Drop | None:
        """Close a request, for good, and perhaps take it off the list; return it, None if there is none."""

        def work(connection: sqlite3.Connection) -> Drop | None:
            connection.execute(
                "UPDATE drops SET closed = coalesce(closed, ?), removed = coalesce(removed, ?) WHERE code = ?",
                (now, now if remove else None, code),
            )
            return _find(connection, code)

        return await self._ask(work, writes=True)

    async def take(self, drop: Drop, session: str, size: int, now: float) -> bool:
        """Keep room for a file, unless the request is closed or has none; return whether it is kept."""

        def work(connection: sqlite3.Connection) -> bool:
            closed = connection.execute("SELECT closed FROM drops WHERE number = ?", (drop.number,)).fetchone()
            room = _room(connection, drop.number)
            files, content = room.files + room.files_kept + 1, room.bytes + room.bytes_kept + size
            full = (drop.count is not None and files > drop.count) or (drop.total is not None and content > drop.total)
            if closed is None or closed[0] is not None or full:
                return False
            connection.execute(
                "INSERT INTO drop_files (session, number, size, begun) VALUES (?, ?, ?, ?)",
                (session, drop.number, size, now),
            )
            return True

        return await self._ask(work, writes=True)

    async def came(self, session: str, size: int, now: float) -> None:
        """Take note that a file is there, and how many bytes it has."""
        await self._ask(
            lambda connection: connection.execute(
                "UPDATE drop_files SET done = ?, size = ? WHERE session = ? AND done IS NULL", (now, size, session)
            ),
            writes=True,
        )

    async def give_back(self, session: str) -> None:
        """Keep no room any more for a file that did not come."""
        await self._ask(
            lambda connection: connection.execute(
                "DELETE FROM drop_files WHERE session = ? AND done IS NULL", (session,)
            ),
            writes=True,
        )

    async def room(self, number: int) -> Room:
        """Return what is taken of a request."""
        return await self._ask(lambda connection: _room(connection, number), writes=False)

    async def awaited(self, number: int) -> list[tuple[str, int, float]]:
        """Return the files that room is kept for: session, size, and since when."""
        rows = await self._ask(
            lambda connection: connection.execute(
                "SELECT session, size, begun FROM drop_files WHERE number = ? AND done IS NULL", (number,)
            ).fetchall(),
            writes=False,
        )
        return [(str(session), int(size), float(begun)) for session, size, begun in rows]


def collect(connection: sqlite3.Connection, before: int) -> None:
    """Forget some requests whose end is long ago."""
    old = "SELECT number FROM drops WHERE expires < ? LIMIT ?"
    limits = (before - _KEPT, _MOST_COLLECTED)
    connection.execute(f"DELETE FROM drop_files WHERE number IN ({old})", limits)  # noqa: S608 - no value in it
    connection.execute(f"DELETE FROM drops WHERE number IN ({old})", limits)  # noqa: S608 - as above


def _room(connection: sqlite3.Connection, number: int) -> Room:
    row = connection.execute(
        "SELECT coalesce(sum(done IS NOT NULL), 0), coalesce(sum(size * (done IS NOT NULL)), 0), "
        "coalesce(sum(done IS NULL), 0), coalesce(sum(size * (done IS NULL)), 0) FROM drop_files WHERE number = ?",
        (number,),
    ).fetchone()
    return Room(*map(int, row))


def _find(connection: sqlite3.Connection, code: str) -> Drop | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM drops WHERE code = ?", (code,)).fetchone()  # noqa: S608 - constants
    return None if row is None else _drop(row)


def _drop(row: Sequence[object]) -> Drop:
    return Drop(*row)  # type: ignore[arg-type]
