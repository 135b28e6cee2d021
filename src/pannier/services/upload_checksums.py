"""Checksums of files that were just uploaded: known without reading them again.

They are of bytes that passed through this process from the first to the last; of any other upload nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from pannier.errors import FolderMissing, VolumeFailed
from pannier.state.base import ChecksumStore
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Published, Refused

_MOST_UNFINISHED = 4_096
_MOST_WAITING = 1_024
_TICKS = 2.0
"""How many of the clock's ticks a file must be quiet for."""


class UploadChecksums:
    """The CRC-32 of uploads while they grow, and of the files that they became.

    Args:
        workers: Threads that wait for storage.
        store: What keeps them.
    """

    def __init__(self, workers: Workers, store: ChecksumStore) -> None:
        self._workers, self._store = workers, store
        self._unfinished: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._waiting: set[asyncio.Task[None]] = set()

    def at(self, session: bytes, offset: int) -> int | None:
        """Take what is known of an upload's first ``offset`` bytes, which are about to become more."""
        at, crc = self._unfinished.pop(session, (0, 0))
        return crc if at == offset else None

    def put(self, session: bytes, offset: int, crc: int | None) -> None:
        """Remember what the first ``offset`` bytes come to, if that is known."""
        if crc is not None:
            self._unfinished[session] = offset, crc
            if len(self._unfinished) > _MOST_UNFINISHED:
                self._unfinished.popitem(last=False)

    def learn(self, place: Place, published: Published, crc: int | None) -> None:
        """Keep the checksum of a file that appeared, once whatever is written to it shows in its times."""
        if crc is not None and len(self._waiting) < _MOST_WAITING:
            waiting = asyncio.create_task(self._learn(place, published, crc))
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)

    async def close(self) -> None:
        """Give up what still waits: such a file is read when its checksum is needed."""
        for waiting in list(self._waiting):
            waiting.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _learn(self, place: Place, published: Published, crc: int) -> None:
        await asyncio.sleep(_TICKS * place.volume.clock_granularity_ns / 1e9)
        if await self._workers.run(_is_still, place, published):
            self._store.put(place.volume.id, published.identity, crc, published.path)


def _is_still(place: Place, published: Published) -> bool:
    try:
        folder = place.open()
        try:
            found = folder.lookup(published.path, follow=False)
        finally:
            folder.close()
    except (Refused, FolderMissing, VolumeFailed):
        return False
    return found.stat.identity == published.identity
