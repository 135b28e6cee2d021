"""``docs/wire.md`` names tests that are there, and every route of the wire."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| The wire", "| # |"))]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
OURS = {
    *("/folder/file/archive-plan", "/tasks/{id}", "/openapi.json", "/uploads", "/served"),
    *("/archive-members", "/session", "/sessions", "/sessions/{id}", "/folder/revoke"),
}


def test_the_tests_that_the_page_names_exist() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) == len(set(re.findall(r"`(tests/[^`]*)`", PAGE)))
    sources = {path: (ROOT / path).read_text(encoding="utf-8") for path, _ in named if (ROOT / path).exists()}
    assert [each for each in sorted(named) if f"def {each[1]}(" not in sources.get(each[0], "")] == []


def test_each_row_names_its_test() -> None:
    assert ROWS
    assert [row for row in ROWS if not NAMED.search(row.rpartition(" | ")[2])] == []


def test_each_weakness_has_its_row() -> None:
    weaknesses = PAGE.partition("## Weaknesses")[2]
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", weaknesses, re.MULTILINE)] == list(range(1, 23))


@pytest.mark.parametrize("listener", ["client", "manager"])
def test_every_route_of_the_wire_is_on_the_page(listener: str) -> None:
    paths = json.loads((ROOT / "docs" / "openapi" / f"{listener}.json").read_text())["paths"]
    assert OURS & set(paths)
    missing = [path for path in paths if path not in OURS and not re.search(rf"(?:`| ){re.escape(path)}`", PAGE)]
    assert missing == []
