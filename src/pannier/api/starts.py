"""How many answers that stream begin at the same time: few, so that whoever else asks meanwhile waits little.

To begin one takes some twenty turns of the event loop, with a thread or the state database between them, and each turn
is as long as all that are at it: of hundreds at once each other request would wait for all of them, several times.
With a few at a time all are through hardly later.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

_MOST = 6
"""With fewer others wait less, and the last of hundreds begins later. On two processors, 300 that read a cold disk: the
longest wait of others 29 to 34 ms with 6, 31 to 64 with 10, 51 to 128 without a bound; the last one began after 2.8 to
3.3 s, 1.7 to 3.0, 1.5 to 2.9 (2026-11-30, four runs each, in turns)."""
_PATIENCE = 0.02
"""Seconds without one that is through after which another one begins all the same: those may wait for storage."""


class Starts:
    """Lets requests begin to stream, in the order in which they came. All methods belong to the event loop.

    Args:
        most: How many are at it.
        patience: Seconds for which they may all stand still.
    """

    def __init__(self, most: int = _MOST, patience: float = _PATIENCE) -> None:
        self._most, self._patience = most, patience
        self._beginning = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._looks: asyncio.TimerHandle | None = None
        self._moved = False

    @property
    def beginning(self) -> int:
        """How many are at it."""
        return self._beginning

    async def enter(self, request: web.BaseRequest) -> None:
        """Wait until a request may begin; one that is at it may go on. ``started`` has to follow."""
        if STARTS in request:
            return
        if self._beginning < self._most:
            self._beginning += 1
        else:
            await self._turn()
        request[STARTS] = self

    def leave(self) -> None:
        """Have one be through."""
        self._beginning -= 1
        self._moved = True
        if self._beginning < self._most:
            self._let_in()

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        self._look_later(loop)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was let in just before
                self.leave()
            raise

    def _let_in(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._beginning += 1
                turn.set_result(None)
                return

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._looks is None:
            self._moved = False
            self._looks = loop.call_later(self._patience, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._looks = None
        if not self._moved:
            self._let_in()
        if self._waiting:
            self._look_later(loop)


STARTS = web.RequestKey("starts", Starts)
"""Where a request is beginning; not there before, nor when it has begun."""


def started(request: web.BaseRequest) -> None:
    """Have a request begin no more: its headers have left, or it has ended. Idempotent."""
    if (starts := request.pop(STARTS, None)) is not None:
        starts.leave()
