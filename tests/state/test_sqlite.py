"""Embedded state: pins and selections that outlive the process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pannier.errors import ConfigInvalid
from pannier.state.base import WITHDRAWN, SelectionStore, SessionStore
from pannier.state.sqlite import SqliteState
from tests.state.stores import LATER, opened, refused_quickly, rows

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- what it promises


async def test_a_pin_is_never_replaced(path: Path) -> None:
    async with opened(path) as state:
        store: SessionStore = state
        assert await store.pinned("s") is None
        assert await store.pin("s", '"1"', LATER) == '"1"'
        assert await store.pin("s", '"2"', LATER + 1) == '"1"'
        assert await store.pinned("s") == '"1"'
        assert await store.pinned("other") is None


async def test_a_pin_outlives_the_process_that_made_it(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
    async with opened(path) as state:
        assert await state.pinned("s") == '"1"'
        assert await state.pin("s", '"2"', LATER) == '"1"'


async def test_a_pin_that_was_withdrawn_stays_so(path: Path) -> None:
    async with opened(path) as state:
        store: SessionStore = state
        await store.pin("s", '"1"', LATER)
        await store.withdraw("s", LATER)
        for certain in (False, True):
            assert await store.pinned("s", certain=certain) == WITHDRAWN
        assert await store.pin("s", '"1"', LATER + 1) == WITHDRAWN
        await store.withdraw("s", LATER)
        assert await store.pinned("other") is None
    async with opened(path) as state:
        assert await state.pinned("s") == await state.pin("s", '"2"', LATER) == WITHDRAWN


async def test_what_was_never_pinned_can_be_withdrawn(path: Path) -> None:
    async with opened(path) as state:
        await state.withdraw("s", LATER)
    async with opened(path) as state:
        assert await state.pin("s", '"1"', LATER) == WITHDRAWN


async def test_pins_and_withdrawals_at_once_end_withdrawn(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        await asyncio.gather(
            *(state.pin("s", f'"{number}"', LATER) for number in range(20) for state in (one, other)),
            *(state.withdraw("s", LATER) for state in (other, one)),
            *(state.pin("s", f'"{number}"', LATER) for number in range(20) for state in (one, other)),
        )
        for state in (one, other):
            assert await state.pinned("s", certain=True) == await state.pinned("s") == WITHDRAWN


async def test_a_withdrawal_is_written_once(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
        await state.withdraw("s", LATER)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM pins")
            connection.commit()
        await state.withdraw("s", LATER)
        assert await state.pinned("s", certain=True) == WITHDRAWN  # there is no way back, so memory is certain
        assert rows(path, "pins") == 0


async def test_a_selection_is_kept_by_its_digest(path: Path) -> None:
    body = bytes(range(256)) * 8000
    async with opened(path) as state:
        store: SelectionStore = state
        assert await store.selection("d") is None
        await store.keep("d", body, LATER)
        await store.keep("d", b"another", LATER)
    async with opened(path) as state:
        assert await state.selection("d") == body


@pytest.mark.parametrize("name", ["", "\0", "\udc80", "é" * 10_000, "'; DROP TABLE pins; --"])
async def test_any_text_may_name_a_session_or_a_selection(path: Path, name: str) -> None:
    async with opened(path, most_pins=1) as state:
        await state.pin(name, '"1"', LATER)
        await state.pin("other", '"2"', LATER)
        await state.keep(name, b"b", LATER)
        assert (await state.pinned(name), await state.selection(name)) == ('"1"', b"b")


@pytest.mark.parametrize("expires", [0, -5, 2**63, 10**100])
async def test_any_expiry_is_taken(path: Path, expires: int) -> None:
    async with opened(path) as state:
        assert await state.pin("s", '"1"', expires) == '"1"'
        await state.keep("d", b"b", expires)


async def test_pins_are_answered_from_memory_once_they_were_seen(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM pins")
            connection.commit()
        assert await state.pinned("s") == '"1"'
        assert await state.pin("s", '"2"', LATER) == '"1"'
        assert await state.pinned("s", certain=True) is None
        assert await state.pinned("s") is None


async def test_what_left_the_bounded_memory_is_read_again(path: Path) -> None:
    async with opened(path, most_pins=10) as state:
        for number in range(100):
            await state.pin(str(number), f'"{number}"', LATER)
        assert [await state.pinned(str(number)) for number in range(100)] == [f'"{number}"' for number in range(100)]


# ---------------------------------------------------------------- several processes


def pinning(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.state.pinning", str(path), *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_every_pin_that_was_answered_survives_kill_9(path: Path) -> None:
    with pinning(path, "s", "1000000") as process:
        assert process.stdout is not None
        answered = [process.stdout.readline() for _ in range(300)]
        process.kill()
        answered += [line for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -9
    async with opened(path) as state:
        for line in answered:
            number, etag = line.split()
            assert await state.pinned(f"s{number}") == etag


async def test_processes_that_pin_the_same_sessions_get_the_same_rows(path: Path) -> None:
    processes = [pinning(path, "s", "400", name) for name in ("one", "two", "three")]
    outputs = []
    for process in processes:
        with process:
            outputs.append(sorted(process.communicate(timeout=60)[0].splitlines()))
        assert process.returncode == 0
    assert len(outputs[0]) == 400
    assert outputs[0] == outputs[1] == outputs[2]


async def test_every_withdrawal_that_was_answered_survives_kill_9_and_is_seen_by_who_remembers_the_pin(
    path: Path,
) -> None:
    async with opened(path) as state:
        for number in range(300):
            await state.pin(f"s{number}", '"1"', LATER)
        with pinning(path, "s", "1000000", "withdraw") as process:
            assert process.stdout is not None
            for _ in range(200):
                number = int(process.stdout.readline())
                assert await state.pinned(f"s{number}", certain=True) == WITHDRAWN
            process.kill()
            withdrawn = 200 + sum(line.endswith("\n") for line in process.stdout)
        assert process.returncode == -9
    async with opened(path) as state:
        for number in range(withdrawn):
            assert await state.pinned(f"s{number}") == WITHDRAWN


async def test_a_withdrawal_by_another_process_is_seen_by_who_asks_to_be_certain(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        await one.pin("s", '"1"', LATER)
        await other.withdraw("s", LATER)
        assert await one.pinned("s") == '"1"'
        assert await one.pinned("s", certain=True) == WITHDRAWN
        assert await one.pinned("s") == WITHDRAWN


async def test_two_states_on_one_file_see_each_others_pins(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        results = await asyncio.gather(*(state.pin("s", f'"{id(state)}"', LATER) for state in (one, other) * 10))
        assert len(set(results)) == 1
        await one.keep("d", b"b", LATER)
        assert await other.selection("d") == b"b"


# ---------------------------------------------------------------- expiry


async def test_expired_rows_are_collected_a_bounded_number_at_a_time(path: Path) -> None:
    now = 1_000_000.0
    async with opened(path, clock=lambda: now, collect_every=0.0) as state:
        await asyncio.gather(*(state.pin(f"old{n}", '"1"', 100) for n in range(1200)))
        for number in range(30):
            await state.keep(f"old{number}", b"b", 100)
        await state.pin("fresh", '"1"', int(now) - 5)
        for number in range(5):
            await state.keep(f"fresh{number}", b"b", LATER)
    assert rows(path, "pins") == 1
    assert rows(path, "selections") == 5


async def test_keeping_or_pinning_again_extends_the_expiry_and_never_shortens_it(path: Path) -> None:
    async with opened(path) as state:
        for expires in (100, 300, 200):
            await state.pin("s", '"1"', expires)
            await state.withdraw("t", expires)
            await state.keep("d", b"b", expires)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT expires FROM pins").fetchall() == [(300,), (300,)]
        assert connection.execute("SELECT expires FROM selections").fetchall() == [(300,)]


# ---------------------------------------------------------------- the file


async def test_before_open_and_after_close_it_is_unavailable(path: Path) -> None:
    state = SqliteState(path)
    await refused_quickly(lambda: state.pinned("s"))
    await state.open()
    await state.pin("s", '"1"', LATER)
    await state.close()
    await state.close()
    await refused_quickly(lambda: state.pinned("s"))
    await refused_quickly(lambda: state.pin("s", '"1"', LATER))
    await refused_quickly(lambda: state.withdraw("s", LATER))
    await state.open()
    assert await state.pinned("s") == '"1"'
    await state.close()


async def test_what_was_asked_before_close_is_answered(path: Path) -> None:
    state = SqliteState(path)
    await state.open()
    pins = [asyncio.create_task(state.pin(str(number), '"1"', LATER)) for number in range(50)]
    await asyncio.sleep(0)
    await state.close()
    assert await asyncio.gather(*pins) == ['"1"'] * 50
    assert rows(path, "pins") == 50


async def test_nothing_is_left_after_close_nor_after_a_refused_open(path: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(b"27 1 0:30 / / rw - cifs x rw\n")
    async with opened(path):  # whatever the first use of a library makes
        pass
    threads, descriptors, tasks = threading.active_count(), os.listdir("/proc/self/fd"), asyncio.all_tasks()
    for number in range(50):
        async with opened(path) as state:
            await state.pin(str(number), '"1"', LATER)
        with pytest.raises(ConfigInvalid):
            await SqliteState(path, mounts=mounts).open()
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)
    assert asyncio.all_tasks() == tasks
    assert sorted(found.name for found in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]
