"""Large files whose bytes pass through one response, one after the other, and what is checked of each.

A file that was read is checked when its last byte has passed. Of one whose pages the kernel sends by reference a later
write could still reach the client until they are through: it stays open, and is checked then, while those after it
pass. Blocks; used by one thread at a time, like the passage that it is a part of.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from pannier.archive.plan import Shape
from pannier.crc import crc32
from pannier.errors import SourceChanged
from pannier.streams.base import COPIED
from pannier.streams.hashing import Hashing, Place
from pannier.volumes.base import Folder, Source
from pannier.window import Window

LEAST_UNREAD = COPIED // 16
"""Bytes of a run from which on its pages are sent by reference, usually 1 MiB: else too many would be open at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of bytes of a large file that is open; ``quiet``: its pages may be sent as they are."""

    number: int
    window: Window
    source: Source
    quiet: bool


@dataclass(slots=True)
class _File:
    """How far one file is.

    Attributes:
        at: Bytes of it that have passed, counted from its first.
        crc: The checksum of what passed since its first byte; None if not all of that was seen.
        unread: Whether something of it left without being read.
        stop: The byte of the response that follows the last one that passed.
    """

    number: int
    source: Source
    at: int
    crc: int | None
    unread: bool = False
    stop: int = 0


class Passing:
    """The large file that passes, and those before it whose pages are on their way.

    Offsets of the response count from its first byte of content, whatever part of the archive it is.
    """

    def __init__(self, place: Place, shape: Shape, hashing: Hashing, quiet_after_ns: int | None) -> None:
        self._place, self._shape, self._hashing = place, shape, hashing
        self._quiet_after_ns = quiet_after_ns
        self._file: _File | None = None
        self._on_their_way: deque[_File] = deque()
        self._through = 0

    @property
    def number(self) -> int | None:
        """The entry that passes."""
        return None if self._file is None else self._file.number

    def take(self, folder: Folder, number: int, window: Window) -> Run:
        """Open a file at the first byte of a run, or go on with the one that is open.

        Raises:
            SourceChanged, SourceUnreadable: As ``Folder.open``.
        """
        if self._file is None:
            entry = self._shape.entry(number)
            source = folder.open(entry.source, entry.identity, entry.path)
            crc = 0 if window.start == 0 and self._shape.layout.checksums else None
            self._file = _File(number, source, window.start, crc)
        quiet = window.length >= LEAST_UNREAD and self._is_quiet(number)
        return Run(number, window, self._file.source, quiet)

    def feed(self, data: memoryview) -> None:
        """Count and hash bytes that passed."""
        file = self._now()
        file.at += len(data)
        if file.crc is not None:
            file.crc = crc32(data, file.crc)

    def left_unread(self, length: int) -> None:
        """Count bytes that left without passing through here."""
        if length:
            file = self._now()
            file.at += length
            file.crc, file.unread = None, True

    def read(self, run: Run, offset: int, length: int) -> bytes:
        """Read and feed a piece."""
        data = run.source.read(offset, length)
        if not data:
            raise self._short()
        self.feed(memoryview(data))
        return data

    def expect(self, offset: int, stop: int) -> None:
        """Require that all bytes before ``offset`` of the file have passed, the last before ``stop`` of the response.

        Raises:
            SourceChanged: It ended early.
        """
        file = self._now()
        if file.at != offset:
            raise self._short()
        file.stop = stop

    def settle(self) -> None:
        """Check the file that has passed, if there is one, and give it back; or keep it until its pages are through.

        Raises:
            SourceChanged, SourceUnreadable: It is not what was planned any more.
        """
        if (file := self._file) is None:
            return
        self._file = None
        if file.unread:
            self._on_their_way.append(file)
            return
        try:
            file.source.check()
            if file.crc is not None and file.at == self._shape.entry(file.number).size:
                self._hashing.passed(self._place, self._shape, file.number, file.crc)
        finally:
            file.source.close()

    def due(self, position: int) -> int:
        """Return before which byte of the response nothing may be on its way when the next files are to be checked.

        So much was copied or handed over since then that the queues of both ends hold nothing of it any more, usually:
        to wait for that costs nothing. 0: none is due.
        """
        due = 0
        for file in self._on_their_way:
            if file.stop + COPIED > position:
                break
            due = file.stop
        return due

    @property
    def last(self) -> int:
        """As ``due``, for the end of the response: 0 if nothing is on its way."""
        if self._file is not None and self._file.unread:
            return self._file.stop
        return self._on_their_way[-1].stop if self._on_their_way else 0

    def through(self, before: int) -> None:
        """Take note that nothing before a byte of the response is on its way any more."""
        self._through = before

    def check(self) -> None:
        """Check the files that are through, and give them back; errors as ``settle``."""
        while self._on_their_way and self._on_their_way[0].stop <= self._through:
            file = self._on_their_way.popleft()
            try:
                file.source.check()
            finally:
                file.source.close()

    def close(self) -> None:
        """Give everything back."""
        if self._file is not None:
            self._on_their_way.append(self._file)
            self._file = None
        while self._on_their_way:
            self._on_their_way.pop().source.close()

    def _is_quiet(self, number: int) -> bool:
        """Whether its pages may be sent as they are, unread: untouched of late, and nobody misses their checksum."""
        if self._quiet_after_ns is None:
            return False
        file = self._now()
        if file.crc is not None and self._hashing.known(self._place, self._shape, number) is None:
            return False
        changed_ns = file.source.changed_ns()
        return changed_ns is not None and self._place.volume.now_ns() - changed_ns >= self._quiet_after_ns

    def _now(self) -> _File:
        assert self._file is not None
        return self._file

    def _short(self) -> SourceChanged:
        file = self._now()
        entry = self._shape.entry(file.number)
        return SourceChanged(entry.path, f"it ends after {file.at:,} of {entry.size:,} bytes")
