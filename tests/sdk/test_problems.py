"""What an answer of 400 and above means to a program."""

from __future__ import annotations

import json

import pytest

from pannier.sdk.problems import (
    Busy,
    ChecksumsPending,
    Conflict,
    Declined,
    Forbidden,
    LinkOver,
    NotFound,
    Offender,
    SelectionRefused,
    declined,
    retry_after,
)

NOW = 1_800_000_000.0
JSON = {"content-type": "application/problem+json"}


class Headers(dict[str, str]):
    """Headers by names of any case, as aiohttp gives them."""

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return next((value for key, value in self.items() if key.lower() == name.lower()), default)


def answered(status: int, document: object, **headers: str) -> Declined:
    return declined(status, Headers({**JSON, **headers}), json.dumps(document).encode(), NOW)


@pytest.mark.parametrize(
    ("type", "status", "kind"),
    [
        ("urn:pannier:problem:selection-refused", 400, SelectionRefused),
        ("urn:pannier:problem:selection-changed", 409, Conflict),
        ("urn:pannier:problem:session-revoked", 410, LinkOver),
        ("urn:pannier:problem:session-spent", 410, LinkOver),
        ("urn:pannier:problem:jwt-expired", 401, LinkOver),
        ("urn:pannier:problem:jwt-invalid-signature", 401, Forbidden),
        ("urn:pannier:problem:checksums-pending", 503, ChecksumsPending),
        ("urn:pannier:problem:limit-exceeded", 429, Busy),
        ("urn:pannier:problem:limit-exceeded", 413, Declined),
        ("https://api.backend.ai/probs/storage/file-not-found", 404, NotFound),
        ("https://api.backend.ai/probs/storage/forbidden", 403, Forbidden),
        ("https://elsewhere.example/x", 418, Declined),
    ],
)
def test_types_are_told_apart(type: str, status: int, kind: type[Declined]) -> None:
    error = answered(status, {"type": type, "title": "A title.", "status": status, "request": "9b1e"})
    assert error.__class__ is kind
    assert (error.status, error.request, str(error)) == (status, "9b1e", "A title.")


def test_a_refusal_lists_what_it_refuses() -> None:
    error = answered(
        400,
        {
            "type": "urn:pannier:problem:selection-refused",
            "title": "Refused.",
            "status": 400,
            "detail": "the selection cannot be archived",
            "offenders": [{"path": "a/b", "code": "special", "detail": "a socket"}, "no offender"],
            "total": 3,
            "entries": 216,
        },
    )
    assert isinstance(error, SelectionRefused)
    assert error.offenders == (Offender("a/b", "special", "a socket"),)
    assert (error.total, error.entries, error.kind) == (3, 216, "selection-refused")


def test_members_of_a_problem_are_there() -> None:
    error = answered(
        503, {"type": "urn:pannier:problem:checksums-pending", "known": 5, "needed": 7}, **{"Retry-After": "4"}
    )
    assert isinstance(error, ChecksumsPending)
    assert (error.known, error.needed, error.retry_after) == (5, 7, 4.0)
    assert error.members == {"known": 5, "needed": 7}


@pytest.mark.parametrize(
    ("type", "body", "said"),
    [
        ("text/html", b"<html><h1>Bad Gateway</h1></html>", "Bad Gateway"),
        ("text/plain; charset=utf-8", b"no\n such   host", "no such host"),
        ("application/json", b"[1, 2]", "Bad Gateway"),
        ("application/json", b"[" * 100_000, "Bad Gateway"),
        ("application/json", b'{"title": 5}', "5"),
        ("application/problem+json", b"\xff", "Bad Gateway"),
        ("", b"", "Bad Gateway"),
    ],
)
def test_what_is_no_problem_document_is_still_told(type: str, body: bytes, said: str) -> None:
    error = declined(502, Headers({"Content-Type": type}), body, NOW)
    assert (error.status, error.kind, str(error)) == (502, "about:blank", said)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("99999999999999999999999", 600.0),
        ("-1", None),
        ("1.5", None),
        ("١", None),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds
