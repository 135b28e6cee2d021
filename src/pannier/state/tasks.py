"""Background tasks that outlive the process: rows of the state database, one process at a time for each.

A task that was added is there after ``kill -9`` and after a power cut. Whoever works on one holds its lease
(``leases``); a row that is not ended and whose lease nobody holds may be taken by any process that knows its volume.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from pannier.dto.tasks import TaskState
from pannier.errors import Busy, StateUnavailable
from pannier.state.database import MOUNTS
from pannier.state.leases import Lease, take
from pannier.state.sqlite import STATE
from pannier.state.store import Store
from pannier.state.writer import DEADLINE, ResultT, Work

KEPT = 24 * 3600.0
"""Seconds for which a task that ended is remembered."""
MOST_KEPT = 10_000
"""Tasks that ended and are remembered."""
MOST_OPEN = 10_000
"""Tasks that have not ended; more are not taken."""

_RETRY_AFTER = 30
_MOST_COLLECTED = 500
_COLUMNS = (
    "number, id, kind, volume, work, state, attempts, note, done, total, special, vanished, error, created, ended"
)


@dataclass(frozen=True, slots=True)
class Task:
    """A row. Times in seconds since the epoch.

    Attributes:
        volume: The id of the volume that it is about.
        work: What is to be done, a document of its kind.
        attempts: How often it was begun.
        note: What its kind has to remember between attempts.
        special, vanished: Things that were left out.
        error: What went wrong last.
    """

    number: int
    id: str
    kind: str
    volume: str
    work: str
    state: TaskState
    attempts: int
    note: str
    done: int
    total: int | None
    special: int
    vanished: int
    error: str | None
    created: float
    ended: float | None


@dataclass(slots=True)
class Claimed:
    """A task whose lease this process holds."""

    task: Task
    lease: Lease


@dataclass(frozen=True, slots=True)
class Count:
    """How far a task is, in things done, of how many, and left out."""

    done: int = 0
    total: int | None = None
    special: int = 0
    vanished: int = 0


class SqliteTasks:
    """The tasks in one state database, beside what ``SqliteState`` keeps there.

    Args:
        path: The file; the lock file is ``tasks.lock`` beside it.
        clock: Seconds since the epoch.
        collect_every: Seconds between two collections of tasks that ended long ago.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_open: int = MOST_OPEN,
        most_kept: int = MOST_KEPT,
        clock: Callable[[], float] = time.time,
        collect_every: float = 60.0,
        deadline: float = DEADLINE,
        mounts: Path = MOUNTS,
    ) -> None:
        self._locks, self._clock = path.with_name("tasks.lock"), clock
        self._most_open, self._most_kept = most_open, most_kept
        self._store = Store(
            path, STATE, self._collect, collect_every=collect_every, deadline=deadline, mounts=mounts, synced=True
        )

    async def open(self) -> None:
        """Open the file, making or mending it if need be; errors as of ``Store.open``."""
        await self._store.open()

    async def close(self) -> None:
        """Finish what was asked and let go of the file. Idempotent."""
        await self._store.close()

    async def add(self, kind: str, volume: str, work: str) -> Claimed:
        """Keep a task, durably; the caller holds its lease.

        Raises:
            Busy: Too many have not ended.
            StateUnavailable: It is not known whether it is kept; if so, it will be run.
        """

        def insert(connection: sqlite3.Connection) -> Claimed | None:
            (waiting,) = connection.execute("SELECT count(*) FROM tasks WHERE ended IS NULL").fetchone()
            if waiting >= self._most_open:
                return None
            number = connection.execute(
                "INSERT INTO tasks (id, kind, volume, work, state, created) VALUES (?, ?, ?, ?, ?, ?)",
                (str(uuid.uuid4()), kind, volume, work, TaskState.WAITING, self._clock()),
            ).lastrowid
            assert number is not None, "a row that was inserted"
            # before the commit: nobody sees the row without its lease being held
            lease = take(self._locks, number)
            task = _row(connection, "number = ?", (number,))
            assert task is not None, "a row that was inserted"
            if lease is None:  # the file was made anew, and somebody still works on one of that number
                raise StateUnavailable("the lease of a new task is held by somebody else")
            return Claimed(task, lease)

        claimed = await self._ask(insert, writes=True)
        if claimed is None:
            raise Busy(
                "background tasks that have not ended",
                measured=self._most_open,
                limit=self._most_open,
                setting="none: this many are kept",
                retry_after=_RETRY_AFTER,
            )
        return claimed

    async def task(self, id: str) -> Task | None:
        """Return a task, None if it never was or ended long ago.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        since = self._clock() - KEPT
        return await self._ask(
            lambda connection: _row(connection, "id = ? AND (ended IS NULL OR ended > ?)", (id, since)), writes=False
        )

    async def claim(self, volumes: Collection[str]) -> Claimed | None:
        """Take the oldest task of these volumes that is due and that nobody works on, None if there is none.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        due = f"ended IS NULL AND not_before <= ? AND volume IN ({', '.join('?' * len(volumes))})"
        values = (self._clock(), *volumes)

        def find(connection: sqlite3.Connection) -> list[int]:
            return [number for (number,) in connection.execute(f"SELECT number FROM tasks WHERE {due}", values)]  # noqa: S608 - only question marks are put in

        for number in sorted(await self._ask(find, writes=False)):
            lease = take(self._locks, number)
            if lease is None:
                continue

            def begin(connection: sqlite3.Connection, number: int = number) -> Task | None:
                # again, now that the lease is held: whoever had it may have ended the task
                connection.execute(
                    f"UPDATE tasks SET state = ?, attempts = attempts + 1 WHERE number = ? AND {due}",  # noqa: S608 - as above
                    (TaskState.RUNNING, number, *values),
                )
                return _row(connection, f"number = ? AND {due}", (number, *values))

            task = await self._ask(begin, writes=True)
            if task is not None:
                return Claimed(task, lease)
            lease.release()
        return None

    async def advance(self, number: int, count: Count) -> None:
        """Keep how far a task is."""
        await self._set(number, "done = ?, total = ?, special = ?, vanished = ?", _counted(count))

    async def note(self, number: int, note: str) -> None:
        """Keep what the next attempt at a task has to know, durably."""
        await self._set(number, "note = ?", (note,))

    async def postpone(self, number: int, seconds: float, error: str | None, *, again: bool) -> None:
        """Have a task wait for so long; ``again``: as if it had not been begun this time."""
        values = (TaskState.WAITING, self._clock() + seconds, error, int(again))
        await self._set(number, "state = ?, not_before = ?, error = ?, attempts = attempts - ?", values)

    async def end(self, number: int, count: Count, error: str | None = None) -> None:
        """End a task, as done, or as failed with one line of why."""
        state = TaskState.DONE if error is None else TaskState.FAILED
        values = (state, error, self._clock(), *_counted(count))
        await self._set(
            number, "state = ?, error = ?, ended = ?, done = ?, total = ?, special = ?, vanished = ?", values
        )

    async def _set(self, number: int, columns: str, values: tuple[object, ...]) -> None:
        await self._ask(
            lambda connection: connection.execute(f"UPDATE tasks SET {columns} WHERE number = ?", (*values, number)),  # noqa: S608 - columns are named here
            writes=True,
        )

    async def _ask(self, work: Work[ResultT], *, writes: bool) -> ResultT:
        result, _ = await self._store.ask(work, writes=writes)
        return result

    def _collect(self, connection: sqlite3.Connection) -> bool:
        """Forget some tasks that ended long ago, or before too many others; return whether more may be there."""
        old = connection.execute(
            "DELETE FROM tasks WHERE number IN (SELECT number FROM tasks WHERE ended <= ? LIMIT ?)",
            (self._clock() - KEPT, _MOST_COLLECTED),
        ).rowcount
        many = connection.execute(
            "DELETE FROM tasks WHERE number IN "
            "(SELECT number FROM tasks WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT ? OFFSET ?)",
            (_MOST_COLLECTED, self._most_kept),
        ).rowcount
        return _MOST_COLLECTED in (old, many)


def _row(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> Task | None:
    found = connection.execute(f"SELECT {_COLUMNS} FROM tasks WHERE {where}", values).fetchone()  # noqa: S608 - no value in it
    if found is None:
        return None
    row = Task(*found)
    return replace(row, state=TaskState(row.state))


def _counted(count: Count) -> tuple[object, ...]:
    return count.done, count.total, count.special, count.vanished
