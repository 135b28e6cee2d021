"""What happens around every handler: one error shape, the access log, who may ask, draining."""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import time
from collections.abc import Collection, Sequence

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from pannier import metrics
from pannier.api.problems import answer, answer_bug, answer_http, respond
from pannier.api.requests import (
    DELIVERY,
    REQUEST_ID,
    REQUEST_ID_HEADER,
    Delivery,
    Network,
    client_address,
    route_of,
)
from pannier.api.starts import started
from pannier.errors import Draining, LimitExceeded, ManagerForbidden, PannierError, VolumeFailed

MANAGER_SECRET_HEADER = "X-BackendAI-Storage-Auth-Token"  # noqa: S105 - the name of a header
STATUS_PATHS = frozenset({"/", "/status", "/health", "/livez", "/readyz"})
"""What answers without the manager secret, and while the server drains."""

_CLIENT_LEFT = 499
"""What the access log says of a client that left before it had an answer (the habit of nginx)."""

_CODED = re.compile(r"(/(?:s|r|links|requests)/)[^/?]+")
"""What stands in paths where the code of a link does, whose holder gets in."""
_LONGEST_PATH = 512
"""Characters of a path in the access log; ours are much shorter."""

_access = structlog.get_logger("pannier.access")
_log = structlog.get_logger("pannier.api")


class Drain:
    """Whether the server takes new work, and how much is running."""

    def __init__(self) -> None:
        self._draining = False
        metrics.DRAINING.set(0)
        self.running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def draining(self) -> bool:
        return self._draining

    def begin(self) -> None:
        """Take no new work from now on."""
        self._draining = True
        metrics.DRAINING.set(1)

    def enter(self) -> None:
        self.running += 1
        self._idle.clear()

    def leave(self) -> None:
        self.running -= 1
        if not self.running:
            self._idle.set()

    async def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing runs; False if something still does after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


def outermost(listener: str, trusted: Sequence[Network]) -> Middleware:
    """Turn every failure into a problem document, count the request, and write the access log.

    The log names the path, never the query: a token stands there. The metrics name the route only. ``aborted`` says
    that not all of the answer was given to the connection: the client left, or we broke off.
    """

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        response: web.StreamResponse | None = None
        try:
            response = await _answered(request, handler)
            return response
        finally:
            started(request)
            delivery = request.get(DELIVERY) or Delivery(_CLIENT_LEFT, aborted=response is None)
            status, seconds = response.status if response is not None else delivery.status, time.monotonic() - began
            sent = delivery.bytes or _length(request, response)
            metrics.request_ended(listener, request.method, route_of(request), status, sent, seconds)
            _access.info(
                "request",
                request=request[REQUEST_ID],
                listener=listener,
                client=client_address(request, trusted),
                method=request.method,
                path=_shown(request),
                status=status,
                bytes=sent,
                received=request.content.total_bytes,
                seconds=round(seconds, 3),
                aborted=delivery.aborted,
            )

    return handle


def _shown(request: web.Request) -> str:
    """Return a path as the log names it: no code of a link in it, and whoever asks must not be able to fill it up."""
    path = route_of(request) if "code" in request.match_info else _CODED.sub(r"\1[code]", request.rel_url.raw_path)
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"


def _length(request: web.Request, response: web.StreamResponse | None) -> int:
    """Bytes of an answer that was there whole."""
    if request.method == hdrs.METH_HEAD or not isinstance(response, web.Response) or response.body is None:
        return 0
    return len(response.body) if isinstance(response.body, bytes) else 0


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except web.HTTPException as error:
        error.__traceback__ = None  # aiohttp keeps the error in the route that it found, which would keep all of this
        return respond(answer_http(error, request_id))
    except PannierError as error:
        if isinstance(error, VolumeFailed):
            _log.error("volume failed", request=request_id, error=str(error))
        elif isinstance(error, LimitExceeded):
            metrics.REFUSED.labels(metrics.limit_of(error.setting)).inc()
        return respond(answer(error, request_id))
    except ConnectionError:
        raise  # the client left while it was sending its request
    except Exception:  # noqa: BLE001 - a bug must neither show its traceback nor take the connection's next request
        _log.exception("unexpected failure", request=request_id)
        return respond(answer_bug(request_id))


def manager_secret(secret: str) -> Middleware:
    """Ask for the manager secret before anything is said, even of a path that does not exist (WIRE section 3).

    Digests under a key of this process are compared: they are of one length, so that the time a comparison takes tells
    nothing of the secret, not even how long it is.
    """
    key = os.urandom(32)
    expected = hmac.digest(key, secret.encode(), "sha256")

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in STATUS_PATHS:
            given = request.headers.get(MANAGER_SECRET_HEADER, "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(hmac.digest(key, given, "sha256"), expected):
                raise ManagerForbidden
        return await handler(request)

    return handle


def draining(drain: Drain, status_paths: frozenset[str]) -> Middleware:
    """Refuse new work while the server stops, and count what runs."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in status_paths:
            return await handler(request)
        if drain.draining:
            raise Draining
        drain.enter()
        try:
            return await handler(request)
        finally:
            drain.leave()

    return handle


class Cors:
    """Which pages of other origins may read what this listener answers (WIRE section 6).

    Configured origins get their own name and may send credentials; if none is configured, everybody may read, without.
    ``only``: the paths that this is about, where others stand beside them that no page of another origin may read.
    """

    def __init__(self, origins: Sequence[str], only: Collection[str] | None = None) -> None:
        self._origins = frozenset(origins)
        self._only = None if only is None else frozenset(only)

    @web.middleware
    async def preflight(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a browser that asks before it asks."""
        if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return await handler(request)
        if self._only is not None and request.path not in self._only:
            return await handler(request)
        if any(route.method == hdrs.METH_OPTIONS for route in request.match_info.route.resource or ()):
            return await handler(request)  # it says itself what it allows
        return web.Response(
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET",
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, If-Match, If-None-Match, If-Range, Range",
                hdrs.ACCESS_CONTROL_MAX_AGE: "600",
            }
        )

    async def grant(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers to whatever is answered, problems included (``on_response_prepare``)."""
        if hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in response.headers:
            return  # said by the route
        if self._only is not None and request.path not in self._only:
            return
        origin = request.headers.get(hdrs.ORIGIN)
        if self._origins:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if origin is None or (self._origins and origin not in self._origins):
            return
        if self._origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        else:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        exposed = {*response.headers, hdrs.CONTENT_LENGTH} - {hdrs.VARY}
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ", ".join(
            sorted(name for name in exposed if not name.lower().startswith("access-control-"))
        )


async def sign(request: web.Request, response: web.StreamResponse) -> None:
    """Say who answered, and under which number (``on_response_prepare``)."""
    response.headers[hdrs.SERVER] = "pannier"
    response.headers[REQUEST_ID_HEADER] = request[REQUEST_ID]
