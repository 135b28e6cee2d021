"""Manager-facing: what goes on in the background (WIRE section 4; ``GET /tasks/{id}`` is ours)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, PathParam, api_handler
from pannier.api.routes import Route
from pannier.dto.tasks import (
    BegunReply,
    CloneFolderRequest,
    DeleteFilesRequest,
    DeleteFolderRequest,
    TaskPath,
    TaskReply,
)
from pannier.errors import (
    Busy,
    CloneAcrossVolumes,
    FolderExists,
    FolderMissing,
    InvalidRequest,
    OperationRefused,
    OperationUnsupported,
    PathOutside,
    QuotaScopeMissing,
    StateUnavailable,
    StorageFull,
    TaskMissing,
    VolumeUnknown,
)
from pannier.services.errands import Errands

_BEGIN = (VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull, Busy, StateUnavailable)
_CLONE = (*_BEGIN, CloneAcrossVolumes, InvalidRequest, FolderMissing, FolderExists, QuotaScopeMissing)


class ManagerTasks:
    """The handlers of background tasks."""

    def __init__(self, errands: Errands) -> None:
        self._errands = errands

    def routes(self) -> Iterable[Route]:
        begun, files = {202: BegunReply}, (*_BEGIN, FolderMissing, PathOutside)
        return [
            Route("POST", "/folder/delete", self.delete_folder, begun, _BEGIN),
            Route("POST", "/folder/clone", self.clone_folder, {200: BegunReply}, _CLONE),
            Route("POST", "/folder/file/delete-async", self.delete_files, begun, files),
            Route("GET", "/tasks/{id}", self.task, {200: TaskReply}, (TaskMissing, StateUnavailable)),
        ]

    @api_handler
    async def delete_folder(self, body: BodyParam[DeleteFolderRequest]) -> Answered:
        """``POST /folder/delete``."""
        return ApiResponse(await self._errands.delete_folder(body.parsed), status=202)

    @api_handler
    async def clone_folder(self, body: BodyParam[CloneFolderRequest]) -> Answered:
        """``POST /folder/clone``."""
        return ApiResponse(await self._errands.clone_folder(body.parsed))

    @api_handler
    async def delete_files(self, body: BodyParam[DeleteFilesRequest]) -> Answered:
        """``POST /folder/file/delete-async``."""
        return ApiResponse(await self._errands.delete_files(body.parsed), status=202)

    @api_handler
    async def task(self, path: PathParam[TaskPath]) -> Answered:
        """``GET /tasks/{id}``."""
        return ApiResponse(await self._errands.task(path.parsed.id))
