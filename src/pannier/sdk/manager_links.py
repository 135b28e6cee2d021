"""For managers: links that people send to people, each with a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pannier.dto.links import LinkPage, LinkReply, LinkRequest
from pannier.sdk.calls import Calls, Folder, made
from pannier.sdk.manager_sessions import CompressionName, FormatName, LinkPolicyName


class AsyncLinks(Calls):
    """Links of the front desk; a server without one answers 404."""

    async def create(
        self,
        folder: Folder,
        files: Sequence[str],
        *,
        filename: str | None = None,
        links: LinkPolicyName | None = None,
        exclude: Sequence[str] | None = None,
        except_: Sequence[str] | None = None,
        format: FormatName | None = None,
        compression: CompressionName | None = None,
        expires_in: int | None = None,
        deliveries: int | None = None,
        password: str | None = None,
        note: str | None = None,
    ) -> LinkReply:
        """Make a link to an archive of ``files``, paths below the folder.

        Args:
            folder, files, filename, links, exclude, except_, format, compression: As of ``sessions.create``.
            expires_in: Seconds until it ends; a week unless given.
            deliveries: How many full archives it gives; any number unless given.
            password: What the receiver has to know.
            note: What the receiver reads.

        Raises:
            SelectionRefused: Some of it cannot be part of an archive.
            NotFound: The server has no front desk.
            Declined, Unreachable: As they say.
            InvalidRequest: An argument is nothing that a link can have.
        """
        request = made(
            LinkRequest,
            volume=folder.volume,
            virtual_folder_id=folder.id,
            files=tuple(files),
            filename=filename,
            links=links,
            exclude=exclude,
            except_=except_,
            format=format,
            compression=compression,
            expires_in=expires_in,
            deliveries=deliveries,
            password=password,
            note=note,
        )
        return (await self._post("/links", request)).read(LinkReply)

    async def list(self) -> tuple[LinkReply, ...]:
        """Return all links that were not removed, the newest first."""
        return (await self._get("/links")).read(LinkPage).items

    async def revoke(self, code: str, *, remove: bool = False) -> LinkReply:
        """Take a link back for good, and with ``remove`` off the list.

        Raises:
            NotFound: There is no such link.
        """
        params = {"remove": "true"} if remove else None
        return (await self._transport.ask("DELETE", f"/links/{quote(code, safe='')}", params=params)).read(LinkReply)
