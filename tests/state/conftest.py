"""Fixtures of the tests of embedded state."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state file may be made; its directory is not there yet."""
    return tmp_path / "state" / "pannier.db"
