"""What the page asks for to look: who it is, folders, listings, what has changed."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from pannier import __version__
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import SignedOut
from pannier.desk.door import House
from pannier.dto.archives import OfferedFormat
from pannier.dto.desk import ChangesQuery, ChangesReply, FolderReply, FoldersReply, ListQuery, ListReply, MeReply
from pannier.errors import FileMissing, FolderMissing, InvalidRequest, OperationRefused, PathOutside
from pannier.services.changes import TRASH_SECONDS
from pannier.services.listings import Listings
from pannier.services.places import inside

LOOKING = (SignedOut, FolderMissing, FileMissing, PathOutside, OperationRefused, InvalidRequest)


class DeskData:
    """The handlers of what is looked at; ``largest`` are the most bytes of an upload."""

    def __init__(self, house: House, listings: Listings, largest: int) -> None:
        self._house, self._listings, self._largest = house, listings, largest

    def routes(self) -> Iterable[Route]:
        return [
            Route("GET", "/desk/me", self.me, {200: MeReply}),
            Route("GET", "/desk/folders", self.folders, {200: FoldersReply}, (SignedOut,)),
            Route("GET", "/desk/list", self.list, {200: ListReply}, LOOKING),
            Route("GET", "/desk/changes", self.changes, {200: ChangesReply}, LOOKING),
        ]

    @api_handler
    async def me(self, context: Context) -> Answered:
        """``GET /desk/me``: who asks, and what may be done; also of nobody."""
        person = await self._house.person(context)
        return ApiResponse(
            MeReply(
                signed_in=person is not None and person.signed_in,
                csrf=None if person is None else person.csrf,
                writable=person is not None and person.signed_in and not self._house.read_only,
                public=self._house.signing_in.public,
                version=__version__,
                largest_upload=self._largest,
                formats=tuple(OfferedFormat),
                trash_hours=int(TRASH_SECONDS // 3600),
            )
        )

    @api_handler
    async def folders(self, context: Context) -> Answered:
        """``GET /desk/folders``: what is served."""
        person = await self._house.looker(context)
        writable = person.signed_in and not self._house.read_only
        items = tuple(FolderReply(name=each.name, writable=writable) for each in self._house.folders)
        return ApiResponse(FoldersReply(items=items))

    @api_handler
    async def list(self, query: QueryParam[ListQuery], context: Context) -> Answered:
        """``GET /desk/list``: a page of a directory, as columns."""
        await self._house.looker(context)
        asked = query.parsed
        try:
            listed = await self._listings.page(
                self._house.place(asked.folder),
                asked.folder,
                asked.path,
                cursor=asked.cursor,
                limit=asked.limit,
                sort=asked.sort,
                descending=asked.order == "desc",
            )
        except OperationRefused as error:
            if error.number != errno.ENOENT:
                raise
            raise FileMissing(inside(asked.path)) from error
        return ApiResponse(listed)

    @api_handler
    async def changes(self, query: QueryParam[ChangesQuery], context: Context) -> Answered:
        """``GET /desk/changes``: whether a directory is as it was listed, and what was touched since."""
        await self._house.looker(context)
        asked = query.parsed
        return ApiResponse(await self._listings.changes(self._house.place(asked.folder), asked.path, asked.version))
