"""What reaches the terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from pannier.cli.terminal import counted, note, result, tilde


def test_controls_of_file_names_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nor do no-break spaces, which a person would copy."""
    result("a\x1b[31m\r\x9b\tb 1\N{NO-BREAK SPACE}KiB")
    assert capsys.readouterr().out == "a\\x1b[31m\\x0d\\x9b\\x09b 1 KiB\n"


def test_what_the_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undecodable names too."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    note("1 entry · é… \udcff")
    assert raw.getvalue() == b"1 entry , \\xe9... \\udcff\n"


def test_counts_have_separators_and_plurals() -> None:
    """As on the page."""
    assert [counted(n, "entry", "entries") for n in (0, 1, 2000)] == ["0 entries", "1 entry", "2,000 entries"]
    assert counted(2, "folder") == "2 folders"


def test_home_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as a whole part of the path."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert [tilde(Path(p)) for p in ("/home/ann", "/home/ann/x", "/home/anna", "/")] == ["~", "~/x", "/home/anna", "/"]
