"""How fast bytes may leave, for one stream or for several that share it."""

from __future__ import annotations

import asyncio
import time


class Pace:
    """``rate`` bytes per second, counted from where nothing has left for a while. Belongs to the event loop."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._due = 0.0

    @property
    def idle(self) -> bool:
        """Whether nobody would have to wait now."""
        return self._due <= time.monotonic()

    async def wait(self, length: int) -> None:
        """Wait until ``length`` more bytes may leave, after those of everybody who asked before."""
        now = time.monotonic()
        begins = max(self._due, now)
        self._due = begins + length / self.rate
        if begins > now:
            await asyncio.sleep(begins - now)
