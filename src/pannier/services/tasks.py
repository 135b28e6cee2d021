"""Runs background tasks: which there are stands in the state database, what each kind does in a registry.

A task is a call in a thread that asks now and then whether to go on. If the server stops, or dies, another takes the
task up where the kind says: every kind can be begun again at any point.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from pannier import metrics
from pannier.dto.instants import instant
from pannier.dto.tasks import LeftOut, TaskReply
from pannier.errors import OperationUnsupported, PannierError, StateUnavailable, TaskMissing, VolumeFailed
from pannier.state.tasks import Claimed, Count, SqliteTasks, Task
from pannier.streams.workers import Workers
from pannier.volumes.base import Volume

AT_ONCE = 2
"""Tasks that one process works on at the same time."""
PAUSES = (1.0, 5.0, 30.0, 120.0)
"""Seconds to wait before each further attempt, where the storage failed."""
_POLL = 5.0
"""Seconds after which other processes' tasks are looked for: one of them may have died."""
_MOST_ATTEMPTS = 20
"""Attempts that may end with the process; a task that takes the server down with it must not do so for ever."""
_WRITTEN = 1.0
"""Seconds between two writes of how far a task is."""

_log = structlog.get_logger("pannier.tasks")


class TaskStopped(Exception):
    """A task ended before its end because it was told to; it is to be taken up again."""


