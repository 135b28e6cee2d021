"""Embedded state: one SQLite file for the processes of one host."""

from __future__ import annotations

import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from pannier.state import drops, links, sessions, sign_ins
from pannier.state.base import WITHDRAWN
from pannier.state.database import MOUNTS, Schema
from pannier.state.store import Store
from pannier.state.writer import DEADLINE, ResultT, Work

_TASKS = (
    # the number is also the byte of the lock file that is a task's lease (state/leases.py), so none is used twice
    "CREATE TABLE tasks (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, "
    "volume TEXT NOT NULL, work TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, "
    "not_before REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0, "
    "total INTEGER, special INTEGER NOT NULL DEFAULT 0, vanished INTEGER NOT NULL DEFAULT 0, error TEXT, "
    "created REAL NOT NULL, ended REAL)",
    "CREATE INDEX tasks_not_ended ON tasks (number) WHERE ended IS NULL",
    "CREATE INDEX tasks_by_end ON tasks (ended) WHERE ended IS NOT NULL",
)
_DESK = (*sessions.DELIVERIES, *links.TABLES, *drops.TABLES, *sign_ins.TABLES)
STATE = Schema(
    noun="state database",
    application=0x50414E31,  # "PAN1"
    version=4,
    tables=(
        # keys are SHA-256 digests of the names: of one size, and the file tells no token's name
        "CREATE TABLE pins (session BLOB PRIMARY KEY, etag TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX pins_by_expiry ON pins (expires)",
        "CREATE TABLE selections (digest BLOB PRIMARY KEY, body BLOB NOT NULL, expires INTEGER NOT NULL)",
        "CREATE INDEX selections_by_expiry ON selections (expires)",
        *_TASKS,
        *sessions.TABLES,
        *_DESK,
    ),
    loss="downloads that were begun then start over",
    upgrades={1: _TASKS, 2: sessions.TABLES, 3: _DESK},
)

_GRACE = 3600
"""Seconds that a row stays after its expiry: clocks differ, and a response may outlive its token."""
_MOST_PINS_COLLECTED = 500
_MOST_SESSIONS_COLLECTED = 500
_MOST_SELECTIONS_COLLECTED = 20
_LAST = 2**62
"""A time beyond this does not fit a column."""


