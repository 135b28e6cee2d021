"""Readers over a memory volume, and a wrapper that counts, gates and breaks what is read from it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pannier.archive.plan import Shape
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection
from pannier.services.orders import Order, PlanSettings
from pannier.services.planning import Plans
from pannier.state.checksums import ChecksumMemory
from pannier.streams.ahead import AheadSettings, Background
from pannier.streams.archive import ArchiveReader, Engine
from pannier.streams.hashing import Hashing, Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Folder, Found, Listing, Source, Volume, WholeReader
from pannier.volumes.memory import MemoryVolume
from pannier.volumes.whole import OpeningReader
from pannier.window import Window

FOLDER = FolderId(None, uuid.UUID(int=7))


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread or another task brings about."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a thread sets no asyncio.Event
            await asyncio.sleep(0.01)


@dataclass
class Watched:
    """What a watched volume saw, and what it lets pass."""

    opened: int = 0
    closed: int = 0
    read: dict[bytes, int] = field(default_factory=dict)
    """Bytes read of each file."""
    gate: threading.Event = field(default_factory=threading.Event)
    """Reads wait for it; open from the start."""
    told: Callable[[int], None] = lambda offset: None
    """Called in the thread that reads, before each read, with its offset."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.gate.set()


class WatchedSource:
    def __init__(self, source: Source, path: bytes, watched: Watched) -> None:
        self._source, self._path, self._watched = source, path, watched
        self._closed = False

    def read(self, offset: int, length: int) -> bytes:
        assert self._watched.gate.wait(30)
        self._watched.told(offset)
        data = self._source.read(offset, length)
        with self._watched.lock:
            self._watched.read[self._path] = self._watched.read.get(self._path, 0) + len(data)
        return data

    def check(self) -> None:
        self._source.check()

    def changed_ns(self) -> int | None:
        return self._source.changed_ns()

    def fileno(self) -> int | None:
        return self._source.fileno()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            with self._watched.lock:
                self._watched.closed += 1
        self._source.close()


class WatchedFolder:
    def __init__(self, folder: Folder, watched: Watched) -> None:
        self._folder, self._watched = folder, watched

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        return self._folder.lookup(path, follow=follow)

    def scan(self, source: bytes) -> Listing:
        return self._folder.scan(source)

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        return self._folder.identities(source, names)

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        opened = self._folder.open(source, identity, path)
        with self._watched.lock:
            self._watched.opened += 1
        return WatchedSource(opened, path, self._watched)

    def whole_reader(self) -> WholeReader:
        return OpeningReader(self)

    def close(self) -> None:
        self._folder.close()


class WatchedVolume:
    """A volume whose reading is watched."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        self.watched = Watched()
        self.name, self.id = volume.name, volume.id
        self.identity_scheme, self.clock_granularity_ns = volume.identity_scheme, volume.clock_granularity_ns

    def now_ns(self) -> int:
        return self._volume.now_ns()

    def folder(self, folder: FolderId) -> Folder:
        return WatchedFolder(self._volume.folder(folder), self.watched)

    def close(self) -> None:
        self._volume.close()


class Bench:
    """One engine over one watched memory folder."""

    def __init__(self, ahead: AheadSettings, pending_above: int) -> None:
        self.memory = MemoryVolume("m")
        self.memory.make_folder(FOLDER)
        self.volume = WatchedVolume(self.memory)
        self.watched = self.volume.watched
        self.place = Place(self.volume, FOLDER)
        self.workers = [Workers(name, 4) for name in ("stream", "hash", "walk")]
        self.checksums = ChecksumMemory(1_000)
        self.hashing = Hashing(self.workers[1], self.checksums)
        self.background = Background(ahead)
        self.engine = Engine(self.workers[0], self.hashing, self.background, ahead, pending_above)
        self.plans = Plans(PlanSettings(fresh_least=0, fresh_most=0), self.workers[2])
        self.changes: list[str] = []

    def write(self, path: bytes, data: bytes) -> None:
        self.memory.write(FOLDER, path, data)

    async def shape(self) -> Shape:
        return (await self.plans.plan(Order(self.place, Selection(files=(".",))))).demand()

    def reader(self, shape: Shape, session: str = "s") -> ArchiveReader:
        return ArchiveReader(
            self.engine,
            self.place,
            shape,
            filename="a.zip",
            session=session,
            on_changed=lambda: self.changes.append(session),
        )


@asynccontextmanager
async def bench(ahead: AheadSettings | None = None, pending_above: int = 1 << 40) -> AsyncIterator[Bench]:
    """A bench; when it is left, every file that was opened must have been closed."""
    made = Bench(ahead or AheadSettings(), pending_above)
    try:
        yield made
    finally:
        made.watched.gate.set()
        await made.plans.close()
        await made.background.close()
        await made.hashing.close()
        for workers in made.workers:
            await workers.close()
    assert made.watched.opened == made.watched.closed


async def collect(reader: ArchiveReader, window: Window | None = None) -> list[bytes]:
    """Read a window to its end; a memory volume gives no spans."""
    items: list[bytes] = []
    async for item in reader.read(window):
        assert isinstance(item, bytes)
        items.append(item)
    return items
