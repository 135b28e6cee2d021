"""Clients that take or send too little: how that is told from clients that are only slow.

What counts is what arrives. Of an answer these are the bytes that the peer has acknowledged (tcp(7), ``TCP_INFO``), not
those that left for the socket: its queue holds some megabytes, and a client that reads 500 bytes a second makes room in
it once in an hour. Only time in which the peer owes something counts: while nothing is on its way to it, and while
nobody waits for its request, it cannot be late.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from dataclasses import dataclass

from pannier.api.outlets import held_back

_QUEUED = struct.Struct("i")
_ACKNOWLEDGED = struct.Struct("=120xQ")
"""``struct tcp_info`` of Linux up to ``tcpi_bytes_acked``, which is there since Linux 4.2."""
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients are waited for.

    Attributes:
        idle: Seconds that a connection may be without a request.
        head: Seconds from the first byte of a request to the end of its head.
        stall: Seconds for which too little may come, or be taken.
        least: Bytes per second that are too little, below them; at least one byte is waited for.
    """

    idle: float = 75.0
    head: float = 30.0
    stall: float = 300.0
    least: int = 100

    @property
    def expected(self) -> int:
        """Bytes that have to come, or to be taken, within ``stall`` seconds."""
        return max(1, round(self.least * self.stall))


class Pace:
    """How much passes in one direction while the peer owes something."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since: float | None = None
        self._from = 0

    def too_slow(self, now: float, total: int, *, owed: bool) -> int | None:
        """Take note of how far it is; return how much came for too long a time, None as long as that is enough.

        Args:
            now: Seconds of the loop's clock.
            total: Bytes that have passed on the connection, or of the body.
            owed: Whether the peer is to do something about it.
        """
        if not owed or self._since is None or not 0 <= total - self._from < self._patience.expected:
            self._since, self._from = (now if owed else None), total
            return None
        return total - self._from if now - self._since >= self._patience.stall else None


def taken(transport: asyncio.Transport) -> tuple[int, bool]:
    """Return how many bytes the peer has acknowledged since the connection began, and whether more are on their way.

    Where the platform does not tell, nothing is on its way.
    """
    shared: socket.socket | None = transport.get_extra_info("socket")
    try:
        if shared is None:
            return 0, False
        (acknowledged,) = _ACKNOWLEDGED.unpack(
            shared.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
        )
        (queued,) = _QUEUED.unpack(fcntl.ioctl(shared, termios.TIOCOUTQ, bytes(_QUEUED.size)))
    except (OSError, AttributeError, struct.error):  # no TCP, another system, or the connection is gone
        return 0, False
    return acknowledged, queued > 0 or held_back(transport) > 0


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once, and have the kernel forget what waits for the peer."""
    shared: socket.socket | None = transport.get_extra_info("socket")
    if shared is not None:
        try:
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass  # gone already
    transport.abort()
