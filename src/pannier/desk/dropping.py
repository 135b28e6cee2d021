"""Requests for files: as their owner makes them, and as who sends files sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from aiohttp import BodyPartReader, MultipartReader, web
from pydantic import BaseModel, Field

from pannier.api.handlers import Answered, ApiResponse, BodyParam, PathParam, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import CrossSite, LinkMissing, NameInvalid, ReadOnly, RequestClosed, SignedOut
from pannier.desk.html import Page, Site
from pannier.desk.problems import wants_page
from pannier.dto.desk import CodePath
from pannier.dto.drops import (
    DropPage,
    DropReply,
    DropRequest,
    DropUploadReply,
    DropUploadRequest,
    Put,
    PutReply,
    SenderReply,
)
from pannier.errors import (
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    PathOutside,
    StateUnavailable,
    StorageFull,
    UnreadableBody,
    UploadLeaseLost,
)
from pannier.services.drops import Drops
from pannier.state.drops import Drop

_MULTIPART = "multipart/form-data"
_MOST_PARTS = 10_000
_PIECE = 256 * 1024


class DropQuery(BaseModel):
    """The query of ``/r/{code}``; other keys are ignored."""

    lang: str = Field(default="", max_length=20)


class DeskDrops:
    """The handlers of requests for files; ``largest`` are the most bytes of any upload."""

    def __init__(self, site: Site, drops: Drops, largest: int) -> None:
        self._site, self._house, self._drops, self._largest = site, site.house, drops, largest

    def routes(self) -> Iterable[Route]:
        own = (SignedOut, CrossSite, LinkMissing, StateUnavailable)
        making = (SignedOut, CrossSite, ReadOnly, FolderMissing, PathOutside, StateUnavailable)
        open_ = (LinkMissing, RequestClosed, StateUnavailable)
        sending = (*open_, CrossSite, NameInvalid, LimitExceeded, StorageFull, UploadLeaseLost, UnreadableBody)
        return [
            Route("POST", "/desk/requests", self.make, {201: DropReply}, making),
            Route("GET", "/desk/requests", self.listed, {200: DropPage}, (SignedOut, StateUnavailable)),
            Route("DELETE", "/desk/requests/{code}", self.close, {200: DropReply}, own),
            Route("POST", "/desk/requests/{code}/remove", self.remove, {204: None}, own),
            Route("GET", "/r/{code}", self.show, {200: (SenderReply, "text/html")}, open_, head=True),
            Route("POST", "/r/{code}", self.take, {200: (PutReply, "text/html")}, sending, takes=_MULTIPART),
            Route("POST", "/r/{code}/uploads", self.begin, {200: DropUploadReply}, sending),
        ]

    @api_handler
    async def make(self, body: BodyParam[DropRequest], context: Context) -> Answered:
        """``POST /desk/requests``: a link by which others put files into a directory."""
        await self._house.editor(context)
        asked = body.parsed
        served = self._house.served(asked.folder)
        made = await self._drops.make(served.volume, served.folder, asked, self._house.reached(context))
        return ApiResponse(made, 201)

    @api_handler
    async def listed(self, context: Context) -> Answered:
        """``GET /desk/requests``: the newest first."""
        await self._house.keeper(context)
        return ApiResponse(DropPage(items=tuple(await self._drops.listed(self._house.reached(context)))))

    @api_handler
    async def close(self, path: PathParam[CodePath], context: Context) -> Answered:
        """``DELETE /desk/requests/{code}``: take no more files."""
        await self._house.owner(context)
        return ApiResponse(await self._drops.close_request(path.parsed.code, self._house.reached(context)))

    @api_handler
    async def remove(self, path: PathParam[CodePath], context: Context) -> Answered:
        """``POST /desk/requests/{code}/remove``: off the list; it is closed."""
        await self._house.owner(context)
        await self._drops.close_request(path.parsed.code, self._house.reached(context), remove=True)
        return ApiResponse(status=204)

    @api_handler
    async def show(self, path: PathParam[CodePath], query: QueryParam[DropQuery], context: Context) -> Answered:
        """``GET /r/{code}``: what may be put here; nothing of what is here."""
        drop = await self._drops.open(path.parsed.code)
        if not wants_page(context.request):
            return ApiResponse(await self._drops.sender(drop))
        return await self._page(drop, ())

    @api_handler
    async def take(self, path: PathParam[CodePath], context: Context) -> Answered:
        """``POST /r/{code}``: files of a plain form; each is durable when this answers."""
        self._house.refuse_others(context)
        drop = await self._drops.open(path.parsed.code)
        if self._house.read_only:
            raise ReadOnly
        put = tuple([each async for each in self._received(drop, context)])
        if not wants_page(context.request):
            return ApiResponse(PutReply(files=put))
        return await self._page(drop, put)

    @api_handler
    async def begin(self, path: PathParam[CodePath], body: BodyParam[DropUploadRequest], context: Context) -> Answered:
        """``POST /r/{code}/uploads``: where one file goes on, by tus."""
        self._house.refuse_others(context)
        drop = await self._drops.open(path.parsed.code)
        if self._house.read_only:
            raise ReadOnly
        begun = await self._drops.begin(drop, body.parsed.name, body.parsed.size)
        url = self._house.spent("/uploads", begun.token, context)
        return ApiResponse(DropUploadReply(url=url))

    async def _received(self, drop: Drop, context: Context) -> AsyncIterator[Put]:
        request = context.request
        if request.content_type != _MULTIPART:
            raise UnreadableBody(f"files are sent as {_MULTIPART}")
        announced = request.content_length
        most = self._largest if announced is None else min(self._largest, announced)
        try:
            reader = await request.multipart()
            parts, part = 0, await reader.next()
            while part is not None:
                parts += 1
                if parts > _MOST_PARTS or isinstance(part, MultipartReader):
                    raise InvalidRequest("file", "too many parts, or parts within parts")
                if not part.filename:  # a browser sends a part without a name where no file was chosen
                    await part.release()
                    part = await reader.next()
                    continue
                following: list[MultipartReader | BodyPartReader | None] = []
                name, size = await self._drops.put(drop, part.filename, _pieces(part, reader, following), most)
                yield Put(name=name, size=size)
                part = following[0]
        except (ValueError, AssertionError, web.RequestPayloadError) as error:
            raise UnreadableBody(f"the form cannot be read: {error}") from None

    async def _page(self, drop: Drop, put: tuple[Put, ...]) -> Page:
        sender = await self._drops.sender(drop)
        values = {
            "request": sender,
            "code": drop.code,
            "put": put,
        }
        return Page(self._site, "request", "request", values)


async def _pieces(
    part: BodyPartReader, reader: MultipartReader, following: list[MultipartReader | BodyPartReader | None]
) -> AsyncIterator[bytes]:
    """Give the content of a part as it comes, and note the next one: what no boundary follows was cut off.

    Raises:
        ValueError: None does (RFC 2046 section 5.1.1).
    """
    while piece := await part.read_chunk(_PIECE):
        yield piece
    if not part.at_eof():
        raise ValueError("no boundary follows its last part")
    following.append(await reader.next())
