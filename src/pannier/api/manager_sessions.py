"""Manager-facing: which archive tokens were given out, how they stand, and taking them back (all of it ours)."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, PathParam, QueryParam, api_handler
from pannier.api.routes import Route
from pannier.dto.folders import FolderRequest
from pannier.dto.sessions import RevokedReply, SessionPage, SessionPath, SessionReply, SessionsQuery
from pannier.errors import SessionMissing, StateUnavailable
from pannier.services.sessions import Sessions
from pannier.services.standings import told


class ManagerSessions:
    """The handlers of sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def routes(self) -> Iterable[Route]:
        one, page, none = {200: SessionReply}, {200: SessionPage}, (SessionMissing, StateUnavailable)
        return [
            Route("GET", "/sessions", self.page, page, (StateUnavailable,)),
            Route("GET", "/sessions/{id}", self.find, one, none),
            Route("DELETE", "/sessions/{id}", self.revoke, one, none),
            Route("POST", "/folder/revoke", self.revoke_folder, {200: RevokedReply}, (StateUnavailable,)),
        ]

    @api_handler
    async def page(self, query: QueryParam[SessionsQuery]) -> Answered:
        """``GET /sessions``: the newest first."""
        asked = query.parsed
        found, more = await self._sessions.page(
            volume=asked.volume, folder=asked.vfid, before=asked.cursor, limit=asked.limit
        )
        now = time.time()
        return ApiResponse(
            SessionPage(
                items=tuple(told(session, now) for session in found), cursor=str(found[-1].number) if more else None
            )
        )

    @api_handler
    async def find(self, path: PathParam[SessionPath]) -> Answered:
        """``GET /sessions/{id}``."""
        return ApiResponse(told(await self._sessions.find(path.parsed.id), time.time()))

    @api_handler
    async def revoke(self, path: PathParam[SessionPath]) -> Answered:
        """``DELETE /sessions/{id}``: revoke one; it is told of as long as its token would have lived."""
        return ApiResponse(told(await self._sessions.revoke(path.parsed.id), time.time()))

    @api_handler
    async def revoke_folder(self, body: BodyParam[FolderRequest]) -> Answered:
        """``POST /folder/revoke``: revoke all that there are of a folder, which need not exist any more."""
        return ApiResponse(
            RevokedReply(revoked=await self._sessions.revoke_folder(body.parsed.volume, body.parsed.vfid))
        )
