"""The file of embedded state: private, ours, and mended or made again whatever happens to it."""

# ruff: noqa: ASYNC240 - the tests look at small local files
from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from pannier.errors import ConfigInvalid, StateUnavailable
from pannier.state.sqlite import SqliteState
from tests.state.stores import LATER, opened, refused_quickly, rows


async def test_the_file_is_private_and_so_is_its_directory(path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(path) as state:
            await state.pin("s", '"1"', LATER)
            modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}
    assert {path.name, f"{path.name}-wal"} <= set(modes)


async def test_a_file_that_others_may_read_is_made_private(path: Path) -> None:
    async with opened(path):
        pass
    path.chmod(0o644)
    async with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_file_holds_no_name_of_a_session(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("jti:a-name-to-look-for", '"1"', LATER)
        content = b"".join(found.read_bytes() for found in path.parent.iterdir())
    assert b"a-name-to-look-for" not in content


async def test_a_network_file_system_is_refused_by_name_and_nothing_is_made(path: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(b"27 1 0:30 / / rw - nfs4 server:/ rw\n")
    with pytest.raises(ConfigInvalid, match=r"state\.path: .*network file system \(nfs4\)"):
        await SqliteState(path, mounts=mounts).open()
    assert not path.parent.exists()


async def test_without_a_table_of_mounts_it_opens(path: Path, tmp_path: Path) -> None:
    async with opened(path, mounts=tmp_path / "none") as state:
        assert await state.pin("s", '"1"', LATER) == '"1"'


async def test_another_programs_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigInvalid, match="another program"):
        await SqliteState(path).open()
    assert rows(path, "theirs") == 0


async def test_a_later_versions_database_is_refused_with_the_way_out(path: Path) -> None:
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=5")
    with pytest.raises(ConfigInvalid, match="schema 5; this version of Pannier knows 4"):
        await SqliteState(path).open()


async def test_what_is_no_regular_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConfigInvalid, match="not a regular file"):
        await SqliteState(path).open()


# ---------------------------------------------------------------- misfortune


@pytest.mark.parametrize("damage", ["text", "header", "pages", "cut"])
async def test_a_broken_file_is_moved_aside_and_a_fresh_one_made(
    path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    async with opened(path) as state:
        await asyncio.gather(*(state.pin(str(n), '"1"', LATER) for n in range(2000)))
    content = bytearray(path.read_bytes())
    match damage:
        case "text":
            content = bytearray(b"this was a database once\n" * 400)
        case "header":
            content[:100] = bytes(100)
        case "pages":
            content[4096:] = os.urandom(len(content) - 4096)
        case _:
            del content[len(content) // 2 :]
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        async with opened(path) as state:
            assert await state.pinned("1") is None
            assert await state.pin("1", '"2"', LATER) == '"2"'
    assert "moved to" in caplog.text
    assert path.with_name(f"{path.name}.corrupt-1").read_bytes() == content
    path.write_bytes(content)
    async with opened(path):
        assert path.with_name(f"{path.name}.corrupt-2").exists()


async def test_a_disk_that_breaks_every_file_is_not_filled_with_them(path: Path) -> None:
    for _ in range(20):
        path.parent.mkdir(exist_ok=True)
        path.write_text("no database\n" * 100)
        async with opened(path):
            pass
    path.write_text("no database\n" * 100)
    refused = await refused_quickly(SqliteState(path).open)
    assert "remove them" in str(refused)
    assert len(list(path.parent.glob("*.corrupt-*"))) == 20
    assert path.exists()


async def test_a_file_that_breaks_while_it_is_open_is_replaced_too(path: Path) -> None:
    async with opened(path, most_pins=1) as state:
        await asyncio.gather(*(state.pin(str(n), '"1"', LATER) for n in range(2000)))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        results: list[object] = []
        for number in range(20):
            try:
                results.append(await state.pin(f"new{number}", '"2"', LATER))
            except StateUnavailable:
                results.append(None)
        assert results[-1] == '"2"'
        assert path.with_name(f"{path.name}.corrupt-1").exists()
    async with opened(path) as state:
        assert await state.pinned("new19") == '"2"'


async def test_a_removed_file_is_made_again_and_the_memory_is_not_believed(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
        for found in path.parent.glob(f"{path.name}*"):
            found.unlink()
        await state.pin("other", '"1"', LATER)
        assert rows(path, "pins") == 1
        assert await state.pinned("s") is None
    assert rows(path, "pins") == 1


async def test_one_process_that_finds_the_file_replaced_does_no_harm_to_the_others(path: Path) -> None:
    async with opened(path) as one, opened(path) as other:
        await one.pin("s", '"1"', LATER)
        path.unlink()
        assert await one.pin("a", '"1"', LATER) == '"1"'
        assert await other.pin("a", '"2"', LATER) == '"1"'
        await asyncio.gather(*(one.pin(f"b{n}", '"1"', LATER) for n in range(100)))
    assert rows(path, "pins") == 101


async def test_a_removed_directory_is_made_again(path: Path) -> None:
    async with opened(path) as state:
        for found in path.parent.iterdir():
            found.unlink()
        path.parent.rmdir()
        assert await state.pin("s", '"1"', LATER) == '"1"'
        assert rows(path, "pins") == 1


async def test_a_directory_that_cannot_be_made_is_unavailable_until_it_can(path: Path) -> None:
    async with opened(path) as state:
        for found in path.parent.iterdir():
            found.unlink()
        path.parent.rmdir()
        path.parent.write_text("in the way")
        await refused_quickly(lambda: state.pin("s", '"1"', LATER))
        await refused_quickly(lambda: state.selection("d"))
        path.parent.unlink()
        assert await state.pin("s", '"1"', LATER) == '"1"'


async def test_a_foreign_file_in_its_place_is_unavailable_until_it_is_gone(path: Path) -> None:
    async with opened(path) as state:
        for found in path.parent.glob(f"{path.name}*"):
            found.unlink()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        await refused_quickly(lambda: state.pin("s", '"1"', LATER))
        path.unlink()
        assert await state.pin("s", '"1"', LATER) == '"1"'


async def test_a_locked_file_is_unavailable_quickly_and_serves_again_when_it_is_free(path: Path) -> None:
    async with opened(path) as state:
        await state.pin("s", '"1"', LATER)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as hog:
            hog.execute("BEGIN IMMEDIATE")
            refused = await refused_quickly(
                lambda: asyncio.gather(*(state.pin(f"t{number}", '"1"', LATER) for number in range(50)))
            )
            assert "locked" in str(refused)
            assert await state.pinned("s") == '"1"'
            assert await state.pinned("not seen") is None
            await refused_quickly(lambda: state.withdraw("s", LATER))
            assert await state.pinned("s", certain=True) == await state.pinned("s") == '"1"'
            hog.execute("ROLLBACK")
        assert await state.pin("t1", '"2"', LATER) in ('"1"', '"2"')


async def test_a_file_locked_at_the_start_is_unavailable_quickly(path: Path) -> None:
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as hog:
        hog.execute("PRAGMA locking_mode=EXCLUSIVE")
        hog.execute("BEGIN EXCLUSIVE")
        await refused_quickly(SqliteState(path).open)
    async with opened(path) as state:
        assert await state.pinned("s") is None


# ---------------------------------------------------------------- opening and closing
