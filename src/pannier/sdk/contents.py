"""The content of a file of this machine, as it is sent: read in threads, and never another one than was begun with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from pannier.crc import crc32
from pannier.sdk.problems import ClientError
from pannier.sdk.sources import Source

_PIECE = 2**20
"""Bytes of one read."""
_SUMMED = 2**18
"""Bytes that are summed at once, in one buffer: they are still in the processor's cache."""


class LocalFileChanged(ClientError):
    """A file of this machine changed while it was sent."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} changed while it was sent; send it again when it is still")


class LocalFileUnreadable(ClientError):
    """A file of this machine cannot be read."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(f"{path!r} cannot be read: {error.strerror or error}")


class Content:
    """An open file; close it. All offsets and lengths are in bytes.

    Raises:
        LocalFileUnreadable, LocalFileChanged: Any method, when it reads.
    """

    def __init__(self, source: Source) -> None:
        """Open it; blocks."""
        self._source = source
        self.size = source.size
        try:
            if source.descriptor is None:
                self._descriptor = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
            else:
                self._descriptor = os.dup(source.descriptor)
        except OSError as error:
            raise LocalFileUnreadable(source.path, error) from None

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """Yield the bytes of a window; the next ones are read while the last ones are sent."""
        ahead = asyncio.create_task(asyncio.to_thread(self._read, start, min(start + _PIECE, stop)))
        try:
            while start < stop:
                piece = await ahead
                start += len(piece)
                if start < stop:
                    ahead = asyncio.create_task(asyncio.to_thread(self._read, start, min(start + _PIECE, stop)))
                yield piece
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def whole(self) -> tuple[bytes, int]:
        """Return all of a small file, and its CRC-32."""
        return await asyncio.to_thread(self._whole)

    async def crc(self, start: int, stop: int) -> int:
        """Return the CRC-32 of a window."""
        return await asyncio.to_thread(self._crc, start, stop)

    async def check(self) -> None:
        """See that it is still what it was."""
        await asyncio.to_thread(self.check_now)

    def send_to(self, descriptor: int, start: int, stop: int) -> int:
        """Send bytes of a window to a socket, and return how many: none if it takes none now. Blocks on the file.

        Raises:
            OSError: The connection failed, or the file cannot be read.
        """
        try:
            sent = os.sendfile(descriptor, self._descriptor, start, stop - start)
        except BlockingIOError:
            return 0
        if not sent:
            raise LocalFileChanged(self._source.path)
        return sent

    def _read(self, start: int, stop: int) -> bytes:
        try:
            piece = os.pread(self._descriptor, stop - start, start)
        except OSError as error:
            raise LocalFileUnreadable(self._source.path, error) from None
        if len(piece) < stop - start:
            raise LocalFileChanged(self._source.path)
        return piece

    def _whole(self) -> tuple[bytes, int]:
        content = self._read(0, self.size) if self.size else b""
        self.check_now()
        return content, crc32(content, 0)

    def _crc(self, start: int, stop: int) -> int:
        value, buffer = 0, memoryview(bytearray(min(_SUMMED, stop - start)))
        while start < stop:
            try:
                read = os.preadv(self._descriptor, [buffer[: stop - start]], start)
            except OSError as error:
                raise LocalFileUnreadable(self._source.path, error) from None
            if not read:
                raise LocalFileChanged(self._source.path)
            value = crc32(buffer[:read], value)
            start += read
        return value

    def check_now(self) -> None:
        """See that it is still what it was; blocks."""
        found = os.fstat(self._descriptor)
        if (found.st_size, found.st_mtime_ns) != (self._source.size, self._source.mtime_ns):
            raise LocalFileChanged(self._source.path)
