"""What who receives a link sees: the page, which spends nothing, and the archive."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote, unquote

from aiohttp import web
from pydantic import BaseModel, Field

from pannier.api.client_archives import ClientArchives
from pannier.api.client_members import ClientMembers
from pannier.api.handlers import Answered, ApiResponse, PathParam, QueryParam, api_handler
from pannier.api.problems import answer
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.archive.formats import FORMATS
from pannier.denials import (
    CrossSite,
    LinkEnded,
    LinkMissing,
    LinkRevoked,
    LinkSpent,
    PasswordLocked,
    PasswordWrong,
)
from pannier.desk.forms import MEDIA_TYPE, read_form
from pannier.desk.html import Page, SeeOther, Site
from pannier.desk.problems import said, wants_page
from pannier.desk.terminal import lines
from pannier.dto.archives import OfferedFormat
from pannier.dto.links import LONGEST_PASSWORD, ReceivedQuery, ReceivedReply
from pannier.dto.members import ArchiveMembers, PlacesQuery
from pannier.errors import (
    FileMissing,
    InvalidRequest,
    LimitExceeded,
    PannierError,
    ResumeUnverified,
    SelectionChanged,
    SelectionRefused,
    SessionRevoked,
    SessionSpent,
    SourceChanged,
    StateUnavailable,
)
from pannier.services.archives import Grant
from pannier.services.links import Links
from pannier.state.links import Link

_ENDED = (LinkMissing, LinkEnded, PasswordWrong, PasswordLocked, StateUnavailable)
_ARCHIVE = tuple(dict.fromkeys(format.media_type for format in FORMATS.values()))
_COOKIE = "pannier-link"
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="Pannier link", charset="UTF-8"'}


class SharePath(BaseModel):
    """The variable part of ``/s/{code}``."""

    code: str = Field(max_length=200)


class ShareFilePath(SharePath):
    """The variable parts of ``/s/{code}/{name}``."""

    name: str = Field(max_length=1_024)


class DeskReceiving:
    """The handlers of ``/s``; ``archives`` sends what a link allows, ``members`` tells where entries lie in it."""

    def __init__(self, site: Site, links: Links, archives: ClientArchives, members: ClientMembers) -> None:
        self._site, self._house, self._links, self._archives = site, site.house, links, archives
        self._members = members

    def routes(self) -> Iterable[Route]:
        sending = (*_ENDED, SelectionRefused, SelectionChanged, ResumeUnverified, SourceChanged, LimitExceeded)
        return [
            Route("GET", "/s/{code}", self.show, {200: (ReceivedReply, "text/html")}, _ENDED, head=True),
            Route(
                "POST", "/s/{code}", self.take, {200: "text/html", 303: None}, (*_ENDED, CrossSite), takes=MEDIA_TYPE
            ),
            Route(
                "GET",
                "/s/{code}/{name}",
                self.send,
                {200: _ARCHIVE, 206: _ARCHIVE, 304: None},
                (*sending, FileMissing),
                head=True,
                problems={426: "The archive has no length in advance, and HTTP/1.0 could not tell its end from a cut."},
            ),
            Route(
                "GET",
                "/s/{code}/{name}/members",
                self.members,
                {200: ArchiveMembers},
                (*_ENDED, SelectionRefused, SelectionChanged, LimitExceeded, FileMissing, InvalidRequest),
            ),
        ]

    @api_handler
    async def show(self, path: PathParam[SharePath], query: QueryParam[ReceivedQuery], context: Context) -> Answered:
        """``GET /s/{code}``: what is inside, for people and programs; spends nothing."""
        link = await self._links.open(path.parsed.code)
        given = _basic(context)
        if given is not None:
            await self._links.check_password(link, given, self._house.address(context))
        known = given is not None or self._links.is_proof(link, context.request.cookies.get(_COOKIE))
        if not wants_page(context.request):
            return ApiResponse(await self._received(link, context, query.parsed.page, known=known))
        return await self._page(link, context, query.parsed.page, known=known)

    @api_handler
    async def take(self, path: PathParam[SharePath], context: Context) -> Answered:
        """``POST /s/{code}``: begin the download, or with ``do=look`` show what is inside a link with a password."""
        self._house.refuse_others(context)
        link = await self._links.open(path.parsed.code, resuming=True)
        form = await read_form(context)
        if not self._links.is_proof(link, context.request.cookies.get(_COOKIE)):
            try:
                given = form.one("password")[:LONGEST_PASSWORD]
                await self._links.check_password(link, given or None, self._house.address(context))
            except (PasswordWrong, PasswordLocked) as error:
                return await self._page(link, context, 1, known=False, error=error)
        format = self._format(link, form.one("format"))
        where = f"{self._house.prefix}/s/{link.code}"

        def let_in(response: web.StreamResponse) -> None:
            if link.password is not None:
                proof = self._links.proof(link)
                self._house.set_cookie(response, context, _COOKIE, proof, path=where)

        if form.one("do") == "look":
            return SeeOther(where, let_in)
        return SeeOther(f"{where}/{quote(self._links.filename(link, format), safe='')}", let_in)

    @api_handler
    async def send(self, path: PathParam[ShareFilePath], context: Context) -> Answered:
        """``GET`` and ``HEAD /s/{code}/{name}``: the archive, or a window of it."""
        return await self._for_who_knows(path.parsed, context, lambda grant: self._archives.answer(grant, context))

    @api_handler
    async def members(
        self, path: PathParam[ShareFilePath], query: QueryParam[PlacesQuery], context: Context
    ) -> Answered:
        """``GET /s/{code}/{name}/members``: where the entries lie in the archive; spends nothing."""
        return await self._for_who_knows(path.parsed, context, lambda grant: self._members.answer(grant, query.parsed))

    async def _for_who_knows(
        self, path: ShareFilePath, context: Context, give: Callable[[Grant], Awaitable[Answered]]
    ) -> Answered:
        """Give what a link allows to those who know its password, if it has one."""
        link = await self._links.open(path.code, resuming=True)
        if not self._links.is_proof(link, context.request.cookies.get(_COOKIE)):
            try:
                await self._links.check_password(link, _basic(context), self._house.address(context))
            except PasswordWrong as error:
                told = answer(error, context.id)
                told.headers.update(_CHALLENGE)
                return told
        for format in self._links.formats(link):
            if path.name in (self._links.filename(link, format), unquote(self._links.filename(link, format))):
                break
        else:
            raise FileMissing(path.name.encode("utf-8", "surrogateescape"))
        try:
            return await give(await self._links.grant(link, format))
        except SessionRevoked:
            raise LinkRevoked from None
        except SessionSpent:
            raise LinkSpent(link.deliveries or 1) from None

    async def _received(self, link: Link, context: Context, number: int, *, known: bool) -> ReceivedReply:
        reached = self._house.reached(context)
        return await self._links.received(link, reached, number) if known else self._links.locked(link, reached)

    async def _page(
        self, link: Link, context: Context, number: int, *, known: bool, error: PannierError | None = None
    ) -> Page:
        told = None if error is None else answer(error, context.id)
        words = self._site.words(context)
        received = await self._received(link, context, number, known=known)
        values = {
            "link": received,
            "code": link.code,
            "known": known,
            "commands": lines(received.file_url, received.filename, locked=link.password is not None),
            "problem": None if told is None else said(words, told.problem.model_copy(update=_retry(told.headers))),
        }
        status, headers = (200, {}) if told is None else (told.problem.status, told.headers)
        return Page(self._site, "share", "share", values, status=status, headers=headers)

    def _format(self, link: Link, asked: str) -> OfferedFormat | None:
        if not asked:
            return None
        for format in self._links.formats(link):
            if format == asked:
                return format
        words = ", ".join(self._links.formats(link))
        raise InvalidRequest("format", f"this link comes as {words}")


def _retry(headers: dict[str, str]) -> dict[str, str]:
    return {"retry_after": headers["Retry-After"]} if "Retry-After" in headers else {}


def _basic(context: Context) -> str | None:
    """Return the password of ``Authorization: Basic`` (RFC 7617), whatever the name beside it."""
    kind, _, text = context.request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return (
            base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")[2][:LONGEST_PASSWORD] or None
        )
    except (binascii.Error, UnicodeDecodeError):
        return None
