"""A client that asks a tiny request again and again on one idle connection: it sees from outside how a server stalls.

    ping.py URL EVERY_SECONDS

Prints "ready" after the first answer, goes on until standard input ends, then prints one JSON list of pairs: when a
request left (CLOCK_MONOTONIC, which all processes share) and how long its answer took, both in seconds.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from urllib.parse import urlsplit

LIMIT = 60.0


def main(url: str, every: str) -> None:
    """Ask until told to end."""
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    samples: list[tuple[float, float]] = []
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=LIMIT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            began = time.monotonic()
            connection.sendall(request)
            _answer(connection)
            samples.append((began, time.monotonic() - began))
            if len(samples) == 1:
                print("ready", flush=True)
            if select.select([sys.stdin], [], [], float(every))[0]:
                break
    print(json.dumps(samples))


def _answer(connection: socket.socket) -> None:
    """Read one answer with a length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    left = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")) - len(body)
    while left > 0:
        left -= len(_some(connection))


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise SystemExit("the server closed the idle connection")
    return received


if __name__ == "__main__":
    main(*sys.argv[1:3])
