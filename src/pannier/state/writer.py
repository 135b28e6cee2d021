"""The one thread of a process that talks to the state database.

Strategy: callers put a job in line and wait on the event loop. The thread takes all that wait, answers the reads, then
does the writes in one transaction and answers those after its commit: a hundred pins that come together cost one
commit. A caller never waits longer than its deadline, whatever the disk does; a job nobody waits for is not begun.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pannier.errors import ConfigInvalid, StateUnavailable
from pannier.state.database import Database

DEADLINE = 5.0
"""Seconds that a caller waits for an answer."""

ResultT = TypeVar("ResultT")
Work = Callable[[sqlite3.Connection], ResultT]


class Ask(Protocol):
    """Runs work on a database that somebody keeps open; raises ``StateUnavailable`` where that cannot be."""

    async def __call__(self, work: Work[ResultT], *, writes: bool) -> ResultT: ...


_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Job:
    work: Work[Any]
    writes: bool
    answer: asyncio.Future[tuple[Any, int]]


_Answer = tuple[_Job, Any, Exception | None]


class GroupWriter:
    """Runs jobs on the database, in groups, on a thread of its own. Made on the event loop that will ask.

    Args:
        database: Touched by the thread only.
        tidy: Run after a commit, in a transaction of its own, when ``tidy_every`` seconds have passed since the last;
            returns whether there is more to do. Its failure fails no job.
    """

    def __init__(self, database: Database, tidy: Work[bool], *, tidy_every: float, deadline: float = DEADLINE) -> None:
        self._database, self._tidy, self._tidy_every, self._deadline = database, tidy, tidy_every, deadline
        self._tidied = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._line: dict[_Job, None] = {}  # a set in order of arrival
        self._closing = False
        self._changed = threading.Condition()
        # a daemon: a disk that never answers must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name="pannier-state", daemon=True)
        self._thread.start()

    @property
    def generation(self) -> int:
        """The count of database files so far (``Database.generation``)."""
        return self._database.generation

    async def ask(self, work: Work[ResultT], *, writes: bool, deadline: float | None = None) -> tuple[ResultT, int]:
        """Run ``work`` on the thread and return its result, after the commit if it writes, with the file's generation.

        Raises:
            StateUnavailable: The database failed or did not answer in time. A write may stand nevertheless.
            ConfigInvalid: The file is none that can be used; see ``Database.connection``.
        """
        seconds = self._deadline if deadline is None else deadline
        job = _Job(work, writes, self._loop.create_future())
        with self._changed:
            if self._closing:
                raise StateUnavailable("the state database is closed")
            self._line[job] = None
            self._changed.notify()
        try:
            async with asyncio.timeout(seconds):
                return await job.answer
        except TimeoutError:
            raise StateUnavailable(f"the state database did not answer within {seconds:g} s") from None
        finally:
            with self._changed:
                self._line.pop(job, None)

    async def close(self) -> None:
        """Finish what waits, close the database, end the thread. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        try:
            async with asyncio.timeout(self._deadline):
                await self._ended.wait()
        except TimeoutError:
            _log.warning("the state database did not close within %g s; its thread is left behind", self._deadline)
        else:
            self._thread.join()  # it has said that it is past its last statement

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._line and not self._closing:
                    self._changed.wait()
                group, ending = list(self._line), self._closing
                self._line.clear()
            if group:
                self._serve(group)
                group.clear()  # it would be held until something else comes
            elif ending:
                break
        self._database.close()
        self._call(self._ended.set)

    def _serve(self, group: list[_Job]) -> None:
        writing = [job for job in group if job.writes]
        reading = [job for job in group if not job.writes]
        if reading:
            self._answer(self._attempt(reading, self._read))
        if writing:
            answers = self._attempt(writing, self._write)
            self._answer(answers)
            if answers[0][2] is None:
                self._tidy_up()

    def _attempt(self, jobs: list[_Job], run: Callable[[sqlite3.Connection, list[_Job]], list[Any]]) -> list[_Answer]:
        try:
            results = run(self._database.connection(), jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread lives and the callers are told
            self._database.failed(error)
            told = _told(error)
            return [(job, None, told) for job in jobs]
        return [(job, result, None) for job, result in zip(jobs, results, strict=True)]

    @staticmethod
    def _read(connection: sqlite3.Connection, jobs: list[_Job]) -> list[Any]:
        return [job.work(connection) for job in jobs]

    @staticmethod
    def _write(connection: sqlite3.Connection, jobs: list[_Job]) -> list[Any]:
        connection.execute("BEGIN IMMEDIATE")
        results = [job.work(connection) for job in jobs]
        connection.execute("COMMIT")
        return results

    def _tidy_up(self) -> None:
        if time.monotonic() - self._tidied < self._tidy_every:
            return
        try:
            connection = self._database.connection()
            connection.execute("BEGIN IMMEDIATE")
            more = self._tidy(connection)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - it is tried again later
            self._database.failed(error)
            _log.warning("expired state could not be collected: %s", error)
            more = False
        if not more:
            self._tidied = time.monotonic()

    def _answer(self, answers: list[_Answer]) -> None:
        self._call(self._settle, answers, self._database.generation)

    @staticmethod
    def _settle(answers: list[_Answer], generation: int) -> None:
        for job, result, error in answers:
            if job.answer.done():
                continue  # its caller has left
            if error is None:
                job.answer.set_result((result, generation))
            else:
                job.answer.set_exception(error)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # the loop was closed: nobody waits


def _told(error: Exception) -> Exception:
    if isinstance(error, ConfigInvalid | StateUnavailable):
        return error
    if isinstance(error, OSError):
        return StateUnavailable(f"the state database cannot be used: {error.strerror or type(error).__name__}")
    if isinstance(error, sqlite3.Error):
        return StateUnavailable(f"the state database cannot be used: {error}")
    _log.error("a job on the state database failed", exc_info=error)
    return StateUnavailable("the state database cannot be used: internal error")
