"""File descriptors that several threads use and one of them closes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Descriptor:
    """Owns an open file descriptor; whoever is using it when it is closed may finish.

    A number used after its close may by then be another file, of another user: so every use is counted, and the number
    is given back with the last one. What is forgotten is closed when it is collected.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    @contextmanager
    def use(self) -> Iterator[int]:
        """Lend the number for the block; it stays open until then, closed meanwhile or not.

        Raises:
            ValueError: It was closed before (a bug of the caller).
        """
        with self._lock:
            number = self.number()
            self._users += 1
        try:
            yield number
        finally:
            with self._lock:
                self._users -= 1
                self._give_back()

    def number(self) -> int:
        """Return the number, valid until ``close``.

        Raises:
            ValueError: It was closed before (a bug of the caller).
        """
        if self._closed:
            raise ValueError("used after it was closed")
        return self._number

    def close(self) -> None:
        """Give the descriptor back as soon as nobody uses it. Idempotent."""
        with self._lock:
            self._closed = True
            self._give_back()

    def __del__(self) -> None:
        self.close()

    def _give_back(self) -> None:
        if self._closed and not self._users and self._number != -1:
            number, self._number = self._number, -1
            os.close(number)
