"""The reader of single files: one run of bytes, compared with what was found before and after it is read."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pannier.errors import SourceChanged
from pannier.streams.base import COPIED, HELD_BACK, FileSpan, Item, Version
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Found, Source
from pannier.volumes.whole import read_all
from pannier.window import Window

_PIECE = 256 * 1024
"""Bytes read at once from a source without a descriptor."""
_SECOND = 1_000_000_000


def etag_of(place: Place, found: Found, *, settled: bool) -> str:
    """Return the strong ETag of a file, quotes included: a digest of its identity.

    A file that is not ``settled`` may be written to once more without a sign of it (the clock that stamps files has
    its ticks): its tag is one that never comes again.
    """
    parts = (b"pannier file 1", place.volume.identity_scheme.encode(), found.stat.identity)
    digest = hashlib.sha256(b"\0".join((*parts, b"" if settled else secrets.token_bytes(16))))
    return f'"{digest.hexdigest()[:32]}"'


@dataclass(slots=True)
class _Passed:
    """How many bytes of a run have left."""

    length: int = 0

    def feed(self, data: memoryview) -> None:
        self.length += len(data)

    def unread(self, length: int) -> None:
        self.length += length


class FileReader:
    """A ``StreamReader`` of one regular file, found before.

    Args:
        workers: Threads that wait for storage.
        path: The file's name for messages, relative to its folder.
        filename: Under which clients save it.
        settled: Whether it was last touched so long before it was looked at that another change cannot go unseen.
        quiet_after_ns: How long nobody must have touched the file for its pages to be sent unread; None: never.
    """

    media_type = "application/octet-stream"

    def __init__(
        self,
        workers: Workers,
        place: Place,
        found: Found,
        path: bytes,
        *,
        filename: str,
        settled: bool,
        quiet_after_ns: int | None,
    ) -> None:
        self._workers, self._place, self._found, self._path = workers, place, found, path
        self._quiet_after_ns = quiet_after_ns
        self.filename = filename
        self._version = Version(etag_of(place, found, settled=settled), found.stat.mtime_ns // _SECOND)

    @property
    def length(self) -> int:
        return self._found.stat.size

    @property
    def version(self) -> Version:
        return self._version

    async def read(self, window: Window | None = None) -> AsyncGenerator[Item, None]:
        """Give the bytes of ``window``; see ``StreamReader.read``."""
        body, tail = (Window(0, self.length) if window is None else window).split_tail(HELD_BACK)
        source = await self._workers.run(self._open)
        try:
            fd = source.fileno()
            if body and fd is not None:
                passed = _Passed()
                unread = body.length - COPIED if body.length > 2 * COPIED and self._is_quiet(source) else 0
                yield FileSpan(fd, body.start, body.length, self._path, passed.feed, passed.unread, unread)
                if passed.length != body.length:
                    raise self._short(body.start + passed.length)
            else:
                for at in range(body.start, body.stop, _PIECE):
                    yield await self._workers.run(self._read, source, Window(at, min(at + _PIECE, body.stop)))
            yield await self._workers.run(self._last, source, tail)
        finally:
            await self._workers.surely(source.close)

    def _open(self) -> Source:
        folder = self._place.open()
        try:
            return folder.open(self._found.source, self._found.stat.identity, self._path)
        finally:
            folder.close()

    def _read(self, source: Source, window: Window) -> bytes:
        data = read_all(source, window.start, window.length)
        if len(data) != window.length:
            raise self._short(window.start + len(data))
        return data

    def _last(self, source: Source, window: Window) -> bytes:
        """Read the last bytes, then look whether the file is still the one that was found."""
        data = self._read(source, window) if window else b""
        source.check()
        return data

    def _is_quiet(self, source: Source) -> bool:
        changed_ns = source.changed_ns()
        if self._quiet_after_ns is None or changed_ns is None:
            return False
        return self._place.volume.now_ns() - changed_ns >= self._quiet_after_ns

    def _short(self, stop: int) -> SourceChanged:
        return SourceChanged(self._path, f"it ends after {stop:,} of {self.length:,} bytes")
