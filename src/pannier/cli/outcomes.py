"""How a command ends."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    """The plan refused; nothing was sent."""
    INTERRUPTED = 4
    """The same line again goes on."""
    CTRL_C = 130


class Failure(Exception):
    """A command cannot do what it was asked to; its text is shown after ``pannier: ``."""

    def __init__(self, text: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(text)
        self.code = code
