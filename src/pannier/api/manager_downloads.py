"""Manager-facing: tokens of single files, and files without one (WIRE section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.answering import representation
from pannier.api.handlers import Answered, ApiResponse, BodyParam, api_handler
from pannier.api.routes import Route
from pannier.api.streaming import Streaming, StreamResponse
from pannier.dto.downloads import DownloadTokenRequest, TokenReply
from pannier.dto.files import FetchRequest
from pannier.errors import (
    Busy,
    FileMissing,
    FolderMissing,
    MintingUnavailable,
    NotAFile,
    PathOutside,
    SourceChanged,
    VolumeUnknown,
)
from pannier.services.downloads import Downloads


class ManagerDownloads:
    """The handlers of what a manager asks of single files."""

    def __init__(self, downloads: Downloads, streaming: Streaming) -> None:
        self._downloads, self._streaming = downloads, streaming

    def routes(self) -> Iterable[Route]:
        found = (VolumeUnknown, FolderMissing, PathOutside, FileMissing, NotAFile, SourceChanged, Busy)
        refusals = (VolumeUnknown, PathOutside, MintingUnavailable)
        return [
            Route("POST", "/folder/file/download", self.mint, {200: TokenReply}, refusals),
            Route("POST", "/folder/file/fetch", self.fetch, {200: "application/octet-stream"}, found),
        ]

    @api_handler
    async def mint(self, body: BodyParam[DownloadTokenRequest]) -> Answered:
        """``POST /folder/file/download``: make a token for one file."""
        return ApiResponse(self._downloads.mint(body.parsed))

    @api_handler
    async def fetch(self, body: BodyParam[FetchRequest]) -> Answered:
        """``POST /folder/file/fetch``: the content itself, with its length."""
        grant = self._downloads.of(body.parsed)
        reader = await self._downloads.open(grant)
        stream = await self._streaming.begin(reader, None, grant.link)
        return StreamResponse(stream, 200, reader.length, representation(reader), self._streaming)
