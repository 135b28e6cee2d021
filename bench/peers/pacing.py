"""Has a peer's connections begin unpaced, as Pannier's do on loopback where the system has TCP's BBR.

Standard library only: libraries run in environments of their own, without Pannier.
"""

from __future__ import annotations

import socket


def unpace(listening: socket.socket) -> bool:
    """Do as Pannier does (``pannier.api.congestion``); return whether that changed anything.

    Nothing is changed where the system has another congestion control than BBR, or does not let it be chosen back.
    """
    try:
        given = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")
        if given != b"bbr":
            return False
        for algorithm in (b"reno", b"bbr", b"reno"):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm)
    except (AttributeError, OSError):
        return False
    return True
