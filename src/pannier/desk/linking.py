"""Links as their owner sees them: made, listed, taken back. For the page, without a script, and for managers."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from pannier.api.handlers import Answered, ApiResponse, BodyLimit, BodyParam, PathParam, QueryParam, api_handler
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import CrossSite, LinkMissing, SignedOut
from pannier.desk.forms import MEDIA_TYPE, Form, read_form
from pannier.desk.html import Page, SeeOther, Site
from pannier.desk.terminal import curl
from pannier.dto.desk import CodePath, DeskLinkRequest, DownloadRequest
from pannier.dto.links import LinkPage, LinkPath, LinkQuery, LinkReply, LinkRequest, LinkTerms
from pannier.errors import (
    Busy,
    FolderMissing,
    InvalidRequest,
    LimitExceeded,
    SelectionRefused,
    StateUnavailable,
    VolumeUnknown,
)
from pannier.services.drops import Drops
from pannier.services.links import Address, Links

_DAY = 24 * 3600
_MAKING = (FolderMissing, SelectionRefused, LimitExceeded, Busy, InvalidRequest, StateUnavailable)


class DeskLinks:
    """The handlers of links for the page; ``most_body`` bytes of a selection are taken."""

    def __init__(self, site: Site, links: Links, drops: Drops, most_body: int) -> None:
        self._site, self._house, self._links, self._drops = site, site.house, links, drops
        self.body_limit = BodyLimit(most_body, "limits.max-selection-body")

    def routes(self) -> Iterable[Route]:
        own = (SignedOut, CrossSite, LinkMissing, StateUnavailable)
        return [
            Route("POST", "/desk/links", self.make, {201: LinkReply}, (SignedOut, CrossSite, *_MAKING)),
            Route("GET", "/desk/links", self.listed, {200: LinkPage}, (SignedOut, StateUnavailable)),
            Route("DELETE", "/desk/links/{code}", self.revoke, {200: LinkReply}, own),
            Route("POST", "/desk/links/{code}/remove", self.remove, {204: None}, own),
            Route("GET", "/links", self.show, {200: "text/html"}, (SignedOut,)),
            Route("POST", "/links", self.act, {303: None}, own, takes=MEDIA_TYPE),
        ]

    @api_handler
    async def make(self, body: BodyParam[DeskLinkRequest], context: Context) -> Answered:
        """``POST /desk/links``: a link to an archive of what is selected."""
        await self._house.owner(context)
        asked = body.parsed
        served = self._house.served(asked.folder)
        reached = self._house.reached(context)
        return ApiResponse(await self._links.make(served.volume, served.folder, asked.paths, asked, reached), 201)

    @api_handler
    async def listed(self, context: Context) -> Answered:
        """``GET /desk/links``: the newest first."""
        await self._house.keeper(context)
        return ApiResponse(LinkPage(items=tuple(await self._links.listed(self._house.reached(context)))))

    @api_handler
    async def revoke(self, path: PathParam[CodePath], context: Context) -> Answered:
        """``DELETE /desk/links/{code}``: take it back; what runs is cut."""
        await self._house.owner(context)
        return ApiResponse(await self._links.revoke(path.parsed.code, self._house.reached(context)))

    @api_handler
    async def remove(self, path: PathParam[CodePath], context: Context) -> Answered:
        """``POST /desk/links/{code}/remove``: off the list; one that still opens is revoked."""
        await self._house.owner(context)
        await self._links.revoke(path.parsed.code, self._house.reached(context), remove=True)
        return ApiResponse(status=204)

    @api_handler
    async def show(self, context: Context) -> Answered:
        """``GET /links``: the page of links and requests."""
        person = await self._house.keeper(context)
        reached = self._house.reached(context)
        values = {
            "links": await self._links.listed(reached),
            "requests": await self._drops.listed(reached),
            "curl": curl,
        }
        return Page(self._site, "links", "links", values, person)

    @api_handler
    async def act(self, context: Context) -> Answered:
        """``POST /links``: revoke or remove a link, close or remove a request."""
        form = await read_form(context)
        await self._house.owner(context, form.csrf)
        reached, code = self._house.reached(context), form.one("code")
        match form.one("do"):
            case "revoke" | "remove" as what:
                await self._links.revoke(code, reached, remove=what == "remove")
            case "close" | "forget" as what:
                await self._drops.close_request(code, reached, remove=what == "forget")
            case _:
                raise InvalidRequest("do", "is revoke, remove, close or forget")
        return SeeOther(f"{self._house.prefix}/links")


class ManagerLinks:
    """The handlers of links for managers.

    Args:
        reached: Where links are reached; asked for when the listener is there.
    """

    def __init__(self, links: Links, reached: Reached, most_body: int) -> None:
        self._links, self._reached = links, reached
        self.body_limit = BodyLimit(most_body, "limits.max-selection-body")

    def routes(self) -> Iterable[Route]:
        making = (VolumeUnknown, *_MAKING)
        return [
            Route("POST", "/links", self.make, {201: LinkReply}, making),
            Route("GET", "/links", self.listed, {200: LinkPage}, (StateUnavailable,)),
            Route("DELETE", "/links/{code}", self.revoke, {200: LinkReply}, (LinkMissing, StateUnavailable)),
        ]

    @api_handler
    async def make(self, body: BodyParam[LinkRequest]) -> Answered:
        """``POST /links``: a link to an archive, for people and programs that know nothing else."""
        asked = body.parsed
        made = await self._links.make(asked.volume, asked.virtual_folder_id, asked.files, asked, self._reached.address)
        return ApiResponse(made, 201)

    @api_handler
    async def listed(self) -> Answered:
        """``GET /links``: those that were not removed, the newest first."""
        return ApiResponse(LinkPage(items=tuple(await self._links.listed(self._reached.address))))

    @api_handler
    async def revoke(self, path: PathParam[LinkPath], query: QueryParam[LinkQuery]) -> Answered:
        """``DELETE /links/{code}``: take it back, and with ``remove`` off the list."""
        code, remove = path.parsed.code, query.parsed.remove
        return ApiResponse(await self._links.revoke(code, self._reached.address, remove=remove))


class Reached:
    """Where links are reached, once that is known: a port may be any that is free."""

    def __init__(self) -> None:
        self.address = Address("")


def link_terms(form: Form, asked: DownloadRequest) -> LinkTerms:
    """Return what a form says of a link to a selection.

    Raises:
        InvalidRequest: Something that cannot be.
    """
    try:
        return LinkTerms.model_validate(
            {
                **dict(asked.options),
                "format": asked.format,
                "compression": asked.compression,
                "filename": asked.filename,
                "expires_in": (form.number("days") or 7) * _DAY,
                "deliveries": form.number("deliveries"),
                "password": form.one("password") or None,
                "note": form.one("note") or None,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidRequest(".".join(map(str, first["loc"])) or "form", first["msg"]) from None
