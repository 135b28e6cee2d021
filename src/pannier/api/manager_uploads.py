"""Manager-facing: tokens of uploads (WIRE section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, api_handler
from pannier.api.routes import Route
from pannier.dto.downloads import TokenReply
from pannier.dto.uploads import UploadTokenRequest
from pannier.errors import (
    FolderMissing,
    LimitExceeded,
    MintingUnavailable,
    OperationRefused,
    OperationUnsupported,
    PathOutside,
    StorageFull,
    TargetExists,
    VolumeUnknown,
)
from pannier.services.uploads import Uploads

_REFUSALS = (VolumeUnknown, FolderMissing, PathOutside, LimitExceeded, StorageFull, TargetExists)


class ManagerUploads:
    """The handler of upload tokens."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> Iterable[Route]:
        refusals = (*_REFUSALS, OperationRefused, OperationUnsupported, MintingUnavailable)
        return [Route("POST", "/folder/file/upload", self.mint, {200: TokenReply}, refusals)]

    @api_handler
    async def mint(self, body: BodyParam[UploadTokenRequest]) -> Answered:
        """``POST /folder/file/upload``: begin an upload."""
        return ApiResponse(await self._uploads.mint(body.parsed))
