"""The use cases of single downloads: mint a token, find the file or directory it opens, read it. No HTTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

from pannier.archive.entries import Kind
from pannier.archive.formats import ZIP
from pannier.dto.downloads import DownloadClaim, DownloadTokenData, DownloadTokenRequest, TokenReply
from pannier.dto.files import FetchRequest
from pannier.dto.paths import to_text
from pannier.dto.selections import Selection
from pannier.errors import FileMissing, InvalidRequest, NotAFile, PathOutside
from pannier.protocol.disposition import plain_filename
from pannier.services.archives import DEFAULT_NAME, Grant
from pannier.services.clocks import Clock
from pannier.services.orders import Order
from pannier.services.places import Places, inside
from pannier.state.base import SessionStore
from pannier.state.sessions import NewSession, key_of
from pannier.streams.file import FileReader
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.tokens import PydanticJWT, session_of
from pannier.volumes.base import Found, Refused

_EVERYTHING = Selection(files=(".",))
_SETTLE_ROUNDS = 3
_LONGEST_TICK_NS = 100_000_000
"""Beyond this a client is not kept waiting for a file to settle: it gets an ETag for this once."""
_PIN_GRACE = 24 * 3600
"""Seconds that a pin outlives its token."""
FILE = "file"
"""What stands for the format of an archive in the session of a single file."""


@dataclass(frozen=True, slots=True)
class FileGrant:
    """What a valid token allows: one path of a folder, until ``expires`` (Unix seconds).

    Attributes:
        link: What its streams are counted by: all paths of a token together.
        session: What its pins are remembered by: those of one path are its own.
        archive: Whether a directory is allowed too, as a ZIP.
        told: What the token says of its session, if it has one: those of managers have none.
    """

    place: Place
    path: bytes
    link: str
    session: str
    expires: int
    archive: bool = False
    told: NewSession | None = None


class Downloads:
    """Single files, for managers and for those who hold a token.

    Args:
        workers: Threads that wait for storage.
        sessions: Which version of a file each download began with.
        session_expire: Seconds that a token lives.
        quiet_after_ns: See ``FileReader``.
    """

    def __init__(
        self,
        places: Places,
        workers: Workers,
        keys: PydanticJWT,
        sessions: SessionStore,
        *,
        session_expire: float,
        quiet_after_ns: int | None,
    ) -> None:
        self._places, self._workers, self._keys, self._sessions = places, workers, keys, sessions
        self._session_expire, self._quiet_after_ns = session_expire, quiet_after_ns

    def mint(self, request: DownloadTokenRequest) -> TokenReply:
        """Return a token for a path; whether something is there is seen when it is spent, as upstream does.

        Raises:
            VolumeUnknown: The volume is not configured.
            PathOutside: The path cannot be one of the folder.
            MintingUnavailable: There is no key to sign a token with.
        """
        return TokenReply(token=self._keys.issue(self._claims(request, told=False)))

    def mint_told(self, request: DownloadTokenRequest) -> tuple[str, NewSession]:
        """Return a token as ``mint`` does, and its session, which is to be registered before the token is given out."""
        claims = self._claims(request, told=True)
        token = self._keys.issue(claims)
        new = self._granted(token, claims, inside(request.relpath), archive=False).told
        assert new is not None, "it is said in the claims"
        return token, new

    def _claims(self, request: DownloadTokenRequest, *, told: bool) -> DownloadTokenData:
        self._places.volume(request.volume)
        inside(request.relpath)
        return DownloadTokenData(
            volume=request.volume,
            vfid=request.vfid,
            relpath=request.relpath,
            exp=int(time.time() + self._session_expire),
            jti=secrets.token_urlsafe(16),
            pannier=DownloadClaim(strict=request.strict, told=told) if request.strict or told else None,
        )

    def admit(self, token: str, dst_dir: str | None, *, archive: bool) -> FileGrant:
        """Return what a token allows; ``dst_dir`` is a directory that its path is taken from.

        ``archive``: whether a directory is asked for, which the token may say as well.

        Raises:
            TokenRejected: It allows nothing here.
            VolumeUnknown: Its volume is not configured.
            InvalidRequest: It allows no ``dst_dir``.
            FileMissing: The path leaves the folder.
        """
        claims = self._keys.validate(token, DownloadTokenData)
        if dst_dir is not None and claims.pannier is not None and claims.pannier.strict:
            raise InvalidRequest("dst_dir", "this token is for one path only; leave it out")
        try:
            above, path = inside(dst_dir) if dst_dir else b"", inside(claims.relpath)
        except PathOutside as error:
            raise FileMissing(error.path) from error
        return self._granted(token, claims, b"/".join(filter(None, (above, path))), archive=archive)

    def _granted(self, token: str, claims: DownloadTokenData, path: bytes, *, archive: bool) -> FileGrant:
        place = self._places.place(claims.volume, claims.vfid)
        link = session_of(token, claims.jti)
        session, told = f"{link}:file:{path.hex()}", None
        if claims.pannier is not None and claims.pannier.told:
            told = NewSession(
                key=key_of(session),
                volume=claims.volume,
                folder=str(claims.vfid),
                filename=plain_filename(to_text(path.rpartition(b"/")[2])),
                format=FILE,
                expires=claims.exp,
                grace=0,
                rate=None,
                times=0,
            )
        return FileGrant(place, path, link, session, claims.exp, archive or claims.archive, told)

    def of(self, request: FetchRequest) -> FileGrant:
        """Return what a manager asks for without a token.

        Raises:
            VolumeUnknown, PathOutside: As they say.
        """
        path = inside(request.relpath)
        link = f"manager:{path.hex()}"
        return FileGrant(self._places.place(request.volume, request.vfid), path, link, link, 0)

    async def directory(self, grant: FileGrant) -> Grant | None:
        """Return what opens the ZIP of the directory at the path; None where none is there, or none is allowed.

        Raises:
            FolderMissing, VolumeFailed: As they say.
        """
        if not grant.archive or not await self._workers.run(_is_directory, grant):
            return None
        return Grant(
            order=Order(grant.place, _EVERYTHING, grant.path),
            format=ZIP,
            filename=(to_text(grant.path.rpartition(b"/")[2]) or DEFAULT_NAME) + ZIP.extension,
            session=grant.session,
            expires=grant.expires,
        )

    async def open(self, grant: FileGrant) -> FileReader:
        """Return a reader of the file as it is now; one that was touched within the last tick settles first.

        Raises:
            FileMissing: Nothing is there, or it is outside the folder.
            NotAFile: Something else is.
            FolderMissing, VolumeFailed: As they say.
        """
        found, settled = await self._workers.run(_find, grant)
        for _ in range(_SETTLE_ROUNDS):
            if settled or (tick_ns := grant.place.volume.clock_granularity_ns) > _LONGEST_TICK_NS:
                break
            await asyncio.sleep(tick_ns / 1e9)
            found, settled = await self._workers.run(_find, grant)
        return FileReader(
            self._workers,
            grant.place,
            found,
            grant.path,
            filename=to_text(grant.path.rpartition(b"/")[2]),
            settled=settled,
            quiet_after_ns=self._quiet_after_ns,
        )

    async def pinned(self, grant: FileGrant, *, certain: bool) -> str | None:
        """Return the ETag that a download began with; see ``SessionStore.pinned``."""
        return await self._sessions.pinned(grant.session, certain=certain)

    async def pin(self, grant: FileGrant, etag: str) -> str:
        """Tie a download to a version of its file; see ``SessionStore.pin``."""
        return await self._sessions.pin(grant.session, etag, grant.expires + _PIN_GRACE)

    async def withdraw(self, grant: FileGrant) -> None:
        """Tie a download to no version any more; see ``SessionStore.withdraw``."""
        await self._sessions.withdraw(grant.session, grant.expires + _PIN_GRACE)


def _look(grant: FileGrant) -> Found:
    folder = grant.place.open()
    try:
        return folder.lookup(grant.path, follow=True)
    except Refused as refused:
        raise FileMissing(grant.path) from refused
    finally:
        folder.close()


def _is_directory(grant: FileGrant) -> bool:
    try:
        return _look(grant).stat.kind is Kind.DIRECTORY
    except FileMissing:
        return False


def _find(grant: FileGrant) -> tuple[Found, bool]:
    """Find the file, and say whether a change after this look would show."""
    volume = grant.place.volume
    clock = Clock(volume.now_ns, volume.clock_granularity_ns)
    looked_ns = clock.now_ns()  # before the look: what is written between both is seen by it or young
    found = _look(grant)
    match found.stat.kind:
        case Kind.FILE:
            return found, not clock.is_young(found.stat.changed_ns, looked_ns)
        case Kind.DIRECTORY:
            raise NotAFile(grant.path, "a directory; archive=true in the query of /download gets it as a ZIP")
        case _:
            raise NotAFile(grant.path, "a special file")
