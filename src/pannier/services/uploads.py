"""The use cases of uploads: mint a token, tell how far one is, take more of it. No HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from pannier.dto.downloads import TokenReply
from pannier.dto.uploads import UploadClaim, UploadTokenData, UploadTokenRequest
from pannier.errors import (
    InvalidRequest,
    LimitExceeded,
    OperationUnsupported,
    PathOutside,
    UploadOffsetMismatch,
)
from pannier.services.places import Places, inside
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.tokens import PydanticJWT
from pannier.volumes.base import EditableVolume, FolderEditor, StagedUpload

LIFETIME = 24 * 3600.0
"""Seconds that an upload stays to which nothing is added (WIRE section 6.4)."""
_GATHERED = 1024 * 1024
_COMMITTED = 64 * 1024 * 1024
"""Bytes after which an upload is made durable while more of it comes."""


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """What a valid token allows: one upload of ``size`` bytes to one path."""

    place: Place
    path: bytes
    session: bytes
    size: int


class Uploads:
    """Uploads into the folders of the configured volumes.

    Args:
        workers: Threads that wait for storage.
        largest: Most bytes of one upload.
        session_expire: Seconds that a token lives.
    """

    def __init__(
        self, places: Places, workers: Workers, keys: PydanticJWT, *, largest: int, session_expire: float
    ) -> None:
        self._places, self._workers, self._keys = places, workers, keys
        self.largest, self._session_expire = largest, session_expire

    async def mint(self, request: UploadTokenRequest) -> TokenReply:
        """Begin an upload, and return a token for it. An empty file is there at once: some clients send nothing for it.

        Raises:
            LimitExceeded: It is too large.
            PathOutside: The path cannot be one of the folder, or is the folder itself.
            VolumeUnknown, FolderMissing, StorageFull, OperationRefused, VolumeFailed: As they say.
        """
        place, path = self._places.place(request.volume, request.vfid), _file_path(request.relpath)
        if request.size > self.largest:
            raise LimitExceeded(
                "bytes of the upload",
                measured=request.size,
                limit=self.largest,
                setting="storage-proxy.max-upload-size",
            )
        session = secrets.token_hex(16)
        grant = UploadGrant(place, path, session.encode(), request.size)
        await self._workers.run(_stage, grant)
        claims = UploadTokenData(
            volume=request.volume,
            vfid=request.vfid,
            relpath=request.relpath,
            size=request.size,
            session=session,
            exp=int(time.time() + self._session_expire),
            pannier=UploadClaim(strict=True) if request.strict else None,
        )
        return TokenReply(token=self._keys.issue(claims))

    def admit(self, token: str, dst_dir: str | None) -> UploadGrant:
        """Return what a token allows; ``dst_dir`` is a directory that its path is taken from.

        Raises:
            TokenRejected: It allows nothing here.
            VolumeUnknown: Its volume is not configured.
            InvalidRequest: It allows no ``dst_dir``.
            PathOutside: The path leaves the folder.
        """
        claims = self._keys.validate(token, UploadTokenData)
        if dst_dir is not None and claims.pannier is not None and claims.pannier.strict:
            raise InvalidRequest("dst_dir", "this token is for one path only; leave it out")
        above = inside(dst_dir) if dst_dir else b""
        path = b"/".join(filter(None, (above, _file_path(claims.relpath))))
        place = self._places.place(claims.volume, claims.vfid)
        return UploadGrant(place, path, claims.session.encode(), claims.size)

    async def offset(self, grant: UploadGrant) -> int:
        """Return how many bytes are durable. One that is whole, but was cut off before it appeared, appears now.

        Raises:
            UploadMissing: It never was, is finished, or has expired.
            UploadLeaseHeld: Somebody is writing to it.
        """
        async with self._taken(grant) as staged:
            if grant.size and staged.offset == grant.size:
                await self._workers.run(staged.publish, grant.path)
            return staged.offset

    async def append(self, grant: UploadGrant, offset: int, announced: int | None, data: AsyncIterable[bytes]) -> int:
        """Add bytes, and return how many are durable now; with the last one the file appears.

        Whatever ends it early, what was made durable until then stays.

        Args:
            offset: Where the client thinks the upload is.
            announced: How many bytes will come, if that was said.
            data: The bytes.

        Raises:
            UploadMissing, UploadLeaseHeld: As ``offset``.
            UploadOffsetMismatch: The upload is elsewhere.
            LimitExceeded: More comes than was agreed on; nothing beyond that is kept.
            StorageFull, OperationRefused, PathOutside, VolumeFailed: As they say.
        """
        async with self._taken(grant) as staged:
            if offset != staged.offset:
                raise UploadOffsetMismatch(given=offset, offset=staged.offset)
            if announced is not None and offset + announced > grant.size:
                raise _too_much(grant, offset + announced)
            await self._workers.run(staged.cut)
            at = await self._write(grant, staged, offset, data)
            if at == grant.size:
                if grant.size:
                    await self._workers.run(staged.publish, grant.path)
                else:
                    await self._workers.run(staged.discard)  # the empty file is there since the token is
            return at

    async def _write(self, grant: UploadGrant, staged: StagedUpload, at: int, data: AsyncIterable[bytes]) -> int:
        gathered = bytearray()
        written = committed = at
        try:
            async for piece in data:
                gathered += piece
                if written + len(gathered) > grant.size:
                    raise _too_much(grant, written + len(gathered))
                if len(gathered) >= _GATHERED:
                    await self._workers.run(staged.write, memoryview(bytes(gathered)), written)
                    written += len(gathered)
                    gathered.clear()
                if written - committed >= _COMMITTED:
                    await self._workers.run(staged.commit, written)
                    committed = written
            if gathered:
                await self._workers.run(staged.write, memoryview(bytes(gathered)), written)
                written += len(gathered)
        finally:
            if written > committed:  # cut off, too: what is written need not be sent again
                await self._workers.surely(staged.commit, written)
        return written

    @asynccontextmanager
    async def _taken(self, grant: UploadGrant) -> AsyncIterator[StagedUpload]:
        """Hold an upload's lease for the block; what blocks is done in threads."""
        lease = _Lease(grant)
        try:
            yield await self._workers.run(lease.take)
        finally:
            await self._workers.surely(lease.give_back)


