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
    SessionRevoked,
    SessionSpent,
    SourceChanged,
    StateUnavailable,
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
from pannier.services.sessions import Sessions, Visit
from pannier.services.tallies import Tally
from pannier.streams.archive import ArchiveReader
from pannier.window import Window

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
    SessionRevoked,
    SessionSpent,
    StateUnavailable,
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

    ``link`` is what its streams are counted by, ``cache_control`` says who may keep it, and how. ``visit`` is that to
    the session of an archive token.
    """

    archives: Archives
    grant: Grant
    link: str
    visit: Visit | None = None
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

    def permit(self, *, head: bool, continues: bool) -> None:
        if self.visit is not None:
            self.visit.permit(head=head, continues=continues)

    def tally(self, etag: str, length: int, window: Window) -> Tally | None:
        return None if self.visit is None else self.visit.begin(etag, length, window)


class ClientArchives:
    """The handlers of ``/download-archive``."""

    def __init__(self, archives: Archives, sessions: Sessions, streaming: Streaming) -> None:
        self._archives, self._sessions, self._streaming = archives, sessions, streaming

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
        await self._streaming.starts.enter(context.request)
        grant = await self._archives.admit(given_token(asked.token, context), asked.format, asked.compression)
        return await self.answer(grant, context)

    async def answer(self, grant: Grant, context: Context) -> Answered:
        """Answer with what is allowed in a session; errors as ``Sessions.enter`` and ``Archives.open``."""
        assert grant.ticket is not None, "an archive token has a session"
        await self._streaming.starts.enter(context.request)  # that of a link comes here first
        visit = await self._sessions.enter(grant.ticket)
        try:
            return await self._answer(grant, visit, context)
        except SourceChanged:
            # Nothing has left yet, and the plan that no longer held is forgotten: the second look is at what is there.
            return await self._answer(grant, visit, context)

    async def _answer(self, grant: Grant, visit: Visit, context: Context) -> Answered:
        if grant.encoded:
            return await self._answer_encoded(grant, visit, context)
        resource = ArchiveResource(self._archives, grant, grant.session, visit)
        return await answer_conditional(resource, self._streaming, context)

    async def _answer_encoded(self, grant: Grant, visit: Visit, context: Context) -> Answered:
        """Answer with output whose length nobody knows: no validators, no ranges, and nothing to pin."""
        if context.request.version < HttpVersion11:
            return _upgrade(grant, context)
        reader = await self._archives.open_encoded(grant)
        headers = {"Accept-Ranges": "none", "Cache-Control": CACHE_CONTROL}
        decision = decide(context.method, Conditions.of(context.request.headers), None, None, Unpinnable())
        match decision:
            case Full():
                head = context.method != "GET"
                visit.permit(head=head, continues=False)
                stream = None if head else await self._streaming.begin(reader, None, grant.session)
                tally = None if head else visit.begin("", None, Window(0, 0))
                return StreamResponse(stream, 200, None, {**headers, **representation(reader)}, self._streaming, tally)
            case NotModified():
                return ApiResponse(status=304, headers=headers)
            case _:
                return precondition_failed(context)


def given_token(token: str | None, context: Context) -> str:
    """Return the token of a request: that of its query, else that of its ``Authorization``.

    Raises:
        MalformedRequest: There is none.
    """
    authorization = context.request.headers.get("Authorization", "")
    if token is None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    if not token:
        raise MalformedRequest({"token": "a token is required, in the query or as Authorization: Bearer"})
    return token


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
