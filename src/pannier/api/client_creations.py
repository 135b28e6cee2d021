"""Client-facing: uploads that clients begin themselves, by tus 1.0.0 with its extensions, at ``/uploads``.

https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import quote

from pannier.api.client_uploads import REFUSALS, TOKEN_REFUSALS, WRITING, body_of
from pannier.api.handlers import Answered, ApiResponse, HeaderParam, QueryParam, api_handler
from pannier.api.problems import Answer, answer_status
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.dto.uploads import AppendHeaders, CreationHeaders, CreationQuery, TusHeaders
from pannier.errors import (
    LimitExceeded,
    MintingUnavailable,
    OperationRefused,
    StorageFull,
    TargetExists,
    UploadChecksumMismatch,
)
from pannier.protocol import tus
from pannier.protocol.validators import http_date
from pannier.services.upload_grants import LIFETIME, Taken, UploadGrant
from pannier.services.uploads import Uploads

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "*",
    "Access-Control-Allow-Headers": "Content-Type, Tus-Resumable, Upload-Checksum, Upload-Length, Upload-Metadata, "
    "Upload-Offset, X-Request-ID, X-Requested-With",
    "Access-Control-Expose-Headers": "Location, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, "
    "Tus-Version, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Name, Upload-Offset",
    "Access-Control-Max-Age": "600",
}
_PATH = "/uploads"
_BEGINNING = (*TOKEN_REFUSALS, TargetExists, LimitExceeded, StorageFull, OperationRefused, MintingUnavailable)
_OTHER_VERSION = {412: f"Tus-Resumable is not {tus.VERSION}."}
_SPOKEN = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}


class ClientCreations:
    """The handlers of ``/uploads``: ``POST`` with a token for a directory, the others with that of one upload."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def routes(self) -> Iterable[Route]:
        post, patch = (*_BEGINNING, *WRITING, UploadChecksumMismatch), (*WRITING, UploadChecksumMismatch)
        media, other_media = tus.CONTENT_TYPE, {415: f"The bytes are not sent as {tus.CONTENT_TYPE}."}
        return [
            Route("OPTIONS", _PATH, self.options, {204: None}),
            Route("POST", _PATH, self.begin, {201: None}, post, takes=media, problems=_OTHER_VERSION),
            Route("HEAD", _PATH, self.offset, {200: None}, REFUSALS, problems=_OTHER_VERSION),
            Route("PATCH", _PATH, self.append, {204: None}, patch, takes=media, problems=_OTHER_VERSION | other_media),
            Route("DELETE", _PATH, self.end, {204: None}, REFUSALS, problems=_OTHER_VERSION),
        ]

    @api_handler
    async def options(self) -> Answered:
        """``OPTIONS /uploads``: what is spoken here; asks for no token."""
        told = {
            "Tus-Version": tus.VERSION,
            "Tus-Max-Size": str(self._uploads.largest),
            "Tus-Extension": ",".join(tus.EXTENSIONS),
            "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
        }
        return ApiResponse(status=204, headers={**_SPOKEN, **told, **_CORS})

    @api_handler
    async def begin(
        self, query: QueryParam[CreationQuery], headers: HeaderParam[CreationHeaders], context: Context
    ) -> Answered:
        """``POST /uploads``: begin an upload below the token's directory; a body is its first bytes."""
        asked = headers.parsed
        if (refused := _other_version(asked, context)) is not None:
            return refused
        checksum = None if asked.upload_checksum is None else tus.checksum(asked.upload_checksum)
        size = tus.number("Upload-Length", asked.upload_length)
        begun = await self._uploads.begin(query.parsed.token, size, asked.upload_metadata or "")
        taken = Taken(0, begun.path)
        if size and asked.content_type == tus.CONTENT_TYPE and asked.content_length != 0:
            taken = await self._uploads.append(begun.grant, 0, asked.content_length, body_of(context), checksum)
        where = f"{context.request.rel_url.raw_path}?token={quote(begun.token, safe='')}"
        return ApiResponse(status=201, headers={"Location": where, **_told(begun.grant, taken)})

    @api_handler
    async def offset(
        self, query: QueryParam[CreationQuery], headers: HeaderParam[TusHeaders], context: Context
    ) -> Answered:
        """``HEAD /uploads``: how far the upload is; one that was finished lately is told to be."""
        if (refused := _other_version(headers.parsed, context)) is not None:
            return refused
        grant = self._uploads.admit(query.parsed.token)
        offset = await self._uploads.progress(grant)
        said = {"Upload-Metadata": grant.metadata} if grant.metadata else {}
        return ApiResponse(headers={**_told(grant, Taken(offset)), **said})

    @api_handler
    async def append(
        self, query: QueryParam[CreationQuery], headers: HeaderParam[AppendHeaders], context: Context
    ) -> Answered:
        """``PATCH /uploads``: more of it; 204 when that is durable."""
        asked = headers.parsed
        if (refused := _other_version(asked, context)) is not None:
            return refused
        if asked.content_type != tus.CONTENT_TYPE:
            title = f"Bytes of an upload are sent as {tus.CONTENT_TYPE}."
            return answer_status(415, "unsupported-media-type", title, context.id)
        grant = self._uploads.admit(query.parsed.token)
        checksum = None if asked.upload_checksum is None else tus.checksum(asked.upload_checksum)
        offset = tus.number("Upload-Offset", asked.upload_offset)
        taken = await self._uploads.append(grant, offset, asked.content_length, body_of(context), checksum)
        return ApiResponse(status=204, headers=_told(grant, taken))

    @api_handler
    async def end(
        self, query: QueryParam[CreationQuery], headers: HeaderParam[TusHeaders], context: Context
    ) -> Answered:
        """``DELETE /uploads``: give an unfinished upload up."""
        if (refused := _other_version(headers.parsed, context)) is not None:
            return refused
        await self._uploads.end(self._uploads.admit(query.parsed.token))
        return ApiResponse(status=204, headers={**_SPOKEN, **_CORS})


def _other_version(asked: TusHeaders, context: Context) -> Answer | None:
    """Return what is answered to a client that speaks another version, or does not say."""
    if asked.tus_resumable == tus.VERSION:
        return None
    title = f"Tus-Resumable has to be {tus.VERSION}."
    refused = answer_status(412, "tus-version", title, context.id)
    refused.headers["Tus-Version"] = tus.VERSION
    return refused


def _told(grant: UploadGrant, taken: Taken) -> dict[str, str]:
    told = {**_SPOKEN, "Upload-Offset": str(taken.offset), "Upload-Length": str(grant.size), **_CORS}
    if taken.offset < grant.size:
        told["Upload-Expires"] = http_date(min(grant.expires, int(time.time() + LIFETIME)))
    if taken.path is not None:
        told["Upload-Name"] = quote(taken.path)
    return told
