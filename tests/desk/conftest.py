from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.desk.browsing import launch
from tests.desk.desks import DeskServer, desk


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[DeskServer]:
    """A server with a front desk."""
    async with desk(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, started for the tests of one module."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
