"""Gathering pieces of a response in threads, while those before are sent.

A thread call gathers one piece after the other as long as each is taken at once, so that the processes that help with
it are never without work; it ends when a piece has to wait. No more than one does, for a client that is slower.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from pannier.streams.passage import Burst, Passage
from pannier.streams.workers import Workers, joined

_BURST = 0.1
"""Seconds that a thread goes on for one client that takes all it is given."""
_PATIENCE = 0.005
"""Seconds that it waits for one that has been fast so far."""
_FAST = 512 * 1024
"""Bytes of a piece that only who is fast gets: from then on helpers are asked for the next piece during this one."""


class Gathering:
    """The pieces of a passage, in order. Made and used on the event loop; stop it."""

    def __init__(self, workers: Workers, passage: Passage, enough: Callable[[], int]) -> None:
        """``enough``: of how many bytes the next piece is to be."""
        self._workers, self._passage, self._enough = workers, passage, enough
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._taking = threading.Condition()
        self._pieces: deque[Burst] = deque()
        self._wanted = self._made = 0
        """How many pieces were asked for; and how many there were so far."""
        self._stopped, self._free = False, True
        """Whether it is to end; and whether nothing else must happen before the next piece."""
        self._call: Future[None] | None = None
        self._go_on()

    async def next(self) -> Burst:
        """Return the next piece, what the one before wanted done; the one after it is begun with if it wants nothing.

        Raises:
            SourceChanged, VolumeFailed: As ``Passage.gather``.
        """
        with self._taking:
            self._wanted += 1
            self._taking.notify()
        self._free = True
        self._go_on()
        while not self._pieces:
            if self._call is not None and self._call.done():
                self._call.result()  # it has failed, else there were a piece, or another call
            self._news.clear()
            await self._news.wait()
        piece = self._pieces.popleft()
        self._free = _goes_on(piece)
        self._go_on()
        return piece

    async def stop(self) -> None:
        """End, waiting for the thread."""
        with self._taking:
            self._stopped = True
            self._taking.notify()
        call, self._call = self._call, None  # what was raised refers to frames that refer to this
        try:
            if call is not None and not call.cancel() and not call.done():
                with suppress(Exception):
                    await joined(call, takes_back=False)
        finally:  # what is raised refers to this frame, and must not be referred to by it
            del call

    def _go_on(self) -> None:
        """Begin with the next piece, where no thread is at work, no piece waits, and nothing has failed."""
        if self._call is not None and (not self._call.done() or self._call.exception() is not None):
            return
        if self._free and not self._pieces and not self._stopped:
            self._call = self._workers.submit(self._gather)
            self._call.add_done_callback(self._tell)

    def _tell(self, _: object = None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._go_on()
        self._news.set()

    # -- in a thread

    def _gather(self) -> None:
        until, fast, over = time.monotonic() + _BURST, False, False
        try:
            while True:
                enough = self._enough()
                ahead = fast and not over and enough >= _FAST  # so that nothing is left to be asked for at the end
                piece = self._passage.gather(enough, ahead=ahead)
                self._made += 1
                if not self._give(piece, patient=ahead) or (over and not ahead):
                    return
                fast, over = True, over or time.monotonic() >= until
        finally:
            self._passage.rest()

    def _give(self, piece: Burst, *, patient: bool) -> bool:
        """Hand a piece over; return whether to make the next one at once."""
        with self._taking:
            self._pieces.append(piece)
            if not _goes_on(piece) or self._stopped or not (patient or self._is_awaited()):
                return False  # that the call ends is told
            self._tell()
            if patient:
                self._taking.wait_for(lambda: self._stopped or self._is_awaited(), _PATIENCE)
            return self._is_awaited() and not self._stopped

    def _is_awaited(self) -> bool:
        return self._wanted >= self._made


def _goes_on(piece: Burst) -> bool:
    return piece.wants is None and not piece.ended
