"""The ways out: how bytes of a response reach the client's socket.

``SocketOutlet`` is the fast one: threads read, hash and send one buffer straight to the non-blocking socket, beside the
transport that owns the connection, and the event loop hears of it when a piece or a file is through.
``TransportOutlet`` goes through aiohttp and works everywhere: TLS, other transports, other platforms.

A thread serves a burst, not a download: it sends while the socket takes bytes, for a bounded time, and a slow client
holds none while it waits. What the socket did not take of a file is read again later, so that no stream owns a buffer
between bursts.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import select
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from pannier.services.tallies import Tally
from pannier.streams.base import FileSpan
from pannier.streams.pacing import Pace
from pannier.streams.pump import Pump
from pannier.streams.workers import Workers

_PIECE = 256 * 1024
"""Bytes of a file that are read, hashed and sent at once: they stay in the processor's cache."""
_PAGES = 8 * 1024 * 1024
"""Bytes of a file that one ``sendfile`` is asked for: it returns when the socket is full, which it never is where the
client is as fast, and a slow disk would hold the thread for the whole file."""
_SLICE = 64 * 1024
"""Bytes that a transport is given at once: those of a slow client wait there a second time, and encrypted."""
_SMALL = 32 * 1024
"""Bytes that the event loop itself gives to the socket."""
_BURST = 0.05
"""Seconds that a thread goes on for one client that takes all it is given."""
_PATIENCE_MS = 2
"""Milliseconds that a thread waits for a full socket before it hands the waiting to the pump."""
_LEAST_PACED = 16 * 1024
"""Bytes that leave at once even at the lowest rate."""
_ROOM = 4 * 1024 * 1024
"""Bytes of a file after which it is seen whether a single download may go on."""
_ACKNOWLEDGED_EVERY = 0.005


class Outlet(Protocol):
    """Where a response's bytes go, in order. Errors: ``ConnectionError`` when the client has left."""

    @property
    def sent(self) -> int:
        """Bytes that are out of our hands, also after an error."""

    async def write(self, data: bytes) -> None:
        """Send ``data``; return when it is out of our hands."""

    async def copy(self, span: FileSpan) -> int:
        """Send a run of bytes of a file and return how many there were; the run may end early where the file does."""

    async def received(self, before: int) -> None:
        """Return when the client has what left unread before byte ``before`` of all that was sent here."""

    def close(self) -> None:
        """Give the connection back, for the next request on it."""


class TransportOutlet:
    """Through aiohttp's own writer."""

    def __init__(self, response: web.StreamResponse, workers: Workers, transport: asyncio.Transport | None) -> None:
        self._response, self._workers = response, workers
        self.sent = 0
        if transport is not None and transport.get_extra_info("ssl_object") is not None:
            transport.set_write_buffer_limits(_SLICE)  # asyncio's own limit, 512 KiB, is more than all else of a stream

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(data), _SLICE):
            part = view[at : at + _SLICE]
            await self._response.write(part)
            self.sent += len(part)

    async def copy(self, span: FileSpan) -> int:
        offset, stop = span.offset, span.offset + span.length
        while offset < stop:
            data = await self._workers.run(span.read, offset, min(_PIECE, stop - offset))
            if not data:
                break
            await self.write(data)
            offset += len(data)
        return offset - span.offset

    async def received(self, before: int) -> None:
        pass  # nothing leaves unread

    def close(self) -> None:
        pass


class PacedOutlet:
    """Another outlet at a pace, which it may share with others."""

    def __init__(self, outlet: Outlet, pace: Pace) -> None:
        self._outlet, self._pace = outlet, pace
        self._at_once = max(_LEAST_PACED, pace.rate // 10)

    @property
    def sent(self) -> int:
        return self._outlet.sent

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(data), self._at_once):
            part = view[at : at + self._at_once]
            await self._pace.wait(len(part))
            await self._outlet.write(bytes(part))

    async def copy(self, span: FileSpan) -> int:
        done = 0
        while done < span.length:
            part = replace(span, offset=span.offset + done, length=min(self._at_once, span.length - done), unread=0)
            await self._pace.wait(part.length)
            got = await self._outlet.copy(part)
            done += got
            if got < part.length:
                break
        return done

    async def received(self, before: int) -> None:
        await self._outlet.received(before)

    def close(self) -> None:
        self._outlet.close()


