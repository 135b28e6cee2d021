"""CRC-32 of planned files: computed in threads, shared, remembered, and ahead of whoever sends them.

A hash belongs to nobody: whoever needs it waits for it, equal ones are computed once, and one that is interrupted keeps
where it was, so that the next who needs it goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from pannier import metrics
from pannier.archive.entries import Entry, Kind
from pannier.archive.plan import Shape
from pannier.crc import crc32
from pannier.dto.ids import FolderId
from pannier.errors import SourceChanged
from pannier.state.base import ChecksumStore
from pannier.streams.running_crc import RunningCrc
from pannier.streams.workers import Workers, seen
from pannier.volumes.base import Folder, Volume

SMALL = 128 * 1024
"""Files up to this size are read once into a buffer, hashed and sent from it; larger ones are hashed ahead."""

_FILE = Kind.FILE.value
_PARTIALS = 4_096
_LOOKED_UP = 8_192
_GRACE = 0.5
"""Seconds a computation outlives its last waiter: who takes over, or comes back at once, finds it running."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a plan are."""

    volume: Volume
    folder_id: FolderId

    def open(self) -> Folder:
        """Open the folder; blocks."""
        return self.volume.folder(self.folder_id)


class Hashing:
    """The process's checksums: what is remembered, and what is being computed."""

    def __init__(self, workers: Workers, store: ChecksumStore) -> None:
        self._workers = workers
        self._store = store
        self._jobs: dict[tuple[str, bytes], _Job] = {}
        self._partials: OrderedDict[tuple[str, bytes], tuple[int, int]] = OrderedDict()

    def known(self, place: Place, shape: Shape, number: int) -> int | None:
        """Return the checksum of entry ``number`` if it is at hand; touches no disk, from any thread."""
        crc = shape.checksums.get(number)
        if crc is None:
            crc = self._store.recall(place.volume.id, shape.layout.entries.identity(number))
            if crc is not None:
                shape.checksums.put(number, crc)
        return crc

    def learn(self, place: Place, shape: Shape, number: int, crc: int) -> None:
        """Keep a checksum of content that was read whole and checked to be what was planned; from any thread."""
        shape.checksums.put(number, crc)
        self.learnt(place, shape, (number,))

    def learnt(self, place: Place, shape: Shape, numbers: Sequence[int]) -> None:
        """Keep what the shape's checksums were told of entries: as ``learn``, of many."""
        entries, values = shape.layout.entries, shape.checksums.values
        kept = [number for number in numbers if number not in shape.unsettled] if shape.unsettled else numbers
        if isinstance(kept, range):  # by columns: this is done for every small file that is sent for the first time
            start, stop = kept.start, kept.stop
            identities, paths = entries.identities(start, stop), entries.paths(start, stop)
            self._store.put_many(place.volume.id, identities, values[start:stop], paths)
            return
        self._store.put_many(
            place.volume.id,
            [entries.identity(number) for number in kept],
            [values[number] for number in kept],
            [entries.path(number) for number in kept],
        )

    def relearn(self, place: Place, shape: Shape, number: int, crc: int) -> None:
        """Keep the checksum of content that contradicted the one that was known; as ``learn``."""
        if number in shape.unsettled:
            self._store.forget(place.volume.id, shape.layout.entries.identity(number))
        self.learn(place, shape, number, crc)

    def passed(self, place: Place, shape: Shape, number: int, crc: int) -> None:
        """Hold the checksum of content that passed whole, and was checked after that, against the one that is known.

        Raises:
            SourceChanged: They differ; the known one may stand in the archive already.
        """
        known = self.known(place, shape, number)
        if known is None:
            self.learn(place, shape, number, crc)
        elif known != crc:
            self.relearn(place, shape, number, crc)
            path = shape.layout.entries.path(number)
            raise SourceChanged(path, f"its CRC-32 is {crc:08x}, where {known:08x} was read before")

    def passed_many(self, place: Place, shape: Shape, numbers: range, crcs: Sequence[int]) -> None:
        """``passed`` of consecutive entries; what is said of those without content does not count."""
        checksums = shape.checksums
        if checksums.are(numbers, crcs):
            return
        if checksums.put_new(numbers, crcs):
            self.learnt(place, shape, numbers)
            return
        unknown = checksums.unknown(numbers)
        for number, crc in zip(numbers, crcs, strict=True):
            differs = checksums.known[number] and checksums.values[number] != crc
            if differs and shape.layout.entries.kinds[number] == _FILE:
                self.passed(place, shape, number, crc)
        for number in unknown:
            checksums.put(number, crcs[number - numbers.start])
        if unknown:
            self.learnt(place, shape, unknown)

    async def crc(self, place: Place, shape: Shape, number: int) -> int:
        """Return the checksum of entry ``number``, computing it if nobody did; equal computations are one.

        Raises:
            SourceChanged: The file is not what was planned.
            VolumeFailed: It cannot be read.
        """
        known = self.known(place, shape, number)
        if known is not None:
            return known
        entry = shape.entry(number)
        key = (place.volume.id, entry.identity)
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job(asyncio.create_task(self._compute(place, entry, key)))
            job.task.add_done_callback(seen)
        job.waiting += 1
        try:
            crc = await asyncio.shield(job.task)
        finally:
            job.waiting -= 1
            if not job.waiting and not job.task.done():
                asyncio.get_running_loop().call_later(_GRACE, self._end_unwanted, key, job)
            del job  # it has what is raised, which refers to this frame
        self.learn(place, shape, number, crc)
        return crc

    async def crc_of_small(self, place: Place, shape: Shape, numbers: Sequence[int]) -> None:
        """Learn the checksums of many small files in one thread call; errors as ``crc``."""
        await self._workers.run(self._hash_small, place, shape, numbers)

    def unknown(self, place: Place, shape: Shape, numbers: Sequence[int]) -> list[int]:
        """Those of ``numbers`` whose checksum is needed and unknown; may read a disk, call it in a thread."""
        if isinstance(numbers, range):
            asked = shape.checksums.unknown(numbers)
        else:
            known = shape.checksums.known
            asked = [number for number in numbers if not known[number]]
        left = self._look_up(place, shape, asked)
        metrics.looked_up(len(numbers) - len(left), 0)
        return left

    def not_at_hand(self, place: Place, shape: Shape, numbers: Sequence[int]) -> list[int]:
        """Those of ``numbers``, a few, whose checksum is not at hand, and may be known to the store; as ``known``."""
        left = [number for number in numbers if self.known(place, shape, number) is None]
        metrics.looked_up(len(numbers) - len(left), 0)
        return left

    def _look_up(self, place: Place, shape: Shape, numbers: Sequence[int]) -> list[int]:
        """Ask the store for all of ``numbers`` at once, and return those that it does not know."""
        left, identity = [], shape.layout.entries.identity
        for at in range(0, len(numbers), _LOOKED_UP):
            part = numbers[at : at + _LOOKED_UP]
            found = self._store.get_many(place.volume.id, [identity(number) for number in part])
            for number, crc in zip(part, found, strict=True):
                if crc is None:
                    left.append(number)
                else:
                    shape.checksums.put(number, crc)
        return left

    async def close(self) -> None:
        """End all computations."""
        for job in list(self._jobs.values()):
            job.task.cancel()
        await asyncio.gather(*(job.task for job in self._jobs.values()), return_exceptions=True)

    async def _compute(self, place: Place, entry: Entry, key: tuple[str, bytes]) -> int:
        try:
            running = RunningCrc(self._workers, place.open, entry, *self._partials.get(key, (0, 0)))
            known = await self._workers.run(self._begin, place, running)
            while known is None and not running.ended:
                self._partials[key] = running.offset, running.crc
                self._partials.move_to_end(key)
                await running.go_on()
            self._partials.pop(key, None)
        finally:
            if (job := self._jobs.get(key)) is not None and job.task is asyncio.current_task():
                del self._jobs[key]
            while len(self._partials) > _PARTIALS:
                self._partials.popitem(last=False)
        return running.crc if known is None else known

    def _begin(self, place: Place, running: RunningCrc) -> int | None:
        """Look a checksum up, or begin to read; one wait for a thread, not two."""
        known = self._store.get(place.volume.id, running.entry.identity)
        if known is not None:
            metrics.looked_up(1, 0)
            return known
        if not running.offset:
            metrics.looked_up(0, 1)
        running.begin()
        return None

    def _end_unwanted(self, key: tuple[str, bytes], job: _Job) -> None:
        if not job.waiting and self._jobs.get(key) is job:
            del self._jobs[key]  # at once: whoever comes while it ends must not wait for a cancelled task
            job.task.cancel()

    def _hash_small(self, place: Place, shape: Shape, numbers: Sequence[int]) -> None:
        folder = place.open()
        try:
            with closing(folder.whole_reader()) as whole:
                for number in numbers:
                    if self.known(place, shape, number) is None:
                        metrics.looked_up(0, 1)
                        entry = shape.entry(number)
                        (data,) = whole.read([(entry.source, entry.identity, entry.size, entry.path)])
                        self.learn(place, shape, number, crc32(data, 0))
        finally:
            folder.close()


@dataclass(slots=True)
class _Job:
    """One computation and how many wait for it; it ends soon after the last of them left."""

    task: asyncio.Task[int]
    waiting: int = 0
