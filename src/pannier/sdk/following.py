"""Reading a file from its beginning while it is written, by several hands and not in order."""

from __future__ import annotations

import threading

from pannier.coverage import Coverage
from pannier.sdk.intake import Stopped
from pannier.sdk.parts import Part


class Following:
    """What of a part is there without a gap, as an intake for a thread that checks it."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._changed = threading.Condition()
        self._at = self._front = 0
        self._ended = self._stopped = False

    def advance(self, done: Coverage) -> None:
        """Say what is written by now."""
        front = done.windows[0].stop if done.windows and done.windows[0].start == 0 else 0
        if front > self._front:
            with self._changed:
                self._front = front
                self._changed.notify()

    def end(self) -> None:
        """Say that all is written."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def stop(self) -> None:
        """Give up: whoever reads gets ``Stopped``."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def read(self, most: int) -> bytes:
        """Return the next bytes; see ``Intake``.

        Raises:
            Stopped: Nothing more is written.
        """
        with self._changed:
            while self._at >= self._front and not (self._ended or self._stopped):
                self._changed.wait()
            if self._stopped:
                raise Stopped
            left = self._front - self._at
        piece = self._part.read(self._at, min(most, left)) if left else b""
        self._at += len(piece)
        return piece