class _Lease:
    """An upload that is held: taken and given back in threads, and given back also where the taking was cut off."""

    def __init__(self, grant: UploadGrant) -> None:
        self._grant, self._held = grant, ExitStack()

    def take(self) -> StagedUpload:
        editor = self._held.enter_context(closing(_editor(self._grant.place)))
        return self._held.enter_context(editor.staged(self._grant.session, LIFETIME))

    def give_back(self) -> None:
        self._held.close()


def _editor(place: Place) -> FolderEditor:
    if not isinstance(place.volume, EditableVolume):
        raise OperationUnsupported(f"volume {place.volume.name!r} takes no changes")
    return place.volume.editor(place.folder_id)


def _stage(grant: UploadGrant) -> None:
    with closing(_editor(grant.place)) as editor:
        editor.stage(grant.session, LIFETIME)
        if grant.size:
            return
        empty = secrets.token_hex(16).encode()
        editor.stage(empty, LIFETIME)
        with editor.staged(empty, LIFETIME) as staged:
            staged.publish(grant.path)


def _file_path(relpath: str) -> bytes:
    path = inside(relpath)
    if not path:
        raise PathOutside(path, "this is the folder itself; name a file in it")
    return path


def _too_much(grant: UploadGrant, measured: int) -> LimitExceeded:
    return LimitExceeded(
        "bytes of the upload", measured=measured, limit=grant.size, setting="none: its size when the token was minted"
    )
