"""Client-facing: spending an archive token (WIRE section 6.3, RFC 9110 sections 8, 13 and 14)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import assert_never

from aiohttp.http import HttpVersion11
from pydantic import BaseModel

from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.problems import Answer, answer, answer_status
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.api.streaming import Streaming, StreamResponse
from pannier.dto.archives import ArchiveFormat, CompressionField
from pannier.errors import (
    Busy,
    FolderMissing,
    MalformedRequest,
    ResumeUnverified,
    SelectionChanged,
    SelectionRefused,
    SourceChanged,
    TokenRejected,
    VolumeUnknown,
)
from pannier.protocol.conditions import (
    Conditions,
    Conflict,
    ConflictReason,
    Failed,
    Full,
    NotModified,
    NotPinned,
    Partial,
    Pin,
    PinnedTo,
    Unpinnable,
    Unsatisfiable,
    Validator,
    decide,
    http_date,
    parse_etag,
)
from pannier.protocol.disposition import attachment
from pannier.protocol.ranges import content_range, parse_range, unsatisfied_range
from pannier.services.archives import Archives, Grant
from pannier.streams.base import StreamReader
from pannier.window import Window

_BEARER = "bearer "
_REFUSALS = (TokenRejected, VolumeUnknown, FolderMissing, SelectionRefused, SelectionChanged, ResumeUnverified, Busy)
_ARCHIVE = "application/zip"
_CACHE_CONTROL = "private, no-transform"


class TokenQuery(BaseModel):
    """The query of ``/download-archive``; other keys are ignored."""

    token: str | None = None
    format: ArchiveFormat | None = None
    """Another format than the signed one, where the token allows it."""
    compression: CompressionField | None = None


class ClientArchives:
    """The handlers of ``/download-archive``."""

    def __init__(self, archives: Archives, streaming: Streaming) -> None:
        self._archives, self._streaming = archives, streaming

    def routes(self) -> Iterable[Route]:
        archive = "application/zip"
        return [
            Route(
                "GET", "/download-archive", self.download, {200: archive, 206: archive, 304: None}, _REFUSALS, head=True
            )
        ]

    @api_handler
    async def download(self, query: QueryParam[TokenQuery], context: Context) -> Answered:
        """``GET`` and ``HEAD /download-archive``: the archive, or a window of it."""
        asked = query.parsed
        grant = await self._archives.admit(_token(asked, context), asked.format, asked.compression)
        conditions = Conditions.of(context.request.headers)
        respond = self._answer_encoded if grant.encoded else self._answer
        try:
            return await respond(grant, conditions, context)
        except SourceChanged:
            # Nothing has left yet, and the plan that no longer held is forgotten: the second look is at what is there.
            return await respond(grant, conditions, context)

    async def _answer_encoded(self, grant: Grant, conditions: Conditions, context: Context) -> Answered:
        """Answer with output whose length nobody knows: no validators, no ranges, and nothing to pin."""
        if context.request.version < HttpVersion11:
            return _upgrade(grant, context)
        reader = await self._archives.open_encoded(grant)
        headers = {"Accept-Ranges": "none", "Cache-Control": _CACHE_CONTROL}
        decision = decide(context.method, conditions, None, None, Unpinnable())
        match decision:
            case Full():
                stream = await self._streaming.begin(reader, None, grant.session) if context.method == "GET" else None
                return StreamResponse(stream, 200, None, {**headers, **_representation(reader)}, self._streaming)
            case NotModified():
                return ApiResponse(status=304, headers=headers)
            case _:
                return _precondition_failed(context)

    async def _answer(self, grant: Grant, conditions: Conditions, context: Context) -> Answered:
        pinned = await self._archives.pinned(grant, certain=_relies_on_pin(conditions, context.method))
        try:
            reader = await self._archives.open(grant, _continued(conditions, context.method, pinned))
        except (SelectionRefused, FolderMissing):
            if pinned is not None and _is_bare_range(conditions, context.method):
                return answer(SelectionChanged(), context.id)  # whatever is there now: it is not what was begun
            raise
        version = reader.version
        now = int(time.time())
        last_modified = min(version.last_modified, now)
        validator = Validator(version.etag, last_modified, dates_are_strong=last_modified <= now - 1)
        while True:
            pin: Pin = PinnedTo(pinned) if pinned is not None else NotPinned()
            decision = decide(context.method, conditions, reader.length, validator, pin)
            headers = _validators(validator)
            match decision:
                case Full():
                    window, status = Window(0, reader.length), 200
                case Partial(window=window):
                    status = 206
                    headers["Content-Range"] = content_range(window, reader.length)
                case NotModified():
                    return ApiResponse(status=304, headers=headers)
                case Failed():
                    return _precondition_failed(context)
                case Conflict(reason=ConflictReason.SELECTION_CHANGED):
                    return answer(SelectionChanged(), context.id)
                case Conflict():
                    return answer(ResumeUnverified(), context.id)
                case Unsatisfiable(length=length):
                    told = answer_status(
                        416, "range-not-satisfiable", "The range lies beyond the archive.", context.id, length=length
                    )
                    told.headers["Content-Range"] = unsatisfied_range(length)
                    return told
                case _:
                    assert_never(decision)
            stream = None
            if context.method == "GET":
                stream = await self._streaming.begin(reader, window, grant.session)
            try:
                if pinned is None:
                    pinned = await self._archives.pin(grant, version.etag)
                    if pinned != version.etag:  # another first request was faster: decide by what stands
                        if stream is not None:
                            await stream.close()
                        continue
                elif pinned != version.etag:
                    # who holds a part from now on may hold it of either: no bare range can tell
                    await self._archives.withdraw(grant)
            except BaseException:
                if stream is not None:
                    await stream.close()
                raise
            headers |= _representation(reader)
            if stream is None:
                return ApiResponse(status=status, headers={**headers, "Content-Length": str(window.length)})
            return StreamResponse(stream, status, window.length, headers, self._streaming)


def _token(query: TokenQuery, context: Context) -> str:
    authorization = context.request.headers.get("Authorization", "")
    if query.token is None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    if not query.token:
        raise MalformedRequest({"token": "a token is required, in the query or as Authorization: Bearer"})
    return query.token


def _precondition_failed(context: Context) -> Answer:
    return answer_status(412, "precondition-failed", "The archive is another one by now.", context.id)


def _upgrade(grant: Grant, context: Context) -> Answer:
    """Refuse HTTP/1.0: a body without a length ends there with the connection, and a cut looks the same."""
    title = "This archive has no length in advance, so HTTP/1.1 is needed to tell its end from a cut."
    told = answer_status(
        426,
        "upgrade-required",
        title,
        context.id,
        detail=f"{grant.format.label} is packed while it is sent; use HTTP/1.1 (a proxy in between too), "
        "or ask for a stored format: zip or tar",
    )
    told.headers.update({"Upgrade": "HTTP/1.1", "Connection": "Upgrade"})
    return told


def _is_bare_range(conditions: Conditions, method: str) -> bool:
    return method == "GET" and conditions.if_range is None and parse_range(conditions.range) is not None


def _relies_on_pin(conditions: Conditions, method: str) -> bool:
    """Whether nothing but the pin says which archive a range goes on with: no ``If-Range``, or one without an ETag."""
    if method != "GET" or parse_range(conditions.range) is None:
        return False
    return conditions.if_range is None or parse_etag(conditions.if_range) is None


def _continued(conditions: Conditions, method: str, pinned: str | None) -> str | None:
    """Return the ETag of the archive that a range goes on with."""
    if method != "GET" or parse_range(conditions.range) is None:
        return None
    if conditions.if_range is None:
        return pinned
    tag = parse_etag(conditions.if_range)
    return tag.opaque if tag is not None and not tag.weak else pinned


def _validators(validator: Validator) -> dict[str, str]:
    return {
        "ETag": validator.etag,
        "Last-Modified": http_date(validator.last_modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": _CACHE_CONTROL,
    }


def _representation(reader: StreamReader) -> dict[str, str]:
    return {
        "Content-Type": reader.media_type,
        "Content-Disposition": attachment(reader.filename),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Accel-Buffering": "no",
    }