class Control:
    """What a running task asks and tells; used by its thread.

    Attributes:
        aside: A name that is the task's alone, for what it has where nobody looks.
        count: How far it is.
        note: What the attempt before has left.
    """

    def __init__(self, task: Task, stop: threading.Event, remember: Callable[[str], None]) -> None:
        self.aside = aside_of(task)
        self.count = Count()
        self.note = task.note
        self._stop, self._remember = stop, remember

    def go_on(self, done: int) -> bool:
        """Count what was done since; False if the task is to end now."""
        self.tell(done=self.count.done + done)
        return not self._stop.is_set()

    def tell(self, **count: int | None) -> None:
        """Say how far it is."""
        self.count = Count(**{**_fields(self.count), **count})  # type: ignore[arg-type]

    def remember(self, note: str) -> None:
        """Keep something for the next attempt, durably, before going on."""
        self._remember(note)
        self.note = note


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of task.

    Attributes:
        run: Does the work, in a thread, given the volume, the document and the control. Raises ``TaskStopped`` when it
            was told to end, and our errors.
        drop: Takes away what an attempt has left, when there will be no other.
    """

    run: Callable[[Volume, str, Control], None]
    drop: Callable[[Volume, str, Control], None] = lambda volume, work, control: None


class Tasks:
    """The background tasks of the configured volumes.

    Args:
        kinds: By the names that tasks call them.
        workers: Threads for tasks alone, at least ``at_once``.
        pauses: Seconds before each further attempt; after the last the task has failed.
    """

    def __init__(
        self,
        store: SqliteTasks,
        kinds: Mapping[str, Kind],
        volumes: Mapping[str, Volume],
        workers: Workers,
        *,
        at_once: int = AT_ONCE,
        pauses: Sequence[float] = PAUSES,
        poll: float = _POLL,
    ) -> None:
        self._store, self._kinds, self._workers = store, kinds, workers
        self._volumes = {volume.id: volume for volume in volumes.values()}
        self._at_once, self._pauses, self._poll = at_once, pauses, poll
        self._stop = threading.Event()
        self._look = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None

    # -- what others ask

    async def begin(self, kind: str, volume: Volume, work: str) -> Claimed:
        """Keep a task, durably. It is not run before ``release``, or the end of this process.

        Raises:
            Busy: Too many have not ended.
            StateUnavailable: It cannot be kept now.
        """
        return await self._store.add(kind, volume.id, work)

    def release(self, claimed: Claimed) -> None:
        """Let a task that was begun be run."""
        claimed.lease.release()
        self._look.set()

    async def told(self, id: str) -> TaskReply:
        """Tell how far a task is.

        Raises:
            TaskMissing: There is none of that id, or it ended long ago.
            StateUnavailable: It cannot be told now.
        """
        try:
            task = await self._store.task(str(uuid.UUID(id)))
        except ValueError:
            task = None
        if task is None:
            raise TaskMissing(id)
        return TaskReply(
            id=task.id,
            kind=task.kind,
            state=task.state,
            done=task.done,
            total=task.total,
            left_out=LeftOut(special=task.special, vanished=task.vanished),
            error=task.error,
            created_at=instant(int(task.created)),
            ended_at=None if task.ended is None else instant(int(task.ended)),
        )

    # -- running them

    def start(self) -> None:
        """Begin to look for tasks and to run them. Once."""
        self._looking = asyncio.create_task(self._look_for_tasks())

    def stop(self) -> None:
        """Have what runs end soon, to be taken up again, and begin nothing more. Idempotent."""
        self._stop.set()
        self._look.set()

    async def close(self) -> None:
        """Stop, and wait until nothing runs any more. Idempotent."""
        self.stop()
        if self._looking is not None:
            await asyncio.wait({self._looking})
        if self._running:
            await asyncio.wait(self._running)

    async def _look_for_tasks(self) -> None:
        while not self._stop.is_set():
            self._look.clear()
            try:
                while len(self._running) < self._at_once and not self._stop.is_set():
                    claimed = await self._store.claim(tuple(self._volumes))
                    if claimed is None:
                        break
                    running = asyncio.create_task(self._run(claimed))
                    self._running.add(running)
                    running.add_done_callback(self._ended)
            except StateUnavailable as error:
                _log.warning("background tasks cannot be looked for", reason=str(error))
            except OSError as error:
                _log.warning("background tasks cannot be leased", reason=error.strerror)
            try:
                async with asyncio.timeout(self._poll):
                    await self._look.wait()
            except TimeoutError:
                pass

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._look.set()
        if not running.cancelled() and (error := running.exception()) is not None:
            # its lease is free again, and it will be run again
            _log.error("the state of a background task could not be kept", reason=str(error))

    async def _run(self, claimed: Claimed) -> None:
        task = claimed.task
        loop = asyncio.get_running_loop()

        def remember(note: str) -> None:
            asyncio.run_coroutine_threadsafe(self._store.note(task.number, note), loop).result()

        control = Control(task, self._stop, remember)
        try:
            with metrics.TASKS.track_inprogress():
                await self._settle(task, control, await self._attempt(task, control))
        finally:
            claimed.lease.release()

    async def _attempt(self, task: Task, control: Control) -> Exception | None:
        """Run a task; return what ended it, None where it is done."""
        telling = asyncio.create_task(self._tell(task, control))
        try:
            kind = self._kinds.get(task.kind)
            if kind is None:
                raise OperationUnsupported(f"this version knows no task of the kind {task.kind!r}")
            if task.attempts > _MOST_ATTEMPTS:
                raise OperationUnsupported(f"it was begun {_MOST_ATTEMPTS} times and came to no end")
            await self._workers.run(kind.run, self._volumes[task.volume], task.work, control)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task is told to have failed
            return error
        finally:
            telling.cancel()
            await asyncio.wait({telling})
        return None

    async def _settle(self, task: Task, control: Control, error: Exception | None) -> None:
        if error is None:
            control.tell(total=control.count.done)
            await self._store.end(task.number, control.count)
            metrics.TASKS_ENDED.labels("done").inc()
            _log.info("a background task is done", task=task.id, kind=task.kind, entries=control.count.done)
            return
        if isinstance(error, TaskStopped):
            await self._store.postpone(task.number, 0, task.error, again=True)
            return
        what = str(error) if isinstance(error, PannierError) else "something broke on the server"
        if isinstance(error, VolumeFailed | StateUnavailable) and task.attempts <= len(self._pauses):
            pause = self._pauses[task.attempts - 1]
            _log.warning("a background task will be tried again", task=task.id, kind=task.kind, reason=what, in_s=pause)
            await self._store.postpone(task.number, pause, what, again=False)
            self._wake(pause)
            return
        if isinstance(error, PannierError):
            _log.error("a background task failed", task=task.id, kind=task.kind, reason=what)
        else:
            _log.error("a background task failed", task=task.id, kind=task.kind, exc_info=error)
        await self._drop(task, control)
        await self._store.end(task.number, control.count, what)
        metrics.TASKS_ENDED.labels("failed").inc()

    async def _drop(self, task: Task, control: Control) -> None:
        kind = self._kinds.get(task.kind)
        if kind is not None:
            try:
                await self._workers.run(kind.drop, self._volumes[task.volume], task.work, control)
            except (PannierError, TaskStopped) as error:
                _log.error("a background task that failed has left something", task=task.id, reason=str(error))

    def _wake(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look.set)

    async def _tell(self, task: Task, control: Control) -> None:
        written = Count()
        while True:
            await asyncio.sleep(_WRITTEN)
            if control.count != written:
                written = control.count
                try:
                    await self._store.advance(task.number, written)
                except StateUnavailable as error:
                    _log.warning("how far a background task is could not be kept", task=task.id, reason=str(error))


def aside_of(task: Task) -> bytes:
    """Return the name under which a task has things where nobody looks."""
    return b"task-" + uuid.UUID(task.id).hex.encode()


def _fields(count: Count) -> dict[str, int | None]:
    return {"done": count.done, "total": count.total, "special": count.special, "vanished": count.vanished}
