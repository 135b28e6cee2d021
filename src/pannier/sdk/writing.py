"""Writing what comes, some of it at once, while more is coming."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pannier.quantities import MIB
from pannier.sdk.parts import Part
from pannier.sdk.threads import in_thread
from pannier.window import Window

_AT_ONCE = MIB
"""Bytes that are written by one call."""


class Writing:
    """Writes pieces to a part, one after the other."""

    def __init__(self, part: Part, at: int, wrote: Callable[[Window], None]) -> None:
        """``wrote`` is told of each window that is there."""
        self._part, self._at, self._wrote = part, at, wrote
        self._held: list[bytes] = []
        self._size = 0
        self._writing: asyncio.Task[None] | None = None

    async def put(self, piece: bytes) -> None:
        """Take the next piece; waits while what came before it is written."""
        self._held.append(piece)
        self._size += len(piece)
        if self._size >= _AT_ONCE:
            await self._written()
            self._begin()

    async def flush(self) -> None:
        """Write all that came."""
        await self._written()
        if self._held:
            self._begin()
            await self._written()

    def _begin(self) -> None:
        held, at = self._held, self._at
        self._at += self._size
        self._held, self._size = [], 0
        self._writing = asyncio.create_task(self._write(held, at))

    async def _write(self, held: list[bytes], at: int) -> None:
        self._wrote(await in_thread(self._part.write, held, at))

    async def _written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await asyncio.shield(writing)
