"""Fixtures of the tests over a real server in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.host import Host, served


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A server over a volume in upstream's layout."""
    async with served(tmp_path) as it:
        yield it
