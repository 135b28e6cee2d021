"""The reader of archives: segments in, bytes out, every file checked before and after it is read.

What leaves here was compared with the plan: each file's identity when it is opened and after the last byte read from it
in this window, and the checksum of the bytes given with the one in the archive wherever all of a file passed.
The last bytes are given only after all of that, because a failure shows only while the response is incomplete.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pannier.archive.plan import Shape
from pannier.errors import ChecksumsPending, PannierError, SourceChanged
from pannier.streams.ahead import Ahead, AheadSettings, Background
from pannier.streams.base import COPIED, HELD_BACK, Barrier, FileSpan, Item, Version
from pannier.streams.gathering import Gathering
from pannier.streams.hashing import Hashing, Place
from pannier.streams.helpers import NONE, Helpers
from pannier.streams.passage import Passage
from pannier.streams.passing import Run
from pannier.streams.workers import Workers
from pannier.window import Window

_FIRST_GATHERED, _LEAST_GATHERED, _MOST_GATHERED = 128 * 1024, 64 * 1024, 1024 * 1024
"""Bytes of headers and small files that are one piece: at first, for slow clients, for fast ones."""
_QUICK, _SLOW = 0.02, 0.1
"""Seconds within which a client takes a piece to be called fast, and beyond which it is slow."""
_PIECE = 256 * 1024
"""Bytes read at once from a source without a descriptor."""
_PENDING_RETRY = 5


@dataclass(frozen=True, slots=True)
class Engine:
    """What all readers of a process share."""

    workers: Workers
    hashing: Hashing
    background: Background
    ahead: AheadSettings
    pending_above: int = 16 * 1024**3
    """Unhashed bytes above which a window that starts in the trailer is refused for now."""
    quiet_after_ns: int | None = None
    """How long nobody must have touched a file before its pages are sent without a copy; None: no file's ever are."""
    helpers: Helpers = NONE
    """Processes that read small files, too."""


