"""Client-facing: where the entries of one's archive lie in it."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.client_archives import given_token
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.dto.members import ArchiveMembers, MembersQuery, PlacesQuery
from pannier.errors import (
    FileMissing,
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    SelectionChanged,
    SelectionRefused,
    SessionRevoked,
    SessionSpent,
    StateUnavailable,
    TokenRejected,
    VolumeUnknown,
)
from pannier.services.archives import Archives, Grant
from pannier.services.members import Members
from pannier.services.sessions import Sessions

_REFUSALS = (
    TokenRejected,
    VolumeUnknown,
    FolderMissing,
    FileMissing,
    SelectionRefused,
    SelectionChanged,
    LimitExceeded,
    InvalidRequest,
    SessionRevoked,
    SessionSpent,
    StateUnavailable,
)


class ClientMembers:
    """The handler of ``/archive-members``."""

    def __init__(self, archives: Archives, members: Members, sessions: Sessions) -> None:
        self._archives, self._members, self._sessions = archives, members, sessions

    def routes(self) -> Iterable[Route]:
        return [Route("GET", "/archive-members", self.members, {200: ArchiveMembers}, _REFUSALS)]

    @api_handler
    async def members(self, query: QueryParam[MembersQuery], context: Context) -> Answered:
        """``GET /archive-members``: the entries with the offsets of their contents; nothing of them is read."""
        asked = query.parsed
        grant = await self._archives.admit(given_token(asked.token, context), asked.format, asked.compression)
        return await self.answer(grant, asked)

    async def answer(self, grant: Grant, asked: PlacesQuery) -> Answered:
        """Answer with entries of what is allowed in a session; errors as ``Sessions.enter`` and ``Members.members``."""
        assert grant.ticket is not None, "an archive token has a session"
        visit = await self._sessions.enter(grant.ticket)
        visit.permit(head=True, continues=False)
        return ApiResponse(await self._members.members(grant, path=asked.path, start=asked.start, etag=asked.etag))
