"""The reader of archives: segments in, bytes out, every file checked before and after it is read.

What leaves here was compared with the plan: each file's identity when it is opened and after the last byte read from it
in this window, and the checksum of the bytes given with the one in the archive wherever all of a file passed.
The last bytes are given only after all of that, because a failure shows only while the response is incomplete.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import assert_never

from pannier.archive.entries import Entry
from pannier.archive.layout import Content, Late, Literal, Segment
from pannier.archive.plan import Shape
from pannier.errors import ChecksumsPending, PannierError, SourceChanged
from pannier.streams.ahead import Ahead, AheadSettings, Background
from pannier.streams.base import HELD_BACK, FileSpan, Version
from pannier.streams.crc import crc32
from pannier.streams.hashing import SMALL, Hashing, Place, read_whole
from pannier.streams.workers import Workers
from pannier.volumes.base import Folder, Source
from pannier.window import Window

_GATHERED = 256 * 1024
"""Bytes of headers and small files that one thread call collects."""
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

    async def read(self, window: Window | None = None) -> AsyncGenerator[bytes | FileSpan, None]:
        """Give the bytes of ``window``; see ``StreamReader.read``."""
        whole = Window(0, self.length) if window is None else window
        engine, workers = self._engine, self._engine.workers
        engine.background.seen(self._session)
        await self._refuse_while_pending(whole)
        body, tail = whole.split_tail(HELD_BACK)
        position = whole.start
        passage = _Passage(self._place, self._shape, engine.hashing)
        ahead = self._ahead(whole)
        left = True  # unless it turns out to be finished or broken, the client left
        try:
            await workers.run(passage.enter)
            ahead.start()
            async with aclosing(self._items(passage, body, spans=True)) as items:
                async for item in items:
                    yield item
                    position += item.length if isinstance(item, FileSpan) else len(item)
                    ahead.reached(position)
            held = bytearray()
            async with aclosing(self._items(passage, tail, spans=False)) as items:
                async for item in items:
                    assert isinstance(item, bytes)
                    held += item
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
        shape = self._shape
        unknown = self._engine.hashing.unknown(self._place, shape, numbers)
        return sum(shape.entry(n).size for n in numbers), sum(shape.entry(n).size for n in unknown)

    async def _items(self, passage: _Passage, window: Window, *, spans: bool) -> AsyncGenerator[bytes | FileSpan, None]:
        """Give a window's bytes. Large files come as spans, where wanted and possible."""
        workers = self._engine.workers
        segments = _Pushback(self._shape.layout.segments(window))
        ended = False
        while not ended:
            burst = await workers.run(passage.gather, segments)
            ended = burst.ended
            if burst.data:
                yield burst.data
            match burst.wants:
                case Late(entry=number):
                    await self._engine.hashing.crc(self._place, self._shape, number)
                case Content(entry=number, window=run):
                    source = await workers.run(passage.open, number, run)
                    fd = source.fileno() if spans else None
                    if fd is not None:
                        path = self._shape.entry(number).path
                        yield FileSpan(fd, run.start, run.length, path, passage.feed, passage.passed)
                    else:
                        at = run.start
                        while at < run.stop:
                            data = await workers.run(passage.read, source, at, min(_PIECE, run.stop - at))
                            at += len(data)
                            yield data
                    passage.expect(run.stop)


class _Pushback:
    """An iterator whose last item can be put back."""

    def __init__(self, segments: Iterator[Segment]) -> None:
        self._segments = segments
        self._back: Segment | None = None

    def next(self) -> Segment | None:
        if (back := self._back) is not None:
            self._back = None
            return back
        return next(self._segments, None)

    def put_back(self, segment: Segment) -> None:
        self._back = segment


@dataclass(frozen=True, slots=True)
class _Burst:
    """What one thread call gave: bytes, and what must happen before the next one can go on."""

    data: bytes
    wants: Late | Content | None = None
    ended: bool = False


@dataclass(slots=True)
class _Passing:
    """A large file whose bytes are passing: how far, and the checksum of what passed since its first byte."""

    number: int
    source: Source
    at: int
    crc: int | None


