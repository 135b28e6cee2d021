"""The body of a request that is a part of a file, sent from the file to the socket by a thread, without a copy of it.

aiohttp sends the head. Over TLS, and where the socket is not at hand, the bytes go through it in pieces.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from typing_extensions import override

from pannier.sdk.contents import Content
from pannier.sdk.threads import in_own_thread

_AT_ONCE = 2**20
"""Bytes after which the loop hears of what was sent."""
_LOOK = 100
"""Milliseconds after which a thread that waits for the peer looks whether it is still wanted."""


class FileBody(aiohttp.Payload):
    """The bytes of a window of a file.

    Args:
        content: The file, which stays open until the request is answered. Its last bytes are sent only if it is still
            what it was.
        start, stop: Which bytes.
        passed: Called in the event loop with the offset of the first byte that was not sent yet.
    """

    def __init__(self, content: Content, start: int, stop: int, passed: Callable[[int], None]) -> None:
        super().__init__(content, content_type="application/octet-stream")
        self._content, self._at, self._stop, self._passed = content, start, stop, passed
        self._size = stop - start
        self._unwanted = False

    @override
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a part of a file is no text")

    @override
    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send it.

        Raises:
            LocalFileUnreadable, LocalFileChanged: As they say.
            OSError: The connection failed.
        """
        writer.send_headers()
        await writer.drain()
        descriptor = _socket_of(writer)
        if descriptor is None:
            await self._write_pieces(writer)
            return
        with closing(socket.socket(fileno=descriptor)) as peer:
            send = partial(self._send, peer, asyncio.get_running_loop())
            await in_own_thread("pannier-sending", send, self._interrupt)

    def _interrupt(self) -> None:
        self._unwanted = True

    async def _write_pieces(self, writer: AbstractStreamWriter) -> None:
        async for piece in self._content.read(self._at, self._stop):
            self._at += len(piece)
            if self._at == self._content.size:
                await self._content.check()
            await writer.write(piece)
            self._passed(self._at)

    def _send(self, peer: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        writable = select.poll()
        writable.register(peer, select.POLLOUT)
        while self._at < self._stop:
            stop = min(self._at + _AT_ONCE, self._stop)
            if stop == self._content.size:
                self._content.check_now()
            while self._at < stop and not self._unwanted:
                if writable.poll(_LOOK):
                    self._at += self._content.send_to(peer.fileno(), self._at, stop)
            if self._at < stop:  # unwanted
                return
            loop.call_soon_threadsafe(self._passed, self._at)


def _socket_of(writer: AbstractStreamWriter) -> int | None:
    """Return a descriptor of our own of a connection's socket; None where bytes cannot be sent by it now."""
    transport = getattr(writer, "transport", None)
    if transport is None or transport.get_extra_info("sslcontext") is not None or transport.get_write_buffer_size():
        return None
    own = transport.get_extra_info("socket")
    return None if own is None or own.fileno() < 0 else os.dup(own.fileno())
