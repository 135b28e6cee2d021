from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.desk.desks import DeskServer, desk


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[DeskServer]:
    """A server with a front desk."""
    async with desk(tmp_path) as server:
        yield server
