"""Sessions in the state database: what several processes add to one row, what is revoked, what is forgotten."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pannier.accounts import Account
from pannier.coverage import Coverage
from pannier.errors import StateUnavailable
from pannier.state.sessions import Broken, Change, NewSession, Session, SqliteSessions, key_of
from pannier.state.sqlite import STATE, SqliteState
from pannier.window import Window
from tests.state.stores import LATER, opened, rows

NOW = 1_000.0
FOLDER = "5e67aac8ba94470ea1172f603ea62b3a"
NEW = NewSession(key_of("a"), "v", FOLDER, "x.zip", "zip", LATER, 60, None, times=0)
ONCE = replace(NEW, key=key_of("once"), times=1, rate=5)
BROKEN = Broken(NOW, "source-changed", "it grew", b"\xff", 7)
ROOT = Path(__file__).parents[2]
WRITER = """
import asyncio, sys
from pathlib import Path
from pannier.accounts import Account
from pannier.coverage import Coverage
from pannier.state.sessions import Change, SqliteSessions, key_of
from pannier.state.sqlite import SqliteState
from pannier.window import Window

async def write():
    state = SqliteState(Path(sys.argv[1]))
    await state.open()
    sessions = SqliteSessions(state.ask)
    for at in range(int(sys.argv[2]), 400, 2):
        delivered = Account('"e"', 400).deliver(Window(at, at + 1))
        await sessions.write([Change(key_of("once"), delivered)], 2.0)
        print(at, flush=True)
    await state.close()

