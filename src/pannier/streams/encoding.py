"""Readers of encoded archives: no length, no ETag, no ranges; and the table of encoders.

An encoder turns what a plan holds into bytes. It keeps the promise of every reader: nothing but the last bytes leaves
before each file was found to be what was planned.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from pannier.archive.plan import Shape
from pannier.errors import SourceChanged
from pannier.streams.archive import ArchiveReader, Engine
from pannier.streams.base import HELD_BACK
from pannier.streams.encode_stream import gzip_stream, zstd_stream
from pannier.streams.encode_zip import deflated_zip
from pannier.streams.encoder import Work
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.window import Window

Encoder = Callable[[Work], AsyncGenerator[bytes, None]]

ENCODERS: Mapping[str, Encoder] = {"deflate": deflated_zip, "gzip": gzip_stream, "zstd": zstd_stream}
"""By ``Format.encoding``."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What all encoded readers of a process share: the threads that pack.

    ``ahead``: how many blocks of about 1 MiB one stream may have in work or waiting, packed, for its client.
    """

    workers: Workers
    ahead: int

    def reader(
        self,
        engine: Engine,
        place: Place,
        shape: Shape,
        *,
        filename: str,
        session: str,
        on_changed: Callable[[], None],
    ) -> EncodedReader:
        """Return a reader of an archive in an encoded format; arguments as of ``ArchiveReader``."""

        def stored() -> ArchiveReader:
            return ArchiveReader(engine, place, shape, filename=filename, session=session, on_changed=on_changed)

        work = Work(engine.workers, self.workers, self.ahead, engine.helpers, engine.hashing, place, shape, stored)
        return EncodedReader(work, filename, on_changed)


class EncodedReader:
    """A ``StreamReader`` of encoded output."""

    length = None
    version = None

    def __init__(self, work: Work, filename: str, on_changed: Callable[[], None]) -> None:
        self._work, self._on_changed = work, on_changed
        self.filename = filename

    @property
    def media_type(self) -> str:
        return self._work.shape.format.media_type

    async def read(self, window: Window | None = None) -> AsyncGenerator[bytes, None]:
        """Give all bytes; see ``StreamReader.read``."""
        if window is not None:
            raise ValueError("encoded output has no windows")
        encoding = self._work.shape.format.encoding
        assert encoding is not None
        held = b""
        try:
            async with aclosing(ENCODERS[encoding](self._work)) as items:
                async for item in items:
                    if held:
                        yield held
                    held = item
        except SourceChanged:
            self._on_changed()
            raise
        if len(held) > HELD_BACK:
            yield held[:-HELD_BACK]
        yield held[-HELD_BACK:]
