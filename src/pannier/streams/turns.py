"""Turns at reading small files: one thread of this process after the other, as long as storage is quick.

Reading a small file is four system calls, and each lets another thread have the interpreter: with ten threads at it,
each waits for nine others after every call, and all together are slower than one by one. What waits for storage,
though, is to wait together with others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 0.005
"""Seconds for which whoever has begun is waited for: a run that is in memory takes less."""


class Turns:
    """Who reads now; one for a process, as its interpreter is one. Usable from any thread."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._reading = 0
        self._begun = 0.0
        """When the last one has begun."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until nobody reads, or whoever began last has been at it for longer than memory takes."""
        with self._changed:
            while self._reading and (left := self._begun + self._patience - time.monotonic()) > 0:
                self._changed.wait(left)
            self._reading += 1
            self._begun = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify()
