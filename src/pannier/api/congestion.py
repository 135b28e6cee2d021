"""TCP's congestion control where there is no network: between two programs of one host.

BBR, which many servers are set to, paces what it sends by a timer for nearly every segment. On the way to a client of
the same host, a reverse proxy say, nothing is lost and no queue is spared by that, while the timers take most of the
processor time of a large download (``docs/performance.md``). Reno, which every Linux has and by default lets everybody
choose, sends what fits the window.

Who the peer is turns out when a connection has begun, and one that BBR has begun stays paced whatever is chosen later
(Linux, ``net/ipv4/tcp_bbr.c``, ``bbr_init``). So listeners hand on Reno, and what comes from elsewhere gets BBR, which
the system had when the listener was made, before any answer is sent to it; with TLS, after the handshake.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import suppress

_PACED, _UNPACED = b"bbr", b"reno"
_LONGEST = 16
"""Bytes of an algorithm's name, its end included (``TCP_CA_NAME_MAX``)."""


def is_paced() -> bool:
    """Whether the system has TCP paced by BBR, and a socket can leave that and come back to it."""
    if not hasattr(socket, "TCP_CONGESTION"):  # another system
        return False
    try:
        with socket.socket() as one:
            if _algorithm(one) != _PACED:
                return False
            for algorithm in (_UNPACED, _PACED):  # the second may be for privileged users only
                _choose(one, algorithm)
    except OSError:
        return False
    return True


def unpace(listening: socket.socket) -> None:
    """Have connections that a socket is going to accept begin unpaced; nothing where that cannot be."""
    with suppress(OSError):
        _choose(listening, _UNPACED)


def pace_remote(transport: asyncio.BaseTransport) -> None:
    """Have a connection paced that has just begun unpaced, unless both ends are on this host.

    What a route says of congestion control (``ip route … congctl``) is left, but for Reno.
    """
    shared: socket.socket | None = transport.get_extra_info("socket")
    own, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    if shared is None or not own or not peer or on_one_host(own[0], peer[0]):
        return
    with suppress(OSError):  # the connection is gone
        if _algorithm(shared) == _UNPACED:
            _choose(shared, _PACED)


def on_one_host(own: str, peer: str) -> bool:
    """Whether packets between two addresses, of which the first is ours, stay on the host.

    So it is for a peer with our own address or with a loopback address (RFC 1122 section 3.2.1.3, RFC 4291 section
    2.5.3). Two other addresses may be of one host, too; that is not looked into. That *ours* is a loopback address says
    nothing: packets may have been redirected to it.
    """
    ours, theirs = ipaddress.ip_address(own), ipaddress.ip_address(peer)
    return ours == theirs or theirs.is_loopback


def _algorithm(one: socket.socket) -> bytes:
    return one.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _LONGEST).rstrip(b"\0")


def _choose(one: socket.socket, algorithm: bytes) -> None:
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm)
