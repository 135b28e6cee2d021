"""Plain forms, as browsers send them without a script (application/x-www-form-urlencoded)."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web

from pannier.api.requests import Context
from pannier.desk.door import CSRF_FIELD
from pannier.dto.paths import to_text
from pannier.errors import InvalidRequest, LimitExceeded, UnreadableBody

MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST = 1024 * 1024
_MOST_FIELDS = 20_000


class Form:
    """The fields of a form."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields

    def one(self, name: str, default: str = "") -> str:
        """Return the first field of a name."""
        return next((value for key, value in self._fields if key == name), default)

    def paths(self, name: str) -> tuple[str, ...]:
        """Return paths, whose bytes are percent-encoded once more: a form can only hold text."""
        return tuple(to_text(unquote_to_bytes(value)) for key, value in self._fields if key == name)

    def number(self, name: str) -> int | None:
        """Return a whole number, None where the field is absent or empty.

        Raises:
            InvalidRequest: It is none.
        """
        text = self.one(name).strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise InvalidRequest(name, "not a whole number")
        return int(text)

    @property
    def csrf(self) -> str:
        return self.one(CSRF_FIELD)


async def read_form(context: Context) -> Form:
    """Read the form of a request.

    Raises:
        UnreadableBody: It is none.
        LimitExceeded: It is too large; so many files are selected better by their directory.
    """
    if context.request.content_type != MEDIA_TYPE:
        raise UnreadableBody(f"a form is sent as {MEDIA_TYPE}")
    received = bytearray()
    try:
        async for data in context.request.content.iter_any():
            received += data
            if len(received) > _MOST:
                raise LimitExceeded(
                    "bytes of the form", measured=len(received), limit=_MOST, setting="none: select the whole folder"
                )
    except web.RequestPayloadError:
        raise UnreadableBody("the body is not encoded as its headers say") from None
    try:
        text = received.decode("ascii")
        return Form(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace"))
    except ValueError as error:
        raise UnreadableBody(f"the form cannot be read: {error}") from None
