"""A part that is filled from its first byte on in each try: what has no ranges cannot be gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from yarl import URL

from pannier.sdk.intake import Pipe, Stopped
from pannier.sdk.parts import Part
from pannier.sdk.problems import Busy, Unreachable
from pannier.sdk.remote import Places
from pannier.sdk.threads import in_thread
from pannier.sdk.transport import Transport
from pannier.sdk.verification import Check, Checked


class Whole:
    """Fills a part by a single answer."""

    def __init__(
        self,
        part: Part,
        transport: Transport,
        places: Places,
        check: Check,
        *,
        wrote: Callable[[int], None],
        tell: Callable[[str], None],
    ) -> None:
        """``wrote`` is told of the bytes of each write, and of the negative of all where a try starts over."""
        self._part, self._transport, self._places, self._check = part, transport, places, check
        self._wrote, self._tell = wrote, tell
        self._size = 0

    async def run(self) -> Checked:
        """Fetch all, and return what was checked.

        Raises:
            Damaged: What came is not sound inside.
            Unreachable, Busy: All tries are used up.
            Declined, TargetUnusable: It cannot be had, or not be written.
        """
        failures = 0
        while True:
            try:
                return await self._once(self._places.pick(failures))
            except (Unreachable, Busy) as error:
                failures += 1
                wait = self._transport.backoff.wait(failures, error)
                if wait is None:
                    raise
                what = error.reason if isinstance(error, Unreachable) else str(error)
                tries = f"({failures} of {self._transport.backoff.tries})"
                self._tell(f"{what}; it cannot be resumed and starts over in {max(1, round(wait))} s {tries}")
            await in_thread(self._part.clear)
            self._wrote(-self._size)
            self._size = 0
            await asyncio.sleep(wait)

    async def _once(self, url: URL) -> Checked:
        pipe, loop, at = Pipe(), asyncio.get_running_loop(), 0

        def take(piece: memoryview) -> None:
            nonlocal at
            pipe.put(bytes(piece))
            window = self._part.write(piece, at)
            at = window.stop
            loop.call_soon_threadsafe(self._count, window.length)

        async with self._transport.stream("GET", url) as body:
            checking = asyncio.create_task(in_thread(self._check_and_stop, pipe))
            pouring = asyncio.create_task(body.pour(take))
            try:
                try:
                    await asyncio.shield(pouring)
                except Stopped:
                    pass  # what came is not sound, as the check is about to say
                pipe.end()
                return await checking
            finally:
                pipe.stop()  # first: what is waited for may itself wait for room
                pouring.cancel()
                await asyncio.gather(pouring, checking, return_exceptions=True)

    def _check_and_stop(self, pipe: Pipe) -> Checked:
        try:
            return self._check(pipe)
        finally:
            pipe.stop()  # nobody reads any more: nothing is to be kept for it

    def _count(self, size: int) -> None:
        self._size += size
        self._wrote(size)
