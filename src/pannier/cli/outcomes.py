"""How a command ends."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


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
    """A command cannot do what it was asked to; its text is shown after ``pannier: ``.

    ``problem`` is what ``--json`` tells, where that is more than the text.
    """

    def __init__(self, text: str, code: ExitCode = ExitCode.FAILED, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.problem = problem or {"type": _TYPES.get(code, "failed"), "title": text}


class Refused(Failure):
    """The plan refuses; the lines are shown as they are."""

    def __init__(self, lines: list[str], problem: Mapping[str, Any]) -> None:
        super().__init__("\n".join(lines), ExitCode.REFUSED, problem)


class Interrupted(Failure):
    """It broke off, and the same line goes on."""

    def __init__(self, text: str, code: ExitCode = ExitCode.INTERRUPTED) -> None:
        problem = {"type": "interrupted", "title": text}
        super().__init__(f"{text}; run the same line again to go on", code, problem)


_TYPES = {ExitCode.USAGE: "usage", ExitCode.INTERRUPTED: "interrupted", ExitCode.CTRL_C: "interrupted"}
