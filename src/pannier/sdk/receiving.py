"""The body of an answer, taken from its socket by threads: the event loop would copy each byte twice more.

aiohttp reads the head. Where the rest is nothing but ``Content-Length`` bytes on a plain connection, its reading is
paused, and the socket is read through a descriptor of our own: large pieces, of which the loop only hears. Such a
connection is not used again.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress

import aiohttp

from pannier.sdk.threads import in_thread

_WORTH_IT = 2**20
"""Bytes from which on a body is taken so; a smaller one leaves its connection for the next request."""
_AT_ONCE = 2**20
"""Bytes after which the loop hears of what came."""
_PIECE = 2**18
_PATIENCE = 5
"""Milliseconds for which more is awaited after something came, before the loop hears of it."""


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

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces of up to 256 KiB.

        Raises:
            CutOff: It broke off.
            TimeoutError: Nothing came for too long.
            OSError: The connection failed.
        """
        if self._buffered:
            yield self._buffered
        while self._left:
            reading = asyncio.ensure_future(in_thread(self._read))
            try:
                pieces = await asyncio.shield(reading)
            except asyncio.CancelledError:
                self._interrupt()  # in_thread ends with its thread only, which may wait for what never comes
                await asyncio.gather(reading, return_exceptions=True)
                raise
            for piece in pieces:
                yield piece

    def close(self) -> None:
        """Close this descriptor; the connection itself is its owner's to close."""
        self._socket.close()

    def _read(self) -> list[bytes]:
        """Return what comes next, once that is much or nothing comes just then; the end that came early comes alone."""
        pieces: list[bytes] = []
        room = min(self._left, _AT_ONCE)
        while room:
            if not self._readable.poll(_PATIENCE if pieces else self._silence):
                if pieces:
                    break
                raise TimeoutError
            try:
                piece = self._socket.recv(min(room, _PIECE))
            except BlockingIOError:
                continue
            except OSError:
                if pieces:
                    break
                raise
            if not piece:
                if pieces:
                    break
                raise CutOff
            pieces.append(piece)
            room -= len(piece)
            self._left -= len(piece)
        return pieces

    def _interrupt(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def take_over(response: aiohttp.ClientResponse, silence: float) -> Receiving | None:
    """Take the rest of a body from aiohttp; None where that cannot be, or is not worth it.

    Args:
        response: Of which nothing of the body was read yet. It is to be closed, not released.
        silence: Seconds after which nothing more is awaited.
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
