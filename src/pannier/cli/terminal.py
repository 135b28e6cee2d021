"""What is written to people: results on stdout, notes on stderr.

Names of files are other people's text, so no control character reaches the terminal; what its encoding lacks is
escaped. No-break spaces become spaces, since a terminal breaks no lines and a person copies what it shows.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from pannier.cli.outcomes import ExitCode, Failure

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}
_ASCII = {ord("·"): ",", ord("…"): "..."}
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_DIRECTIONS = {code: f"\\u{code:04x}" for code in _TURNS}
"""What turns the order of characters around, so that a name would read as another one."""


_silenced = False


class ReaderGone(Failure):
    """Whoever read stdout or stderr has left, which is no mistake of anybody."""


def result(text: str) -> None:
    """Write a line to stdout, at once.

    Raises:
        Failure: It cannot be written.
    """
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Write a line to stderr, unless notes were silenced.

    Raises:
        Failure: It cannot be written.
    """
    if not _silenced:
        _write(sys.stderr, text)


def complain(text: str) -> None:
    """Write a line to stderr that nothing silences: what went wrong."""
    _write(sys.stderr, text)


def silence(asked: bool = True) -> None:
    """Have no notes and no progress from here on; results and errors stay."""
    global _silenced
    _silenced = asked


def silenced() -> bool:
    """Whether there are to be no notes and no progress."""
    return _silenced


def announce(text: str) -> None:
    """Write a line to stdout for whoever still reads it: what runs goes on when nobody does."""
    try:
        result(text)
    except Failure:
        pass


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # the caller closed it
        return
    text = text.replace("\N{NO-BREAK SPACE}", " ").translate(_CONTROLS | _DIRECTIONS)
    encoding = stream.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError as error:
        # what is still buffered must not raise again at the next line, nor at exit
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        kind = ReaderGone if isinstance(error, BrokenPipeError) else Failure
        raise kind(f"{stream.name.strip('<>')}: cannot be written ({error.strerror}); give it another place") from None


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 folder``, ``2,000 folders``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def tilde(path: Path) -> str:
    """Return a path as people write it, with ``~`` for their home."""
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text[len(home) :]}" if home != "/" and (text == home or text.startswith(f"{home}/")) else text


def tell(document: Mapping[str, Any]) -> int:
    """Write the one JSON document of a command that is done, and return the exit code."""
    result(json.dumps({"ok": True, **document}))
    return ExitCode.DONE
