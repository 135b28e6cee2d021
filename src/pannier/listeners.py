"""Has an application listen: address, TLS, and what connections may bring."""

from __future__ import annotations

import asyncio
import errno
import resource
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web

from pannier.api.congestion import is_paced, unpace
from pannier.api.connections import Runner
from pannier.api.requests import Network
from pannier.api.stalls import Patience
from pannier.config import Address
from pannier.config.settings import LimitSettings, ListenerSettings
from pannier.errors import ConfigInvalid

_CUT_SECONDS = 1.0
_BACKLOG = 1_024
_AT_ONCE = 16
"""Connections that are taken in one turn of the event loop, so that none is as long as it takes for hundreds."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""What the system says of a connection that waits and cannot be accepted now."""

_log = structlog.get_logger("pannier.listeners")


@dataclass(frozen=True)
class Listening:
    """Where a server is reached: base URLs without a trailing slash, path prefix included; ``desk_url`` by people."""

    client_url: str
    manager_url: str
    internal_url: str | None
    desk_url: str


def raise_descriptor_limit() -> None:
    """Take what descriptors the system allows: a stream needs up to 24, and the usual soft limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            _log.warning("the limit of open files stays as it is", limit=soft, reason=str(error))


def tell_of_connections(loop: asyncio.AbstractEventLoop) -> None:
    """Have a loop tell in one line, once a second at most, that it cannot accept connections now; they wait.

    asyncio tries again after a second, and tells each of up to as many tries as there is room for in the backlog.

    Nothing is told where asyncio loses a connection twice: its transport has sent what it held and lets its protocol
    go on, as that of TLS does, which finds that the peer has reset the connection; that is to be told in the next turn,
    the transport sees itself closed and tells it at once, and in the next turn has nobody to tell any more.
    """
    told = float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal told
        error = context.get("exception")
        if isinstance(error, AttributeError) and "_call_connection_lost" in context.get("message", ""):
            return
        if not (isinstance(error, OSError) and error.errno in _EXHAUSTED and "socket" in context):
            loop.default_exception_handler(context)
        elif loop.time() >= told + 1:
            told = loop.time()
            _log.error("connections have to wait: they cannot be accepted now", reason=error.strerror)

    loop.set_exception_handler(handle)


async def listen(
    at_end: Callable[[Callable[[], Awaitable[None]]], object],
    app: web.Application,
    key: str,
    address: Address,
    listener: ListenerSettings | None,
    limits: LimitSettings,
    trusted: Sequence[Network] = (),
) -> str:
    """Listen, and return the base URL under which that is reached, without a trailing slash.

    Args:
        at_end: Given what closes it again.
        key: The setting that names the address.
        listener: What is set of TLS.
        limits: What clients may send, and how long they are waited for.
        trusted: The proxies whose headers count.

    Raises:
        ConfigInvalid: The address is in use or not ours, or the certificate cannot be used.
    """
    paced = is_paced()
    runner = Runner(
        app,
        trusted=trusted,
        paced=paced,
        patience=Patience(limits.idle_timeout, limits.head_timeout, limits.stall_timeout, limits.least_rate),
        access_log=None,  # ours names no token
        handler_cancellation=True,  # a client that leaves ends what is done for it
        shutdown_timeout=_CUT_SECONDS,
        max_line_size=limits.max_header,  # upstream's tokens carry their file list (WIRE section 10, row 9)
        max_field_size=limits.max_header,
    )
    await runner.setup()
    at_end(runner.cleanup)
    tls = _tls(key, listener) if listener is not None and listener.ssl_enabled else None
    site = web.TCPSite(runner, address.host, address.port, ssl_context=tls, backlog=_AT_ONCE)
    try:
        await site.start()
        _set_up(site, unpaced=paced)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason, way_out = f"{address} is in use", "stop what listens there or choose another port"
        else:
            reason, way_out = f"cannot listen at {address}: {error.strerror}", "choose another address"
        raise ConfigInvalid(key, reason, way_out) from error
    port = runner.addresses[0][1]
    loopback = "::1" if address.host == "::" else "127.0.0.1"  # asyncio keeps IPv4 off an IPv6 socket
    shown = Address(loopback if address.is_wildcard else address.host, port)
    return f"{'https' if tls else 'http'}://{shown}"


def _set_up(site: web.TCPSite, *, unpaced: bool) -> None:
    """Lengthen the queue of connections that wait, to asyncio as long as one turn; have them begin ``unpaced``."""
    assert isinstance(site._server, asyncio.Server)
    for shared in site._server.sockets:
        with shared.dup() as listening:  # one queue, whichever descriptor it is set by (listen(2))
            if unpaced:
                unpace(listening)
            listening.listen(_BACKLOG)


def _tls(key: str, listener: ListenerSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    assert listener.ssl_cert is not None
    try:
        context.load_cert_chain(listener.ssl_cert, listener.ssl_privkey)
    except (OSError, ssl.SSLError) as error:
        table = key.rpartition(".")[0]
        raise ConfigInvalid(
            f"{table}.ssl-cert", f"cannot be used: {error}", "give a PEM certificate and its key"
        ) from error
    return context
