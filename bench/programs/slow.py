"""Many slow clients in one process: each takes its download at a steady rate and keeps a checksum of it.

    slow.py BYTES_PER_SECOND LIMIT_SECONDS < JSON list of URLs

All connect at once. Prints one JSON list, in the order of the URLs: status, bytes, whether all of Content-Length came,
CRC-32, and when it began, got its first byte and ended (CLOCK_MONOTONIC seconds).
"""

from __future__ import annotations

import heapq
import json
import socket
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

RECEIVE_BUFFER = 64 * 1024
"""Bytes that the kernel holds for a client: little, so that the server feels how slow it is."""
STEP = 0.05
"""Seconds between two reads of one client."""


@dataclass
class Seen:
    """What one client got."""

    status: int = 0
    length: int = -1
    received: int = 0
    crc: int = 0
    began: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    complete: bool = False
    failure: str = ""


@dataclass
class Slow:
    """One download."""

    url: str
    seen: Seen = field(default_factory=Seen)
    head: bytes = b""
    in_body: bool = False

    def start(self) -> None:
        parts = urlsplit(self.url)
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.settimeout(30)
        self.seen.began = time.monotonic()
        self.socket.connect((parts.hostname or "", parts.port or 80))
        target = f"{parts.path}?{parts.query}"
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        self.socket.setblocking(False)

    def read(self, most: int) -> bool:
        """Take what is there, up to a number of bytes; False when the download has ended."""
        while most > 0:
            try:
                data = self.socket.recv(min(most, 65536))
            except BlockingIOError:
                return True
            except OSError as error:
                self.seen.failure = str(error)
                return self._end()
            if not data:
                return self._end()
            if not self.seen.first:
                self.seen.first = time.monotonic()
            most -= len(data)
            self._take(data)
            if self.in_body and self.seen.received == self.seen.length:
                return self._end()
        return True

    def _take(self, data: bytes) -> None:
        if not self.in_body:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            head, _, data = self.head.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").lower().split("\r\n")
            self.seen.status = int(lines[0].split()[1])
            self.seen.length = next((int(one[15:]) for one in lines if one.startswith("content-length:")), -1)
            self.in_body, self.head = True, b""
        self.seen.received += len(data)
        self.seen.crc = zlib.crc32(data, self.seen.crc)

    def _end(self) -> bool:
        self.seen.ended = time.monotonic()
        self.seen.complete = self.seen.received == self.seen.length
        self.socket.close()
        return False


def main(rate: str, limit: str) -> None:
    """Run all downloads to their end, or to the limit."""
    clients = [Slow(url) for url in json.load(sys.stdin)]
    deadline = time.monotonic() + float(limit)
    for client in clients:
        client.start()
    # each client's reads keep their own times, so that they stay spread as they began
    due = [(client.seen.began + STEP, number, client.seen.began) for number, client in enumerate(clients)]
    heapq.heapify(due)
    while due:
        when, number, last = heapq.heappop(due)
        now = time.monotonic()
        if now > deadline:
            clients[number].seen.failure = "took too long"
            continue
        if when > now:
            time.sleep(when - now)
        now = time.monotonic()
        allowance = int(float(rate) * min(now - last, 1.0))
        if clients[number].read(allowance):
            heapq.heappush(due, (now + STEP, number, now))
    print(json.dumps([asdict(client.seen) for client in clients]))


if __name__ == "__main__":
    main(*sys.argv[1:3])
