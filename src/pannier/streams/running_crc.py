"""The CRC-32 of one file, computed in bursts: by one thread, by two as long as content comes as fast as from memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pannier.archive.entries import Entry
from pannier.crc import crc32, crc32_combine
from pannier.errors import SourceChanged
from pannier.streams.workers import Workers
from pannier.volumes.base import Folder

_BURST = 0.25
"""Seconds one thread call reads before it comes back to the loop, where it may be told to stop; twice that at most by
two, who are given what they read in so long."""
_STEP = 1024 * 1024
_LEAST = 256 * _STEP
"""Bytes that are left, at least, for two threads to share. One reads less than that in a moment, or slowly anyway, and
whoever waits for it should not wait for a thread twice."""
_FIRST = 0.02
"""Seconds of the first burst of a larger file, which finds out how fast content comes."""
_FAST = 1e9
"""Bytes a second from which on two threads read: from memory or flash, where that is nearly twice as fast. A disk would
have to move its heads between them, and where threads are scarce, their wait makes it slower than that."""


@dataclass(slots=True)
class RunningCrc:
    """How far the CRC-32 of a file has come; as a value to go on from, ``offset`` and ``crc`` are all.

    Attributes:
        workers: Threads to read in.
        open: Opens the folder of the file; blocks.
        entry: The file, as planned.
        offset: Bytes that are in ``crc``.
        crc: Of the first ``offset`` bytes.
    """

    workers: Workers
    open: Callable[[], Folder]
    entry: Entry
    offset: int = 0
    crc: int = 0
    _speed: float = field(default=0.0, init=False)
    """Bytes a second of the last burst; waiting for a thread included, but for the first."""

    @property
    def ended(self) -> bool:
        return self.offset >= self.entry.size

    def begin(self) -> None:
        """Read the first burst; blocks. The file's identity is checked before and after.

        Raises:
            SourceChanged: The file is not what was planned.
            VolumeFailed: It cannot be read.
        """
        before, began = self.offset, time.monotonic()
        seconds = _FIRST if self._is_worth_two() else _BURST
        self.offset, self.crc = self._read(before, self.entry.size, self.crc, seconds)
        self._measure(before, began)

    async def go_on(self) -> None:
        """Read one burst more; errors as ``begin``."""
        before, began = self.offset, time.monotonic()
        if not self._speed:
            await self.workers.run(self.begin)
            return
        if self._speed >= _FAST and self._is_worth_two():
            await self._by_two()
        else:
            self.offset, self.crc = await self.workers.run(self._read, before, self.entry.size, self.crc, _BURST)
        self._measure(before, began)

    def _is_worth_two(self) -> bool:
        return self.entry.size - self.offset >= _LEAST

    def _measure(self, before: int, began: float) -> None:
        self._speed = (self.offset - before) / max(time.monotonic() - began, 1e-6)

    async def _by_two(self) -> None:
        """Read what one burst lasts for, each thread a half of it."""
        length = min(int(self._speed * _BURST), self.entry.size - self.offset)
        middle, stop = self.offset + length // 2 // _STEP * _STEP, self.offset + length
        second = self.workers.begin(self._read, middle, stop, 0, 2 * _BURST)
        try:
            at, crc = await self.workers.run(self._read, self.offset, middle, self.crc, 2 * _BURST)
            end, second_crc = await second.end()
        except BaseException:
            await second.drop()  # nothing reads any more when this ends, however it does
            raise
        finally:
            del second  # it has what is raised, which refers to this frame
        if at == middle:
            at, crc = end, crc32_combine(crc, second_crc, end - middle)
        self.offset, self.crc = at, crc  # what the second has read counts if the first came that far

    def _read(self, offset: int, stop: int, crc: int, seconds: float) -> tuple[int, int]:
        """Read from ``offset`` on, up to ``stop`` or for so long; return where it ended, and the CRC."""
        entry = self.entry
        folder = self.open()
        try:
            source = folder.open(entry.source, entry.identity, entry.path)
            try:
                until = time.monotonic() + seconds
                while offset < stop:  # at least one step, whatever the time
                    data = source.read(offset, min(_STEP, stop - offset))
                    if not data:
                        raise SourceChanged(entry.path, f"it ends after {offset:,} of {entry.size:,} bytes")
                    crc = crc32(data, crc)
                    offset += len(data)
                    if time.monotonic() >= until:
                        break
                source.check()
            finally:
                source.close()
        finally:
            folder.close()
        return offset, crc
