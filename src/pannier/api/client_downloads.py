"""Client-facing: spending the token of a single file (WIRE section 6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from pannier.api.answering import CACHE_CONTROL, answer_conditional
from pannier.api.handlers import Answered, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Reply, Route
from pannier.api.streaming import Streaming
from pannier.dto.paths import VolumePath
from pannier.errors import (
    Busy,
    FileMissing,
    FolderMissing,
    InvalidRequest,
    NotAFile,
    SelectionChanged,
    SourceChanged,
    TokenRejected,
    VolumeUnknown,
)
from pannier.protocol.conditions import Pin, Unpinnable
from pannier.services.downloads import Downloads, FileGrant
from pannier.streams.file import FileReader

_FILE = "application/octet-stream"
_REFUSALS = (TokenRejected, VolumeUnknown, FolderMissing, FileMissing, NotAFile, InvalidRequest, SelectionChanged, Busy)


class DownloadQuery(BaseModel):
    """The query of ``/download``; other keys are refused."""

    model_config = ConfigDict(extra="forbid")

    token: str
    dst_dir: VolumePath | None = None
    """A directory of the folder that the token's path is taken from."""
    archive: bool = False
    no_cache: bool = False


@dataclass(frozen=True, slots=True)
class FileResource:
    """The file that a token allows, as something to answer with.

    Until something of it was given out a bare range is served, as the wire has it.
    """

    downloads: Downloads
    grant: FileGrant
    cache_control: str

    @property
    def unpinned(self) -> Pin:
        return Unpinnable()

    @property
    def session(self) -> str:
        return self.grant.session

    async def pinned(self, *, certain: bool) -> str | None:
        return await self.downloads.pinned(self.grant, certain=certain)

    async def open(self, preferred: str | None) -> FileReader:
        return await self.downloads.open(self.grant)

    async def pin(self, etag: str) -> str:
        return await self.downloads.pin(self.grant, etag)

    async def withdraw(self) -> None:
        await self.downloads.withdraw(self.grant)


class ClientDownloads:
    """The handlers of ``/download``."""

    def __init__(self, downloads: Downloads, streaming: Streaming) -> None:
        self._downloads, self._streaming = downloads, streaming

    def routes(self) -> Iterable[Route]:
        replies: dict[int, Reply] = {200: _FILE, 206: _FILE, 304: None}
        return [Route("GET", "/download", self.download, replies, _REFUSALS, head=True)]

    @api_handler
    async def download(self, query: QueryParam[DownloadQuery], context: Context) -> Answered:
        """``GET`` and ``HEAD /download``: the file, or a window of it."""
        asked = query.parsed
        grant = self._downloads.admit(asked.token, asked.dst_dir)
        resource = FileResource(self._downloads, grant, "no-store" if asked.no_cache else CACHE_CONTROL)
        try:
            return await answer_conditional(resource, self._streaming, context)
        except SourceChanged:  # nothing has left yet: the second look is at what is there
            return await answer_conditional(resource, self._streaming, context)
