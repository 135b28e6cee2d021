"""For managers: tokens that let a client upload."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import quote

from pannier.dto.downloads import TokenReply
from pannier.dto.uploads import LARGEST, UploadTokenRequest
from pannier.sdk.calls import Calls, Folder, made
from pannier.sdk.transport import Transport

ConflictName = Literal["replace", "refuse", "rename"]


class AsyncUploads(Calls):
    """Places to which a client may upload."""

    def __init__(self, transport: Transport, client_url: Callable[[], Awaitable[str]]) -> None:
        """``client_url`` gives the base URL at which clients reach the server."""
        super().__init__(transport)
        self._client_url = client_url

    async def create(
        self, folder: Folder, directory: str = ".", *, conflict: ConflictName = "replace", largest: int = LARGEST
    ) -> str:
        """Return a URL at which any number of uploads can be begun, into ``directory`` and below it.

        Args:
            folder, directory: Where files go; missing directories are made with the first file in them.
            conflict: What happens where something has the name of a file.
            largest: Most bytes of each file.

        Raises:
            Declined, Unreachable: As they say.
        """
        request = made(
            UploadTokenRequest,
            volume=folder.volume,
            vfid=folder.id,
            relpath=directory,
            size=largest,
            conflict=conflict,
            multiple=True,
        )
        base = await self._client_url()
        reply = (await self._post("/folder/file/upload", request, repeatable=True)).read(TokenReply)
        return f"{base}/uploads?token={quote(reply.token, safe='')}"
