"""The use cases of requests for files: others put files into one directory and see nothing else. No HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterable, Callable

from pannier.denials import LinkMissing, RequestClosed
from pannier.dto.drops import DropReply, DropRequest, DropState, SenderReply
from pannier.dto.ids import FolderId
from pannier.dto.instants import instant
from pannier.dto.paths import to_bytes, to_text
from pannier.errors import LimitExceeded
from pannier.services.changes import check_name
from pannier.services.links import CODE_BYTES, MOST_LISTED, Address
from pannier.services.places import Places, inside
from pannier.services.upload_grants import LIFETIME, Begun, Taken
from pannier.services.uploads import Uploads
from pannier.state.drops import Drop, Room, SqliteDrops
from pannier.streams.hashing import Place


class Drops:
    """Requests for files.

    Room for a file is kept when it begins to come, and given back where it does not: so many senders at once get no
    more than was meant.

    Args:
        records: Where they are kept.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, records: SqliteDrops, places: Places, uploads: Uploads, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._records, self._places, self._uploads, self._clock = records, places, uploads, clock

    # -- for their owner

    async def make(self, volume: str, folder: FolderId, asked: DropRequest, address: Address) -> DropReply:
        """Make a request for files; the directory must be there when files come, or it is made then.

        Raises:
            VolumeUnknown, PathOutside: Of the place.
            StateUnavailable: It cannot be kept.
        """
        self._places.volume(volume)
        now = self._clock()
        drop = Drop(
            number=0,
            code=secrets.token_urlsafe(CODE_BYTES),
            volume=volume,
            folder=str(folder),
            path=inside(asked.path),
            title=asked.title,
            note=asked.note or None,
            created=now,
            expires=int(now) + asked.expires_in,
            largest=asked.largest,
            total=asked.total,
            count=asked.count,
        )
        return await self._told(await self._records.keep(drop), address)

    async def listed(self, address: Address) -> list[DropReply]:
        """Return the requests that were not removed, the newest first."""
        return [await self._told(drop, address) for drop in await self._records.listed(MOST_LISTED)]

    async def close_request(self, code: str, address: Address, *, remove: bool = False) -> DropReply:
        """Close a request; what is coming may finish.

        Raises:
            LinkMissing: There is none.
        """
        drop = await self._records.close(code, self._clock(), remove=remove)
        if drop is None:
            raise LinkMissing
        return await self._told(drop, address)

    # -- for who sends

    async def open(self, code: str) -> Drop:
        """Return a request that takes files.

        Raises:
            LinkMissing: There is none.
            RequestClosed: It is closed, or its time is over.
            StateUnavailable: It cannot be told now.
        """
        drop = await self._records.find(code)
        if drop is None:
            raise LinkMissing
        if drop.closed is not None or self._clock() >= drop.expires:
            raise RequestClosed
        return drop

    async def sender(self, drop: Drop) -> SenderReply:
        """Return what who sends files is told."""
        room = await self._room(drop)
        left = None if drop.total is None else max(0, drop.total - room.bytes - room.bytes_kept)
        files_left = None if drop.count is None else max(0, drop.count - room.files - room.files_kept)
        return SenderReply(
            title=drop.title,
            note=drop.note,
            expires_at=instant(drop.expires),
            largest=self._largest(drop),
            left=left,
            files_left=files_left,
        )

    async def begin(self, drop: Drop, name: str, size: int) -> Begun:
        """Begin an upload of one file by tus; room is kept for it.

        Raises:
            NameInvalid: The name is none.
            LimitExceeded: It is too large, or no room is left.
            MintingUnavailable, StorageFull, VolumeFailed: As ``Uploads.begin``.
        """
        path = _path(drop, name)
        if size > self._largest(drop):
            raise _too_much("bytes of the file", size, self._largest(drop))
        session = secrets.token_hex(16)
        await self._take(drop, session, size)
        try:
            begun = await self._uploads.begin_at(self._place(drop), path, size, session, until=drop.expires)
        except BaseException:
            await self._records.give_back(session)
            raise
        if not size:
            await self._records.came(session, 0, self._clock())
        return begun

    async def put(self, drop: Drop, name: str, data: AsyncIterable[bytes], most: int) -> tuple[str, int]:
        """Take one file whose size nobody knows before its end, ``most`` bytes at most; return its name and size.

        It is durable, and there, when this returns; nothing of one that is cut off stays.

        Raises:
            NameInvalid, LimitExceeded: As ``begin``.
            UploadLeaseLost, StorageFull, VolumeFailed: As ``Uploads.append``.
        """
        path = _path(drop, name)
        room = await self._room(drop)
        left = most if drop.total is None else min(most, drop.total - room.bytes - room.bytes_kept)
        most = min(left, self._largest(drop))
        if most < 0:
            raise _too_much("bytes of all files", room.bytes + room.bytes_kept, drop.total or 0)
        session = secrets.token_hex(16)
        await self._take(drop, session, 0 if drop.total is None else most)
        try:
            taken: Taken = await self._uploads.put(self._place(drop), path, session, data, most)
        except BaseException:
            await self._records.give_back(session)
            raise
        await self._records.came(session, taken.offset, self._clock())
        return to_text((taken.path or path).rpartition(b"/")[2]), taken.offset

    def _largest(self, drop: Drop) -> int:
        return min(self._uploads.largest, drop.largest or self._uploads.largest)

    def _place(self, drop: Drop) -> Place:
        return self._places.place(drop.volume, FolderId.parse(drop.folder))

    async def _take(self, drop: Drop, session: str, size: int) -> None:
        if await self._records.take(drop, session, size, self._clock()):
            return
        await self.open(drop.code)
        room = await self._room(drop)
        if drop.count is not None and room.files + room.files_kept >= drop.count:
            raise _too_much("files", room.files + room.files_kept + 1, drop.count)
        raise _too_much("bytes of all files", room.bytes + room.bytes_kept + size, drop.total or 0)

    async def _room(self, drop: Drop) -> Room:
        """Return what is taken of a request, once it was seen which uploads have ended since."""
        now = self._clock()
        for session, size, begun in await self._records.awaited(drop.number):
            if await self._uploads.has_finished(session, size):
                await self._records.came(session, size, now)
            elif now - begun > LIFETIME and not await self._uploads.is_there(self._place(drop), session):
                await self._records.give_back(session)
        return await self._records.room(drop.number)

    async def _told(self, drop: Drop, address: Address) -> DropReply:
        room = await self._room(drop)
        return DropReply(
            code=drop.code,
            url=f"{address.base}/r/{drop.code}",
            state=self._state(drop, room),
            folder=drop.volume,
            path=to_text(drop.path),
            title=drop.title,
            note=drop.note,
            created_at=instant(int(drop.created)),
            expires_at=instant(drop.expires),
            largest=drop.largest,
            total=drop.total,
            count=drop.count,
            files=room.files,
            received=room.bytes,
            closed_at=None if drop.closed is None else instant(int(drop.closed)),
        )

    def _state(self, drop: Drop, room: Room) -> DropState:
        if drop.closed is not None:
            return DropState.CLOSED
        if self._clock() >= drop.expires:
            return DropState.EXPIRED
        if (drop.count is not None and room.files >= drop.count) or (
            drop.total is not None and room.bytes >= drop.total
        ):
            return DropState.FULL
        return DropState.OPEN


def _path(drop: Drop, name: str) -> bytes:
    """Return where a file goes. A path is taken apart: of a folder that is sent, its directories are kept.

    Raises:
        NameInvalid: A part of it is no name.
        PathOutside: It climbs.
    """
    names = to_bytes(name).split(b"/")
    for each in names:
        check_name(each)
    return inside(to_text(b"/".join((*filter(None, (drop.path,)), *names))))


def _too_much(what: str, measured: int, limit: int) -> LimitExceeded:
    return LimitExceeded(what, measured=measured, limit=limit, setting="none: the file request's own limits")
