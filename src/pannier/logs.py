"""The log, on stderr: one line an event, for people or machines, and never a token in it."""

from __future__ import annotations

import logging
import re
import sys
from typing import Literal, TextIO

import structlog

_NAMED = re.compile(r"(token=|bearer |storage-auth-token[\"']?: [\"']?)[^&\s\"'\\]+", re.IGNORECASE)
"""What stands where a token or the manager secret would."""
_RUN = re.compile(r"[A-Za-z0-9_=.-]++")
"""What may hold a JWT. Such a run is consumed whole, whatever is in it: a line of any length takes linear time."""


def redact(text: str) -> str:
    """Return ``text`` without tokens and without the manager secret."""
    return _RUN.sub(_without_jwt, _NAMED.sub(r"\1[token]", text))


def _without_jwt(run: re.Match[str]) -> str:
    start = run[0].find("eyJ")  # the first part of a JWT is JSON, so it begins like this
    return run[0] if start < 0 or "." not in run[0][start:] else run[0][:start] + "[token]"


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Whoever wrote the line, and whatever an exception quotes: what leaves here holds no token."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure(level: Literal["debug", "info", "warning", "error"], form: Literal["auto", "json", "text"]) -> None:
    """Send the process's log to stderr. ``auto``: text on a terminal, JSON otherwise."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,  # the number of the request, where there is one
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    stream: TextIO | None = sys.stderr  # None where whoever started the process has closed it: nobody wants to know
    terminal = stream is not None and stream.isatty()
    text = form == "text" or (form == "auto" and terminal)
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(
        _Formatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
