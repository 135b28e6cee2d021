"""A remote archive, or an entry of one, as a file of Python: seekable, read ahead, with a bounded memory."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from typing_extensions import override

from pannier.archive import zip_parsing
from pannier.crc import crc32
from pannier.quantities import KIB, MIB
from pannier.sdk.blocking import LOOP
from pannier.sdk.ranges import Ranges
from pannier.sdk.zip_reading import Damaged
from pannier.window import Window

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CACHE = 16 * MIB
"""Bytes that a file keeps unless it is told."""
_BLOCK = 64 * KIB
_LONGEST_END = zip_parsing.END_64_LENGTH + zip_parsing.LOCATOR_64_LENGTH + zip_parsing.END_LENGTH
_MOST_AHEAD = 4 * MIB


class RemoteFile(io.RawIOBase):
    """A window of something remote, as a file that is read.

    What is read in order is fetched ahead, twice as much each time, up to 4 MiB. ``cache`` bytes are kept, the last
    used ones; what is larger than that is fetched as it is asked for. Any thread may read.
    """

    def __init__(
        self, ranges: Ranges, window: Window | None = None, *, cache: int = CACHE, checksum: int | None = None
    ) -> None:
        """``checksum`` is the CRC-32 that all of it has; who reads it from the first byte to the last is told."""
        self._ranges = ranges
        self._window = Window(0, ranges.length) if window is None else window
        self._most_blocks = max(1, cache // _BLOCK)
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.RLock()
        self._at = self._expected = 0
        self._ahead = 0
        self._checksum, self._crc, self._crc_at = checksum, 0, 0
        self._is_zip = window is None and ranges.version.media_type == "application/zip"
        self._tail = b""

    @property
    def length(self) -> int:
        """Bytes that there are."""
        return self._window.length

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._at

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._lock:
            begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.length}[whence]
            if begin + offset < 0:
                raise ValueError(f"negative position {begin + offset}")
            self._at = begin + offset
            return self._at

    @override
    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    @override
    def readall(self) -> bytes:
        return self.read()

    @override
    def read(self, size: int | None = -1) -> bytes:
        """Return up to ``size`` bytes; all that are left unless it is given.

        Raises:
            Damaged: This was the last of all bytes, and together they do not have the checksum that they should.
            ClientError: They cannot be had.
        """
        if self.closed:
            raise ValueError("read of a closed file")
        with self._lock:
            left = max(0, self.length - self._at)
            wanted = left if size is None or size < 0 else min(size, left)
            if not wanted:
                return b""
            data = self._read(Window(self._at, self._at + wanted))
            self._at = self._expected = self._at + wanted
            self._judge(data)
            return data

    def _judge(self, data: bytes) -> None:
        if self._checksum is None or self._at - len(data) != self._crc_at:
            return
        self._crc, self._crc_at = crc32(data, self._crc), self._at
        if self._at == self.length and self._crc != self._checksum:
            raise Damaged("the checksum does not agree with the content", self._window)

    def _read(self, window: Window) -> bytes:
        """Return the bytes of a window, relative to this file."""
        if self._is_zip and window.start >= self.length - _LONGEST_END and not self._tail:
            self._tail = self._fetch_tail()
        if window.start >= self.length - len(self._tail):
            start = window.start - (self.length - len(self._tail))
            return self._tail[start : start + window.length]
        first, last = window.start // _BLOCK, (window.stop - 1) // _BLOCK
        if last - first + 1 > self._most_blocks:
            return self._fetch(window)
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        kept = {number: self._blocks[number] for number in range(first, last + 1) if number in self._blocks}
        if missing:
            kept |= self._fetch_blocks(missing[0], missing[-1], sequential=window.start == self._expected)
        for number in kept:
            self._keep(number, kept[number])
        joined = b"".join(kept[number] for number in range(first, last + 1))
        start = window.start - first * _BLOCK
        return joined[start : start + window.length]

    def _fetch_tail(self) -> bytes:
        """Return the directory of a ZIP with its end, or the end alone where the directory is large.

        Asked for from its first byte on, the directory is what a server says it is not ready for yet.
        """
        end = self._fetch(Window(max(0, self.length - _LONGEST_END), self.length))
        records = end if end.startswith(zip_parsing.END_64) else end[-zip_parsing.END_LENGTH :]
        try:
            found = zip_parsing.parse_end(records)
        except ValueError:
            return end
        if not found.length <= self._most_blocks * _BLOCK // 2 or found.offset > self.length - len(end):
            return end
        return self._fetch(Window(found.offset, self.length))

    def _fetch_blocks(self, first: int, last: int, *, sequential: bool) -> dict[int, bytes]:
        """Fetch blocks by one request, and what is probably wanted next."""
        self._ahead = min(max(_BLOCK, 2 * self._ahead), _MOST_AHEAD) if sequential and self._expected else 0
        start, stop = first * _BLOCK, min((last + 1) * _BLOCK + self._ahead, self.length)
        stop = min(stop, start + max(self._most_blocks, last + 1 - start // _BLOCK) * _BLOCK)
        data = self._fetch(Window(start, stop))
        return {(start + at) // _BLOCK: data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)}

    def _fetch(self, window: Window) -> bytes:
        return LOOP.run(self._ranges.read(window.shift(self._window.start)))

    def _keep(self, number: int, block: bytes) -> None:
        self._blocks[number] = block
        self._blocks.move_to_end(number)
        while len(self._blocks) > self._most_blocks:
            self._blocks.popitem(last=False)
