"""Problem documents (RFC 9457), which also carry the wire's own keys (WIRE section 3)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from pannier.dto.json import Sparse
from pannier.dto.paths import ShownPath


def _printable(text: object) -> object:
    # a document that says what went wrong must not itself go wrong at an undecodable name in its prose
    return text.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(text, str) else text


Prose = Annotated[str, BeforeValidator(_printable)]
"""Text for people; lone surrogates are written as escapes."""


class Problem(Sparse):
    """What a route answers when it refuses or fails; members of its own are allowed, None is left out."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: Prose
    status: int
    detail: Prose | None = None
    instance: Prose | None = None
    request: str | None = None
    """The number of the request in the server's log."""
    error_code: str | None = None
    """``<domain>_<operation>_<detail>``, which the manager classifies by."""
    msg: Prose | None = None
    data: Any = None
    errno: int | None = None
    paths: tuple[ShownPath, ...] | None = None
