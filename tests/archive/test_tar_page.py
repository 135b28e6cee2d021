"""``docs/tar.md`` names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.readers import TAR_READERS

PAGE = (Path(__file__).parents[2] / "docs" / "tar.md").read_text(encoding="utf-8")


def test_the_page_speaks_of_every_reader() -> None:
    assert [reader.name for reader in TAR_READERS if f"`{reader.name}`" not in PAGE] == []


def test_the_tests_that_the_page_names_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []
