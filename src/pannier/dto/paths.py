"""Paths below a virtual folder, as JSON carries them.

A path on a volume is bytes; in JSON it is text. Bytes that are no UTF-8 cross as lone surrogates U+DC80 to U+DCFF
(``surrogateescape``), which JSON writes as the escapes ``\\udc80`` to ``\\udcff``; so every path a volume can hold
survives the way to a client and back. Nothing is normalised or judged here: that is the planner's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

LONGEST_PATH = 16_384
"""Most characters of a path in a request or a token; Linux itself ends at 4,096 bytes."""

_NOT_A_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that stand for no undecodable byte. (JSON's pairs are one character by the time they are seen here.)"""


def path_text(longest: int) -> Callable[[object], str]:
    """Return a validator that takes any text which stands for bytes, of at most ``longest`` characters.

    pydantic's own ``str`` refuses every lone surrogate, hence this one; it refuses those that stand for no byte.
    """

    def validate(value: object) -> str:
        if not isinstance(value, str):
            raise PydanticCustomError("path_type", "a path is a string")
        if len(value) > longest:
            raise PydanticCustomError(
                "path_too_long",
                "{length} characters; at most {longest} are taken",
                {"length": len(value), "longest": longest},
            )
        if stray := _NOT_A_BYTE.search(value):
            raise PydanticCustomError(
                "path_surrogate",
                "the surrogate U+{code} at character {position} stands alone; only U+DC80 to U+DCFF may, "
                "for bytes that are no UTF-8",
                {"code": f"{ord(stray[0]):04X}", "position": stray.start()},
            )
        return str(value)  # a subclass (an enum's member) loses what it adds

    return validate


VolumePath = Annotated[
    str, PlainValidator(path_text(LONGEST_PATH)), WithJsonSchema({"type": "string", "maxLength": LONGEST_PATH})
]
"""A path in a JSON document; undecodable bytes are lone surrogates U+DC80 to U+DCFF. At most 16,384 characters."""


_LONGEST_SHOWN = 2**24

ShownPath = Annotated[str, PlainValidator(path_text(_LONGEST_SHOWN)), WithJsonSchema({"type": "string"})]
"""A path in what is answered: whatever a volume holds can be named, also what is too long to be asked for."""


def to_bytes(path: str) -> bytes:
    """Return the bytes that a path's text stands for.

    Raises:
        UnicodeEncodeError: The text stands for no bytes; ``VolumePath`` refuses such a text.
    """
    return path.encode("utf-8", "surrogateescape")


def to_text(path: bytes) -> str:
    """Return the text that stands for any bytes; ``to_bytes`` gives them back."""
    return path.decode("utf-8", "surrogateescape")
