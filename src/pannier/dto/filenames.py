"""The name under which a client saves a download (WIRE section 5)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints
from pydantic_core import PydanticCustomError

LONGEST_FILENAME = 255
"""Most characters of a file name."""


def _refuse(reason: str) -> PydanticCustomError:
    # the reason as a parameter: in a template, a brace of the name would be taken for a placeholder
    return PydanticCustomError("filename", "{reason}", {"reason": reason})


def _check(name: str) -> str:
    # in step with protocol.disposition.check_filename, which judges names that come from elsewhere (dto is below it)
    if not name.strip():
        raise _refuse("blank; give a name or leave it out")
    if name in (".", ".."):
        raise _refuse(f"{name!r} is a directory, not a file name")
    for position, character in enumerate(name):
        if character in "/\\":
            raise _refuse(f"{character!r} at character {position}; give a name without a path")
        if character < " " or character == "\x7f":
            raise _refuse(f"control character U+{ord(character):04X} at character {position}; remove it")
    return name


Filename = Annotated[str, StringConstraints(max_length=LONGEST_FILENAME), AfterValidator(_check)]
"""Not blank, not ``.`` or ``..``, no slash, backslash or control character (0x00 to 0x1F, 0x7F), ≤ 255 characters."""
