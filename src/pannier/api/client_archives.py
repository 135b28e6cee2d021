"""Client-facing: spending an archive token (WIRE section 6.3, RFC 9110 sections 8, 13 and 14)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp.http import HttpVersion11
from pydantic import BaseModel

from pannier.api.answering import CACHE_CONTROL, answer_conditional, precondition_failed, representation
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.problems import Answer, answer_status
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.api.streaming import Streaming, StreamResponse
from pannier.archive.formats import FORMATS
from pannier.dto.archives import ArchiveFormat, CompressionField
from pannier.errors import (
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
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
    Full,
    NotModified,
    NotPinned,
    Pin,
    Unpinnable,
    decide,
)
from pannier.services.archives import Archives, Grant
from pannier.streams.archive import ArchiveReader

_BEARER = "bearer "
_REFUSALS = (
    TokenRejected,
    VolumeUnknown,
    FolderMissing,
    SelectionRefused,
    SelectionChanged,
    ResumeUnverified,
    SourceChanged,
    LimitExceeded,
    InvalidRequest,
)
_ARCHIVE = tuple(dict.fromkeys(format.media_type for format in FORMATS.values()))


class TokenQuery(BaseModel):
    """The query of ``/download-archive``; other keys are ignored."""

    token: str | None = None
    format: ArchiveFormat | None = None
    """Another format than the signed one, where the token allows it."""
    compression: CompressionField | None = None


@dataclass(frozen=True, slots=True)
class ArchiveResource:
    """The archive that a token allows, as something to answer with.

    ``link`` is what its streams are counted by, ``cache_control`` says who may keep it, and how.
    """

    archives: Archives
    grant: Grant
    link: str
    cache_control: str = CACHE_CONTROL

    @property
    def unpinned(self) -> Pin:
        return NotPinned()

    async def pinned(self, *, certain: bool) -> str | None:
        return await self.archives.pinned(self.grant, certain=certain)

    async def open(self, preferred: str | None) -> ArchiveReader:
        return await self.archives.open(self.grant, preferred)

    async def pin(self, etag: str) -> str:
        return await self.archives.pin(self.grant, etag)

    async def withdraw(self) -> None:
        await self.archives.withdraw(self.grant)


class ClientArchives:
    """The handlers of ``/download-archive``."""

    def __init__(self, archives: Archives, streaming: Streaming) -> None:
        self._archives, self._streaming = archives, streaming

    def routes(self) -> Iterable[Route]:
        return [
            Route(
                "GET",
                "/download-archive",
                self.download,
                {200: _ARCHIVE, 206: _ARCHIVE, 304: None},
                _REFUSALS,
                head=True,
                problems={426: "The archive has no length in advance, and HTTP/1.0 could not tell its end from a cut."},
            )
        ]

    @api_handler
    async def download(self, query: QueryParam[TokenQuery], context: Context) -> Answered:
        """``GET`` and ``HEAD /download-archive``: the archive, or a window of it."""
        asked = query.parsed
        grant = await self._archives.admit(_token(asked, context), asked.format, asked.compression)
        try:
            return await self._answer(grant, context)
        except SourceChanged:
            # Nothing has left yet, and the plan that no longer held is forgotten: the second look is at what is there.
            return await self._answer(grant, context)

    async def _answer(self, grant: Grant, context: Context) -> Answered:
        if grant.encoded:
            return await self._answer_encoded(grant, context)
        return await answer_conditional(ArchiveResource(self._archives, grant, grant.session), self._streaming, context)

    async def _answer_encoded(self, grant: Grant, context: Context) -> Answered:
        """Answer with output whose length nobody knows: no validators, no ranges, and nothing to pin."""
        if context.request.version < HttpVersion11:
            return _upgrade(grant, context)
        reader = await self._archives.open_encoded(grant)
        headers = {"Accept-Ranges": "none", "Cache-Control": CACHE_CONTROL}
        decision = decide(context.method, Conditions.of(context.request.headers), None, None, Unpinnable())
        match decision:
            case Full():
                stream = await self._streaming.begin(reader, None, grant.session) if context.method == "GET" else None
                return StreamResponse(stream, 200, None, {**headers, **representation(reader)}, self._streaming)
            case NotModified():
                return ApiResponse(status=304, headers=headers)
            case _:
                return precondition_failed(context)


def _token(query: TokenQuery, context: Context) -> str:
    authorization = context.request.headers.get("Authorization", "")
    if query.token is None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    if not query.token:
        raise MalformedRequest({"token": "a token is required, in the query or as Authorization: Bearer"})
    return query.token


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
