"""A slow line to a server: downloads come at a rate of the test's, everything else as it is."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_PIECE = 8 * 1024
_BUFFER = 64 * 1024
_ATTACHMENT = b"content-disposition: attachment"
_RESUMES = b"\r\nif-range:"


class Narrow:
    """Listens at ``port`` and passes on what a server at ``to`` says; small buffers, so that little is under way.

    Attributes:
        rate: Bytes per second of each connection over which a download comes; 0: they stand still.
        resumes: Whether what is broken may be asked for again from where it broke; some browsers do so by themselves.
    """

    resumes = True

    def __init__(self, to: int, rate: int) -> None:
        self._to, self.rate = to, rate
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._slow: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break the connections over which downloads come."""
        for each in self._slow:
            _end(each)
        self._slow = []

    def close(self) -> None:
        """End, and break what is open."""
        self._listener.close()
        for each in self._open:
            _end(each)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket()
                far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
                near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                self._open += [near, far]
                try:
                    far.connect(("127.0.0.1", self._to))
                except OSError:
                    _end(near)
                    continue
                threading.Thread(target=self._pass_on, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(far, near, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        slow = False
        with contextlib.suppress(OSError):
            while data := source.recv(_PIECE):
                if not answers and not self.resumes and _RESUMES in data.lower():
                    break
                if answers and data.startswith(b"HTTP/1.1 "):
                    slow = _ATTACHMENT in data.lower()
                    if slow:
                        self._slow += [source, target]
                while slow and self.rate == 0:
                    time.sleep(0.05)
                target.sendall(data)
                if slow and self.rate > 0:
                    time.sleep(len(data) / self.rate)
        _end(source)
        _end(target)


def _end(it: socket.socket) -> None:
    with contextlib.suppress(OSError):
        it.shutdown(socket.SHUT_RDWR)
    it.close()
