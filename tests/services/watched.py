"""A volume that tells what is asked of it, and can be made to wait: what the tests of walks look through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pannier.archive.plan import Plan
from pannier.dto.archives import ArchiveOptions
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection
from pannier.services.orders import Order, PlanSettings
from pannier.services.planning import Plans
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Folder, Found, Listing, Source, Volume, WholeReader
from pannier.volumes.memory import MemoryVolume
from pannier.volumes.whole import OpeningReader
from tests.dto.examples import FOLDER

PATIENCE = 20.0
"""Seconds after which a test that waits for an event has failed."""


class Watched:
    """A ``Volume`` in front of another one."""

    def __init__(self, inner: Volume) -> None:
        self._inner = inner
        self.clock_granularity_ns = inner.clock_granularity_ns
        self.walks = 0
        """How often a folder was opened: once for each walk."""
        self.scanned: list[bytes] = []
        self.looked_up: list[bytes] = []
        self.looked_again: list[tuple[bytes, ...]] = []
        """Directories, each with the names whose identities were asked for."""
        self.entered = threading.Event()
        """Set when a directory is about to be listed."""
        self._gate = threading.Event()
        self._gate.set()
        self.before_scan: Callable[[bytes], None] = lambda source: None
        self.open_folders = 0

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def id(self) -> str:
        return self._inner.id

    @property
    def identity_scheme(self) -> str:
        return self._inner.identity_scheme

    def now_ns(self) -> int:
        return self._inner.now_ns()

    def folder(self, folder: FolderId) -> Folder:
        opened = WatchedFolder(self, self._inner.folder(folder))
        self.walks += 1
        self.open_folders += 1
        return opened

    def close(self) -> None:
        self._inner.close()

    def hold(self) -> None:
        """Make every listing of a directory wait."""
        self.entered.clear()
        self._gate.clear()

    def release(self) -> None:
        """Let what waits go on."""
        self._gate.set()

    def wait(self) -> None:
        """Wait at the gate."""
        self.entered.set()
        if not self._gate.wait(PATIENCE):
            raise AssertionError("nobody opened the gate")

    async def until_entered(self) -> None:
        """Wait until a listing has begun."""
        assert await asyncio.to_thread(self.entered.wait, PATIENCE), "no directory was listed"


class WatchedFolder:
    """A ``Folder`` of a watched volume."""

    def __init__(self, volume: Watched, inner: Folder) -> None:
        self._volume, self._inner, self._closed = volume, inner, False

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        self._volume.looked_up.append(path)
        return self._inner.lookup(path, follow=follow)

    def scan(self, source: bytes) -> Listing:
        self._volume.scanned.append(source)
        self._volume.wait()
        self._volume.before_scan(source)
        return self._inner.scan(source)

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        self._volume.looked_again.append((source, *names))
        return self._inner.identities(source, names)

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        return self._inner.open(source, identity, path)

    def whole_reader(self) -> WholeReader:
        return OpeningReader(self)

    def close(self) -> None:
        self._inner.close()
        self._volume.open_folders -= not self._closed
        self._closed = True


class Hands:
    """A clock that is moved by hand, in nanoseconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_795_338_094_000_000_000

    def __call__(self) -> int:
        return self.now


class CoarseVolume(MemoryVolume):
    """A volume that stamps in steps of 10 ms, as file systems do: several changes may carry one stamp."""

    clock_granularity_ns = 10_000_000

    def _tick(self) -> int:
        now = self._clock()
        self._last = now - now % self.clock_granularity_ns
        return self._last


def memory(**tree: bytes) -> MemoryVolume:
    """Return a volume with the folder `FOLDER`; files by keyword, for names that are words."""
    volume = MemoryVolume("v")
    volume.make_folder(FOLDER)
    for name, data in tree.items():
        volume.write(FOLDER, name.encode(), data)
    return volume


def grow(volume: MemoryVolume, *paths: bytes) -> MemoryVolume:
    """Put a file at each path, an empty directory where it ends in a slash."""
    for path in paths:
        if path.endswith(b"/"):
            volume.mkdir(FOLDER, path.rstrip(b"/"))
        else:
            volume.write(FOLDER, path, b"content of " + path)
    return volume


def order(volume: Volume, *files: str, **options: Any) -> Order:
    """Return the order of a selection; options by the names of the wire (``except_`` for ``except``)."""
    return Order(Place(volume, FOLDER), Selection.of(files, ArchiveOptions(**options)))


def inside_of(volume: Volume, base: bytes) -> Order:
    """Return the order of all that is in a directory, seen from there."""
    return Order(Place(volume, FOLDER), Selection(files=(".",)), base)


@asynccontextmanager
async def planner(**settings: Any) -> AsyncIterator[Plans]:
    """Make plans for the time of a block."""
    chosen = PlanSettings(**settings)
    workers = Workers("walk", chosen.concurrent + 1)
    plans = Plans(chosen, workers)
    try:
        yield plans
    finally:
        await plans.close()
        await workers.close()


async def plan(volume: Volume, *files: str, settings: dict[str, Any] | None = None, **options: Any) -> Plan:
    """Return the plan of a selection, made by a walk of its own."""
    async with planner(**settings or {}) as plans:
        return await plans.plan(order(volume, *files, **options))


def names(plan: Plan) -> list[bytes]:
    """Return the entries of a plan, in its order."""
    return [entry.name for entry in plan.entries]


def refused(plan: Plan) -> dict[bytes, str]:
    """Return the offenders of a plan and their codes; it has no archive then."""
    assert (plan.shape is None) == bool(plan.offences)
    return {offence.path: str(offence.code) for offence in plan.offences}
