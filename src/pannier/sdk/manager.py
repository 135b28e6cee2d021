"""For managers: the whole manager-facing API of a server, with its secret.

::

    async with AsyncManager("http://127.0.0.1:6022", secret) as manager:
        trip = Folder("local", "user:5e67aac8-…/ce8c6955…")
        plan = await manager.plan(trip, ["photos"])
        link = await manager.sessions.create(trip, ["photos"], expires_in=86_400)

``Manager`` is the same without ``async`` and ``await``.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self, TypedDict

from typing_extensions import Unpack

from pannier.dto.archives import ArchivePlanPage, ArchivePlanReply, ArchivePlanRequest, PlanProgress
from pannier.sdk.blocking import Blocking, Face
from pannier.sdk.calls import Folder, made, said
from pannier.sdk.manager_files import AsyncFiles
from pannier.sdk.manager_folders import AsyncFolders
from pannier.sdk.manager_links import AsyncLinks
from pannier.sdk.manager_sessions import AsyncSessions, CompressionName, FormatName, LayoutName, LinkPolicyName
from pannier.sdk.manager_uploads import AsyncUploads
from pannier.sdk.problems import CONTENT_TYPE, Unexpected, declined
from pannier.sdk.retries import Backoff
from pannier.sdk.transport import Answer, Body, Credential, Transport

_PLAN = "/folder/file/archive-plan"
_NDJSON = "application/x-ndjson"
_LONGEST_LINE = 2**26


class PlanOptions(TypedDict, total=False):
    """What narrows or shapes an archive, as of ``sessions.create``; None is as if it was not said."""

    links: LinkPolicyName | None
    exclude: Sequence[str] | None
    except_: Sequence[str] | None
    layout: LayoutName | None
    format: FormatName | None
    compression: CompressionName | None


class AsyncManager:
    """A server's manager-facing listener; an async context manager.

    Attributes:
        sessions, links, files, folders, uploads: Calls that belong together.

    Args:
        url: Where the listener is, such as ``http://127.0.0.1:6022``.
        secret: The manager's secret (``api.manager.secret``).
        client_url: Where clients reach the server, if that is not what the server itself says.
        tls: Whom to trust (``pannier.sdk.trust``); what the system trusts unless given.
        backoff: When to try again what may be repeated.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        client_url: str | None = None,
        tls: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._transport = Transport(url, credential=Credential.manager(secret), tls=tls, backoff=backoff)
        self._known_client_url = client_url.rstrip("/") if client_url else None
        self.folders = AsyncFolders(self._transport)
        self.files = AsyncFiles(self._transport)
        self.sessions = AsyncSessions(self._transport, self.client_url)
        self.links = AsyncLinks(self._transport)
        self.uploads = AsyncUploads(self._transport, self.client_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def client_url(self) -> str:
        """Return where clients reach the server, without a slash at the end.

        Raises:
            Declined, Unreachable: As they say.
        """
        if self._known_client_url is None:
            self._known_client_url = (await self.folders.served()).client_url
        return self._known_client_url

    async def plan(
        self,
        folder: Folder,
        files: Sequence[str],
        *,
        counting: Callable[[PlanProgress], None] | None = None,
        **options: Unpack[PlanOptions],
    ) -> ArchivePlanReply:
        """Return what an archive would hold, and what stands in its way; the options are those of a link.

        ``counting`` is told each half second how far the count is; it must not block.

        Raises:
            Declined: The selection is over a limit, or nothing that can be planned.
            Unreachable: No answer came.
            InvalidRequest: An option is nothing that an archive can have.
        """
        request = _plan_request(folder, files, options)
        if counting is not None:
            return await self._count(request, counting)
        answer = await self._transport.ask("POST", _PLAN, body=said(request), repeatable=True)
        return answer.read(ArchivePlanReply)

    async def plan_page(
        self, folder: Folder, files: Sequence[str], cursor: str, **options: Unpack[PlanOptions]
    ) -> ArchivePlanPage:
        """Return the page of a plan's list that a cursor of it asks for; the rest as for the plan."""
        request = _plan_request(folder, files, options, cursor)
        answer = await self._transport.ask("POST", _PLAN, body=said(request), repeatable=True)
        return answer.read(ArchivePlanPage)

    async def _count(self, request: ArchivePlanRequest, counting: Callable[[PlanProgress], None]) -> ArchivePlanReply:
        headers = {"Accept": _NDJSON, "Content-Type": "application/json"}
        data = json.dumps(said(request)).encode("ascii")
        last = b""
        async with self._transport.stream("POST", _PLAN, headers=headers, data=data) as answer:
            async for line in _lines(answer):
                if last:
                    counting(Answer(200, {}, last).read(PlanProgress))
                last = line
        ending = Answer(200, {}, last)
        document = ending.json()
        if isinstance(document, dict) and {"type", "title", "status"} <= document.keys():
            raise declined(int(document["status"]), {"Content-Type": CONTENT_TYPE}, last, 0.0)
        return ending.read(ArchivePlanReply)


async def _lines(answer: Body) -> AsyncIterator[bytes]:
    """Yield the lines of an answer as they come."""
    begun = b""
    async for piece in answer.chunks():
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            yield line
        if len(begun) > _LONGEST_LINE:
            raise Unexpected("a line of the answer is longer than any that a Pannier sends")
    if begun:
        yield begun


def _plan_request(
    folder: Folder, files: Sequence[str], options: PlanOptions, cursor: str | None = None
) -> ArchivePlanRequest:
    members = {"volume": folder.volume, "virtual_folder_id": folder.id, "files": tuple(files), "cursor": cursor}
    return made(ArchivePlanRequest, **members, **options)


class Sessions(Face[AsyncSessions]):
    """``AsyncSessions`` without ``await``."""

    create = Blocking(AsyncSessions.create)
    read = Blocking(AsyncSessions.read)
    revoke = Blocking(AsyncSessions.revoke)
    revoke_all = Blocking(AsyncSessions.revoke_all)
    list = Blocking(AsyncSessions.list)


class Links(Face[AsyncLinks]):
    """``AsyncLinks`` without ``await``."""

    create = Blocking(AsyncLinks.create)
    list = Blocking(AsyncLinks.list)
    revoke = Blocking(AsyncLinks.revoke)


class Files(Face[AsyncFiles]):
    """``AsyncFiles`` without ``await``."""

    list = Blocking(AsyncFiles.list)
    find = Blocking(AsyncFiles.find)
    is_directory = Blocking(AsyncFiles.is_directory)
    make_directories = Blocking(AsyncFiles.make_directories)
    rename = Blocking(AsyncFiles.rename)
    move = Blocking(AsyncFiles.move)
    delete = Blocking(AsyncFiles.delete)


class Folders(Face[AsyncFolders]):
    """``AsyncFolders`` without ``await``."""

    served = Blocking(AsyncFolders.served)
    volumes = Blocking(AsyncFolders.volumes)
    space = Blocking(AsyncFolders.space)
    create = Blocking(AsyncFolders.create)
    usage = Blocking(AsyncFolders.usage)
    delete = Blocking(AsyncFolders.delete)
    clone = Blocking(AsyncFolders.clone)
    task = Blocking(AsyncFolders.task)


class Uploads(Face[AsyncUploads]):
    """``AsyncUploads`` without ``await``."""

    create = Blocking(AsyncUploads.create)


class Manager(Face[AsyncManager]):
    """``AsyncManager`` without ``await``; a context manager."""

    plan = Blocking(AsyncManager.plan)
    plan_page = Blocking(AsyncManager.plan_page)
    client_url = Blocking(AsyncManager.client_url)

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        client_url: str | None = None,
        tls: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        inner = AsyncManager(url, secret, client_url=client_url, tls=tls, backoff=backoff)
        super().__init__(inner)
        self.sessions, self.files = Sessions(inner.sessions), Files(inner.files)
        self.folders, self.uploads = Folders(inner.folders), Uploads(inner.uploads)
        self.links = Links(inner.links)
