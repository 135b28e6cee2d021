"""What is written to people: results on stdout, notes on stderr.

Names of files are other people's text, so no control character reaches the terminal; what its encoding lacks is
escaped. No-break spaces become spaces, since a terminal breaks no lines and a person copies what it shows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from pannier.cli.outcomes import Failure

_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(10), *range(11, 32), *range(127, 160))}
_ASCII = {ord("·"): ",", ord("…"): "..."}


class ReaderGone(Failure):
    """Whoever read stdout or stderr has left, which is no mistake of anybody."""


def result(text: str) -> None:
    """Write a line to stdout, at once.

    Raises:
        Failure: It cannot be written.
    """
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Write a line to stderr.

    Raises:
        Failure: It cannot be written.
    """
    _write(sys.stderr, text)


def announce(text: str) -> None:
    """Write a line to stdout for whoever still reads it: what runs goes on when nobody does."""
    try:
        result(text)
    except Failure:
        pass


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # the caller closed it
        return
    text = text.replace("\N{NO-BREAK SPACE}", " ").translate(_CONTROLS)
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
