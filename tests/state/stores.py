"""What the tests of embedded state share."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pannier.errors import StateUnavailable
from pannier.state.sqlite import SqliteState

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
    began = time.monotonic()
    with pytest.raises(StateUnavailable) as refused:
        await call()
    assert time.monotonic() - began <= 5.5
    return refused.value
