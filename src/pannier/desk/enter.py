"""In and out: the page that a sign-in address opens, which spends nothing, and the button on it, which does."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web
from pydantic import BaseModel

from pannier.api.handlers import Answered, QueryParam, api_handler
from pannier.api.problems import answer
from pannier.api.requests import Context
from pannier.api.routes import Route
from pannier.denials import CrossSite, KeyUsed, PasswordLocked, PasswordWrong
from pannier.desk.forms import MEDIA_TYPE, read_form
from pannier.desk.html import Page, SeeOther, Site
from pannier.desk.problems import said
from pannier.errors import PannierError, StateUnavailable

_HTML = "text/html"
_LONGEST_PASSWORD = 256


class EnterQuery(BaseModel):
    """The query of ``/enter``; other keys are ignored."""

    key: str = ""
    lang: str = ""


class DeskEntrance:
    """The handlers of ``/enter`` and ``/leave``."""

    def __init__(self, site: Site) -> None:
        self._site, self._house = site, site.house

    def routes(self) -> Iterable[Route]:
        refusals = (CrossSite, KeyUsed, PasswordWrong, PasswordLocked, StateUnavailable)
        return [
            Route("GET", "/enter", self.show, {200: _HTML}, head=True),
            Route("POST", "/enter", self.enter, {303: None}, refusals, takes=MEDIA_TYPE),
            Route("POST", "/leave", self.leave, {303: None}, (CrossSite, StateUnavailable), takes=MEDIA_TYPE),
        ]

    @api_handler
    async def show(self, query: QueryParam[EnterQuery], context: Context) -> Answered:
        """``GET /enter``: the page with the button; opening it spends nothing."""
        if (
            (await self._house.person(context)) is not None
            and not query.parsed.key
            and not self._house.signing_in.public
        ):
            return SeeOther(f"{self._house.prefix}/")
        return self._page(context, query.parsed.key[:64])

    @api_handler
    async def enter(self, context: Context) -> Answered:
        """``POST /enter``: spend a key, or try the password, and begin a sign-in."""
        self._house.refuse_others(context)
        form = await read_form(context)
        signing_in, address = self._house.signing_in, self._house.address(context)
        key, password = form.one("key").strip()[:64], form.one("password")[:_LONGEST_PASSWORD]
        try:
            if password:
                cookie = await signing_in.by_password(password, address)
            else:
                cookie = await signing_in.by_key(key, address)
        except (KeyUsed, PasswordWrong, PasswordLocked) as error:
            return self._page(context, "", error)

        def let_in(response: web.StreamResponse) -> None:
            self._house.let_in(response, context, cookie)

        return SeeOther(f"{self._house.prefix}/", let_in)

    @api_handler
    async def leave(self, context: Context) -> Answered:
        """``POST /leave``: forget the sign-in."""
        form = await read_form(context)
        await self._house.caller(context, form.csrf)
        await self._house.signing_in.leave(context.request.cookies.get(self._house.cookie, ""))
        return SeeOther(f"{self._house.prefix}/enter", self._house.let_out)

    def _page(self, context: Context, key: str, error: PannierError | None = None) -> Page:
        told = None if error is None else answer(error, context.id)
        values = {
            "key": key,
            "host": context.request.host,
            "has_password": self._house.signing_in.has_password,
            "problem": None if told is None else said(self._site.words(context), told.problem),
        }
        headers = {} if told is None else told.headers
        status = 200 if told is None else told.problem.status
        return Page(self._site, "enter", "enter", values, status=status, headers=headers)
