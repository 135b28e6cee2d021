"""HTTP by hand, on a raw socket: a client that sends, reads and leaves as it likes."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

LIMIT = 60.0
"""Seconds without a byte after which a server is taken to hang."""
_RESET = struct.pack("ii", 1, 0)


class Broken(Exception):
    """The connection ended before all that was promised had come; holds what came of the body."""

    def __init__(self, body: bytes, why: str) -> None:
        super().__init__(f"{why} after {len(body):,} bytes")
        self.body = body


@dataclass(frozen=True)
class Head:
    """Status and headers (lower-case names) of an answer."""

    status: int
    headers: dict[str, str]

    @property
    def length(self) -> int:
        return int(self.headers["content-length"])


class Wire:
    """One connection.

    Args:
        port: The server's.
        receive: Bytes of the receive buffer; None leaves it to the kernel.
    """

    def __init__(self, port: int, *, receive: int | None = None) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(LIMIT)
        if receive is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)  # before the window is agreed on
        self.socket.connect(("127.0.0.1", port))
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, url: str, *, method: str = "GET", **headers: str) -> None:
        """Send one request; more may follow before its answer has come."""
        self.send(request(url, method=method, **headers))

    def head(self) -> Head:
        """Read the head of an answer."""
        while b"\r\n\r\n" not in self._unread:
            self._unread += self._more(64 * 1024, b"")
        text, _, self._unread = self._unread.partition(b"\r\n\r\n")
        status, *lines = text.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return Head(int(status.split()[1]), {name.lower(): value for name, _, value in pairs})

    def read(self, length: int) -> bytes:
        """Read so many bytes of a body; raises ``Broken``."""
        got = bytearray(self._unread[:length])
        self._unread = self._unread[length:]
        while len(got) < length:
            got += self._more(min(256 * 1024, length - len(got)), got)
        return bytes(got)

    def answer(self) -> tuple[Head, bytes]:
        """Read one answer that has a body."""
        head = self.head()
        return head, self.read(head.length)

    def whole_or_part(self) -> tuple[Head | None, bytes]:
        """Read one answer that has a body; None, and what came of the body, if the connection broke."""
        try:
            return self.answer()
        except Broken as broken:
            return None, broken.body

    def leave(self, *, reset: bool = False) -> None:
        """Close the connection, or break it."""
        if reset and self.socket.fileno() != -1:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.socket.close()

    def _more(self, most: int, so_far: bytes | bytearray) -> bytes:
        try:
            data = self.socket.recv(most)
        except ConnectionResetError:
            raise Broken(bytes(so_far), "reset") from None
        if not data:
            raise Broken(bytes(so_far), "closed")
        return data


def request(url: str, *, method: str = "GET", **headers: str) -> bytes:
    """Return the bytes of a request; header names with underscores for dashes."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
