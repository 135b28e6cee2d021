"""Client-facing: how the session of one's own archive token stands."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pydantic import BaseModel

from pannier.api.client_archives import given_token
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.dto.sessions import SessionReply
from pannier.errors import SessionSpent, StateUnavailable, TokenRejected, VolumeUnknown
from pannier.services.archives import Archives
from pannier.services.sessions import Sessions
from pannier.services.standings import to_try, told


class SessionQuery(BaseModel):
    """The query of ``/session``; other keys are ignored."""

    token: str | None = None


class ClientSessions:
    """The handler of ``/session``."""

    def __init__(self, archives: Archives, sessions: Sessions) -> None:
        self._archives, self._sessions = archives, sessions

    def routes(self) -> Iterable[Route]:
        errors = (TokenRejected, VolumeUnknown, SessionSpent, StateUnavailable)
        return [Route("GET", "/session", self.session, {200: SessionReply}, errors)]

    @api_handler
    async def session(self, query: QueryParam[SessionQuery], context: Context) -> Answered:
        """``GET /session``: also of a token that was revoked or spent; whether it can be resumed is tried."""
        grant = await self._archives.admit(given_token(query.parsed.token, context))
        assert grant.ticket is not None, "an archive token has a session"
        session = await self._sessions.own(grant.ticket)
        now = time.time()
        trying = to_try(session, now)
        tried = None if trying is None else await self._archives.resumable(grant, *trying)
        return ApiResponse(told(session, now, tried=tried))
