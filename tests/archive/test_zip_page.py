"""``docs/zip.md`` says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.archive.drawing import picture
from tests.readers import READERS

PAGE = (Path(__file__).parents[2] / "docs" / "zip.md").read_text(encoding="utf-8")


def test_the_picture_is_that_of_the_code() -> None:
    """``python -m tests.archive.drawing`` prints it anew."""
    [drawn] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert drawn == picture()


def test_the_page_speaks_of_every_reader() -> None:
    assert [reader.name for reader in READERS if f"`{reader.name}`" not in PAGE] == []


def test_the_tests_that_the_page_names_exist() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if f"def {name}(" not in sources] == []
