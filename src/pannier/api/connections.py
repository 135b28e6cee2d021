"""Connections: what is answered before any handler of ours has a say, in our own words.

aiohttp quotes what it cannot read, in its answer and in the log: a malformed request line with the token that stands in
it, a header with the manager secret. Here neither leaves.

And what is not waited for: heads and bodies that trickle, clients that do not take what they asked for. (A connection
without a request is closed by aiohttp, without a word.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from aiohttp import EMPTY_PAYLOAD, hdrs, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import _ErrInfo
from structlog.contextvars import bind_contextvars
from typing_extensions import override

from pannier import metrics
from pannier.api.congestion import pace_remote
from pannier.api.problems import answer, answer_bug, answer_http, respond
from pannier.api.requests import REQUEST_ID, REQUEST_ID_HEADER, Network, given_id, new_id
from pannier.api.stalls import Pace, Patience, cut, taken
from pannier.errors import HeadTooLarge, LimitExceeded, TooSlow

_TOO_MANY_HEADERS = "Too many headers received"
"""What aiohttp's parser says."""
_LOOKS = 8
"""How often a connection is looked at within the time for which it may stall."""

_log = structlog.get_logger("pannier.api")


class Connection(web.RequestHandler):
    """One connection of a client."""

    def __init__(
        self,
        manager: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        patience: Patience,
        paced: bool,
        **options: Any,
    ) -> None:
        super().__init__(manager, loop=loop, keepalive_timeout=patience.idle, **options)
        self._patience, self._paced = patience, paced
        self._head_bytes = self._last_head_bytes = 0
        self._head_ends: asyncio.TimerHandle | None = None
        self._looks: asyncio.TimerHandle | None = None
        self._sending, self._receiving = Pace(patience), Pace(patience)
        self.stalled = False
        """Whether it was cut, because its client took too little."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._paced:
            pace_remote(transport)
        super().connection_made(transport)
        self._look_later()

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting_for_head()
        if self._looks is not None:
            self._looks.cancel()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """Take what came; the head of a request has only so much time from its first byte."""
        if self._waiter is None and self._request_count:  # while a request is worked on: its body, or what comes next
            super().data_received(data)
            return
        requests = self._request_count
        self._head_bytes += len(data)
        super().data_received(data)
        if self._request_count > requests:
            self._stop_waiting_for_head()
        elif self._head_bytes and self._head_ends is None:
            self._head_ends = self._loop.call_later(self._patience.head, self._refuse_head)

    def _stop_waiting_for_head(self) -> None:
        self._last_head_bytes, self._head_bytes = self._head_bytes, 0
        if self._head_ends is not None:
            self._head_ends.cancel()
            self._head_ends = None

    def _refuse_head(self) -> None:
        """Have the handler of what is no HTTP answer a head that does not come to its end."""
        self._stop_waiting_for_head()
        waiter, seconds = self._waiter, self._patience.head
        if waiter is None or waiter.done():
            return
        what = "seconds in which the head of a request has to come"
        late = TooSlow(what, measured=seconds, limit=seconds, setting="limits.head-timeout")
        self._request_count += 1
        self._messages.append((_ErrInfo(408, late, str(late)), EMPTY_PAYLOAD))
        waiter.set_result(None)

    @override
    def _process_keepalive(self) -> None:
        if self._head_ends is not None:
            return  # a request has begun to come, and has its own time
        if self.transport is not None and taken(self.transport)[1]:  # a slow client is at its answer still
            self._keepalive_handle = self._loop.call_later(self._patience.idle, self._process_keepalive)
            return
        super()._process_keepalive()

    # -- stalled clients

    def _look_later(self) -> None:
        self._looks = self._loop.call_later(self._patience.stall / _LOOKS, self._look)

    def _look(self) -> None:
        """See whether the client takes what it asked for, and sends what it is asked for."""
        transport, patience, now = self.transport, self._patience, self._loop.time()
        if transport is None or transport.is_closing():
            return
        acknowledged, owed = taken(transport)
        got = self._sending.too_slow(now, acknowledged, owed=owed)
        if got is not None:
            self.stalled = True
            metrics.DROPPED.labels("answer").inc()
            _log.info(
                "client dropped: it takes too little",
                bytes=got,
                expected=patience.expected,
                seconds=patience.stall,
                setting="limits.stall-timeout",
            )
            cut(transport)
            return
        self._look_later()
        body = self._current_request.content if self._current_request is not None else EMPTY_PAYLOAD
        waited_for = body is not EMPTY_PAYLOAD and not body.is_eof() and body._waiter is not None
        got = self._receiving.too_slow(now, body.total_bytes if waited_for else 0, owed=waited_for)
        if got is not None:
            metrics.DROPPED.labels("body").inc()
            what = f"bytes of the request's body within {patience.stall:g} s"
            setting = "limits.stall-timeout"
            body.set_exception(TooSlow(what, measured=got, limit=patience.expected, setting=setting))

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or a failure that no handler of ours has seen; ``message`` may quote a token."""
        number = new_id()
        bind_contextvars(request=number)
        if isinstance(exc, TooSlow):
            metrics.DROPPED.labels("head").inc()
        else:
            metrics.UNREADABLE.inc()
        refused = self._limit_of(exc)
        if refused is not None:
            metrics.REFUSED.labels(metrics.limit_of(refused.setting)).inc()
            _log.info("request refused by a limit", request=number, client=request.remote, setting=refused.setting)
            told = answer(refused, number)
        elif status >= 500:
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

    def _limit_of(self, error: BaseException | None) -> LimitExceeded | None:
        """Return the limit that a head has passed; what is too long about it is not quoted."""
        if isinstance(error, LimitExceeded):
            return error
        if isinstance(error, LineTooLong):
            longest = self.max_line_size
            what, setting = "bytes of the request's head, up to its line that is too long", "limits.max-header"
            return HeadTooLarge(what, measured=max(self._last_head_bytes, longest + 1), limit=longest, setting=setting)
        if isinstance(error, BadHttpMessage) and error.message == _TOO_MANY_HEADERS:
            most, setting = self.max_headers, "none: no client needs as many"
            return HeadTooLarge("headers of the request", measured=most + 1, limit=most, setting=setting)
        return None

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Write to the log what goes wrong after an answer; a body that turns out to be none is not our failure."""
        if isinstance(kwargs.get("exc_info"), web.RequestPayloadError | TooSlow):
            self.log_debug(*args)
        else:
            super().log_exception(*args, **kwargs)


class Runner(web.AppRunner):
    """Runs an application behind such connections.

    Every request gets a number: the one that a ``trusted`` proxy has given it, or one of ours. Whatever is logged while
    it is answered, in threads and tasks too, names it. Where clients of other hosts are to be ``paced``, connections
    begin unpaced (``pannier.api.congestion``).
    """

    def __init__(
        self,
        app: web.Application,
        *,
        trusted: Sequence[Network] = (),
        patience: Patience | None = None,
        paced: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(app, **options)
        self._trusted, self._patience, self._paced = trusted, patience or Patience(), paced

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
            self._patience,
            paced=self._paced,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )


class _Server(web.Server):
    def __init__(self, handler: Any, patience: Patience, *, paced: bool, **options: Any) -> None:
        super().__init__(handler, **options)
        self._patience, self._paced = patience, paced

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, patience=self._patience, paced=self._paced, **self._kwargs)
