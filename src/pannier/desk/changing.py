"""What the page asks for to change files: directories, names, places, the trash, uploads."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, PathParam, QueryParam, api_handler
from pannier.api.kinds import Kind
from pannier.api.problems import kind_of
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import CrossSite, NameInvalid, NameTaken, ReadOnly, SignedOut, TrashMissing
from pannier.desk.door import House
from pannier.dto.desk import (
    MOST_SHOWN,
    DeletedReply,
    FolderRequest,
    IdPath,
    MadeReply,
    Moved,
    MoveReply,
    MoveRequest,
    NotMoved,
    PathsRequest,
    PlaceRequest,
    RenameRequest,
    RestoredReply,
    Trashed,
    TrashItem,
    TrashReply,
    UploadsReply,
    UploadsRequest,
)
from pannier.dto.instants import instant
from pannier.dto.paths import to_text
from pannier.dto.uploads import UploadTokenRequest
from pannier.errors import (
    FileMissing,
    FolderMissing,
    OperationRefused,
    OperationUnsupported,
    PannierError,
    PathOutside,
    StorageFull,
)
from pannier.services.changes import TRASH_SECONDS, Changes
from pannier.services.uploads import Uploads
from pannier.volumes.deletions import Deletion

_REFUSALS = (
    SignedOut,
    CrossSite,
    ReadOnly,
    FolderMissing,
    PathOutside,
    FileMissing,
    OperationRefused,
    OperationUnsupported,
    StorageFull,
)


class DeskChanges:
    """The handlers of what changes files. ``session_expire``: seconds that a token of uploads lives."""

    def __init__(self, house: House, changes: Changes, uploads: Uploads, session_expire: float) -> None:
        self._house, self._changes, self._uploads = house, changes, uploads
        self._session_expire = session_expire

    def routes(self) -> Iterable[Route]:
        naming = (*_REFUSALS, NameTaken, NameInvalid)
        looking = (SignedOut, FolderMissing)
        return [
            Route("POST", "/desk/mkdir", self.make_directory, {201: MadeReply}, naming),
            Route("POST", "/desk/rename", self.rename, {200: MadeReply}, naming),
            Route("POST", "/desk/move", self.move, {200: MoveReply}, _REFUSALS),
            Route("POST", "/desk/delete", self.delete, {200: DeletedReply}, _REFUSALS),
            Route("GET", "/desk/trash", self.trash, {200: TrashReply}, looking),
            Route("POST", "/desk/trash/{id}/restore", self.restore, {200: RestoredReply}, (*_REFUSALS, TrashMissing)),
            Route("POST", "/desk/trash/{id}/forget", self.forget, {204: None}, (*_REFUSALS, TrashMissing)),
            Route("POST", "/desk/uploads", self.uploads, {200: UploadsReply}, _REFUSALS),
        ]

    @api_handler
    async def make_directory(self, body: BodyParam[PlaceRequest], context: Context) -> Answered:
        """``POST /desk/mkdir``: a directory in one that is there."""
        await self._house.editor(context)
        place = self._house.place(body.parsed.folder)
        return ApiResponse(MadeReply(path=await self._changes.make_directory(place, body.parsed.path)), 201)

    @api_handler
    async def rename(self, body: BodyParam[RenameRequest], context: Context) -> Answered:
        """``POST /desk/rename``: another name, which nothing has."""
        await self._house.editor(context)
        asked = body.parsed
        place = self._house.place(asked.folder)
        return ApiResponse(MadeReply(path=await self._changes.rename(place, asked.path, asked.name)))

    @api_handler
    async def move(self, body: BodyParam[MoveRequest], context: Context) -> Answered:
        """``POST /desk/move``: into another directory of the folder; nothing is ever replaced."""
        await self._house.editor(context)
        asked = body.parsed
        moved, failed = await self._changes.move(self._house.place(asked.folder), asked.paths, asked.into)
        return ApiResponse(MoveReply(moved=_moved(moved), failed=_failed(failed)))

    @api_handler
    async def delete(self, body: BodyParam[PathsRequest], context: Context) -> Answered:
        """``POST /desk/delete``: into the trash, for a day."""
        await self._house.editor(context)
        deletion = await self._changes.delete(self._house.place(body.parsed.folder), body.parsed.paths)
        return ApiResponse(
            DeletedReply(
                id=deletion.id,
                deleted=len(deletion.things),
                kept_until=instant(int(deletion.at + TRASH_SECONDS)),
                items=_things(deletion),
            )
        )

    @api_handler
    async def trash(self, query: QueryParam[FolderRequest], context: Context) -> Answered:
        """``GET /desk/trash``: what was deleted and can come back."""
        await self._house.keeper(context)
        found = await self._changes.deletions(self._house.place(query.parsed.folder))
        items = tuple(
            TrashItem(
                id=each.id,
                deleted_at=instant(int(each.at)),
                kept_until=instant(int(each.at + TRASH_SECONDS)),
                items=_things(each),
                total=len(each.things),
            )
            for each in found
        )
        return ApiResponse(TrashReply(items=items))

    @api_handler
    async def restore(self, path: PathParam[IdPath], body: BodyParam[FolderRequest], context: Context) -> Answered:
        """``POST /desk/trash/{id}/restore``: everything back to where it was."""
        await self._house.editor(context)
        restored, failed = await self._changes.restore(self._house.place(body.parsed.folder), path.parsed.id)
        return ApiResponse(RestoredReply(restored=_moved(restored), failed=_failed(failed)))

    @api_handler
    async def forget(self, path: PathParam[IdPath], body: BodyParam[FolderRequest], context: Context) -> Answered:
        """``POST /desk/trash/{id}/forget``: for good."""
        await self._house.editor(context)
        await self._changes.forget(self._house.place(body.parsed.folder), path.parsed.id)
        return ApiResponse(status=204)

    @api_handler
    async def uploads(self, body: BodyParam[UploadsRequest], context: Context) -> Answered:
        """``POST /desk/uploads``: where uploads into a directory are begun by tus."""
        await self._house.editor(context)
        asked = body.parsed
        served = self._house.served(asked.folder)
        request = UploadTokenRequest(
            volume=served.volume,
            vfid=served.folder,
            relpath=asked.path,
            size=self._uploads.largest,
            strict=True,
            conflict=asked.conflict,
            multiple=True,
        )
        until = int(time.time() + self._session_expire)
        token = (await self._uploads.mint(request)).token
        url = self._house.spent("/uploads", token, context)
        return ApiResponse(UploadsReply(url=url, expires_at=instant(until), largest=self._uploads.largest))


def _moved(pairs: list[tuple[bytes, bytes]]) -> tuple[Moved, ...]:
    return tuple(Moved(path=to_text(old), to=to_text(new)) for old, new in pairs)


def _failed(pairs: list[tuple[bytes, PannierError]]) -> tuple[NotMoved, ...]:
    kinds: list[tuple[bytes, PannierError, Kind]] = [(path, error, kind_of(type(error))) for path, error in pairs]
    return tuple(
        NotMoved(path=to_text(path), problem=kind.tail, detail=str(error).encode("utf-8", "backslashreplace").decode())
        for path, error, kind in kinds
    )


def _things(deletion: Deletion) -> tuple[Trashed, ...]:
    return tuple(
        Trashed.model_validate({"path": to_text(thing.path), "kind": thing.kind})
        for thing in deletion.things[:MOST_SHOWN]
    )
