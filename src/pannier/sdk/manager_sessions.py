"""For managers: download links, and the sessions that tell what became of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal
from urllib.parse import quote

from pydantic import Field

from pannier.dto.archives import ArchiveTokenReply, ArchiveTokenRequest
from pannier.dto.sessions import RevokedReply, SessionPage, SessionReply
from pannier.sdk.calls import Calls, Folder, made
from pannier.sdk.transport import Transport

LinkPolicyName = Literal["follow", "omit", "store", "refuse"]
FormatName = Literal["zip", "tar", "tar.gz", "tar.zst"]
CompressionName = Literal["none", "deflate"]
LayoutName = Literal["auto", "plain"]


class Link(ArchiveTokenReply):
    """A link to an archive: its ``url``, which whoever has it can download from, and what is known of the archive."""

    token: str = Field(repr=False)
    url: str = Field(repr=False)


class AsyncSessions(Calls):
    """Links that were given out: made, told of, taken back."""

    def __init__(self, transport: Transport, client_url: Callable[[], Awaitable[str]]) -> None:
        """``client_url`` gives the base URL at which clients reach the server."""
        super().__init__(transport)
        self._client_url = client_url

    async def create(
        self,
        folder: Folder,
        files: Sequence[str],
        *,
        filename: str | None = None,
        links: LinkPolicyName | None = None,
        exclude: Sequence[str] | None = None,
        except_: Sequence[str] | None = None,
        layout: LayoutName | None = None,
        format: FormatName | None = None,
        compression: CompressionName | None = None,
        formats: Sequence[str] | None = None,
        expires_in: int | None = None,
        resume_grace: int | None = None,
        rate: int | None = None,
        one_time: bool | None = None,
    ) -> Link:
        """Make a link to an archive of ``files``, paths below the folder.

        Args:
            folder, files: What goes into it; a directory brings all below it, ``"."`` is the whole folder.
            filename: What the archive is called.
            links: What becomes of symbolic links.
            exclude: Patterns as in ``.gitignore``, of what is left out.
            except_: Exact paths that are left out, with all below them.
            layout, format, compression, formats: What the archive comes as (docs/formats.md).
            expires_in: Seconds until the link ends.
            resume_grace: Seconds after that in which what was begun may go on.
            rate: Most bytes per second, all its connections together.
            one_time: Whether it is for a single download.

        Raises:
            SelectionRefused: Some of it cannot be part of an archive.
            Declined, Unreachable: As they say.
            InvalidRequest: An argument is nothing that a link can have.
        """
        request = made(
            ArchiveTokenRequest,
            volume=folder.volume,
            virtual_folder_id=folder.id,
            files=tuple(files),
            filename=filename,
            links=links,
            exclude=None if exclude is None else tuple(exclude),
            except_=None if except_ is None else tuple(except_),
            layout=layout,
            format=format,
            compression=compression,
            formats=None if formats is None else tuple(formats),
            expires_in=expires_in,
            resume_grace=resume_grace,
            rate=rate,
            one_time=one_time,
        )
        base = await self._client_url()
        reply = (await self._post("/folder/file/archive-download-token", request)).read(ArchiveTokenReply)
        url = f"{base}/download-archive?token={quote(reply.token, safe='')}"
        return Link(url=url, **reply.model_dump())

    async def read(self, id: str) -> SessionReply:
        """Return how a session stands.

        Raises:
            NotFound: There is none of that id, or it was forgotten after its end.
            Declined, Unreachable: As they say.
        """
        return (await self._get(_path(id))).read(SessionReply)

    async def revoke(self, id: str) -> SessionReply:
        """Take a link back for good: running downloads of it are cut; errors as ``read``."""
        return (await self._transport.ask("DELETE", _path(id))).read(SessionReply)

    async def revoke_all(self, folder: Folder) -> int:
        """Take all links of a folder back, and return how many were not before."""
        body = {"volume": folder.volume, "vfid": folder.id}
        answer = await self._transport.ask("POST", "/folder/revoke", body=body, repeatable=True)
        return answer.read(RevokedReply).revoked

    async def list(
        self, folder: Folder | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> SessionPage:
        """Return sessions, the newest first: all, or those of a folder; ``cursor`` asks for those after a page."""
        params: dict[str, str | int] = {}
        if folder is not None:
            params |= {"volume": folder.volume, "vfid": folder.id}
        params |= {key: value for key, value in (("limit", limit), ("cursor", cursor)) if value is not None}
        return (await self._transport.ask("GET", "/sessions", params=params)).read(SessionPage)

    async def each(self, folder: Folder | None = None) -> AsyncIterator[SessionReply]:
        """Yield all sessions, the newest first."""
        cursor: str | None = None
        while True:
            page = await self.list(folder, cursor=cursor)
            for session in page.items:
                yield session
            if page.cursor is None:
                return
            cursor = page.cursor


def _path(id: str) -> str:
    return f"/sessions/{quote(id, safe='')}"
