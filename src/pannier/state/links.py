"""Links that were sent, in the state database. What was delivered of them stands in their sessions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace

from pannier.state.writer import Ask

TABLES = (
    # selection is its document; password is a digest of it with its salt, never the password
    "CREATE TABLE links (number INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, volume TEXT NOT NULL, "
    "folder TEXT NOT NULL, selection BLOB NOT NULL, filename TEXT NOT NULL, format TEXT NOT NULL, note TEXT, "
    "password TEXT, deliveries INTEGER, created REAL NOT NULL, expires INTEGER NOT NULL, entries INTEGER, "
    "bytes INTEGER, length INTEGER, revoked REAL, removed REAL)",
    "CREATE INDEX links_by_end ON links (expires)",
)

_KEPT = 30 * 24 * 3600
"""Seconds that it is remembered after its end why a link opens nothing."""
_MOST_COLLECTED = 100


@dataclass(frozen=True, slots=True)
class Link:
    """A row. Times in seconds since the epoch.

    Attributes:
        folder: The text of its id.
        selection: The document of what it leads to (``dto.selections``).
        password: A digest, if one is asked for.
        deliveries: How many it is for; None: any number.
        entries, bytes, length: Of the archive, when the link was made; None where that was not known.
    """

    number: int
    code: str
    volume: str
    folder: str
    selection: bytes
    filename: str
    format: str
    note: str | None
    password: str | None
    deliveries: int | None
    created: float
    expires: int
    entries: int | None
    bytes: int | None
    length: int | None
    revoked: float | None = None
    removed: float | None = None


_COLUMNS = ", ".join(field.name for field in fields(Link))


class SqliteLinks:
    """Links of the processes that share a state database.

    Every call may raise ``StateUnavailable``; a write may stand nevertheless.

    Args:
        ask: Runs work on the database, as ``SqliteState.ask``.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def keep(self, link: Link) -> Link:
        """Keep a new link, and return it with its number."""
        marks = ", ?" * (len(fields(Link)) - 1)
        statement = f"INSERT INTO links ({_COLUMNS}) VALUES (NULL{marks})"  # noqa: S608 - no value in it
        values = astuple(link)[1:]
        number = await self._ask(lambda connection: connection.execute(statement, values).lastrowid, writes=True)
        return replace(link, number=number or 0)

    async def find(self, code: str) -> Link | None:
        """Return a link, also one that opens nothing any more."""
        return await self._ask(lambda connection: _find(connection, code), writes=False)

    async def listed(self, most: int) -> list[Link]:
        """Return the links that were not removed, the newest first."""
        statement = f"SELECT {_COLUMNS} FROM links WHERE removed IS NULL ORDER BY number DESC LIMIT ?"  # noqa: S608 - as above
        rows = await self._ask(lambda connection: connection.execute(statement, (most,)).fetchall(), writes=False)
        return [_link(row) for row in rows]

    async def revoke(self, code: str, now: float, *, remove: bool) -> Link | None:
        """Take a link back, for good, and perhaps off the list; return it, None if there is none."""

        def work(connection: sqlite3.Connection) -> Link | None:
            connection.execute(
                "UPDATE links SET revoked = coalesce(revoked, ?), removed = coalesce(removed, ?) WHERE code = ?",
                (now, now if remove else None, code),
            )
            return _find(connection, code)

        return await self._ask(work, writes=True)


def collect(connection: sqlite3.Connection, before: int) -> None:
    """Forget some links whose end is long ago."""
    connection.execute(
        "DELETE FROM links WHERE number IN (SELECT number FROM links WHERE expires < ? LIMIT ?)",
        (before - _KEPT, _MOST_COLLECTED),
    )


def _find(connection: sqlite3.Connection, code: str) -> Link | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM links WHERE code = ?", (code,)).fetchone()  # noqa: S608 - constants
    return None if row is None else _link(row)


def _link(row: Sequence[object]) -> Link:
    return Link(*row)  # type: ignore[arg-type]