class TalliedOutlet:
    """Another outlet, with a tally of what leaves; by pieces, where every byte has to be accounted for."""

    def __init__(self, outlet: Outlet, tally: Tally) -> None:
        self._outlet, self._tally = outlet, tally

    @property
    def sent(self) -> int:
        return self._outlet.sent

    async def write(self, data: bytes) -> None:
        tally = self._tally
        if not tally.single:
            before = self.sent
            try:
                await self._outlet.write(data)
            finally:  # a client that has everything may leave before this is known here
                tally.took(self.sent - before)
            return
        view = memoryview(data)
        for at in range(0, len(data), _PIECE):
            part = view[at : at + _PIECE]
            with tally.offering(len(part), lambda: self.sent):
                await self._outlet.write(bytes(part))
            await tally.room()

    async def copy(self, span: FileSpan) -> int:
        tally = self._tally
        if not tally.single:
            return await self._outlet.copy(tally.count(span))
        done = 0
        while done < span.length:
            part = replace(span, offset=span.offset + done, length=min(_ROOM, span.length - done), unread=0)
            got = await self._outlet.copy(tally.count(part))
            done += got
            await tally.room()
            if got < part.length:
                break
        return done

    async def received(self, before: int) -> None:
        await self._outlet.received(before)

    def close(self) -> None:
        self._outlet.close()


