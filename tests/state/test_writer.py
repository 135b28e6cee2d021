"""The thread that talks to the database: groups, deadlines, failures."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pannier.errors import StateUnavailable
from pannier.state.database import Database
from pannier.state.sqlite import STATE
from pannier.state.writer import GroupWriter, Work
from tests.state.stores import refused_quickly, rows


def nothing_to_tidy(_: sqlite3.Connection) -> bool:
    return False


@contextlib.asynccontextmanager
async def writing(
    path: Path, *, deadline: float = 5.0, tidy: Work[bool] = nothing_to_tidy
) -> AsyncIterator[GroupWriter]:
    writer = GroupWriter(Database(path, STATE), tidy, tidy_every=0.0, deadline=deadline)
    try:
        yield writer
    finally:
        await writer.close()


def insert(number: int, size: int = 1) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        statement = "INSERT INTO selections (digest, body, expires) VALUES (?, ?, 0)"
        connection.execute(statement, (number.to_bytes(4), bytes(size)))
        return number

    return work


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM selections").fetchone()[0])


class Hold:
    """A job that keeps the thread busy until it is released."""

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()
        self.held: threading.Thread | None = None

    def __call__(self, _: sqlite3.Connection) -> None:
        self.held = threading.current_thread()
        self.begun.set()
        self.release.wait(60)

    async def occupy(self, writer: GroupWriter) -> asyncio.Task[tuple[None, int]]:
        task = asyncio.create_task(writer.ask(self, writes=False))
        await asyncio.to_thread(self.begun.wait, 5)
        return task


async def test_each_caller_gets_the_result_of_its_own_job(path: Path) -> None:
    async with writing(path) as writer:
        answers = await asyncio.gather(*(writer.ask(insert(number), writes=True) for number in range(50)))
        assert answers == [(number, 1) for number in range(50)]
        assert await writer.ask(count, writes=False) == (50, 1)


async def test_writes_that_wait_together_share_a_commit(path: Path) -> None:
    commits: list[str] = []
    async with writing(path) as writer:
        hold = Hold()
        holding = await hold.occupy(writer)
        asked = [asyncio.create_task(writer.ask(insert(number), writes=True)) for number in range(200)]
        await asyncio.sleep(0)
        watching = asyncio.create_task(
            writer.ask(lambda connection: connection.set_trace_callback(commits.append), writes=False)
        )
        await asyncio.sleep(0)
        hold.release.set()
        await asyncio.gather(holding, watching, *asked)
        await writer.ask(lambda connection: connection.set_trace_callback(None), writes=False)
    assert commits.count("COMMIT") == 2, "one of the writes and one of the tidying"
    assert rows(path, "selections") == 200


async def test_an_answer_to_a_write_comes_after_its_commit(path: Path) -> None:
    async with writing(path) as writer:
        for number in range(20):
            await writer.ask(insert(number), writes=True)
            assert rows(path, "selections") == number + 1


async def test_a_disk_that_does_not_answer_is_unavailable_in_time_and_leaves_no_job_behind(path: Path) -> None:
    async with writing(path, deadline=0.3) as writer:
        hold = Hold()
        holding = await hold.occupy(writer)
        async with asyncio.timeout(30):  # half of what the disk would take
            with pytest.raises(StateUnavailable, match=r"did not answer within 0\.3 s"):
                await writer.ask(insert(1), writes=True)
            with pytest.raises(StateUnavailable):
                await holding
        hold.release.set()
        assert await writer.ask(count, writes=False) == (0, 1), "what nobody waits for is not begun"


async def test_a_thread_that_hangs_does_not_keep_close_from_returning(path: Path) -> None:
    hold = Hold()
    async with writing(path, deadline=0.2) as writer:
        holding = await hold.occupy(writer)
    with pytest.raises(StateUnavailable):
        await holding
    hold.release.set()
    assert hold.held is not None
    await asyncio.to_thread(hold.held.join, 30)
    assert not hold.held.is_alive(), "it ends as soon as what it hung on lets it go"


async def test_a_full_disk_refuses_the_group_and_the_next_has_room_again(path: Path) -> None:
    def limit(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").fetchone()

    async with writing(path) as writer:
        await writer.ask(limit(10), writes=False)
        refused = await refused_quickly(lambda: writer.ask(insert(1, size=100_000), writes=True))
        assert "full" in str(refused)
        assert await writer.ask(insert(2), writes=True) == (2, 1), "the connection stays"
        await writer.ask(limit(1000), writes=False)
        await writer.ask(insert(3, size=100_000), writes=True)
        assert await writer.ask(count, writes=False) == (2, 1)


@pytest.mark.parametrize("writes", [True, False])
async def test_a_bug_in_a_job_is_unavailable_and_the_thread_lives(path: Path, writes: bool) -> None:
    async with writing(path) as writer:
        with pytest.raises(StateUnavailable, match="internal"):
            await writer.ask(lambda _: 1 / 0, writes=writes)
        await writer.ask(insert(1), writes=True)
    assert rows(path, "selections") == 1


async def test_a_job_that_fails_undoes_the_writes_of_its_group(path: Path) -> None:
    async with writing(path) as writer:
        hold = Hold()
        holding = await hold.occupy(writer)
        works: list[Work[object]] = [insert(1), lambda _: 1 / 0, insert(2)]
        asked = [asyncio.create_task(writer.ask(work, writes=True)) for work in works]
        await asyncio.sleep(0)
        hold.release.set()
        results = await asyncio.gather(holding, *asked, return_exceptions=True)
        assert [type(result) for result in results[1:]] == [StateUnavailable] * 3
        assert (await writer.ask(count, writes=False))[0] == 0


async def test_a_caller_that_leaves_disturbs_nobody(path: Path) -> None:
    async with writing(path) as writer:
        asked = [asyncio.create_task(writer.ask(insert(number), writes=True)) for number in range(100)]
        await asyncio.sleep(0)
        for task in asked[::2]:
            task.cancel()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert results[1::2] == [(number, 1) for number in range(1, 100, 2)]


async def test_tidying_that_fails_fails_no_write(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def tidy(connection: sqlite3.Connection) -> bool:
        connection.execute("DELETE FROM selections")
        raise ValueError("a bug")

    async with writing(path, tidy=tidy) as writer:
        for number in range(3):
            await writer.ask(insert(number), writes=True)
    assert rows(path, "selections") == 3
    assert "could not be collected: a bug" in caplog.text


async def test_after_close_it_refuses(path: Path) -> None:
    async with writing(path) as writer:
        pass
    await writer.close()
    with pytest.raises(StateUnavailable, match="closed"):
        await writer.ask(count, writes=False)
