"""Client-facing: spending the token of a single file, or of a directory as a ZIP (WIRE section 6.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pannier.api.answering import CACHE_CONTROL, Resource, answer_conditional
from pannier.api.client_archives import ArchiveResource
from pannier.api.handlers import Answered, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Reply, Route
from pannier.api.streaming import Streaming
from pannier.dto.folders import WireRequest
from pannier.dto.paths import VolumePath
from pannier.errors import (
    Busy,
    FileMissing,
    FolderMissing,
    InvalidRequest,
    NotAFile,
    PathOutside,
    ResumeUnverified,
    SelectionChanged,
    SelectionRefused,
    SessionRevoked,
    SourceChanged,
    StateUnavailable,
    TokenRejected,
    VolumeUnknown,
)
from pannier.protocol.conditions import Pin, Unpinnable
from pannier.services.archives import Archives
from pannier.services.downloads import Downloads, FileGrant
from pannier.services.sessions import Sessions, Visit
from pannier.services.tallies import Tally
from pannier.streams.file import FileReader
from pannier.window import Window

_FILE = "application/octet-stream"
_REFUSALS = (
    TokenRejected,
    VolumeUnknown,
    FolderMissing,
    FileMissing,
    NotAFile,
    InvalidRequest,
    SelectionRefused,
    SelectionChanged,
    ResumeUnverified,
    SourceChanged,
    SessionRevoked,
    StateUnavailable,
    PathOutside,
    Busy,
)


class DownloadQuery(WireRequest):
    """The query of ``/download``; other keys are refused."""

    token: str
    dst_dir: VolumePath | None = None
    """A directory of the folder that the token's path is taken from."""
    archive: bool = False
    """Whether a directory is wanted, as a ZIP of what is in it; a file is sent as it is all the same."""
    no_cache: bool = False


@dataclass(frozen=True, slots=True)
class FileResource:
    """The file that a token allows, as something to answer with.

    Until something of it was given out a bare range is served, as the wire has it. ``visit`` is that to the session of
    its token, if it has one.
    """

    downloads: Downloads
    grant: FileGrant
    cache_control: str
    visit: Visit | None = None

    @property
    def unpinned(self) -> Pin:
        return Unpinnable()

    @property
    def link(self) -> str:
        return self.grant.link

    async def pinned(self, *, certain: bool) -> str | None:
        return await self.downloads.pinned(self.grant, certain=certain)

    async def open(self, preferred: str | None) -> FileReader:
        return await self.downloads.open(self.grant)

    async def pin(self, etag: str) -> str:
        return await self.downloads.pin(self.grant, etag)

    async def withdraw(self) -> None:
        await self.downloads.withdraw(self.grant)

    def permit(self, *, head: bool, continues: bool) -> None:
        if self.visit is not None:
            self.visit.permit(head=head, continues=continues)

    def tally(self, etag: str, length: int, window: Window) -> Tally | None:
        if self.visit is None:
            return None
        # no byte of an empty file could say that it was delivered: its end does, as that of packed output
        return self.visit.begin(etag, length, window) if length else self.visit.begin("", None, Window(0, 0))


class ClientDownloads:
    """The handlers of ``/download``."""

    def __init__(self, downloads: Downloads, archives: Archives, sessions: Sessions, streaming: Streaming) -> None:
        self._downloads, self._archives, self._sessions = downloads, archives, sessions
        self._streaming = streaming

    def routes(self) -> Iterable[Route]:
        replies: dict[int, Reply] = {200: _FILE, 206: _FILE, 304: None}
        return [Route("GET", "/download", self.download, replies, _REFUSALS, head=True)]

    @api_handler
    async def download(self, query: QueryParam[DownloadQuery], context: Context) -> Answered:
        """``GET`` and ``HEAD /download``: the file, or the ZIP of a directory, or a window of it."""
        asked = query.parsed
        await self._streaming.starts.enter(context.request)
        grant = self._downloads.admit(asked.token, asked.dst_dir, archive=asked.archive)
        cache_control = "no-store" if asked.no_cache else CACHE_CONTROL
        try:
            resource = await self._resource(grant, cache_control)
            return await answer_conditional(resource, self._streaming, context)
        except SourceChanged:  # nothing has left yet: the second look is at what is there
            resource = await self._resource(grant, cache_control)
            return await answer_conditional(resource, self._streaming, context)

    async def _resource(self, grant: FileGrant, cache_control: str) -> Resource:
        directory = await self._downloads.directory(grant)
        if directory is not None:
            return ArchiveResource(self._archives, directory, grant.link, cache_control=cache_control)
        visit = None if grant.told is None else await self._sessions.enter(grant.told)
        return FileResource(self._downloads, grant, cache_control, visit)
