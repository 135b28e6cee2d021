"""Client-facing: uploads by tus 1.0.0, its core (WIRE section 6.4; https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import web

from pannier.api.handlers import Answered, ApiResponse, HeaderParam, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.dto.uploads import PatchHeaders, UploadQuery
from pannier.errors import (
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    OperationRefused,
    PathOutside,
    StorageFull,
    TargetExists,
    TokenRejected,
    UnreadableBody,
    UploadLeaseHeld,
    UploadLeaseLost,
    UploadMissing,
    UploadOffsetMismatch,
    VolumeUnknown,
)
from pannier.protocol import tus
from pannier.services.upload_grants import UploadGrant
from pannier.services.uploads import Uploads

_NAMES = "Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset, Content-Type"
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": _NAMES,
    "Access-Control-Expose-Headers": _NAMES,
}
TOKEN_REFUSALS = (TokenRejected, VolumeUnknown, FolderMissing, PathOutside, InvalidRequest)
REFUSALS = (*TOKEN_REFUSALS, UploadMissing, UploadLeaseHeld, TargetExists)
WRITING = (*REFUSALS, UploadOffsetMismatch, UploadLeaseLost, LimitExceeded, StorageFull, OperationRefused)


class ClientUploads:
    """The handlers of ``/upload``."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> Iterable[Route]:
        return [
            Route("OPTIONS", "/upload", self.options, {200: None}),
            Route("HEAD", "/upload", self.offset, {200: None}, REFUSALS),
            Route("PATCH", "/upload", self.append, {204: None}, WRITING, takes=tus.CONTENT_TYPE),
        ]

    @api_handler
    async def options(self) -> Answered:
        """``OPTIONS /upload``: what is spoken here; asks for no token."""
        told = {"Tus-Resumable": tus.VERSION, "Tus-Version": tus.VERSION, "Tus-Max-Size": str(self._uploads.largest)}
        return ApiResponse(headers={**told, **_CORS})

    @api_handler
    async def offset(self, query: QueryParam[UploadQuery]) -> Answered:
        """``HEAD /upload``: how far the upload is."""
        grant = self._uploads.admit(query.parsed.token, query.parsed.dst_dir)
        return ApiResponse(headers=_told(grant, await self._uploads.offset(grant)))

    @api_handler
    async def append(
        self, query: QueryParam[UploadQuery], headers: HeaderParam[PatchHeaders], context: Context
    ) -> Answered:
        """``PATCH /upload``: more of it; 204 when that is durable."""
        grant = self._uploads.admit(query.parsed.token, query.parsed.dst_dir)
        offset = tus.number("Upload-Offset", headers.parsed.upload_offset)
        taken = await self._uploads.append(grant, offset, headers.parsed.content_length, body_of(context))
        return ApiResponse(status=204, headers=_told(grant, taken.offset))


async def body_of(context: Context) -> AsyncIterator[bytes]:
    """Give a request's body as it comes.

    Raises:
        UnreadableBody: It does not come as its headers say.
    """
    try:
        # all that waits at once: what is not read yet when a connection breaks is lost with it
        async for piece in context.request.content.iter_any():
            yield piece
    except web.RequestPayloadError:
        raise UnreadableBody("the body is not encoded as its headers say, or ends early") from None


def _told(grant: UploadGrant, offset: int) -> dict[str, str]:
    return {
        "Tus-Resumable": tus.VERSION,
        "Upload-Offset": str(offset),
        "Upload-Length": str(grant.size),
        "Cache-Control": "no-store",
        **_CORS,
    }
