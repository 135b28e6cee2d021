"""Connections: what is answered before any handler of ours has a say, in our own words.

aiohttp quotes what it cannot read, in its answer and in the log: a malformed request line with the token that stands in
it, a header with the manager secret. Here neither leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from aiohttp import hdrs, web
from structlog.contextvars import bind_contextvars

from pannier import metrics
from pannier.api.problems import answer_bug, answer_http, respond
from pannier.api.requests import REQUEST_ID, REQUEST_ID_HEADER, Network, given_id, new_id

_log = structlog.get_logger("pannier.api")


class Connection(web.RequestHandler):
    """One connection of a client."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or a failure that no handler of ours has seen; ``message`` may quote a token."""
        number = new_id()
        bind_contextvars(request=number)
        metrics.UNREADABLE.inc()
        if status >= 500:
            _log.error("unexpected failure", request=number, exc_info=exc)
            told = answer_bug(number)
        else:
            reason = type(exc).__name__
            _log.info("request that cannot be read", request=number, client=request.remote, reason=reason)
            told = answer_http(web.HTTPBadRequest(), number, f"the request cannot be read as HTTP: {reason}")
        if request.writer.output_size > 0:
            raise ConnectionError("a part of an answer was sent already; another one must not follow")
        response = respond(told)
        response.headers[hdrs.SERVER] = "pannier"
        response.headers[REQUEST_ID_HEADER] = number
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Write to the log what goes wrong after an answer; a body that turns out to be none is not our failure."""
        if isinstance(kwargs.get("exc_info"), web.RequestPayloadError):
            self.log_debug(*args)
        else:
            super().log_exception(*args, **kwargs)


class Runner(web.AppRunner):
    """Runs an application behind such connections.

    Every request gets a number: the one that a ``trusted`` proxy has given it, or one of ours. Whatever is logged while
    it is answered, in threads and tasks too, names it.
    """

    def __init__(self, app: web.Application, *, trusted: Sequence[Network] = (), **options: Any) -> None:
        super().__init__(app, **options)
        self._trusted = trusted

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            request[REQUEST_ID] = number = given_id(request, self._trusted) or new_id()
            bind_contextvars(request=number)  # aiohttp runs each request in a task, and so in a context, of its own
            try:
                return await made.request_handler(request)
            except web.HTTPException as error:  # refused before any middleware of ours, as an unknown Expect is
                return respond(answer_http(error, number))

        return _Server(
            handle,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)
