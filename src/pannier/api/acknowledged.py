"""What the peer of a connection has acknowledged, as far as the kernel tells."""

from __future__ import annotations

import asyncio
import select
import socket
import struct

from aiohttp import web

from pannier.api.outlets import held_back, unacknowledged

_AT_ONCE = struct.pack("ii", 1, 0)
"""``struct linger``: closing drops what is queued, and resets the connection (socket(7))."""
_ENDED = (4, 7, 9, 11)
"""``tcpi_state``: FIN_WAIT1, CLOSE, LAST_ACK, CLOSING. Our end of the connection then counts as a byte in the queue."""


class Acknowledged:
    """A look at the send queue of a connection, through a descriptor of its own: it works after the transport's end.

    What waits in the transport itself is counted as well. Over TLS and in chunks, framing counts too, so that rather
    more than less seems to be on its way.
    """

    def __init__(self, transport: asyncio.Transport, copy: socket.socket) -> None:
        self._transport, self._socket = transport, copy

    @classmethod
    def of(cls, request: web.BaseRequest) -> Acknowledged | None:
        """Look at a request's connection; None where there is no socket, or no descriptor for it."""
        transport = request.transport
        shared = None if transport is None else transport.get_extra_info("socket")
        if shared is None or transport is None:
            return None
        try:
            return cls(transport, shared.dup())
        except OSError:
            return None

    def pending(self) -> int:
        """See ``Acknowledgements.pending``."""
        try:
            queued = unacknowledged(self._socket)
            if queued and self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED:
                queued -= 1
        except OSError:  # no such count for this kind of socket
            queued = 0
        return queued + held_back(self._transport)

    @property
    def lost(self) -> bool:
        """See ``Acknowledgements.lost``."""
        poll = select.poll()
        poll.register(self._socket, 0)  # what cannot be left out: an error, or both ends' end
        return bool(poll.poll(0))

    def reset(self) -> None:
        """Have the connection dropped with all that is queued, once everybody has closed it."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    def close(self) -> None:
        """See ``Acknowledgements.close``."""
        self._socket.close()
