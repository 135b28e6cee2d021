"""Background tasks in the state database: durable, leased to one process at a time, forgotten in the end."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pannier.dto.tasks import TaskState
from pannier.errors import Busy, StateUnavailable
from pannier.state.leases import take
from pannier.state.sqlite import STATE
from pannier.state.tasks import KEPT, Claimed, Count, SqliteTasks
from tests.state.stores import LATER, opened, rows

ROOT = Path(__file__).parents[2]
HOLDER = """
import asyncio, sys
from pathlib import Path
from pannier.state.tasks import SqliteTasks

async def hold():
    tasks = SqliteTasks(Path(sys.argv[1]))
    await tasks.open()
    held = []
    for _ in range(int(sys.argv[2])):
        claimed = await tasks.add("kind", "v", "work") if sys.argv[3] == "add" else await tasks.claim(["v"])
        if claimed is None:
            break
        held.append(claimed)
        print(claimed.task.id, flush=True)
    print("-", flush=True)
    sys.stdin.read()

asyncio.run(hold())
"""

LATER_TABLES = ("links", "drops", "drop_files", "sign_ins", "desk_downloads")


@contextlib.asynccontextmanager
async def tasks_at(path: Path, **options: Any) -> AsyncIterator[SqliteTasks]:
    tasks = SqliteTasks(path, **options)
    await tasks.open()
    try:
        yield tasks
    finally:
        await tasks.close()


@contextlib.contextmanager
def holder(path: Path, count: int, how: str) -> Any:
    """Run a process that adds or claims tasks and keeps their leases; give it, and the ids."""
    command = [sys.executable, "-c", HOLDER, str(path), str(count), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        said = process.stdout
        assert said is not None
        try:
            yield process, list(iter(lambda: said.readline().strip(), "-"))
        finally:
            process.kill()


async def add(tasks: SqliteTasks, volume: str = "v", work: str = "work") -> Claimed:
    return await tasks.add("kind", volume, work)


# ---------------------------------------------------------------- what it promises


async def test_a_task_outlives_the_process_that_was_killed(path: Path) -> None:
    with holder(path, 20, "add") as (process, ids):
        assert len(ids) == 20
        async with tasks_at(path) as tasks:
            assert await tasks.claim(["v"]) is None, "its leases are held"
            process.kill()
            process.wait()
            claimed = [await tasks.claim(["v"]) for _ in ids]
            assert [each.task.id for each in claimed if each is not None] == ids
            assert await tasks.claim(["v"]) is None


async def test_processes_share_the_tasks_and_none_gets_one_twice(path: Path) -> None:
    async with tasks_at(path) as tasks:
        expected = set()
        for _ in range(30):
            added = await add(tasks)
            added.lease.release()
            expected.add(added.task.id)
        with holder(path, 12, "claim") as (_, one), holder(path, 100, "claim") as (_, other):
            assert len(one) == 12
            assert len(other) == 18
            assert {*one, *other} == expected
            assert await tasks.claim(["v"]) is None


async def test_two_claims_of_one_process_get_two_tasks(path: Path) -> None:
    async with tasks_at(path) as one, tasks_at(path) as other:
        added = await add(one)
        assert await one.claim(["v"]) is None
        assert await other.claim(["v"]) is None
        added.lease.release()
        claimed = [each for each in await asyncio.gather(*(tasks.claim(["v"]) for tasks in (one, other) * 5)) if each]
        assert [each.task.id for each in claimed] == [added.task.id]
        assert claimed[0].task.state is TaskState.RUNNING
        assert claimed[0].task.attempts == 1


async def test_only_tasks_of_known_volumes_are_claimed_the_oldest_first(path: Path) -> None:
    async with tasks_at(path) as tasks:
        for volume in ("theirs", "ours", "also", "ours"):
            (await add(tasks, volume)).lease.release()
        assert await tasks.claim([]) is None
        found = [await tasks.claim(["ours", "also"]) for _ in range(4)]
        assert [each.task.number for each in found if each] == [2, 3, 4]


async def test_a_task_is_told_from_its_beginning_to_its_end(path: Path) -> None:
    async with tasks_at(path) as tasks, tasks_at(path) as other:
        added = await add(tasks, work='{"a":1}')
        number, id = added.task.number, added.task.id
        assert (added.task.work, added.task.state, added.task.ended) == ('{"a":1}', TaskState.WAITING, None)
        await tasks.advance(number, Count(3, 10, 1, 2))
        await tasks.note(number, "whole")
        seen = await other.task(id)
        assert seen is not None
        assert (seen.done, seen.total, seen.special, seen.vanished, seen.note) == (3, 10, 1, 2, "whole")
        await tasks.end(number, Count(10, 10), "it broke")
        seen = await other.task(id)
        assert seen is not None
        assert (seen.state, seen.done, seen.error) == (TaskState.FAILED, 10, "it broke")
        assert seen.ended is not None
        added.lease.release()
        assert await other.claim(["v"]) is None, "it has ended"
        assert await other.task("another") is None


async def test_a_task_that_waits_for_its_next_attempt_is_left_alone_until_then(path: Path) -> None:
    now = 1_000_000.0
    async with tasks_at(path, clock=lambda: now) as tasks:
        added = await add(tasks)
        added.lease.release()
        claimed = await tasks.claim(["v"])
        assert claimed is not None
        await tasks.postpone(added.task.number, 30, "the disk is away", again=False)
        claimed.lease.release()
        assert await tasks.claim(["v"]) is None
        now += 31
        claimed = await tasks.claim(["v"])
        assert claimed is not None
        assert (claimed.task.attempts, claimed.task.error) == (2, "the disk is away")
        await tasks.postpone(added.task.number, 0, None, again=True)
        claimed.lease.release()
        claimed = await tasks.claim(["v"])
        assert claimed is not None
        assert claimed.task.attempts == 2


async def test_a_task_that_ended_while_its_lease_was_asked_for_is_not_run_again(path: Path) -> None:
    async with tasks_at(path) as tasks:
        added = await add(tasks)
        await tasks.end(added.task.number, Count())
        added.lease.release()
        assert await tasks.claim(["v"]) is None


# ---------------------------------------------------------------- bounds


async def test_what_ended_a_day_ago_is_forgotten(path: Path) -> None:
    now = 1_000_000.0
    async with tasks_at(path, clock=lambda: now, collect_every=0) as tasks:
        ended, open_ = await add(tasks), await add(tasks)
        await tasks.end(ended.task.number, Count())
        now += KEPT - 1
        assert await tasks.task(ended.task.id) is not None
        now += 2
        assert await tasks.task(ended.task.id) is None
        assert await tasks.task(open_.task.id) is not None
        await tasks.advance(open_.task.number, Count(1))
        await tasks.task(open_.task.id)
        assert rows(path, "tasks") == 1


async def test_what_ended_is_kept_in_bounded_number_the_latest(path: Path) -> None:
    now = 1_000_000.0
    async with tasks_at(path, clock=lambda: now, most_kept=3, collect_every=0) as tasks:
        ids = []
        for _ in range(8):
            now += 1
            added = await add(tasks)
            await tasks.end(added.task.number, Count())
            ids.append(added.task.id)
        await add(tasks)
        assert [id for id in ids if await tasks.task(id)] == ids[-3:]


async def test_no_more_tasks_are_taken_than_can_be_kept(path: Path) -> None:
    async with tasks_at(path, most_open=2) as tasks:
        first = await add(tasks)
        await add(tasks)
        with pytest.raises(Busy):
            await add(tasks)
        await tasks.end(first.task.number, Count())
        await add(tasks)


# ---------------------------------------------------------------- the file


async def test_before_open_and_after_close_it_is_unavailable(path: Path) -> None:
    tasks = SqliteTasks(path)
    for _ in range(2):
        with pytest.raises(StateUnavailable):
            await tasks.task("x")
        await tasks.open()
        await tasks.close()


async def test_a_database_of_the_version_before_is_upgraded_and_keeps_what_it_holds(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table in ("tasks", "sessions", "revoked_folders", *LATER_TABLES):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version=1")
        connection.commit()
    async with opened(path) as state, tasks_at(path) as tasks:
        assert await state.pinned("s") == '"1"'
        added = await add(tasks)
        assert await tasks.task(added.task.id) is not None
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (STATE.version,)
        indexes = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    assert {"tasks_not_ended", "tasks_by_end", "sessions_by_folder", "sessions_by_end"} <= indexes


async def test_a_task_is_synced_to_the_disk_before_it_is_told(path: Path) -> None:
    """A power cut cannot be made here; that the connection asks for it can be seen."""
    async with tasks_at(path) as tasks:
        synchronous = await tasks._ask(
            lambda connection: connection.execute("PRAGMA synchronous").fetchone(), writes=False
        )
        assert synchronous == (2,)


def test_a_lease_is_free_when_it_is_released_or_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "locks"
    one = take(path, 1)
    assert one is not None
    assert take(path, 1) is None
    two = take(path, 2)
    assert two is not None
    one.release()
    one.release()
    again = take(path, 1)
    assert again is not None
    del again
    assert take(path, 1) is not None
