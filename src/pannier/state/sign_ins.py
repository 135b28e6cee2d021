"""Who is signed in at the front desk, and which downloads were made there, in the state database."""

from __future__ import annotations

import sqlite3

from pannier.state.writer import Ask

TABLES = (
    # the key is a digest of what the browser holds: who reads the file can sign in as nobody
    "CREATE TABLE sign_ins (key BLOB PRIMARY KEY, created REAL NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE desk_downloads (session BLOB PRIMARY KEY, owner TEXT NOT NULL, created REAL NOT NULL, "
    "hidden INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE INDEX desk_downloads_by_owner ON desk_downloads (owner, hidden)",
)

OF_OWNER = "key IN (SELECT session FROM desk_downloads WHERE owner = ? AND NOT hidden)"
"""The condition of a query for sessions that are somebody's."""


class SqliteSignIns:
    """Sign-ins and downloads of the front desk. Every call may raise ``StateUnavailable``."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def begin(self, key: bytes, now: float, expires: int) -> None:
        """Keep a sign-in."""
        await self._ask(
            lambda connection: connection.execute("INSERT INTO sign_ins VALUES (?, ?, ?)", (key, now, expires)),
            writes=True,
        )

    async def stands(self, key: bytes, now: float) -> bool:
        """Whether a sign-in is known, and not over."""
        row = await self._ask(
            lambda connection: connection.execute(
                "SELECT 1 FROM sign_ins WHERE key = ? AND expires > ?", (key, now)
            ).fetchone(),
            writes=False,
        )
        return row is not None

    async def end(self, key: bytes) -> None:
        """Forget a sign-in."""
        await self._ask(
            lambda connection: connection.execute("DELETE FROM sign_ins WHERE key = ?", (key,)), writes=True
        )

    async def own(self, session: bytes, owner: str, now: float) -> None:
        """Take note of whose a download is."""
        await self._ask(
            lambda connection: connection.execute(
                "INSERT OR IGNORE INTO desk_downloads (session, owner, created) VALUES (?, ?, ?)", (session, owner, now)
            ),
            writes=True,
        )

    async def owns(self, session: bytes, owner: str) -> bool:
        """Whether a download is somebody's."""
        row = await self._ask(
            lambda connection: connection.execute(
                "SELECT 1 FROM desk_downloads WHERE session = ? AND owner = ?", (session, owner)
            ).fetchone(),
            writes=False,
        )
        return row is not None

    async def hide(self, session: bytes, owner: str) -> None:
        """Show a download no more."""
        await self._ask(
            lambda connection: connection.execute(
                "UPDATE desk_downloads SET hidden = 1 WHERE session = ? AND owner = ?", (session, owner)
            ),
            writes=True,
        )


def collect(connection: sqlite3.Connection, before: int) -> None:
    """Forget sign-ins that are over, and downloads whose session is forgotten."""
    connection.execute("DELETE FROM sign_ins WHERE expires < ?", (before,))
    connection.execute(
        "DELETE FROM desk_downloads WHERE session IN (SELECT session FROM desk_downloads "
        "LEFT JOIN sessions ON sessions.key = desk_downloads.session WHERE sessions.key IS NULL LIMIT 200)"
    )
