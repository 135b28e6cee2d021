"""Bytes that come for an upload: gathered, written and synced in threads, in constant memory.

Three things go on at the same time, each on what came before: more is taken from the connection, a mebibyte is written,
and the disk is made to keep what was written. Else each waits for the others, the disk's cache longest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress

from pannier.crc import crc32, crc32_combine
from pannier.errors import LimitExceeded, PannierError, UploadChecksumMismatch, UploadLeaseLost
from pannier.protocol.tus import Checksum
from pannier.streams.workers import Begun, Workers
from pannier.volumes.base import StagedUpload

LEASE = 30.0
"""Seconds for which a writer holds an upload without sending anything (WIRE section 6.4)."""
_GATHERED = 1024 * 1024
_SYNCED = 8 * 1024 * 1024
"""Bytes after which the disk is made to keep them while more comes."""
_COMMITTED = 64 * 1024 * 1024
"""Bytes after which an upload is made durable while more of it comes."""


class Reception:
    """The bytes of one request, on their way into an upload that it holds.

    Args:
        staged: The upload; it is cut to what is durable.
        crc: The CRC-32 of what it holds, None if that is not known.
        checksum: What the bytes are to come to; they count only if they do, and all of them.
        lease: Seconds without a byte after which the upload is given up.
    """

    def __init__(
        self,
        workers: Workers,
        staged: StagedUpload,
        *,
        crc: int | None,
        checksum: Checksum | None = None,
        lease: float = LEASE,
    ) -> None:
        self._workers, self._staged, self._lease = workers, staged, lease
        self._at = self._came = self._synced = self._committed = staged.offset
        """How far it is written, taken, synced or on its way to that, and durable."""
        self._writing: Begun[None] | None = None
        self._syncing: Begun[None] | None = None
        self._checksum, self._digest = checksum, None if checksum is None else _Digest(checksum.algorithm)
        self._crc, self._start = crc, self._at
        self._digests_crc = checksum is not None and checksum.algorithm == "crc32"
        self._lost = False
        """Whether something could not be made durable: the system says so once, and then takes it for written."""

    async def take(self, data: AsyncIterable[bytes], size: int) -> int:
        """Write what comes, and return where the upload is: everything before that is durable.

        Whatever ends it early, what came until then stays, unless a checksum was to vouch for it.

        Args:
            size: Bytes of the whole upload; no more are taken.

        Raises:
            LimitExceeded: More came; nothing beyond what was durable before it did is kept.
            UploadLeaseLost: Nothing came for too long.
            UploadChecksumMismatch: The bytes are others than were meant; none is kept.
            StorageFull, OperationRefused, VolumeFailed: As they say.
        """
        gathered, other = _Gathered(), _Gathered()
        try:
            async for piece in patiently(data, self._lease):
                gathered.add(piece)
                if self._came + gathered.held > size:
                    raise too_much(size, self._came + len(gathered.take()))
                if gathered.held >= _GATHERED:
                    await self._hand_on(gathered)
                    gathered, other = other, gathered
            if self._checksum is not None:
                await self._hand_on(gathered)
                await self._written()
                self._compare()
                self._checksum = None  # they are what was meant
        finally:
            try:
                await self._settle()
            finally:
                await self._workers.surely(self._end, gathered.take())
        return self._at

    def crc(self, offset: int) -> int | None:
        """Return the CRC-32 of the upload's first ``offset`` bytes, if it is known."""
        return self._crc if offset == self._at else None

    async def _hand_on(self, gathered: _Gathered) -> None:
        """Have bytes written, beside what comes; those before are by then, and what there is of them is synced.

        Whoever is cancelled meanwhile still has them.
        """
        await self._written()
        if self._at - self._committed >= _COMMITTED and self._checksum is None:
            await self._kept()
            await self._workers.run(self._commit)
        elif self._at - self._synced >= _SYNCED and (self._syncing is None or self._syncing.ended()):
            await self._kept()
            self._synced, self._syncing = self._at, self._workers.begin(self._sync)
        self._came += gathered.held
        self._writing = self._workers.begin(self._write, gathered.take())

    async def _written(self) -> None:
        """Wait for the bytes that are being written."""
        if self._writing is not None:
            await self._writing.end()
            self._writing = None

    async def _kept(self) -> None:
        """Wait for what is being synced."""
        if self._syncing is not None:
            await self._syncing.end()
            self._syncing = None

    async def _settle(self) -> None:
        """Wait for whatever goes on beside, and raise what went wrong with it."""
        try:
            await self._written()
        finally:
            await self._kept()

    def _compare(self) -> None:
        assert self._checksum is not None
        assert self._digest is not None
        if self._digest.value() != self._checksum.digest:
            raise UploadChecksumMismatch(self._checksum.algorithm)
        if self._crc is not None and self._digests_crc:
            came = int.from_bytes(self._checksum.digest, "big")
            self._crc = crc32_combine(self._crc, came, self._at - self._start)

    def _write(self, data: memoryview) -> None:
        with data:
            self._staged.write(data, self._at)
            self._at += len(data)
            if self._crc is not None and not self._digests_crc:
                self._crc = crc32(data, self._crc)
            if self._digest is not None:
                self._digest.add(data)

    def _sync(self) -> None:
        try:
            self._staged.sync()
        except BaseException:
            self._lost = True
            raise

    def _commit(self) -> None:
        try:
            self._staged.commit(self._at)
        except BaseException:
            self._lost = True
            with suppress(PannierError):
                self._staged.cut()  # where nothing but its length tells how much of it is durable
            raise
        self._committed = self._synced = self._at

    def _end(self, rest: memoryview) -> None:
        """Make durable what came, or drop what is not vouched for, or may not be what is on the disk."""
        if self._checksum is not None or self._lost:
            self._staged.cut()
            self._at, self._crc = self._committed, None
            return
        if rest and self._at == self._came:  # else what is before it could not be written
            self._write(rest)
        if self._at > self._committed:
            self._commit()
        self._staged.cut()  # of a piece that did not fit, some may have been written


class _Gathered:
    """Bytes that came. Its buffer is used again: to make and free one for each mebibyte costs more than a copy."""

    def __init__(self) -> None:
        self._buffer, self.held = bytearray(), 0

    def add(self, piece: bytes) -> None:
        """Add bytes; nothing taken may be in use."""
        end = self.held + len(piece)
        self._buffer[self.held : end] = piece
        self.held = end

    def take(self) -> memoryview:
        """Take what there is; release it before more is added."""
        held, self.held = self.held, 0
        return memoryview(self._buffer)[:held]


class _Digest:
    """A checksum that is being computed."""

    def __init__(self, algorithm: str) -> None:
        self._crc = 0
        self._hash = None if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)

    def add(self, data: memoryview) -> None:
        if self._hash is None:
            self._crc = crc32(data, self._crc)
        else:
            self._hash.update(data)

    def value(self) -> bytes:
        return self._crc.to_bytes(4, "big") if self._hash is None else self._hash.digest()


async def patiently(data: AsyncIterable[bytes], seconds: float) -> AsyncIterator[bytes]:
    """Give the pieces, as long as each comes in time: a client that went without a word must not keep its upload.

    Raises:
        UploadLeaseLost: One did not.
    """
    pieces = aiter(data)
    while True:
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UploadLeaseLost from None
        yield piece


def too_much(size: int, measured: int) -> LimitExceeded:
    """Return the error of more bytes than an upload has."""
    return LimitExceeded(
        "bytes of the upload", measured=measured, limit=size, setting="none: its size when the token was minted"
    )