class ArchiveReader:
    """A ``StreamReader`` over the shape of a plan."""

    def __init__(
        self,
        engine: Engine,
        place: Place,
        shape: Shape,
        *,
        filename: str,
        session: str,
        on_changed: Callable[[], None],
    ) -> None:
        """``on_changed`` is called when a source turns out not to be what was planned."""
        self._engine, self._place, self._shape = engine, place, shape
        self._session, self._on_changed = session, on_changed
        self.filename = filename

    @property
    def media_type(self) -> str:
        return self._shape.format.media_type

    @property
    def length(self) -> int:
        return self._shape.layout.length

    @property
    def version(self) -> Version:
        return Version(self._shape.etag, self._shape.last_modified)

    async def read(self, window: Window | None = None) -> AsyncGenerator[Item, None]:
        """Give the bytes of ``window``; see ``StreamReader.read``."""
        whole = Window(0, self.length) if window is None else window
        engine, workers = self._engine, self._engine.workers
        engine.background.seen(self._session)
        await self._refuse_while_pending(whole)
        body, tail = whole.split_tail(HELD_BACK)
        position = whole.start
        passage = Passage(
            self._place, self._shape, engine.hashing, quiet_after_ns=engine.quiet_after_ns, helpers=engine.helpers
        )
        ahead = self._ahead(whole)
        left = True  # unless it turns out to be finished or broken, the client left
        try:
            await workers.run(passage.enter)
            ahead.start()
            async with aclosing(self._items(passage, body, whole)) as items:
                async for item in items:
                    yield item
                    position += _length(item)
                    ahead.reached(position)
            held = bytearray()
            async with aclosing(self._items(passage, tail, None)) as items:
                async for item in items:
                    assert isinstance(item, bytes)
                    held += item
            if last := passage.large.last:
                yield Barrier(last)
                passage.large.through(last)
            await workers.run(passage.settle)
            left = False
            yield bytes(held)
        except PannierError as error:
            left = False
            if isinstance(error, SourceChanged):
                self._on_changed()
            raise
        finally:
            try:
                await ahead.stop()
                if left:  # and may come back for the rest
                    engine.background.adopt(self._session, self._ahead(Window(position, whole.stop)))
            finally:
                await workers.surely(passage.close)

    def _ahead(self, window: Window) -> Ahead:
        engine = self._engine
        return Ahead(engine.hashing, engine.workers, engine.ahead, self._place, self._shape, window)

    async def _refuse_while_pending(self, window: Window) -> None:
        layout, engine = self._shape.layout, self._engine
        if window.start < layout.trailer_offset or not window:
            return
        numbers = layout.trailer_entries(window)
        total, unknown = await engine.workers.run(self._coverage, numbers)
        if unknown > engine.pending_above:
            engine.background.adopt(self._session, self._ahead(window))
            raise ChecksumsPending(known=total - unknown, total=total, retry_after=_PENDING_RETRY)

    def _coverage(self, numbers: range) -> tuple[int, int]:
        sizes = self._shape.layout.entries.sizes
        unknown = self._engine.hashing.unknown(self._place, self._shape, numbers)
        return sum(sizes[numbers.start : numbers.stop]), sum(map(sizes.__getitem__, unknown))

    async def _items(self, passage: Passage, window: Window, whole: Window | None) -> AsyncGenerator[Item, None]:
        """Give a window's bytes, a part of ``whole``. Large files come as spans, where possible; None: not wanted."""
        workers, pace, given = self._engine.workers, _Pace(), window.start
        passage.begin(window)
        gathering = Gathering(workers, passage, lambda: pace.enough)
        try:
            while True:
                burst = await gathering.next()
                if burst.data:
                    pace.begin()
                    yield burst.data
                    pace.end()
                    given += len(burst.data)
                match burst.wants:
                    case int(number):
                        await self._engine.hashing.crc(self._place, self._shape, number)
                    case Run() as run:
                        rest = None if whole is None else Window(given, whole.stop)
                        async with aclosing(self._run(passage, run, rest)) as items:
                            async for item in items:
                                yield item
                        given += run.window.length
                        if whole is not None:
                            passage.large.expect(run.window.stop, given - whole.start)
                            if due := passage.large.due(given - whole.start):
                                yield Barrier(due)
                                passage.large.through(due)
                if burst.ended:
                    return
        finally:
            await gathering.stop()
            del gathering  # it has what was raised, which refers to this frame

    async def _run(self, passage: Passage, run: Run, rest: Window | None) -> AsyncGenerator[bytes | FileSpan, None]:
        """Give a run of bytes of a large file; as a span, with ``rest`` of the response before its end."""
        window, large = run.window, passage.large
        fd = run.source.fileno() if rest is not None else None
        if fd is not None and rest is not None:
            path = self._shape.layout.entries.path(run.number)
            unread = max(0, min(window.length, rest.length - COPIED)) if run.quiet else 0
            yield FileSpan(fd, window.start, window.length, path, large.feed, large.left_unread, unread, lasting=True)
            return
        at = window.start
        while at < window.stop:
            data = await self._engine.workers.run(large.read, run, at, min(_PIECE, window.stop - at))
            at += len(data)
            yield data


def _length(item: Item) -> int:
    match item:
        case FileSpan(length=length):
            return length
        case Barrier():
            return 0
        case _:
            return len(item)


class _Pace:
    """How much to gather at once: a fast client gets long pieces, a slow one never has much waiting for it."""

    def __init__(self) -> None:
        self.enough = _FIRST_GATHERED
        self._began = 0.0

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self) -> None:
        took = time.monotonic() - self._began
        if took < _QUICK:
            self.enough = min(_MOST_GATHERED, self.enough * 2)
        elif took > _SLOW:
            self.enough = max(_LEAST_GATHERED, self.enough // 2)
