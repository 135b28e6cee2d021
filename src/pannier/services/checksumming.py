"""Reading a folder for its checksums alone: to learn those that are unknown, or to hold the kept ones to account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from pannier.archive.entries import Kind
from pannier.archive.plan import Shape
from pannier.crc import crc32
from pannier.dto.archives import LinkPolicy
from pannier.dto.paths import to_text
from pannier.dto.selections import Selection
from pannier.errors import SourceChanged, SourceUnreadable, show
from pannier.services.orders import Order
from pannier.services.planning import Plans
from pannier.streams.hashing import SMALL, Hashing, Place
from pannier.streams.running_crc import RunningCrc
from pannier.streams.workers import Workers

_PART = 16_384
"""Files looked up at once, and after which what was learnt is written."""
_BATCH_FILES, _BATCH_BYTES = 256, 16 * 1024 * 1024
_ROUNDS = 3
"""Times that a folder is walked again without what could not be included the last time."""


@dataclass(slots=True)
class Tally:
    """How far it is, over all folders."""

    files: int = 0
    size: int = 0
    """Bytes."""
    files_done: int = 0
    size_done: int = 0
    known: int = 0
    """Files whose checksum had been kept before, or that are empty."""
    read: int = 0
    mismatches: list[tuple[str, bytes]] = field(default_factory=list)
    """Folder and path of content that contradicts what was kept; that was replaced."""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Folder, and what could not be read there and why."""


@dataclass(slots=True)
class _Outcome:
    """What one batch came to: numbers whose content differs, and what could not be read."""

    different: list[int] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Checksumming:
    """One run over some folders.

    Args:
        plans: What walks.
        hashing: What computes and keeps.
        workers: Threads that read.
        settle: Blocks until what was learnt is written; called after each part.
        at_once: Reads at the same time.
    """

    def __init__(
        self, plans: Plans, hashing: Hashing, workers: Workers, settle: Callable[[], object], *, at_once: int
    ) -> None:
        self._plans, self._hashing, self._workers, self._settle = plans, hashing, workers, settle
        self._free = asyncio.Semaphore(at_once)
        self.tally = Tally()

    async def warm(self, place: Place, name: str, paths: Sequence[str]) -> None:
        """Learn what is not known of ``paths`` and all below them; ``name`` is the folder's in the tally.

        Raises:
            SelectionRefused, LimitExceeded, FolderMissing, VolumeFailed: Nothing of the folder can be read.
        """
        await self._go_through(place, name, paths, unknown=True)

    async def verify(self, place: Place, name: str, paths: Sequence[str]) -> None:
        """Read again what is known of ``paths`` and all below them, and compare; errors as ``warm``."""
        await self._go_through(place, name, paths, unknown=False)

    async def _go_through(self, place: Place, name: str, paths: Sequence[str], *, unknown: bool) -> None:
        shape = await self._shape(place, name, paths)
        files = await self._workers.run(_files, shape)
        self.tally.files += len(files)
        self.tally.size += sum(shape.entry(number).size for number in files)
        for at in range(0, len(files), _PART):
            part = files[at : at + _PART]
            left = set(await self._workers.run(self._hashing.unknown, place, shape, part))
            wanted = [n for n in part if (n in left) is unknown and shape.entry(n).size]
            self.tally.known += len(part) - len(left)
            passed_over = set(part).difference(wanted)
            self.tally.files_done += len(passed_over)
            self.tally.size_done += sum(shape.entry(number).size for number in passed_over)
            async with asyncio.TaskGroup() as group:
                for batch in _batches(shape, wanted):
                    await self._free.acquire()
                    group.create_task(self._batch(place, name, shape, batch, unknown=unknown))
            await self._workers.run(self._settle)

    async def _shape(self, place: Place, name: str, paths: Sequence[str]) -> Shape:
        """Plan the folder without what cannot be part of an archive, and without links: what they lead to is there."""
        left_out: dict[str, str] = {}
        asked = {*paths, "", "."}
        for round in range(_ROUNDS):
            selection = Selection(files=tuple(paths), links=LinkPolicy.OMIT, except_=tuple(left_out))
            plan = await self._plans.plan(Order(place, selection))
            offences = {to_text(each.path): f"{show(each.path)}: {each.detail}" for each in plan.offences}
            if plan.shape is not None or asked & offences.keys() or round + 1 == _ROUNDS:
                self.tally.skipped += ((name, why) for why in left_out.values())
                return plan.demand()
            left_out |= offences
        raise AssertionError("the last round returns or raises")

    async def _batch(self, place: Place, name: str, shape: Shape, batch: Sequence[int], *, unknown: bool) -> None:
        try:
            if shape.entry(batch[0]).size > SMALL:
                outcome = await self._large(place, shape, batch[0], unknown=unknown)
            else:
                outcome = await self._workers.run(self._small, place, shape, batch, unknown)
        finally:
            self._free.release()
        tally = self.tally
        tally.files_done += len(batch)
        tally.size_done += sum(shape.entry(number).size for number in batch)
        tally.read += len(batch) - len(outcome.skipped)
        tally.mismatches += ((name, shape.entry(number).path) for number in outcome.different)
        tally.skipped += ((name, why) for why in outcome.skipped)

    async def _large(self, place: Place, shape: Shape, number: int, *, unknown: bool) -> _Outcome:
        outcome = _Outcome()
        try:
            if unknown:
                await self._hashing.crc(place, shape, number)
                return outcome
            running = RunningCrc(self._workers, place.open, shape.entry(number))
            while not running.ended:
                await running.go_on()
            self._judge(place, shape, number, running.crc, outcome)
        except (SourceChanged, SourceUnreadable) as error:
            outcome.skipped.append(str(error))
        return outcome

    def _small(self, place: Place, shape: Shape, numbers: Sequence[int], unknown: bool) -> _Outcome:
        outcome = _Outcome()
        folder = place.open()
        try:
            with closing(folder.whole_reader()) as whole:
                for number in numbers:
                    if unknown and self._hashing.known(place, shape, number) is not None:
                        continue  # another name of a file that was just read
                    entry = shape.entry(number)
                    try:
                        (data,) = whole.read([(entry.source, entry.identity, entry.size, entry.path)])
                    except (SourceChanged, SourceUnreadable) as error:
                        outcome.skipped.append(str(error))
                    else:
                        self._judge(place, shape, number, crc32(data, 0), outcome)
        finally:
            folder.close()
        return outcome

    def _judge(self, place: Place, shape: Shape, number: int, crc: int, outcome: _Outcome) -> None:
        try:
            self._hashing.passed(place, shape, number, crc)
        except SourceChanged:  # its identity was checked: what was kept is what is wrong
            outcome.different.append(number)


def _files(shape: Shape) -> list[int]:
    return [number for number in range(shape.entries) if shape.entry(number).kind is Kind.FILE]


def _batches(shape: Shape, numbers: Sequence[int]) -> list[list[int]]:
    """Large files one by one, small ones together; the large ones first, as they take longest."""
    batches = [[number] for number in numbers if shape.entry(number).size > SMALL]
    batch: list[int] = []
    size = 0
    for number in numbers:
        if shape.entry(number).size > SMALL:
            continue
        batch.append(number)
        size += shape.entry(number).size
        if len(batch) >= _BATCH_FILES or size >= _BATCH_BYTES:
            batches.append(batch)
            batch, size = [], 0
    return [*batches, batch] if batch else batches
