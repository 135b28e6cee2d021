"""What is written to people: results on stdout, notes on stderr.

Names of files are other people's text, so no control character reaches the terminal; what its encoding lacks is
escaped. No-break spaces become spaces, since a terminal breaks no lines and a person copies what it shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}
_ASCII = {ord("·"): ",", ord("…"): "..."}


def result(text: str) -> None:
    """Write a line to stdout, at once."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Write a line to stderr."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    text = text.replace("\N{NO-BREAK SPACE}", " ").translate(_CONTROLS)
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    stream.write(f"{text}\n")
    stream.flush()


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 folder``, ``2,000 folders``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def tilde(path: Path) -> str:
    """Return a path as people write it, with ``~`` for their home."""
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text[len(home) :]}" if home != "/" and (text == home or text.startswith(f"{home}/")) else text
