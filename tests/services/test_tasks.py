"""Running background tasks: attempts, failures, how many at once, and being told to stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pannier.dto.tasks import TaskReply
from pannier.errors import OperationRefused, StorageFull, TaskMissing, VolumeFailed
from pannier.services.tasks import Control, Kind, Tasks, TaskStopped
from pannier.state.tasks import SqliteTasks
from pannier.streams.workers import Workers
from pannier.volumes.base import Volume
from pannier.volumes.memory import MemoryVolume

VOLUME = MemoryVolume("m")


@asynccontextmanager
async def running(path: Path, kind: Kind, *, pauses: Sequence[float] = (0.01, 0.02)) -> AsyncIterator[Tasks]:
    """Run tasks of one kind, called ``it``, as a server does."""
    store, workers = SqliteTasks(path / "state.db"), Workers("task", 2)
    await store.open()
    tasks = Tasks(store, {"it": kind}, {"m": VOLUME}, workers, pauses=pauses, poll=0.05)
    tasks.start()
    try:
        yield tasks
    finally:
        await tasks.close()
        await workers.close()
        await store.close()


async def begun(tasks: Tasks, kind: str = "it") -> str:
    claimed = await tasks.begin(kind, VOLUME, "work")
    tasks.release(claimed)
    return claimed.task.id


async def until(tasks: Tasks, task: str, condition: Callable[[TaskReply], bool]) -> TaskReply:
    async with asyncio.timeout(20):
        while True:
            if condition(told := await tasks.told(task)):
                return told
            await asyncio.sleep(0.01)


async def ended(tasks: Tasks, task: str) -> TaskReply:
    return await until(tasks, task, lambda told: told.ended_at is not None)


class Work:
    """What a kind does, written down; what it raises, in order, and then nothing."""

    def __init__(self, *raises: Exception) -> None:
        self.raises, self.attempts, self.dropped = list(raises), 0, 0

    def run(self, volume: Volume, work: str, control: Control) -> None:
        assert (volume, work) == (VOLUME, "work")
        self.attempts += 1
        control.go_on(5)
        if self.raises:
            raise self.raises.pop(0)

    def drop(self, volume: Volume, work: str, control: Control) -> None:
        self.dropped += 1


async def test_where_the_storage_fails_a_task_is_tried_again(tmp_path: Path) -> None:
    work = Work(VolumeFailed("the disk is away"), VolumeFailed("the disk is away"))
    async with running(tmp_path, Kind(work.run, work.drop)) as tasks:
        told = await ended(tasks, await begun(tasks))
    assert (told.state, told.done, told.total, told.error) == ("done", 5, 5, None)
    assert (work.attempts, work.dropped) == (3, 0)


async def test_while_the_next_attempt_is_waited_for_the_cause_is_told(tmp_path: Path) -> None:
    work = Work(VolumeFailed("the disk is away"))
    async with running(tmp_path, Kind(work.run), pauses=[60]) as tasks:
        told = await until(tasks, await begun(tasks), lambda told: told.error is not None)
    assert (told.state, told.error, told.ended_at) == ("waiting", "the disk is away", None)


@pytest.mark.parametrize(
    ("error", "attempts", "cause"),
    [
        (VolumeFailed("the disk is away"), 3, "the disk is away"),
        (OperationRefused("Permission denied", 13, [b"a"]), 1, "'a': Permission denied"),
        (StorageFull("no room"), 1, "no room"),
        (ValueError("/secret/path"), 1, "something broke on the server"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_a_task_fails_with_one_line_of_cause_and_what_it_left_is_dropped(
    tmp_path: Path, error: Exception, attempts: int, cause: str
) -> None:
    work = Work(*[error] * 5)
    async with running(tmp_path, Kind(work.run, work.drop)) as tasks:
        told = await ended(tasks, await begun(tasks))
    assert (told.state, told.error) == ("failed", cause)
    assert (work.attempts, work.dropped) == (attempts, 1)


async def test_at_most_two_run_at_once_and_all_run(tmp_path: Path) -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    def run(volume: Volume, work: str, control: Control) -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.05)
        with lock:
            at_once -= 1

    async with running(tmp_path, Kind(run)) as tasks:
        begun_ = [await begun(tasks) for _ in range(8)]
        assert {(await ended(tasks, task)).state for task in begun_} == {"done"}
    assert most == 2


async def test_who_is_told_to_stop_is_taken_up_again_with_its_note(tmp_path: Path) -> None:
    notes = []

    def run(volume: Volume, work: str, control: Control) -> None:
        notes.append(control.note)
        if control.note:
            return
        control.remember("half")
        while control.go_on(1):
            time.sleep(0.005)
        raise TaskStopped

    async with running(tmp_path, Kind(run)) as tasks:
        task = await begun(tasks)
        told = await until(tasks, task, lambda told: told.done > 0)  # written about once a second
        assert (told.state, told.total) == ("running", None)
    async with running(tmp_path, Kind(run)) as tasks:
        assert (await ended(tasks, task)).state == "done"
    assert notes == ["", "half"]


async def test_a_kind_that_is_not_known_fails(tmp_path: Path) -> None:
    async with running(tmp_path, Kind(Work().run)) as tasks:
        told = await ended(tasks, await begun(tasks, "another"))
    assert (told.state, told.error) == ("failed", "this version knows no task of the kind 'another'")


async def test_a_task_that_takes_the_server_down_each_time_is_given_up(tmp_path: Path) -> None:
    work = Work()
    store = SqliteTasks(tmp_path / "state.db")
    await store.open()
    task = await store.add("it", VOLUME.id, "work")
    task.lease.release()
    for _ in range(20):  # each time claimed by a process that died
        claimed = await store.claim([VOLUME.id])
        assert claimed is not None
        claimed.lease.release()
    await store.close()
    async with running(tmp_path, Kind(work.run, work.drop)) as tasks:
        told = await ended(tasks, task.task.id)
    assert (told.state, told.error) == ("failed", "it was begun 20 times and came to no end")
    assert (work.attempts, work.dropped) == (0, 1)


async def test_an_unknown_task_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path, Kind(Work().run)) as tasks:
        for id in ("nonsense", "00000000-0000-0000-0000-000000000000"):
            with pytest.raises(TaskMissing):
                await tasks.told(id)
