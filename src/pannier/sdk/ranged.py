"""A part that is filled by ranges: several at the same time, checked behind the first gap, noted as it grows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

from pannier.quantities import MIB
from pannier.sdk.fetching import Fetching
from pannier.sdk.following import Following
from pannier.sdk.parts import Part
from pannier.sdk.threads import in_thread
from pannier.sdk.verification import Check, Checked, EntriesDamaged, checks_inside
from pannier.window import Window

_FIRST_SAVE, _LAST_SAVE = 0.25, 1.0
"""Seconds before what came is made durable and noted: a kill loses little, and little is left to write at the end."""
_SMALLEST_PIECE, _LARGEST_PIECE = 4 * MIB, 64 * MIB


class Ranged:
    """Fills a part."""

    def __init__(
        self, part: Part, fetching: Fetching, check: Check, *, parallel: int, wrote: Callable[[int], None]
    ) -> None:
        """Made in an event loop.

        ``wrote`` is told of the bytes of each write; ``check`` looks at all that is there, from the beginning.
        """
        assert part.version.length is not None
        self._part, self._fetching, self._check, self._wrote = part, fetching, check, wrote
        self._windows = deque(pieces(part.done.missing(Window(0, part.version.length)).windows, parallel))
        self._lanes = min(parallel, len(self._windows))
        self._following = Following(part)
        self._loop = asyncio.get_running_loop()

    async def run(self) -> Checked:
        """Fetch what is missing, and return what was checked. What came is kept, and noted, however it ends.

        Raises:
            EntriesDamaged: What came is not sound; what is to blame counts as missing from now on.
            Damaged, ArchiveChanged, Unreachable, Declined, TargetUnusable: It cannot become whole.
        """
        part, following = self._part, self._following
        following.advance(part.done)
        checking = saving = checked = None
        try:
            if checks_inside(self._check):
                checking = asyncio.create_task(in_thread(self._check_and_leave))
            else:
                following.leave()
            saving = asyncio.create_task(self._save_now_and_then())
            await all_of(self._lane(lane) for lane in range(self._lanes))
            following.end()
            checked = await checking if checking is not None else self._check(_NOTHING)
        except EntriesDamaged as error:
            for window in error.windows:
                part.forget(window)
            raise
        finally:
            following.stop()
            if saving is not None:
                saving.cancel()
            await asyncio.gather(*filter(None, (saving, checking)), return_exceptions=True)
            if checked is None:
                await in_thread(part.checkpoint)
        return checked

    async def _lane(self, lane: int) -> None:
        """Fetch one window after the other on one connection."""
        while self._windows:
            window = self._windows.popleft()
            await self._fetching.pour(window, self._write, lane)

    def _check_and_leave(self) -> Checked:
        try:
            return self._check(self._following)
        finally:
            self._following.leave()

    def _write(self, piece: memoryview, at: int) -> None:
        window = self._part.write(piece, at)
        self._following.lend(piece, at)
        self._loop.call_soon_threadsafe(self._take_note, window)

    def _take_note(self, window: Window) -> None:
        self._part.done = self._part.done.add(window)
        self._following.advance(self._part.done)
        self._wrote(window.length)

    async def _save_now_and_then(self) -> None:
        seconds = _FIRST_SAVE
        while True:
            await asyncio.sleep(seconds)
            await in_thread(self._part.checkpoint)
            seconds = min(2 * seconds, _LAST_SAVE)


class _Nothing:
    def read(self, most: int) -> bytes:
        return b""


_NOTHING = _Nothing()


def pieces(missing: Iterable[Window], parallel: int) -> Iterator[Window]:
    """Cut what is missing into what one request asks for: few large parts, but some for each connection."""
    missing = list(missing)
    if parallel == 1:
        yield from missing
        return
    total = sum(window.length for window in missing)
    size = min(max(total // (parallel * 4) // MIB * MIB, _SMALLEST_PIECE), _LARGEST_PIECE)
    for window in missing:
        for start in range(window.start, window.stop, size):
            yield Window(start, min(start + size, window.stop))


async def all_of(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines side by side; the first that fails ends them all, and its error is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
