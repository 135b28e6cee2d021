"""The log: one line an event, and never a token in it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from pannier import logs
from pannier.logs import redact

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl-_"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"GET /download-archive?token={TOKEN} HTTP/1.1", "GET /download-archive?token=[token] HTTP/1.1"),
        (f"?a=1&token={TOKEN}&b=2", "?a=1&token=[token]&b=2"),
        (f"b'Authorization: Bearer {TOKEN}\\x00'", "b'Authorization: Bearer [token]\\x00'"),
        (f"/s/{TOKEN}/trip.zip", "/s/[token]/trip.zip"),
        (TOKEN, "[token]"),
        (f'"{TOKEN}"', '"[token]"'),
        (TOKEN.rpartition(".")[0], "[token]"),  # what is left of one that was cut off
        (TOKEN.rpartition(".")[0] + ".", "[token]"),
        ("token=anything-at-all&x", "token=[token]&x"),
        ("Token=%65yJhbGci", "Token=[token]"),
        ("token%3D" + TOKEN, "token%3D[token]"),
        ("X-BackendAI-Storage-Auth-Token: s3cret\\x00'", "X-BackendAI-Storage-Auth-Token: [token]\\x00'"),
        ("{'x-backendai-storage-auth-token': 's3cret'}", "{'x-backendai-storage-auth-token': '[token]'}"),
        ("Authorization: Bearer opaque", "Authorization: Bearer [token]"),
        ("the token expired 94 s ago", "the token expired 94 s ago"),
        ("eyJust a word. And another.", "eyJust a word. And another."),
        (f"host.{TOKEN}/x", "host.[token]/x"),
        (f"\\r\\n{TOKEN}\\r\\n", "\\r\\n[token]\\r\\n"),
        (f"{TOKEN} and {TOKEN}", "[token] and [token]"),
        ("", ""),
    ],
)
def test_tokens_and_secrets_do_not_leave(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize("text", ["eyJ", "token=", "a.", "eyJ.", "bearer ", "-"])
@pytest.mark.timeout(20)  # in quadratic time, it would be minutes: a path of a request may be that long
def test_a_long_line_takes_no_longer_than_it_is(text: str) -> None:
    redact(text * 200_000)


@contextlib.contextmanager
def configured(level: str, form: str) -> Iterator[io.StringIO]:
    """Configure the log of this process for the time of a block; give what it writes."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, before, stderr, configuration = root.handlers[:], root.level, sys.stderr, structlog.get_config()
    sys.stderr = stream
    try:
        logs.configure(level, form)  # type: ignore[arg-type]
        yield stream
    finally:
        sys.stderr = stderr
        root.handlers[:], root.level = handlers, before
        structlog.configure(**configuration)


@pytest.mark.parametrize("form", ["json", "auto"])
def test_machines_get_one_object_a_line(form: str) -> None:
    with configured("info", form) as out:
        structlog.get_logger("pannier.test").info("something", path="a\nb", number=1)
        logging.getLogger("another.library").warning("it says %s", "hello")
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["event"], first["path"], first["number"]) == ("something", "a\nb", 1)
    assert (first["level"], first["logger"]) == ("info", "pannier.test")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"], second["logger"]) == ("it says hello", "warning", "another.library")


def test_people_get_text() -> None:
    with configured("info", "text") as out:
        structlog.get_logger("pannier.test").info("something", number=1)
    line = out.getvalue()
    assert "something" in line
    assert "number=1" in line
    assert "\x1b" not in line  # no colours where nobody sees them


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_failure_is_told_with_its_traceback_in_one_event_and_without_its_token(form: str) -> None:
    with configured("info", form) as out:
        for log in (structlog.get_logger("pannier.test"), logging.getLogger("another.library")):
            try:
                raise ValueError(f"cannot read {TOKEN}")
            except ValueError:
                log.exception("it failed with %s" if form == "json" else "it failed")
    assert "ValueError: cannot read [token]" in out.getvalue()
    assert out.getvalue().count("Traceback") == 2
    assert TOKEN not in out.getvalue()
    if form == "json":
        assert len(out.getvalue().splitlines()) == 2


def test_a_line_of_anybodys_is_free_of_tokens() -> None:
    with configured("debug", "json") as out:
        logging.getLogger("aiohttp.server").error("bad line %r", f"GET /?token={TOKEN}")
        structlog.get_logger("x").info("y", url=f"http://h/d?token={TOKEN}", nested={"a": [TOKEN]})
    assert TOKEN not in out.getvalue()
    assert out.getvalue().count("[token]") == 3
    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == ["error", "info"]


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_a_level_keeps_back_what_is_below_it(level: str, told: list[str]) -> None:
    with configured(level, "json") as out:
        for each in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger("x"), each)("event")
    assert [json.loads(line)["level"] for line in out.getvalue().splitlines()] == told


def test_configuring_again_writes_each_line_once() -> None:
    with configured("info", "json") as out:
        logs.configure("info", "json")
        structlog.get_logger("x").info("event")
    assert len(out.getvalue().splitlines()) == 1


def test_undecodable_names_can_be_logged() -> None:
    with configured("info", "json") as out:
        structlog.get_logger("x").info("event", path="\udcff")
    assert json.loads(out.getvalue())["path"] == "\udcff"