class _Passage:
    """The state of one response between thread calls; never used by two threads at once."""

    def __init__(self, place: Place, shape: Shape, hashing: Hashing) -> None:
        self._place, self._shape, self._hashing = place, shape, hashing
        self._folder: Folder | None = None
        self._passing: _Passing | None = None
        self._small: tuple[int, bytes] = (-1, b"")

    def enter(self) -> None:
        """Open the folder."""
        self._folder = self._place.open()

    def gather(self, segments: _Pushback) -> _Burst:
        """Collect bytes until there are many or something is in the way: an unknown checksum, a large file, the end."""
        parts: list[bytes] = []
        size = 0
        while size < _GATHERED:
            segment = segments.next()
            if segment is None:  # a large file may stay open: the held-back tail goes on with it
                return _Burst(b"".join(parts), ended=True)
            if self._passing and not (isinstance(segment, Content) and segment.entry == self._passing.number):
                self.settle()
            match segment:
                case Literal(data=data):
                    pass
                case Late(entry=number):
                    crc = self._crc(number)
                    if crc is None:
                        segments.put_back(segment)
                        return _Burst(b"".join(parts), segment)
                    data = segment.build(crc)
                case Content(entry=number, window=run):
                    if self._shape.entry(number).size > SMALL:
                        return _Burst(b"".join(parts), segment)
                    data = self._small_content(number, run)
                case _:
                    assert_never(segment)
            parts.append(data)
            size += len(data)
        return _Burst(b"".join(parts))

    def open(self, number: int, run: Window) -> Source:
        """Open a large file at the first byte of a run, or go on with the one that is open."""
        if self._passing is None:
            entry = self._shape.entry(number)
            source = self._opened().open(entry.source, entry.identity, entry.path)
            self._passing = _Passing(number, source, run.start, 0 if run.start == 0 else None)
        return self._passing.source

    def feed(self, data: memoryview) -> None:
        """Count and hash bytes that passed."""
        passing = self._now()
        passing.at += len(data)
        if passing.crc is not None:
            passing.crc = crc32(data, passing.crc)

    def passed(self, length: int) -> None:
        """Count bytes that left without passing through here."""
        passing = self._now()
        passing.at += length
        passing.crc = None

    def read(self, source: Source, offset: int, length: int) -> bytes:
        """Read and feed a piece of a large file."""
        data = source.read(offset, length)
        if not data:
            raise self._short()
        self.feed(memoryview(data))
        return data

    def expect(self, offset: int) -> None:
        """Require that all bytes before ``offset`` of the large file have passed."""
        if self._now().at != offset:
            raise self._short()

    def settle(self) -> None:
        """Check the large file that has passed, and give it back."""
        if (passing := self._passing) is None:
            return
        passing.source.check()
        if passing.crc is not None and passing.at == self._shape.entry(passing.number).size:
            self._compare(passing.number, passing.crc)
        self._close_file()

    def close(self) -> None:
        """Give everything back."""
        self._close_file()
        if self._folder is not None:
            self._folder.close()

    def _close_file(self) -> None:
        if self._passing is not None:
            self._passing.source.close()
            self._passing = None

    def _opened(self) -> Folder:
        assert self._folder is not None
        return self._folder

    def _now(self) -> _Passing:
        assert self._passing is not None
        return self._passing

    def _short(self) -> SourceChanged:
        passing = self._now()
        entry = self._shape.entry(passing.number)
        return SourceChanged(entry.path, f"it ends after {passing.at:,} of {entry.size:,} bytes")

    def _crc(self, number: int) -> int | None:
        known = self._hashing.known(self._place, self._shape, number)
        if known is None and self._shape.entry(number).size <= SMALL:
            self._small_content(number, None)
            known = self._hashing.known(self._place, self._shape, number)
        return known

    def _small_content(self, number: int, run: Window | None) -> bytes:
        """The content of a small file, or of a run of it; what was read for its header is not read again."""
        entry = self._shape.entry(number)
        if run is not None and run.length < entry.size and self._small[0] != number:
            return self._part(entry, run)
        if self._small[0] != number:
            data = read_whole(self._opened(), entry)
            self._compare(number, crc32(data, 0))
            self._small = number, data
        data = self._small[1]
        if run is None:
            return data
        if run.stop == entry.size:
            self._small = (-1, b"")
        return data[run.start : run.stop]

    def _part(self, entry: Entry, run: Window) -> bytes:
        source = self._opened().open(entry.source, entry.identity, entry.path)
        try:
            data = source.read(run.start, run.length)
            source.check()
        finally:
            source.close()
        if len(data) != run.length:
            raise SourceChanged(entry.path, f"it ends after {run.start + len(data):,} of {entry.size:,} bytes")
        return data

    def _compare(self, number: int, crc: int) -> None:
        """Hold the checksum of content that passed against the one that is known, which may stand in the archive."""
        known = self._hashing.known(self._place, self._shape, number)
        if known is not None and known != crc:
            self._hashing.unlearn(self._place, self._shape, number)
            raise SourceChanged(
                self._shape.entry(number).path, f"its CRC-32 is {crc:08x}, where {known:08x} was read before"
            )
        self._hashing.learn(self._place, self._shape, number, crc)
