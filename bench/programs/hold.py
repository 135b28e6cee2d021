"""Many clients that do little, in one process: they are held until standard input ends.

    hold.py RATE < JSON list of URLs, then a line to end

Each URL gets a client, in turns of four kinds: one that connects and asks nothing, one that has had a tiny answer and
keeps the connection, one that asks for the URL and takes next to nothing of it, one that takes RATE bytes a second.
Prints "held" when all are there; at the end one JSON list: for each client its kind, whether its connection is still
open, and the bytes that it took.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

KINDS = ("silent", "kept", "stopped", "slow")
RECEIVE_BUFFER = 16 * 1024
STEP = 0.25
"""Seconds between two reads of the slow ones."""


@dataclass
class Held:
    """One client."""

    kind: str
    url: str
    taken: int = 0

    def start(self) -> None:
        parts = urlsplit(self.url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.settimeout(60)
        self.socket.connect((parts.hostname or "", parts.port or 80))
        target = {"silent": "", "kept": "/"}.get(self.kind, f"{parts.path}?{parts.query}")
        if target:
            self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            first = self.socket.recv(2_000)  # of a download: the head and a little
            if not first.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a client was answered {first[:200]!r}")
            self.taken = len(first)
        self.socket.setblocking(False)

    def take(self, most: int) -> None:
        try:
            self.taken += len(self.socket.recv(most))
        except OSError:
            pass  # nothing there now; or the connection is gone, which is seen at the end

    def is_open(self) -> bool:
        if self.kind in ("stopped", "slow"):  # take what has come, to see whether an end or a reset is behind it
            try:
                while data := self.socket.recv(2**20):
                    self.taken += len(data)
            except BlockingIOError:
                return True
            except OSError:
                return False
            return False
        poll = select.poll()  # select() knows no descriptor above 1,023
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)


def main(rate: str) -> None:
    """Hold all clients."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    urls = json.loads(sys.stdin.readline())
    clients = [Held(KINDS[number % len(KINDS)], url) for number, url in enumerate(urls)]
    for client in clients:
        client.start()
    print("held", flush=True)
    slow = [client for client in clients if client.kind == "slow"]
    last = time.monotonic()
    while not select.select([sys.stdin], [], [], STEP)[0]:
        now = time.monotonic()
        for client in slow:
            client.take(int(float(rate) * (now - last)))
        last = now
    taken = [client.taken for client in clients]
    seen = [client.is_open() for client in clients]
    print(
        json.dumps(
            [
                {"kind": client.kind, "open": open_, "taken": count}
                for client, open_, count in zip(clients, seen, taken, strict=True)
            ]
        )
    )


if __name__ == "__main__":
    main(sys.argv[1])
