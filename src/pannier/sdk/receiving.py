"""The body of an answer, taken from its socket by a thread: the event loop would copy each byte twice more.

aiohttp reads the head. Where the rest is nothing but ``Content-Length`` bytes on a plain connection, its reading is
paused, and the socket is read through a descriptor of our own. Such a connection is not used again.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import aiohttp

from pannier.sdk.threads import in_own_thread

_WORTH_IT = 2**20
"""Bytes from which on a body is taken so; a smaller one leaves its connection for the next request."""
_AT_ONCE = 2**20
"""Bytes of a piece."""
_PATIENCE = 5
"""Milliseconds for which more is awaited after something came, before that is handed on."""

Sink = Callable[[memoryview], None]
"""Takes the next piece of a body, which is only lent: it is something else after the call. It may block."""


class Lost(Exception):
    """A connection failed; ``reason`` says how."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class CutOff(OSError):
    """The peer closed the connection before the end of the body."""


class Receiving:
    """Reads what is left of a body. Made by ``take_over``; close it with ``close``."""

    def __init__(self, descriptor: int, buffered: bytes, left: int, silence: float) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._buffered, self._left = buffered, left
        self._silence = round(silence * 1000)
        self._readable = select.poll()
        self._readable.register(descriptor, select.POLLIN)

    async def pour(self, sink: Sink) -> None:
        """Hand all of it to ``sink``, in one thread.

        Raises:
            Lost: It broke off, or nothing came for too long; what came before was handed on.
            Exception: Whatever ``sink`` raises.
        """
        await in_own_thread("pannier-receiving", partial(self._pour, sink), self._interrupt)

    def close(self) -> None:
        """Close this descriptor; the connection itself is its owner's to close."""
        self._socket.close()

    def _interrupt(self) -> None:
        with suppress(OSError):  # the thread may wait for what never comes
            self._socket.shutdown(socket.SHUT_RDWR)

    def _pour(self, sink: Sink) -> None:
        if self._buffered:
            sink(memoryview(self._buffered))
        buffer = memoryview(bytearray(min(self._left, _AT_ONCE)))
        while self._left:
            filled, error = self._fill(buffer[: self._left])
            self._left -= filled
            if filled:
                sink(buffer[:filled])
            if error is not None:
                raise Lost(error)

    def _fill(self, buffer: memoryview) -> tuple[int, OSError | None]:
        """Read until a buffer is full or nothing comes just then; return how far it is, and what put an end to it."""
        filled = 0
        try:
            while filled < len(buffer):
                if not self._readable.poll(_PATIENCE if filled else self._silence):
                    return filled, None if filled else TimeoutError()
                try:
                    came = self._socket.recv_into(buffer[filled:])
                except BlockingIOError:
                    continue
                if not came:
                    return filled, CutOff()
                filled += came
        except OSError as error:
            return filled, error
        return filled, None


def take_over(response: aiohttp.ClientResponse, silence: float) -> Receiving | None:
    """Take the rest of a body from aiohttp; None where that cannot be, or is not worth it.

    Args:
        response: Of which nothing of the body was read yet. It is to be closed, not released.
        silence: Seconds after which nothing more is awaited.

    Raises:
        aiohttp.ClientError, OSError: The connection has failed already.
    """
    length, connection = response.content_length, response.connection
    if length is None or length < _WORTH_IT or connection is None or response.content.at_eof():
        return None
    if "Transfer-Encoding" in response.headers:
        return None
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.get_extra_info("sslcontext") is not None:
        return None
    own = transport.get_extra_info("socket")
    if own is None or own.fileno() < 0:
        return None
    buffered = bytearray()
    while piece := response.content.read_nowait():  # each may free what the parser held back, and lets it read on
        buffered += piece
    protocol.pause_reading()
    return Receiving(os.dup(own.fileno()), bytes(buffered), length - len(buffered), silence)
