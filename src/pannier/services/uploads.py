"""The use cases of uploads: mint a token, begin, tell how far one is, take more of it, end it. No HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

from pannier import metrics
from pannier.dto.downloads import TokenReply
from pannier.dto.paths import to_text
from pannier.dto.uploads import LONGEST_METADATA, Conflict, UploadClaim, UploadTokenData, UploadTokenRequest
from pannier.errors import (
    InvalidRequest,
    LimitExceeded,
    PannierError,
    PathOutside,
    StateUnavailable,
    TargetExists,
    TokenClaimsInvalid,
    UploadMissing,
    UploadOffsetMismatch,
)
from pannier.protocol.tus import Checksum, metadata
from pannier.services.empty_uploads import place_early, place_empty, place_late
from pannier.services.places import Places, inside
from pannier.services.quotas import Quotas
from pannier.services.receiving import LEASE, Reception, patiently, too_much
from pannier.services.upload_checksums import UploadChecksums
from pannier.services.upload_grants import LIFETIME, Begun, Lease, Taken, UploadGrant, editor_of
from pannier.state.base import SessionStore
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.tokens import PydanticJWT
from pannier.volumes.base import Published, StagedUpload

_GRACE = 24 * 3600
"""Seconds that it is known of an upload that it was finished, after its token."""


class Uploads:
    """Uploads into the folders of the configured volumes.

    Args:
        workers: Threads that wait for storage.
        checksums: What learns the checksums of what was uploaded.
        sessions: What remembers which uploads were finished.
        largest: Most bytes of one upload.
        session_expire: Seconds that a token lives.
        quotas: What limits how much may come.
        lease: Seconds for which a silent client keeps an upload to itself.
    """

    def __init__(
        self,
        places: Places,
        workers: Workers,
        keys: PydanticJWT,
        checksums: UploadChecksums,
        sessions: SessionStore,
        *,
        largest: int,
        session_expire: float,
        quotas: Quotas,
        lease: float = LEASE,
    ) -> None:
        self._places, self._workers, self._keys, self._checksums = places, workers, keys, checksums
        self._sessions = sessions
        self.largest, self._session_expire, self._quotas, self._lease = largest, session_expire, quotas, lease

    async def mint(self, request: UploadTokenRequest) -> TokenReply:
        """Begin an upload, and return a token for it; or, with ``multiple``, return one that begins uploads.

        An empty file is there at once, as some clients send nothing for it. It takes no other file's place yet, unless
        the token is ``strict``: whoever spends it may still choose another directory.

        Raises:
            LimitExceeded: It is too large.
            TargetExists: Something is there, and the policy is to refuse.
            PathOutside: The path cannot be one of the folder, or is the folder itself.
            MintingUnavailable: There is no key to sign a token with.
            VolumeUnknown, FolderMissing, StorageFull, OperationRefused, VolumeFailed: As they say.
        """
        place = self._places.place(request.volume, request.vfid)
        claim = UploadClaim(strict=request.strict, conflict=request.conflict, multiple=request.multiple)
        data = UploadTokenData(
            volume=request.volume,
            vfid=request.vfid,
            relpath=request.relpath,
            size=request.size,
            session=secrets.token_hex(16),
            exp=int(time.time() + self._session_expire),
            pannier=None if claim == UploadClaim() else claim,
        )
        if request.multiple:
            inside(request.relpath)
            await self._workers.run(_look, place)
            return TokenReply(token=self._keys.issue(data))
        grant, token = self._grant(data, place, _file_path(request.relpath)), self._keys.issue(data)
        await self._check(grant)
        if request.conflict is Conflict.REFUSE:
            await self._workers.run(_check_free, grant)
        await self._workers.run(_stage, grant)
        metrics.UPLOADS_BEGUN.inc()
        if not request.size:
            early = request.conflict
            if early is Conflict.REPLACE and not request.strict:
                early = Conflict.REFUSE
            await self._workers.run(place_early, grant, early)
        return TokenReply(token=token)

    def admit(self, token: str, dst_dir: str | None = None) -> UploadGrant:
        """Return what a token allows; ``dst_dir`` is a directory that its path is taken from.

        Raises:
            TokenRejected: It allows nothing here.
            VolumeUnknown: Its volume is not configured.
            InvalidRequest: It allows no ``dst_dir``.
            PathOutside: The path leaves the folder.
        """
        claims = self._keys.validate(token, UploadTokenData)
        if claims.pannier is not None and claims.pannier.multiple:
            raise TokenClaimsInvalid("this token begins uploads: POST to /uploads, and go on where its answer says")
        if dst_dir is not None and claims.pannier is not None and claims.pannier.strict:
            raise InvalidRequest("dst_dir", "this token is for one path only; leave it out")
        above = inside(dst_dir) if dst_dir else b""
        path = b"/".join(filter(None, (above, _file_path(claims.relpath))))
        return self._grant(claims, self._places.place(claims.volume, claims.vfid), path)

    async def begin(self, token: str, size: int, said: str) -> Begun:
        """Begin one of the uploads that a token allows; an empty one is whole with this.

        Args:
            size: Its bytes.
            said: What the client says of it (``Upload-Metadata``); ``filename`` is where it goes, below the directory.

        Raises:
            TokenRejected: It allows no uploads to be begun.
            InvalidRequest: It is not said where it goes.
            LimitExceeded, TargetExists, PathOutside, MintingUnavailable, VolumeUnknown, FolderMissing: As ``mint``.
        """
        claims = self._keys.validate(token, UploadTokenData)
        ours = claims.pannier
        if ours is None or not ours.multiple:
            raise TokenClaimsInvalid("this token is for one upload, which is begun already: go on with HEAD and PATCH")
        if len(said) > LONGEST_METADATA:
            raise InvalidRequest("Upload-Metadata", f"is longer than {LONGEST_METADATA:,} characters")
        if size > claims.size:
            raise too_much(claims.size, size)
        if any(not " " <= character <= "~" for character in said.replace("\t", " ")):
            raise InvalidRequest("Upload-Metadata", "holds something else than keys and Base64, which are ASCII")
        told = metadata(said)
        name = told.get("filename") or told.get("name") or b""
        if not name:
            raise InvalidRequest("Upload-Metadata", "names no file; send its path as filename, in Base64")
        below = _file_path(to_text(name))
        path = b"/".join(filter(None, (inside(claims.relpath), below)))
        claim = UploadClaim(strict=True, conflict=ours.conflict, metadata=said)
        place = self._places.place(claims.volume, claims.vfid)
        return await self._begin(place, path, size, secrets.token_hex(16), claims.exp, claim)

    async def begin_at(self, place: Place, path: bytes, size: int, session: str, *, until: int) -> Begun:
        """Begin an upload to a path, which replaces nothing: a name that is taken gets a number.

        Args:
            session: 32 hex digits that name it.
            until: When its token ends, in seconds since the epoch.

        Raises:
            LimitExceeded, PathOutside, MintingUnavailable, StorageFull, FolderMissing, VolumeFailed: As ``begin``.
        """
        claim = UploadClaim(strict=True, conflict=Conflict.RENAME)
        return await self._begin(place, path, size, session, until, claim)

    async def put(self, place: Place, path: bytes, session: str, data: AsyncIterable[bytes], most: int) -> Taken:
        """Take a whole file at once whose size nobody knows before; it replaces nothing, and is durable at the end.

        Nothing of it stays where it is cut off.

        Raises:
            LimitExceeded: More than ``most`` bytes come.
            UploadLeaseLost, PathOutside, StorageFull, OperationRefused, FolderMissing, VolumeFailed: As ``append``.
        """
        until = int(time.time() + self._session_expire)
        grant = UploadGrant(place, path, session.encode(), most, until, Conflict.RENAME)
        await self._workers.run(_stage, grant)
        metrics.UPLOADS_BEGUN.inc()
        async with self._taken(grant) as staged, self._quotas.claim(place, most if most < self.largest else 0) as claim:
            reception = Reception(self._workers, staged, crc=0, lease=self._lease)
            try:
                size = await reception.take(data, most)
                claim.written = size
                metrics.UPLOAD_BYTES.inc(size)
                published = await self._workers.run(staged.publish, path, Conflict.RENAME)
            except BaseException:
                metrics.UPLOADS_ABORTED.inc()
                await self._workers.surely(staged.discard)
                raise
        metrics.UPLOADS_FINISHED.inc()
        self._checksums.learn(place, published, reception.crc(size))
        return Taken(size, published.path)

    async def has_finished(self, session: str, size: int) -> bool:
        """Whether an upload is known to be finished.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        return await self._sessions.pinned(f"upload:{session}", certain=True) == str(size)

    async def is_there(self, place: Place, session: str) -> bool:
        """Whether an upload is unfinished, or may be."""
        grant = UploadGrant(place, b"", session.encode(), 0, 0)
        try:
            async with self._taken(grant):
                return True
        except UploadMissing:
            return False
        except PannierError:
            return True

    async def _begin(self, place: Place, path: bytes, size: int, session: str, until: int, claim: UploadClaim) -> Begun:
        data = UploadTokenData(
            volume=place.volume.name,
            vfid=place.folder_id,
            relpath=to_text(path),
            size=size,
            session=session,
            exp=until,
            pannier=claim,
        )
        going_on = self._keys.issue(data)
        grant = self._grant(data, place, path)
        await self._check(grant)
        if grant.conflict is Conflict.REFUSE:
            await self._workers.run(_check_free, grant)
        metrics.UPLOADS_BEGUN.inc()
        if size:
            await self._workers.run(_stage, grant)
            return Begun(grant, going_on)
        path = await self._workers.run(place_empty, grant, grant.conflict)
        await self._finish(grant)
        metrics.UPLOADS_FINISHED.inc()
        return Begun(grant, going_on, path)

    async def offset(self, grant: UploadGrant) -> int:
        """Return how many bytes are durable. One that is whole, but was cut off before it appeared, appears now.

        Raises:
            UploadMissing: It never was, is finished, or has expired.
            UploadLeaseHeld: Somebody is writing to it.
            TargetExists: It is whole, but something has its name and must not be replaced.
        """
        async with self._taken(grant) as staged:
            if not grant.size:
                await self._workers.run(place_late, grant, staged)
                return 0
            if staged.offset == grant.size:
                await self._publish(grant, staged, None)
            return staged.offset

    async def progress(self, grant: UploadGrant) -> int:
        """Return the same as ``offset``; of an upload that was finished lately its size: its client may not know.

        Raises:
            UploadMissing, UploadLeaseHeld, TargetExists, StateUnavailable: As ``offset``, and as it says.
        """
        try:
            return await self.offset(grant)
        except UploadMissing:
            if await self._sessions.pinned(_finish_of(grant), certain=True) == str(grant.size):
                return grant.size
            raise

    async def append(
        self,
        grant: UploadGrant,
        offset: int,
        announced: int | None,
        data: AsyncIterable[bytes],
        checksum: Checksum | None = None,
    ) -> Taken:
        """Add bytes, and return where the upload is; with the last one the file appears.

        Whatever ends it early, what was made durable until then stays.

        Args:
            offset: Where the client thinks the upload is.
            announced: How many bytes will come, if that was said.
            data: The bytes.
            checksum: What they come to; they count only if they do.

        Raises:
            UploadMissing, UploadLeaseHeld, TargetExists: As ``offset``.
            UploadOffsetMismatch: The upload is elsewhere.
            LimitExceeded: More comes than was agreed on; nothing beyond that is kept.
            UploadLeaseLost, UploadChecksumMismatch, StorageFull, OperationRefused, PathOutside, VolumeFailed: As they
                say.
        """
        async with self._taken(grant) as staged:
            at = staged.offset if grant.size else 0
            if offset != at:
                raise UploadOffsetMismatch(given=offset, offset=at)
            if announced is not None and at + announced > grant.size:
                raise too_much(grant.size, at + announced)
            if not grant.size:
                async for piece in patiently(data, self._lease):
                    if piece:
                        raise too_much(0, len(piece))
                await self._workers.run(place_late, grant, staged)
                await self._workers.run(staged.discard)
                metrics.UPLOADS_FINISHED.inc()
                return Taken(0, grant.path)
            async with self._quotas.claim(grant.place, grant.size - at) as claim:
                await self._workers.run(staged.cut)
                crc = self._checksums.at(grant.session, at)
                reception = Reception(self._workers, staged, crc=crc, checksum=checksum, lease=self._lease)
                try:
                    at = await reception.take(data, grant.size)
                except BaseException:
                    metrics.UPLOADS_ABORTED.inc()
                    raise
                finally:
                    claim.written = max(0, staged.offset - offset)
                    metrics.UPLOAD_BYTES.inc(claim.written)
                    self._checksums.put(grant.session, staged.offset, reception.crc(staged.offset))
            if at < grant.size:
                return Taken(at)
            return Taken(at, (await self._publish(grant, staged, self._checksums.at(grant.session, at))).path)

    async def end(self, grant: UploadGrant) -> None:
        """Drop an unfinished upload.

        Raises:
            UploadMissing, UploadLeaseHeld: As ``offset``.
        """
        async with self._taken(grant) as staged:
            if staged.offset == grant.size:
                await self._unfinish(grant)
            await self._workers.run(staged.discard)
            self._quotas.freed(grant.place)
            self._checksums.at(grant.session, -1)

    def _grant(self, data: UploadTokenData, place: Place, path: bytes) -> UploadGrant:
        ours = data.pannier or UploadClaim()
        return UploadGrant(place, path, data.session.encode(), data.size, data.exp, ours.conflict, ours.metadata)

    async def _check(self, grant: UploadGrant) -> None:
        if grant.size > self.largest:
            raise LimitExceeded(
                "bytes of the upload", measured=grant.size, limit=self.largest, setting="storage-proxy.max-upload-size"
            )
        await self._quotas.check(grant.place, grant.size)

    async def _publish(self, grant: UploadGrant, staged: StagedUpload, crc: int | None) -> Published:
        await self._finish(grant)  # before: a crash right after the file appears must not leave its client in doubt
        try:
            published = await self._workers.run(staged.publish, grant.path, grant.conflict)
        except TargetExists:
            await self._unfinish(grant)
            raise
        metrics.UPLOADS_FINISHED.inc()
        self._quotas.freed(grant.place)  # of what it replaced
        self._checksums.learn(grant.place, published, crc)
        return published

    async def _finish(self, grant: UploadGrant) -> None:
        """Remember that an upload is finished, for when it is not there any more; without a memory it goes on too."""
        with suppress(StateUnavailable):
            await self._sessions.pin(_finish_of(grant), str(grant.size), grant.expires + _GRACE)

    async def _unfinish(self, grant: UploadGrant) -> None:
        with suppress(StateUnavailable):
            await self._sessions.withdraw(_finish_of(grant), grant.expires + _GRACE)

    @asynccontextmanager
    async def _taken(self, grant: UploadGrant) -> AsyncIterator[StagedUpload]:
        """Hold an upload's lease for the block; what blocks is done in threads."""
        lease = Lease(grant)
        try:
            yield await self._workers.run(lease.take)
        finally:
            await self._workers.surely(lease.give_back)


def _finish_of(grant: UploadGrant) -> str:
    return f"upload:{grant.session.decode('ascii')}"


def _look(place: Place) -> None:
    """See that a folder is there."""
    editor_of(place).close()


def _check_free(grant: UploadGrant) -> None:
    with closing(editor_of(grant.place)) as editor:
        if editor.kinds([grant.path]) != [None]:
            raise TargetExists(grant.path)


def _stage(grant: UploadGrant) -> None:
    with closing(editor_of(grant.place)) as editor:
        editor.collect(LIFETIME)
        editor.stage(grant.session)


def _file_path(relpath: str) -> bytes:
    path = inside(relpath)
    if not path:
        raise PathOutside(path, "this is the folder itself; name a file in it")
    return path
