"""Bytes that come from a connection, for code that reads them in order and blocks: in a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

_MOST_HELD = 4 * 2**20
"""Bytes that wait for whoever reads them, about; then nothing more is taken from the connection."""


class Intake(Protocol):
    """Something to read once, from its beginning to its end."""

    def read(self, most: int) -> bytes | memoryview:
        """Return up to ``most`` bytes, at least one unless it is at its end; blocks.

        A view is only lent: it is something else after the next call.
        """


class Stopped(Exception):
    """Nothing more comes, or is wanted, because the other side gave up; the reason is elsewhere."""


class Pipe:
    """From one thread, which ``put``s pieces, to another, which reads them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._rest = memoryview(b"")
        self._ended = self._stopped = False

    def put(self, piece: bytes) -> None:
        """Hand on a piece; waits while much is waiting to be read.

        Raises:
            Stopped: Nobody reads any more.
        """
        with self._changed:
            while self._held >= _MOST_HELD and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise Stopped
            self._pieces.append(piece)
            self._held += len(piece)
            self._changed.notify()

    def end(self) -> None:
        """Say that all pieces were put."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def stop(self) -> None:
        """Give up, on either side: the other one gets ``Stopped``. From any thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def read(self, most: int) -> bytes:
        """Return the next bytes; see ``Intake``.

        Raises:
            Stopped: The feeder gave up.
        """
        if not self._rest:
            with self._changed:
                while not (self._pieces or self._ended or self._stopped):
                    self._changed.wait()
                if self._stopped:
                    raise Stopped
                if not self._pieces:
                    return b""
                piece = self._pieces.popleft()
                was_full = self._held >= _MOST_HELD
                self._held -= len(piece)
                if was_full and self._held < _MOST_HELD:
                    self._changed.notify()
            if len(piece) <= most:
                return piece
            self._rest = memoryview(piece)
        taken, self._rest = self._rest[:most], self._rest[most:]
        return bytes(taken)


class Exactly:
    """An intake that can be asked for exact numbers of bytes; ``at`` is how many were taken."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._held = memoryview(b"")
        self.at = 0

    def take(self, length: int) -> bytes:
        """Return exactly ``length`` bytes.

        Raises:
            EOFError: Fewer are left.
        """
        part = bytes(self.some(length)) if length else b""
        if len(part) == length:
            return part
        taken = bytearray(part)
        while part and len(taken) < length:
            part = bytes(self.some(length - len(taken)))
            taken += part
        if not part:
            raise EOFError
        return bytes(taken)

    def some(self, most: int) -> memoryview:
        """Return up to ``most`` bytes, at least one unless nothing is left. They are only lent, as by ``Intake``."""
        if not self._held:
            self._held = memoryview(self._intake.read(2**20))
        taken, self._held = self._held[:most], self._held[most:]
        self.at += len(taken)
        return taken

    def give_back(self, unread: bytes) -> None:
        """Put back what was taken last."""
        self._held = memoryview(unread + bytes(self._held))
        self.at -= len(unread)

    def rest(self, most: int) -> bytes:
        """Return all that is left.

        Raises:
            ValueError: It is more than ``most`` bytes.
        """
        found = bytearray()
        while part := self.some(2**20):
            found += part
            if len(found) > most:
                raise ValueError("more stands behind its directory than an end")
        return bytes(found)