asyncio.run(write())
"""

LATER_TABLES = ("links", "drops", "drop_files", "sign_ins", "desk_downloads")


@contextlib.asynccontextmanager
async def sessions_at(path: Path, **options: Any) -> AsyncIterator[tuple[SqliteState, SqliteSessions]]:
    async with opened(path, **options) as state:
        yield state, SqliteSessions(state.ask)


def account(*windows: tuple[int, int], archive: str = '"e"', length: int = 100) -> Account:
    begun = Account(archive, length)
    for start, stop in windows:
        begun = begun.deliver(Window(start, stop))
    return begun


async def test_a_session_is_found_as_it_was_registered(path: Path) -> None:
    async with sessions_at(path) as (state, sessions):
        await sessions.register(ONCE, NOW)
        found = await sessions.find(ONCE.key)
        assert found == replace(ONCE.begun(NOW), number=1)
        await sessions.register(replace(ONCE, filename="other"), NOW + 1)  # the same token: nothing new
        assert await sessions.find(ONCE.key) == found
        await state.pin("once", '"e"', LATER)
        assert await sessions.find(ONCE.key) == replace(found, pinned='"e"')
        await state.withdraw("once", LATER)
        assert await sessions.find(ONCE.key) == found
        assert await sessions.find(NEW.key) is None


async def test_what_is_written_is_added_and_completes_and_spends_once(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(ONCE, NOW)
        await sessions.register(NEW, NOW)
        changes = [Change(ONCE.key, account((0, 60))), Change(NEW.key, account((0, 60)))]
        told = await sessions.write(changes, NOW + 1)
        assert [(it.account, it.spent, it.completed, anew) for it, anew in told] == [
            (account((0, 60)), None, None, False)
        ] * 2
        rest = [Change(ONCE.key, account((50, 100))), Change(NEW.key, account((50, 100))), Change(b"?" * 32, Account())]
        told = await sessions.write(rest, NOW + 2)
        assert [(it.account.total, it.spent, it.completed, anew) for it, anew in told] == [
            (110, NOW + 2, NOW + 2, True),
            (110, None, NOW + 2, False),
        ]
        ((later, anew),) = await sessions.write([Change(ONCE.key, account((0, 1)))], NOW + 3)
        assert (later.spent, later.completed, later.account.total, anew) == (NOW + 2, NOW + 2, 111, False)


async def test_another_archive_is_counted_anew(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(NEW, NOW)
        await sessions.write([Change(NEW.key, account((0, 60)))], NOW)
        ((found, _),) = await sessions.write([Change(NEW.key, account((3, 5), archive='"f"', length=9))], NOW)
        assert found.account == Account('"f"', 9, Coverage.of([Window(3, 5)]), 62)


async def test_a_failure_stays_until_a_stream_ends_well(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(NEW, NOW)
        for change, broken in [
            (Change(NEW.key, account((0, 5)), ended=True, broken=BROKEN), BROKEN),
            (Change(NEW.key, account((5, 6))), BROKEN),
            (Change(NEW.key, Account(), ended=True), None),
        ]:
            ((found, _),) = await sessions.write([change], NOW)
            assert found.broken == broken


async def test_packed_output_is_complete_when_it_came_to_its_end(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(NEW, NOW)
        ((found, _),) = await sessions.write([Change(NEW.key, Account(total=9), ended=True)], NOW)
        assert (found.completed, found.account) == (None, Account(total=9))
        ((found, _),) = await sessions.write([Change(NEW.key, Account(total=9), ended=True, whole=True)], NOW + 1)
        assert (found.completed, found.account) == (NOW + 1, Account(total=18))


async def test_revoking_is_told_once_and_stands(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        assert await sessions.revoke(NEW.key, NOW) is None
        await sessions.register(NEW, NOW)
        for moment, anew in ((NOW + 1, True), (NOW + 2, False)):
            revoked = await sessions.revoke(NEW.key, moment)
            assert revoked is not None
            assert (revoked[0].revoked, revoked[1]) == (NOW + 1, anew)
        assert [it.revoked for it in await sessions.standing([NEW.key, ONCE.key])] == [NOW + 1]


async def test_a_folder_is_revoked_with_all_its_sessions_and_no_other(path: Path) -> None:
    others = [
        replace(NEW, key=key_of("volume"), volume="w"),
        replace(NEW, key=key_of("folder"), folder="0" * 32),
    ]
    scoped = replace(NEW, key=key_of("scoped"), folder=f"user:{FOLDER}/{FOLDER}")
    async with sessions_at(path) as (_, sessions):
        for new in (NEW, scoped, *others):
            await sessions.register(new, NOW)
        assert await sessions.revoke_folder("v", FOLDER, NOW + 1) == 2
        assert await sessions.revoke_folder("v", f"user:{FOLDER}/{FOLDER}", NOW + 2) == 0
        stand = await sessions.standing([new.key for new in (NEW, scoped, *others)])
        assert [it.revoked for it in stand] == [NOW + 1, NOW + 1, None, None]


@pytest.mark.parametrize(("minted", "revoked"), [(NOW, NOW + 1), (NOW + 1, NOW + 1), (NOW + 2, None)])
async def test_a_token_of_others_is_revoked_with_its_folder_if_it_was_made_before(
    path: Path, minted: float, revoked: float | None
) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.revoke_folder("v", FOLDER, NOW + 1)
        assert (await sessions.adopt(NEW, NOW + 5, minted)).revoked == revoked
        other = replace(NEW, key=key_of("w"), volume="w")
        assert (await sessions.adopt(other, NOW + 5, minted)).revoked is None
        assert (await sessions.adopt(NEW, NOW + 9, minted)).created == NOW + 5  # it is there by now


async def test_pages_go_on_where_they_ended_while_sessions_come(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        for number in range(5):
            await sessions.register(replace(NEW, key=key_of(str(number))), NOW)
        everything: dict[str, Any] = {"volume": None, "folder": None}
        first, more = await sessions.page(**everything, before=None, limit=3)
        await sessions.register(replace(NEW, key=key_of("late")), NOW)
        second, last = await sessions.page(**everything, before=first[-1].number, limit=3)
        assert [it.key for it in (*first, *second)] == [key_of(str(number)) for number in (4, 3, 2, 1, 0)]
        assert (more, last) == (True, False)


async def test_two_processes_add_to_one_session_and_one_that_is_killed_keeps_what_it_wrote(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(ONCE, NOW)
        writers = [
            subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-c", WRITER, str(path), str(first)], stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            for first in (0, 1)
        ]
        killed, other = writers
        assert killed.stdout is not None
        said = [int(killed.stdout.readline()) for _ in range(20)]
        killed.kill()
        said += [int(line) for line in killed.stdout.read().split("\n")[:-1]]
        killed.wait()
        killed.stdout.close()
        assert other.communicate()[0].count("\n") == 200
        found = await sessions.find(ONCE.key)
        assert found is not None
        assert all(found.account.coverage.covers(Window(at, at + 1)) for at in (*said, *range(1, 400, 2)))
        assert 200 + len(said) <= found.account.total <= 200 + len(said) + 1


async def test_what_ended_a_day_ago_is_forgotten_with_what_was_revoked(path: Path) -> None:
    ended = replace(NEW, key=key_of("ended"), expires=int(NOW), grace=100)
    end = NOW + 100 + 25 * 3600

    async def collected(at: float) -> tuple[int, int]:
        async with sessions_at(path, clock=lambda: at, collect_every=0) as (state, _):
            await state.pin("x", '"x"', LATER)
        return rows(path, "sessions"), rows(path, "revoked_folders")

    async with sessions_at(path, clock=lambda: NOW) as (_, sessions):
        await sessions.register(ended, NOW)
        await sessions.register(NEW, NOW)
        await sessions.revoke_folder("v", FOLDER, NOW)
    assert await collected(end - 1) == (2, 1)
    assert await collected(end + 1) == (1, 1)
    assert await collected(NOW + 401 * 86_400) == (1, 0)


async def test_a_database_of_the_version_before_is_upgraded(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("a", '"1"', LATER)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table in ("sessions", "revoked_folders", *LATER_TABLES):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version=2")
        connection.commit()
    async with sessions_at(path) as (_, sessions):
        await sessions.register(NEW, NOW)
        found = await sessions.find(NEW.key)
        assert isinstance(found, Session)
        assert found.pinned == '"1"'
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (STATE.version,)


async def test_a_store_that_is_closed_says_that_it_is_away(path: Path) -> None:
    async with sessions_at(path) as (_, sessions):
        await sessions.register(NEW, NOW)
    for call in (
        sessions.find(NEW.key),
        sessions.revoke(NEW.key, NOW),
        sessions.write([Change(NEW.key, Account())], 1),
    ):
        with pytest.raises(StateUnavailable):
            await call
