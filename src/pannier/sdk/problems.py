"""What can go wrong for a client, as exceptions.

::

    ClientError
    ├── Unreachable          no answer, or none that is HTTP
    │   ├── NeverSent            not even a connection
    │   └── ConnectionLost       an answer that broke off
    ├── Declined             a problem document (RFC 9457), or another answer of 400 and above
    │   ├── SelectionRefused     entries that cannot be part of the archive, each with its reason
    │   ├── LinkOver             expired, revoked or spent: nothing comes from this link any more
    │   ├── NotFound             404
    │   ├── Forbidden            401 and 403
    │   ├── Conflict             409: what is there is not what the request was about
    │   └── Busy                 429 and 503: it goes away by itself, perhaps at ``retry_after``
    │       └── ChecksumsPending     the server is still reading what the end of the archive needs
    └── Unexpected           an answer that no Pannier gives

The transfer's own errors stand beside what they are about (``downloads``, ``extraction``, …). No message holds a token.
"""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pannier.errors import PannierError
from pannier.protocol.validators import parse_http_date

if TYPE_CHECKING:
    from pannier.dto.problems import Problem

CONTENT_TYPE = "application/problem+json"
_PREFIXES = ("https://api.backend.ai/probs/", "urn:pannier:problem:")
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}
_MOST_TEXT = 300
_LONGEST_WAIT = 600.0
"""Seconds of ``Retry-After`` that are honoured; whoever asks for more is asked again after that."""


class ClientError(PannierError):
    """Anything that a client of Pannier fails at; its text is one line, for people."""


class Unreachable(ClientError):
    """No answer came: nobody listens there, the name is unknown, TLS does not agree, or it took too long."""

    def __init__(self, where: str, reason: str) -> None:
        """``where`` is an origin, such as ``http://127.0.0.1:6021``."""
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


class NeverSent(Unreachable):
    """No connection was made, so the server knows nothing of the request."""


class ConnectionLost(Unreachable):
    """An answer began and broke off."""


class Unexpected(ClientError):
    """An answer came that no Pannier gives."""


@dataclass(frozen=True, slots=True)
class Offender:
    """One entry that cannot be part of an archive; ``code`` is one of ``pannier.errors.OffenceCode``."""

    path: str
    code: str
    detail: str


class Declined(ClientError):
    """The server said no.

    Attributes:
        problem: The document; members of its own kind of problem are in ``problem.model_extra``.
        status: HTTP's.
        kind: The last part of its type, such as ``selection-refused`` or ``storage/file-not-found``.
        request: The number of the request in the server's log.
        retry_after: Seconds after which to come again, if the server said so.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail or problem.msg or problem.title or f"declined with {problem.status}")
        self.problem, self.retry_after = problem, retry_after
        self.status, self.request = problem.status, problem.request
        self.kind = kind_of(problem)

    @property
    def members(self) -> Mapping[str, Any]:
        """What this kind of problem tells beyond what all do."""
        return self.problem.model_extra or {}


class SelectionRefused(Declined):
    """Some of the selection cannot be part of an archive; nothing was sent.

    ``offenders`` are the first 1,000, ``total`` counts all, ``entries`` everything that was looked at if that is known.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem, retry_after)
        listed = self.members.get("offenders")
        found = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        self.offenders = tuple(
            Offender(*(str(each.get(key, "")) for key in ("path", "code", "detail"))) for each in found
        )
        total, entries = self.members.get("total"), self.members.get("entries")
        self.total = total if isinstance(total, int) else len(self.offenders)
        self.entries = entries if isinstance(entries, int) else None


class LinkOver(Declined):
    """The link is expired, was revoked, or was for a single download that was taken."""


class NotFound(Declined):
    """Nothing is there."""


class Forbidden(Declined):
    """The credential is missing or wrong, a token that is none among them."""


class Conflict(Declined):
    """What is there is not what the request was about."""


class Busy(Declined):
    """It goes away by itself."""


class ChecksumsPending(Busy):
    """The server is still reading what the end of the archive needs: ``known`` of ``needed`` bytes are read."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem, retry_after)
        known, needed = self.members.get("known"), self.members.get("needed")
        self.known = known if isinstance(known, int) else 0
        self.needed = needed if isinstance(needed, int) else 0


_BY_KIND: dict[str, type[Declined]] = {
    "selection-refused": SelectionRefused,
    "session-revoked": LinkOver,
    "session-spent": LinkOver,
    "jwt-decode-error": Forbidden,
    "jwt-expired": LinkOver,
    "jwt-invalid-signature": Forbidden,
    "jwt-payload-validation-error": Forbidden,
    "link-expired": LinkOver,
    "checksums-pending": ChecksumsPending,
}
_BY_STATUS: dict[int, type[Declined]] = {
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: LinkOver,
    429: Busy,
    503: Busy,
}


def kind_of(problem: Problem) -> str:
    """Return the part of a problem's type that tells it from others."""
    for prefix in _PREFIXES:
        if problem.type.startswith(prefix):
            return problem.type.removeprefix(prefix)
    return problem.type


def declined(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Declined:
    """Return what an answer of 400 and above means. ``now`` is in Unix seconds; headers by names of any case."""
    problem = _problem(status, headers, body)
    kind = _BY_KIND.get(kind_of(problem)) or _BY_STATUS.get(status, Declined)
    return kind(problem, retry_after(headers.get("Retry-After"), now))


def retry_after(text: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` (RFC 9110 section 10.2.3) as seconds, 600 at most; None if there is none."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), _LONGEST_WAIT)
    date = parse_http_date(text)
    return None if date is None else min(max(0.0, date - now), _LONGEST_WAIT)


def _problem(status: int, headers: Mapping[str, str], body: bytes) -> Problem:
    from pydantic import ValidationError

    from pannier.dto.problems import Problem

    text = body.decode("utf-8", "backslashreplace")
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    title = _PHRASES.get(status, f"answered with {status}")
    if media_type.endswith("json") or text.startswith("{"):
        try:
            document = json.loads(text)
            prose = {key: str(document[key]) for key in ("title", "detail", "msg") if document.get(key) is not None}
            return Problem.model_validate(
                {"type": "about:blank", "title": title, "status": status, **document, **prose}
            )
        except (ValueError, TypeError, AttributeError, RecursionError, ValidationError):
            pass
    # something in between, which may answer with a page
    said = " ".join(text.split())[:_MOST_TEXT] if media_type == "text/plain" else ""
    return Problem(type="about:blank", title=title, status=status, detail=said or None)
