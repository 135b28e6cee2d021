"""What the pages say exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pannier.api.problems import KINDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_backticks_exist(page: Path) -> None:
    """Tests and modules that a page names."""
    for path in re.findall(
        r"`((?:tests|docs|examples|services|streams|volumes|api|archive|protocol)/[\w./-]+)`", page.read_text()
    ):
        assert (ROOT / path).exists() or (ROOT / "src" / "pannier" / path).exists(), path


def test_tests_that_the_security_page_names_exist() -> None:
    """Each promise there is one that a test keeps; a row that says "holds" names one."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 40
    for path, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE), test
    promises = [row for row in page.splitlines() if row.startswith("|") and "| holds" in row]
    assert len(promises) > 15
    assert [row for row in promises if "::test_" not in row] == []


def test_every_problem_type_is_on_the_http_page_or_that_of_the_desk() -> None:
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("http.md", "desk.md"))
    assert [kind.tail for kind in KINDS.values() if f"`{kind.tail}`" not in page] == []


def test_no_module_outgrows_a_reader() -> None:
    """About 400 lines is where a module asks to be split."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "src").rglob("*.py")}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 420} == {}


def test_every_exception_from_a_security_rule_says_why() -> None:
    """In its line, behind a dash; of whole folders in pyproject.toml, behind the line or in the one that shares it."""
    silent = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("src", "tests", "bench", "examples", "docs", "deploy")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "node_modules" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"# (ruff: )?noqa:[A-Z0-9, ]*\bS\d", line) and not re.search(r"noqa:[A-Z0-9, ]+- \w", line)
    ]
    assert silent == []
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    exceptions = [line for line in settings if re.match(r'\s+"S\d', line)]
    assert len(exceptions) > 10
    assert [line for line in exceptions if not re.search(r"# \S", line)] == []
