"""Hashing ahead of the sender, for one response; and going on for a while when its client was cut off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from pannier.archive.plan import Shape
from pannier.errors import PannierError
from pannier.streams.hashing import SMALL, Hashing, Place
from pannier.streams.workers import Workers
from pannier.window import Window

_log = logging.getLogger(__name__)

_BATCH_FILES = 256
_BATCH_BYTES = 16 * 1024 * 1024
_FEW = 16
"""Entries that are looked up one by one, each when it is hashed; to look them up together is a wait before that."""


@dataclass(frozen=True, slots=True)
class AheadSettings:
    """How far and how long to hash ahead.

    Attributes:
        lead: Bytes of the archive that may be hashed before they are sent; the next file always is.
        linger: Seconds that hashing goes on after the last request of its session.
        jobs: Sessions whose hashing may go on like that at the same time.
    """

    lead: int = 256 * 1024 * 1024
    linger: float = 60.0
    jobs: int = 2


class Ahead:
    """What a window needs to have hashed, in the order in which it will be needed."""

    def __init__(
        self, hashing: Hashing, workers: Workers, settings: AheadSettings, place: Place, shape: Shape, window: Window
    ) -> None:
        self._hashing, self._workers, self._settings = hashing, workers, settings
        self._place, self._shape, self._window = place, shape, window
        self._position = window.start
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin: headers in the order of the archive, and beside them what only the trailer needs."""
        self._tasks = [
            asyncio.create_task(self._hash_headers(self._settings.lead)),
            asyncio.create_task(self._hash_trailer()),
        ]

    def reached(self, position: int) -> None:
        """Say how far the sender is, as an offset in the archive."""
        self._position = position
        self._moved.set()

    async def stop(self) -> None:
        """End, and wait until nothing runs any more. What is computed elsewhere too goes on there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def finish_unattended(self) -> None:
        """Hash what the client would have needed next, at most the lead, then what the trailer needs."""
        await self._hash_headers(self._settings.lead, wait=False)
        await self._hash_trailer()

    async def _hash_headers(self, lead: int, *, wait: bool = True) -> None:
        with suppress(PannierError):  # the sender meets the same failure, and it is the one to tell
            async for number in self._large_unknown(self._begun_here()):
                offset = self._shape.layout.entry_offset(number)
                while offset - self._position > lead:
                    if not wait:
                        return
                    self._moved.clear()
                    await self._moved.wait()
                await self._hashing.crc(self._place, self._shape, number)

    async def _hash_trailer(self) -> None:
        """Hash what the window does not carry itself but its part of the trailer needs."""
        layout = self._shape.layout
        needed = layout.trailer_entries(self._window)
        if layout.entries_in(self._window):
            # Whoever reaches the trailer passes all entries that begin in the window, and learns their checksums.
            needed = range(needed.start, min(needed.stop, self._begun_here().start))
        with suppress(PannierError):
            await self._hash_all(needed)

    def _begun_here(self) -> range:
        """The entries that begin in the window; one that is cut at its start has its header behind it."""
        numbers = self._shape.layout.entries_in(self._window)
        cut = bool(numbers) and self._shape.layout.entry_offset(numbers.start) < self._window.start
        return range(numbers.start + cut, numbers.stop)

    async def _hash_all(self, numbers: range) -> None:
        at = numbers.start
        while at < numbers.stop:
            part = range(at, min(numbers.stop, at + 20_000))
            at = part.stop
            batch: list[int] = []
            batch_bytes = 0
            for number in await self._workers.run(self._hashing.unknown, self._place, self._shape, part):
                size = self._shape.layout.entries.sizes[number]
                if size > SMALL:
                    await self._hashing.crc(self._place, self._shape, number)
                    continue
                batch.append(number)
                batch_bytes += size
                if len(batch) >= _BATCH_FILES or batch_bytes >= _BATCH_BYTES:
                    await self._hashing.crc_of_small(self._place, self._shape, batch)
                    batch, batch_bytes = [], 0
            if batch:
                await self._hashing.crc_of_small(self._place, self._shape, batch)

    async def _large_unknown(self, numbers: range) -> AsyncIterator[int]:
        at = numbers.start
        while at < numbers.stop:
            part = range(at, min(numbers.stop, at + 20_000))
            at = part.stop
            if len(part) <= _FEW:
                unknown = self._hashing.not_at_hand(self._place, self._shape, self._large(part))
            else:
                unknown = await self._workers.run(self._large_unknown_of_many, part)
            for number in unknown:
                yield number

    def _large_unknown_of_many(self, numbers: range) -> list[int]:
        return self._hashing.unknown(self._place, self._shape, self._large(numbers))

    def _large(self, numbers: range) -> list[int]:
        layout = self._shape.layout
        sizes, first = layout.entries.sizes, layout.checksum_first
        return [number for number in numbers if sizes[number] > SMALL and first(number)]


class Background:
    """Hashing that goes on after its client was cut off: one job a session, few a process, for a limited time.

    A client behind an impatient proxy comes back with a range and finds the checksums done.
    """

    def __init__(self, settings: AheadSettings) -> None:
        self._settings = settings
        self._running = asyncio.Semaphore(settings.jobs)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._last_request: dict[str, float] = {}

    def seen(self, session: str) -> None:
        """A request of the session came: its job may go on for another while."""
        if session in self._jobs:
            self._last_request[session] = asyncio.get_running_loop().time()

    def adopt(self, session: str, work: Ahead) -> None:
        """Go on with ``work`` (not started) for the session, in place of what went on for it so far."""
        if (before := self._jobs.get(session)) is not None:
            before.cancel()
        self._last_request[session] = asyncio.get_running_loop().time()
        self._jobs[session] = asyncio.create_task(self._go_on(session, work))

    async def close(self) -> None:
        """End everything."""
        tasks = list(self._jobs.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _go_on(self, session: str, work: Ahead) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with self._running:
                hashing = asyncio.create_task(work.finish_unattended())
                try:
                    while not hashing.done():
                        left = self._last_request[session] + self._settings.linger - loop.time()
                        if left <= 0:
                            return
                        await asyncio.wait({hashing}, timeout=left)
                    hashing.result()
                finally:
                    hashing.cancel()
                    await asyncio.gather(hashing, return_exceptions=True)
        except Exception:  # noqa: BLE001 - nobody awaits this task: its failure is told here or nowhere
            _log.exception("hashing for a client that left has failed")
        finally:
            if self._jobs.get(session) is asyncio.current_task():
                del self._jobs[session], self._last_request[session]
