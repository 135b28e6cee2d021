"""Reading a file from its beginning while it is written, by several hands and not in order."""

from __future__ import annotations

import threading

from pannier.coverage import Coverage
from pannier.sdk.intake import Stopped
from pannier.sdk.parts import Part


class Following:
    """What of a part is there without a gap, as an intake for a thread that checks it.

    A piece that is next anyway is read from the memory of whoever wrote it (``lend``): reading it from the file would
    copy it once more. All else is read from the file, when it is known to be there (``advance``).
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._changed = threading.Condition()
        self._at = self._front = 0
        self._lent: memoryview | None = None
        self._using = 0  # bytes of what is lent that were given out by the last read
        self._ended = self._stopped = self._left = False

    def lend(self, piece: memoryview, at: int) -> None:
        """Have a piece read, if it is next; returns when it is no longer needed. It has to be in the file already."""
        with self._changed:
            if at != self._at or self._lent is not None or self._stopped or self._left:
                return
            self._lent = piece
            self._changed.notify_all()
            while self._lent is piece and not self._left:
                self._changed.wait()

    def advance(self, done: Coverage) -> None:
        """Say what is written by now."""
        front = done.windows[0].stop if done.windows and done.windows[0].start == 0 else 0
        if front > self._front:
            with self._changed:
                self._front = front
                self._changed.notify_all()

    def end(self) -> None:
        """Say that all is written."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Give up: whoever reads gets ``Stopped``."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def leave(self) -> None:
        """Say that nobody reads any more."""
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def read(self, most: int) -> bytes | memoryview:
        """Return the next bytes; see ``Intake``.

        Raises:
            Stopped: Nothing more is written.
        """
        with self._changed:
            if self._lent is not None:
                self._give_back(self._lent)
            while self._lent is None and self._at >= self._front and not (self._ended or self._stopped):
                self._changed.wait()
            if self._stopped:
                raise Stopped
            if self._lent is not None:
                return self._take(self._lent, most)
            left = self._front - self._at
        piece = self._part.read(self._at, min(most, left)) if left > 0 else b""
        with self._changed:
            self._at += len(piece)
        return piece

    def _take(self, lent: memoryview, most: int) -> memoryview:
        taken = lent[self._using : self._using + most]
        self._using += len(taken)
        self._at += len(taken)
        return taken

    def _give_back(self, lent: memoryview) -> None:
        """Give back what is lent, if all of it was read or nothing more of it will be."""
        if self._using == len(lent) or self._stopped:
            self._lent, self._using = None, 0
            self._changed.notify_all()
