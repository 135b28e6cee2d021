"""Manager-facing: tokens and plans of archives (WIRE section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel

from pannier.api.handlers import Answered, ApiResponse, BodyLimit, BodyParam, api_handler
from pannier.api.problems import answer, answer_bug
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.dto.archives import (
    ArchivePlanPage,
    ArchivePlanReply,
    ArchivePlanRequest,
    ArchiveTokenReply,
    ArchiveTokenRequest,
    ArchiveTokenRequestAlias,
    PlanProgress,
)
from pannier.dto.json import dumps
from pannier.errors import (
    Busy,
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    MintingUnavailable,
    PannierError,
    SelectionRefused,
    VolumeUnknown,
)
from pannier.services.archives import Archives
from pannier.services.progress import Progress

NDJSON = "application/x-ndjson"
_PLAN = (ArchivePlanReply, ArchivePlanPage, NDJSON)
_EVERY = 0.5
"""Seconds between two lines of progress."""

_REFUSALS = (VolumeUnknown, FolderMissing, SelectionRefused, LimitExceeded, Busy, InvalidRequest)

_log = structlog.get_logger("pannier.api")


class ManagerArchives:
    """The handlers of archive tokens and plans; ``most_body`` bytes of a selection are taken."""

    def __init__(self, archives: Archives, most_body: int) -> None:
        self._archives = archives
        self.body_limit = BodyLimit(most_body, "limits.max-selection-body")

    def routes(self) -> Iterable[Route]:
        token, refusals = {200: ArchiveTokenReply}, (*_REFUSALS, MintingUnavailable)
        return [
            Route("POST", "/folder/file/archive-download-token", self.mint, token, refusals),
            Route("POST", "/folder/file/download-archive", self.mint_alias, token, refusals),
            Route("POST", "/folder/file/archive-plan", self.plan, {200: _PLAN}, _REFUSALS),
        ]

    @api_handler
    async def mint(self, body: BodyParam[ArchiveTokenRequest]) -> Answered:
        """``POST /folder/file/archive-download-token``: make a token for an archive of what is selected."""
        return ApiResponse(await self._archives.mint(body.parsed))

    @api_handler
    async def mint_alias(self, body: BodyParam[ArchiveTokenRequestAlias]) -> Answered:
        """``POST /folder/file/download-archive``: the same under the name of upstream's first draft."""
        return ApiResponse(await self._archives.mint(body.parsed))

    @api_handler
    async def plan(self, body: BodyParam[ArchivePlanRequest], context: Context) -> Answered:
        """``POST /folder/file/archive-plan``: waits, or tells its progress line by line where NDJSON is accepted."""
        if NDJSON in context.request.headers.get("Accept", ""):
            return PlanLines(self._archives, body.parsed)
        return ApiResponse(await self._archives.plan(body.parsed))


@dataclass(frozen=True, slots=True)
class PlanLines:
    """A plan as NDJSON: a line of progress each half second, at last the plan, or the problem that ended it.

    Closing the connection cancels the walk, unless others wait for it.
    """

    archives: Archives
    request: ArchivePlanRequest

    async def send(self, context: Context) -> web.StreamResponse:
        walks: list[Progress] = []
        planning = asyncio.create_task(self.archives.plan(self.request, walks.append))
        try:
            await asyncio.wait({planning}, timeout=_EVERY)
            if planning.done() and planning.exception() is not None:
                planning.result()  # nothing has left yet: it becomes a problem with its own status
            response = web.StreamResponse(
                headers={"Content-Type": NDJSON, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            )
            await response.prepare(context.request)
            while not planning.done():
                await response.write(_line(_progress(walks)))
                await asyncio.wait({planning}, timeout=_EVERY)
            await response.write(_line(_ending(planning, context.id)))
            await response.write_eof()
            return response
        finally:
            planning.cancel()
            await asyncio.gather(planning, return_exceptions=True)


def _progress(walks: list[Progress]) -> PlanProgress:
    if not walks:
        return PlanProgress(entries=0, bytes=0, seconds=0.0)
    walk = walks[0]
    return PlanProgress(entries=walk.entries, bytes=walk.bytes, seconds=round(walk.seconds, 1))


def _ending(planning: asyncio.Task[Any], request_id: str) -> BaseModel:
    error = planning.exception()
    if error is None:
        ended: BaseModel = planning.result()
        return ended
    if isinstance(error, PannierError):
        return answer(error, request_id).problem
    _log.error("unexpected failure", request=request_id, exc_info=error)
    return answer_bug(request_id).problem


def _line(model: BaseModel) -> bytes:
    return dumps(model) + b"\n"
