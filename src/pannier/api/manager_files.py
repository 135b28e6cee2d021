"""Manager-facing: the files of a folder (WIRE section 4, Files)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, api_handler
from pannier.api.routes import Route
from pannier.dto.files import (
    DeleteRequest,
    Done,
    ListReply,
    ListRequest,
    MkdirReply,
    MkdirRequest,
    MoveRequest,
    RenameRequest,
)
from pannier.errors import (
    FolderMissing,
    OperationRefused,
    OperationUnsupported,
    PathOutside,
    StorageFull,
    TargetExists,
    VolumeUnknown,
)
from pannier.services.files import Files

_REFUSALS = (VolumeUnknown, FolderMissing, PathOutside, OperationRefused, OperationUnsupported, StorageFull)


class ManagerFiles:
    """The handlers of what is done to files."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def routes(self) -> Iterable[Route]:
        made = {200: MkdirReply, 207: MkdirReply, 422: MkdirReply}
        return [
            Route("POST", "/folder/file/mkdir", self.make_directories, made, _REFUSALS),
            Route("POST", "/folder/file/list", self.list, {200: ListReply}, _REFUSALS),
            Route("POST", "/folder/file/rename", self.rename, {204: None}, (*_REFUSALS, TargetExists)),
            Route("POST", "/folder/file/move", self.move, {204: None}, (*_REFUSALS, TargetExists)),
            Route("POST", "/folder/file/delete", self.delete, {200: Done}, _REFUSALS),
        ]

    @api_handler
    async def make_directories(self, body: BodyParam[MkdirRequest]) -> Answered:
        """``POST /folder/file/mkdir``: 200 if all were made, 207 if some, 422 if none."""
        reply = await self._files.make_directories(body.parsed)
        results = reply.results
        status = 422 if not results.success else 207 if results.failed else 200
        return ApiResponse(reply, status=status)

    @api_handler
    async def list(self, body: BodyParam[ListRequest]) -> Answered:
        """``POST /folder/file/list``: what is in a directory."""
        return ApiResponse(await self._files.list(body.parsed))

    @api_handler
    async def rename(self, body: BodyParam[RenameRequest]) -> Answered:
        """``POST /folder/file/rename``: give something another name, which nothing has."""
        await self._files.rename(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def move(self, body: BodyParam[MoveRequest]) -> Answered:
        """``POST /folder/file/move``: move something to another path, at which nothing is."""
        await self._files.move(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def delete(self, body: BodyParam[DeleteRequest]) -> Answered:
        """``POST /folder/file/delete``: delete files, and directories where that is said."""
        await self._files.delete(body.parsed)
        return ApiResponse(Done())