class SocketOutlet:
    """Straight to the socket, from threads."""

    def __init__(self, transport: asyncio.Transport, copy: socket.socket, pump: Pump) -> None:
        self._transport, self._socket, self._pump = transport, copy, pump
        self.sent = self._unread_before = 0
        self._poll = select.poll()
        self._poll.register(copy, select.POLLOUT)

    @classmethod
    async def take(cls, request: web.BaseRequest, pump: Pump) -> SocketOutlet | None:
        """Take over a connection once everything written to its transport has left it; None where that cannot be.

        asyncio refuses to watch a transport's own descriptor, so it is duplicated: both stand for one connection, and
        the number stays ours until ``close`` whatever happens to the transport.
        """
        transport = request.transport
        if transport is None or transport.get_extra_info("ssl_object") is not None:
            return None
        shared = transport.get_extra_info("socket")
        if shared is None or shared.type != socket.SOCK_STREAM:
            return None
        transport.set_write_buffer_limits(0)
        await request.writer.drain()
        if transport.is_closing():
            raise _left()
        try:
            copy = shared.dup()  # as non-blocking as what it copies
        except OSError:  # no descriptor is left: the transport needs none
            transport.set_write_buffer_limits()
            return None
        return cls(transport, copy, pump)

    async def write(self, data: bytes) -> None:
        at = self._send_at_once(data) if len(data) <= _SMALL else 0

        def send() -> bool:
            nonlocal at
            at += self._offer(memoryview(data)[at:], time.monotonic() + _BURST)
            return at == len(data)

        if at < len(data):
            await self._whenever_writable(send)

    async def copy(self, span: FileSpan) -> int:
        offset, stop = span.offset, span.offset + span.length
        if span.unread:
            offset = await self._zero_copy(span, offset + span.unread)
            if offset > span.offset:
                self._unread_before = self.sent

        def copy() -> bool:
            nonlocal offset
            offset, ended = self._copy(span, offset, stop)
            return ended or offset == stop

        if offset < stop:
            await self._whenever_writable(copy)
        if not span.lasting:
            await self.received(self.sent)
        return offset - span.offset

    async def received(self, before: int) -> None:
        """Wait until the peer has acknowledged them: see ``COPIED`` for why that is enough.

        Until then the kernel holds references to pages, and what is written to a file now is what the client gets: it
        may be checked, and given back, only afterwards.
        """
        before = min(before, self._unread_before)
        while before and self.sent - unacknowledged(self._socket) < before:
            if self._transport.is_closing():
                raise _left()
            await asyncio.sleep(_ACKNOWLEDGED_EVERY)

    def close(self) -> None:
        self._socket.close()
        if not self._transport.is_closing():
            self._transport.set_write_buffer_limits()

    # -- in a thread

    def _copy(self, span: FileSpan, offset: int, stop: int) -> tuple[int, bool]:
        """Read, send and feed one buffer after the other; return where it stopped, and whether the file ended."""
        buffer = _threads.buffer
        until = time.monotonic() + _BURST
        while offset < stop:
            got = span.read_into(buffer[: min(_PIECE, stop - offset)], offset)
            if not got:
                return offset, True
            sent = self._offer(buffer[:got], until)
            span.feed(buffer[:sent])
            offset += sent
            if sent < got or time.monotonic() > until:
                break
        return offset, False

    def _offer(self, data: memoryview, until: float) -> int:
        """Send what the socket takes, waiting a little for more room until ``until``; return how much it took."""
        sent = 0
        while sent < len(data):
            try:
                taken = self._socket.send(data[sent:])
            except BlockingIOError:
                taken = 0
            except OSError as error:  # a time-out or a lost route, too
                raise _left() from error
            sent += taken
            self.sent += taken
            if sent < len(data) and (time.monotonic() > until or not self._poll.poll(_PATIENCE_MS)):
                break
        return sent

    # -- without copying

    async def _zero_copy(self, span: FileSpan, stop: int) -> int:
        """Let the kernel send the file's pages themselves, up to ``stop``; return where it stopped."""
        offset = span.offset

        def send() -> bool:
            nonlocal offset
            before = offset
            offset, ended = self._send_pages(span, offset, stop)
            span.passed(offset - before)
            return ended or offset == stop

        await self._whenever_writable(send)
        return offset

    def _send_pages(self, span: FileSpan, offset: int, stop: int) -> tuple[int, bool]:
        until = time.monotonic() + _BURST
        while offset < stop and time.monotonic() <= until:
            asked = min(_PAGES, stop - offset)
            try:
                sent = os.sendfile(self._socket.fileno(), span.fd, offset, asked)
                if not sent:  # the copying that follows finds that out once more, and tells it
                    return offset, True
            except BlockingIOError:
                sent = 0
            except OSError as error:
                if error.errno in _CONNECTION_LOST:
                    raise _left() from error
                return offset, True  # no file for this: copying is, or finds out what is wrong with it
            offset += sent
            self.sent += sent
            # less than asked: the socket is full, or the file ended, which the next call finds out
            if sent < asked and not self._poll.poll(_PATIENCE_MS):
                break
        return offset, False

    # -- on the loop

    def _send_at_once(self, data: bytes) -> int:
        """Give the socket what it takes of a little: that costs less than to wake a thread."""
        try:
            taken = self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _left() from error
        self.sent += taken
        return taken

    async def _whenever_writable(self, step: Callable[[], bool]) -> None:
        await self._pump.run(self._socket.fileno(), step)


_CONNECTION_LOST = (
    *(errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ETIMEDOUT),
    *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
)
"""What ``sendfile`` reports of the socket rather than of the file (tcp(7), ip(7))."""
_QUEUED = struct.Struct("i")


def _left() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the client left")


def held_back(transport: asyncio.WriteTransport) -> int:
    """Bytes that wait in a transport itself."""
    try:
        return transport.get_write_buffer_size()
    except AttributeError:  # asyncio's for TLS has lost what it asks once it was aborted
        return 0


def unacknowledged(connection: socket.socket) -> int:
    """Bytes in the send queue, sent or not, that the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
    answer = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(_QUEUED.size))
    return int(_QUEUED.unpack(answer)[0])


class _Threads(threading.local):
    """What each thread has of its own: a buffer, made once, so that its pages are there, and warm."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(_PIECE))


_threads = _Threads()