class SqliteState:
    """Sessions and selections in one file (``SessionStore``, ``SelectionStore``).

    A pin is answered when its transaction is committed: it survives ``kill -9``, though not a power cut (WAL with
    ``synchronous=NORMAL``). Pins that were seen are answered from memory, ``most_pins`` of them (about 400 bytes each),
    unless it must be certain that no other process has withdrawn them.
    Whatever happens to the file, calls end within ``deadline`` seconds, with ``StateUnavailable`` if need be, and work
    again once the cause has gone.

    Args:
        path: The file; its directory is made (0700) if need be, the file is 0600.
        clock: Seconds since the epoch.
        collect_every: Seconds between two collections of expired rows.
        mounts: The kernel's table of what is mounted where.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_pins: int = 16_384,
        clock: Callable[[], float] = time.time,
        collect_every: float = 60.0,
        deadline: float = DEADLINE,
        mounts: Path = MOUNTS,
    ) -> None:
        self._most_pins, self._clock = most_pins, clock
        self._store = Store(path, STATE, self._collect, collect_every=collect_every, deadline=deadline, mounts=mounts)
        self._seen: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._generation = 0

    async def open(self) -> None:
        """Open the file, making or mending it if need be; errors as of ``Store.open``."""
        await self._store.open()

    async def close(self) -> None:
        """Finish what was asked and let go of the file. Idempotent."""
        await self._store.close()

    async def check(self, deadline: float) -> None:
        """Find out whether a pin could be written now, writing nothing.

        Raises:
            StateUnavailable: It could not, or that takes longer than ``deadline`` seconds.
        """
        await self._store.ask(
            lambda connection: connection.execute("SELECT 1 FROM pins LIMIT 1"), writes=True, deadline=deadline
        )

    async def pinned(self, session: str, *, certain: bool = False) -> str | None:
        """See ``SessionStore.pinned``."""
        seen = self._recall(session)
        if seen and (not certain or seen[0] == WITHDRAWN):
            return seen[0]
        key = sessions.key_of(session)
        row, generation = await self._store.ask(lambda connection: _pin_row(connection, key), writes=False)
        if row is None:
            self._seen.pop(session, None)
            return None
        return self._remember(session, row, generation)

    async def pin(self, session: str, etag: str, expires: int) -> str:
        """See ``SessionStore.pin``."""
        expires = min(expires, _LAST)
        seen = self._recall(session)
        if seen and seen[1] >= expires:
            return seen[0]
        key = sessions.key_of(session)

        def work(connection: sqlite3.Connection) -> tuple[str, int]:
            connection.execute(
                "INSERT INTO pins (session, etag, expires) VALUES (?, ?, ?) "
                "ON CONFLICT (session) DO UPDATE SET expires = max(expires, excluded.expires)",
                (key, etag, expires),
            )
            row = _pin_row(connection, key)
            assert row is not None, "a row that was inserted or was there"
            return row

        row, generation = await self._store.ask(work, writes=True)
        return self._remember(session, row, generation)

    async def withdraw(self, session: str, expires: int) -> None:
        """See ``SessionStore.withdraw``."""
        expires = min(expires, _LAST)
        seen = self._recall(session)
        if seen and seen[0] == WITHDRAWN and seen[1] >= expires:
            return
        key = sessions.key_of(session)

        def work(connection: sqlite3.Connection) -> tuple[str, int]:
            connection.execute(
                "INSERT INTO pins (session, etag, expires) VALUES (?, ?, ?) "
                "ON CONFLICT (session) DO UPDATE SET etag = excluded.etag, expires = max(expires, excluded.expires)",
                (key, WITHDRAWN, expires),
            )
            row = _pin_row(connection, key)
            assert row is not None, "a row that was inserted or was there"
            return row

        row, generation = await self._store.ask(work, writes=True)
        self._remember(session, row, generation)

    async def ask(self, work: Work[ResultT], *, writes: bool) -> ResultT:
        """Run work on the database, for what is kept in it beside pins and selections (``writer.Ask``)."""
        result, _ = await self._store.ask(work, writes=writes)
        return result

    async def keep(self, digest: str, body: bytes, expires: int) -> None:
        """See ``SelectionStore.keep``."""
        row = (sessions.key_of(digest), body, min(expires, _LAST))
        await self._store.ask(
            lambda connection: connection.execute(
                "INSERT INTO selections (digest, body, expires) VALUES (?, ?, ?) "
                "ON CONFLICT (digest) DO UPDATE SET expires = max(expires, excluded.expires)",
                row,
            ),
            writes=True,
        )

    async def selection(self, digest: str) -> bytes | None:
        """See ``SelectionStore.selection``."""
        key = sessions.key_of(digest)
        row, _ = await self._store.ask(
            lambda connection: connection.execute("SELECT body FROM selections WHERE digest = ?", (key,)).fetchone(),
            writes=False,
        )
        return None if row is None else bytes(row[0])

    def _recall(self, session: str) -> tuple[str, int] | None:
        if self._store.generation != self._generation:
            # another file: other processes may have pinned the session anew since
            self._seen.clear()
            return None
        seen = self._seen.get(session)
        if seen is not None:
            self._seen.move_to_end(session)
        return seen

    def _remember(self, session: str, row: tuple[str, int], generation: int) -> str:
        if generation != self._generation:
            self._seen.clear()
            self._generation = generation
        self._seen[session] = row
        self._seen.move_to_end(session)
        if len(self._seen) > self._most_pins:
            self._seen.popitem(last=False)
        return row[0]

    def _collect(self, connection: sqlite3.Connection) -> bool:
        """Delete some rows that expired, a bounded number, on the writer's thread; return whether more may be there."""
        before = min(int(self._clock()) - _GRACE, _LAST)
        pins = connection.execute(
            "DELETE FROM pins WHERE session IN (SELECT session FROM pins WHERE expires < ? LIMIT ?)",
            (before, _MOST_PINS_COLLECTED),
        ).rowcount
        selections = connection.execute(
            "DELETE FROM selections WHERE digest IN (SELECT digest FROM selections WHERE expires < ? LIMIT ?)",
            (before, _MOST_SELECTIONS_COLLECTED),
        ).rowcount
        more = sessions.collect(connection, before, _MOST_SESSIONS_COLLECTED)
        for table in (links, drops, sign_ins):
            table.collect(connection, before)
        return more or pins == _MOST_PINS_COLLECTED or selections == _MOST_SELECTIONS_COLLECTED


def _pin_row(connection: sqlite3.Connection, key: bytes) -> tuple[str, int] | None:
    row = connection.execute("SELECT etag, expires FROM pins WHERE session = ?", (key,)).fetchone()
    return None if row is None else (str(row[0]), int(row[1]))
