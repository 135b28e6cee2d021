"""Commands run in this process, against a server in another: as exact as with processes, and quicker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pannier.cli import main
from tests.cli.commands import process_kept


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


Run = Callable[..., Done]


def at_home(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], cwd: Path | None = None
) -> Run:
    """Return what runs a command as a person would whose home that is."""
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "PANNIER_SERVER", "PANNIER_PROFILE", "PANNIER_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(cwd or home)

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        with process_kept():
            code = main([str(each) for each in arguments])
        said = capfd.readouterr()
        assert "Traceback" not in said.err, said.err
        return Done(code, said.out.replace("\N{NO-BREAK SPACE}", " "), said.err)

    return run
