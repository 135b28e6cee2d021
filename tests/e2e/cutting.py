"""A TCP proxy that cuts: it forwards bytes, and drops a connection after so many bytes of what the server answers."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_CHUNK = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Cut:
    """Where one connection ends: after ``after`` bytes behind the first head of an answer, by FIN or by RST.

    Of a connection that is encrypted nothing can be told apart: all bytes that the server sends count.
    """

    after: int
    reset: bool = False


class CuttingProxy:
    """Listens on a port of its own and forwards to another; a context manager that ends it.

    Args:
        port: Where the server listens on this machine.
        cuts: One for each connection, in the order in which they come; None lets it live. After the last, all live.
            Taken when the first byte of an answer's body has come, so a connection that gets none uses up none.
        pace: Bytes a second that a connection may get, about; little is then on its way at any time.
        encrypted: Whether TLS passes through here.
    """

    def __init__(
        self, port: int, cuts: Iterable[Cut | None] = (), *, pace: int | None = None, encrypted: bool = False
    ) -> None:
        self._port, self._pace, self._encrypted = port, pace, encrypted
        self._cuts: Iterator[Cut | None] = iter(cuts)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._stopping = False
        self._open = 0
        self.made = 0
        """Connections that were cut."""
        self.most_open = 0
        """Connections that were open at the same time."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        if pace is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHUNK)  # what it accepts inherits that
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopping = True
            for each in (self._listener, *self._sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def through(self, url: str) -> str:
        """Return the URL by which a URL of the server is reached through here."""
        return url.replace(f":{self._port}/", f":{self.port}/", 1)

    def cut(self, *cuts: Cut | None) -> None:
        """Cut the next connections so, whatever was to be done with them."""
        with self._lock:
            self._cuts = iter(cuts)

    def drop(self) -> None:
        """End all connections that are open now."""
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._start(lambda client=client: self._serve(client))  # type: ignore[misc]

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket()
        try:
            if self._pace is not None:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK)  # before the window is agreed on
            server.connect(("127.0.0.1", self._port))
        except OSError:
            client.close()
            server.close()
            return
        with self._lock:
            self._sockets |= {client, server}
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            stopping = self._stopping
        try:
            if not stopping:
                self._forward(client, server)
        except OSError:
            pass  # one of the two has gone, and the other follows
        finally:
            with self._lock:
                self._sockets -= {client, server}
                self._open -= 1
            client.close()
            server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        head: bytes | None = b""  # of the first answer, as far as it has come; None once its body has begun
        cut: Cut | None = None
        left = 0
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                if not (data := client.recv(_CHUNK)):
                    return
                server.sendall(data)
            if server not in readable:
                continue
            if not (data := server.recv(_CHUNK if cut is None else min(_CHUNK, left))):
                return
            if self._pace is not None:
                time.sleep(len(data) / self._pace)
            if head is not None:
                head += data
                body = head if self._encrypted else head.partition(b"\r\n\r\n")[2]
                client.sendall(data[: len(data) - len(body)])
                if not body:
                    continue
                head, data = None, body
                with self._lock:
                    cut = next(self._cuts, None)
                left = cut.after if cut is not None else 0
            if cut is None:
                client.sendall(data)
                continue
            client.sendall(data[:left])
            left -= min(left, len(data))
            if not left:
                with self._lock:
                    self.made += 1
                if cut.reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                return
