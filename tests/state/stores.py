"""What the tests of embedded state share."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pannier.errors import StateUnavailable
from pannier.state.sqlite import SqliteState
from pannier.state.writer import DEADLINE

LATER = 4_000_000_000
"""A time that does not come while the tests run, seconds since the epoch."""


@contextlib.asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteState]:
    """Open a state for the time of a block."""
    state = SqliteState(path, **options)
    await state.open()
    try:
        yield state
    finally:
        await state.close()


def rows(path: Path, table: str) -> int:
    """Count a table's rows, as another process would see them."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def refused_quickly(call: Callable[[], Awaitable[object]]) -> StateUnavailable:
    """Return the refusal of a call that has to fail within the time a caller may wait."""
    async with asyncio.timeout(4 * DEADLINE):  # the machine may be busy
        with pytest.raises(StateUnavailable) as refused:
            await call()
    return refused.value
