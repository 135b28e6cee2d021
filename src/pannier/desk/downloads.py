"""What the page asks for to download: plans, tokens, and how downloads stand."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pannier.api.handlers import Answered, ApiResponse, BodyLimit, BodyParam, PathParam, QueryParam, api_handler
from pannier.api.manager_archives import NDJSON, PlanLines
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import CrossSite, SignedOut
from pannier.desk.door import House
from pannier.dto.archives import ArchivePlanPage, ArchivePlanReply, ArchivePlanRequest, ArchiveTokenRequest
from pannier.dto.desk import (
    ActivityItem,
    ActivityPage,
    ActivityQuery,
    DownloadReply,
    DownloadRequest,
    FileReply,
    IdPath,
    PlaceRequest,
    PlanRequest,
    SelectionRequest,
    Word,
)
from pannier.dto.downloads import DownloadTokenRequest
from pannier.dto.instants import instant
from pannier.dto.sessions import SessionState
from pannier.errors import (
    Busy,
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    PathOutside,
    SelectionRefused,
    SessionMissing,
    StateUnavailable,
)
from pannier.services.archives import DEFAULT_NAME, Archives
from pannier.services.downloads import Downloads
from pannier.services.sessions import Sessions
from pannier.services.signing_in import Person
from pannier.services.standings import CHANGED, told
from pannier.state.sessions import Session
from pannier.state.sign_ins import SqliteSignIns

_REFUSALS = (SignedOut, CrossSite, FolderMissing, SelectionRefused, LimitExceeded, Busy, InvalidRequest)
_GRACE = 24 * 3600
"""Seconds in which a download that was begun may go on after the end of its token."""


class DeskDownloads:
    """The handlers of plans, downloads and their activity; ``most_body`` bytes of a selection are taken."""

    def __init__(
        self,
        house: House,
        archives: Archives,
        downloads: Downloads,
        sessions: Sessions,
        sign_ins: SqliteSignIns,
        most_body: int,
    ) -> None:
        self._house, self._archives, self._downloads = house, archives, downloads
        self._sessions, self._sign_ins = sessions, sign_ins
        self.body_limit = BodyLimit(most_body, "limits.max-selection-body")

    def routes(self) -> Iterable[Route]:
        own = (SignedOut, SessionMissing, StateUnavailable)
        plan = {200: (ArchivePlanReply, ArchivePlanPage, NDJSON)}
        file = (SignedOut, CrossSite, FolderMissing, PathOutside, StateUnavailable)
        return [
            Route("POST", "/desk/plan", self.plan, plan, _REFUSALS),
            Route("POST", "/desk/download", self.download, {200: DownloadReply}, _REFUSALS),
            Route("POST", "/desk/file", self.file, {200: FileReply}, file),
            Route("GET", "/desk/activity", self.activity, {200: ActivityPage}, (SignedOut,)),
            Route("GET", "/desk/activity/{id}", self.one, {200: ActivityItem}, own),
            Route("POST", "/desk/activity/{id}/stop", self.stop, {200: ActivityItem}, (*own, CrossSite)),
            Route("DELETE", "/desk/activity/{id}", self.dismiss, {204: None}, (*own, CrossSite)),
        ]

    @api_handler
    async def plan(self, body: BodyParam[PlanRequest], context: Context) -> Answered:
        """``POST /desk/plan``: what an archive would be; progress as NDJSON, and closing the connection ends it."""
        await self._house.caller(context)
        request = ArchivePlanRequest.model_validate(self.selected(body.parsed) | {"cursor": body.parsed.cursor})
        if NDJSON in context.request.headers.get("Accept", ""):
            return PlanLines(self._archives, request)
        return ApiResponse(await self._archives.plan(request))

    @api_handler
    async def download(self, body: BodyParam[DownloadRequest], context: Context) -> Answered:
        """``POST /desk/download``: where an archive is to be had."""
        person = await self._house.caller(context)
        return ApiResponse(await self.begin(person, body.parsed, context))

    async def begin(self, person: Person, asked: DownloadRequest, context: Context) -> DownloadReply:
        """Make a token for an archive, and remember whose download it is; errors as ``Archives.mint``."""
        terms = {"filename": asked.filename, "resume_grace": _GRACE}
        request = ArchiveTokenRequest.model_validate(self.selected(asked) | terms)
        minted = await self._archives.mint(request)
        await self._sign_ins.own(bytes.fromhex(minted.session), person.owner, time.time())
        return DownloadReply(
            url=self._house.spent("/download-archive", minted.token, context),
            session=minted.session,
            filename=asked.filename or f"{DEFAULT_NAME}.{asked.format}",
            plan=minted.plan,
            entries=minted.entries,
            length=minted.length,
            etag=minted.etag,
        )

    @api_handler
    async def file(self, body: BodyParam[PlaceRequest], context: Context) -> Answered:
        """``POST /desk/file``: where one file itself is to be had; a download that is told, as those of archives."""
        person = await self._house.caller(context)
        served, path = self._house.served(body.parsed.folder), body.parsed.path
        request = DownloadTokenRequest(volume=served.volume, vfid=served.folder, relpath=path, strict=True)
        token, new = self._downloads.mint_told(request)
        await self._sessions.register(new)
        await self._sign_ins.own(new.key, person.owner, time.time())
        url = self._house.spent("/download", token, context)
        return ApiResponse(FileReply(url=url, filename=path.rstrip("/").rpartition("/")[2], session=new.key.hex()))

    @api_handler
    async def activity(self, query: QueryParam[ActivityQuery], context: Context) -> Answered:
        """``GET /desk/activity``: downloads that were made here, the newest first."""
        person = await self._house.looker(context)
        await self._sessions.flush()
        found, more = await self._sessions.page(
            before=query.parsed.cursor, limit=query.parsed.limit, owner=person.owner
        )
        items = tuple(self._item(session) for session in found)
        return ApiResponse(ActivityPage(items=items, cursor=str(found[-1].number) if more else None))

    @api_handler
    async def one(self, path: PathParam[IdPath], context: Context) -> Answered:
        """``GET /desk/activity/{id}``: one download."""
        id = await self._own(path.parsed.id, await self._house.looker(context))
        return ApiResponse(self._item(await self._sessions.find(id)))

    @api_handler
    async def stop(self, path: PathParam[IdPath], context: Context) -> Answered:
        """``POST /desk/activity/{id}/stop``: revoke it, and cut what runs."""
        id = await self._own(path.parsed.id, await self._house.caller(context))
        return ApiResponse(self._item(await self._sessions.revoke(id)))

    @api_handler
    async def dismiss(self, path: PathParam[IdPath], context: Context) -> Answered:
        """``DELETE /desk/activity/{id}``: show it no more."""
        person = await self._house.caller(context)
        id = await self._own(path.parsed.id, person)
        await self._sign_ins.hide(bytes.fromhex(id), person.owner)
        return ApiResponse(status=204)

    async def _own(self, id: str, person: Person) -> str:
        """Return the id of somebody's download.

        Raises:
            SessionMissing: It is not theirs.
        """
        try:
            key = bytes.fromhex(id)
        except ValueError:
            raise SessionMissing(id) from None
        if not await self._sign_ins.owns(key, person.owner):
            raise SessionMissing(id)
        return key.hex()

    def _item(self, session: Session) -> ActivityItem:
        reply = told(session, time.time())
        running, taken = self._sessions.running(session.key), self._sessions.taken_at(session.key)
        return ActivityItem.model_construct(
            **dict(reply),
            running=running,
            word=word(session, reply.state, running),
            taken_at=None if taken is None else instant(int(taken)),
        )

    def selected(self, asked: SelectionRequest) -> dict[str, Any]:
        """Return a selection as the manager API takes it; raises FolderMissing."""
        served = self._house.served(asked.folder)
        return {
            "volume": served.volume,
            "virtual_folder_id": served.folder,
            "files": asked.paths,
            **dict(asked.options),
            "format": asked.format,
            "compression": asked.compression,
        }


def word(session: Session, state: SessionState, running: int) -> Word:
    """Return how a download stands, for people."""
    match state:
        case SessionState.REVOKED:
            return Word.REVOKED
        case SessionState.COMPLETE | SessionState.SPENT if session.completed is not None:
            return Word.RUNNING if running else Word.SENT
        case SessionState.EXPIRED:
            return Word.EXPIRED
    if running:
        return Word.RUNNING
    if session.broken is not None and session.broken.cause == CHANGED:
        return Word.STOPPED
    return Word.INTERRUPTED if session.account.total else Word.WAITING
