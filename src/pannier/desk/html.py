"""HTML pages: templates in one of two languages, and the headers that keep anything else out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import jinja2
from aiohttp import web

from pannier import __version__
from pannier.api.requests import Context
from pannier.desk.assets import Assets
from pannier.desk.door import House
from pannier.desk.words import Words, language_of
from pannier.dto.paths import to_bytes
from pannier.quantities import show_bytes, show_size
from pannier.services.signing_in import Person

THEMES = ("auto", "light", "dark")
LANGUAGE_COOKIE, THEME_COOKIE = "pannier-lang", "pannier-theme"
_LANGUAGE_SECONDS = 365 * 24 * 3600
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_SCRIPTS = {"browse": "main", "links": "main", "request": "request", "share": "visitor", "enter": "visitor"}
"""By what a page is: the script that takes it over, where it is in the package."""

Cookies = Callable[[web.StreamResponse], None]
Kind = Literal["folders", "browse", "links", "plan", "enter", "share", "request", "error"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: an ``ApiStreamResponse``.

    Attributes:
        kind: What it is.
        template: Of ``templates``, without its ending.
        values: What the template is given.
        cookies: Sets those that go with it.
    """

    site: Site
    kind: Kind
    template: str
    values: Mapping[str, Any]
    person: Person | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Cookies | None = None

    async def send(self, context: Context) -> web.StreamResponse:
        response = web.Response(status=self.status, content_type="text/html", charset="utf-8")
        response.headers.update({"Content-Security-Policy": self.site.policy(context), **HEADERS, **self.headers})
        csrf = self.person.csrf if self.person is not None else None
        house = self.site.house
        person = self.person
        if person is None and house.signing_in.public and self.kind == "browse":
            person = await house.signing_in.person(house.know(response, context))
            csrf = person.csrf if person is not None else None
        if self.cookies is not None:
            self.cookies(response)
        asked = context.request.query.get("lang")
        words = self.site.words(context)
        if asked == words.language:
            house.set_cookie(response, context, LANGUAGE_COOKIE, words.language, max_age=_LANGUAGE_SECONDS)
        response.text = self.site.render(self, context, words, person, csrf)
        return response


@dataclass(frozen=True, slots=True)
class SeeOther:
    """A redirect after a form (RFC 9110 section 15.4.4): an ``ApiStreamResponse``."""

    location: str
    cookies: Cookies | None = None

    async def send(self, context: Context) -> web.StreamResponse:
        headers = {"Location": self.location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        response = web.Response(status=303, headers=headers)
        if self.cookies is not None:
            self.cookies(response)
        return response


class Site:
    """The pages of the front desk."""

    def __init__(self, house: House, assets: Assets) -> None:
        self.house, self._assets = house, assets
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("pannier.desk", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # which asks the disk about the file each time a page is made
        )
        environment.filters.update(
            {"size": _size, "bytes": _bytes, "shown": shown, "moment": moment, "part": part, "n": _number}
        )
        self._modules = {
            script: [assets.url(each) for each in assets.modules(f"page/{script}.js")]
            for script in set(_SCRIPTS.values())
        }
        # all of them now: later that would be reading and compiling on the event loop
        self._templates = {name: environment.get_template(name) for name in environment.list_templates()}

    def words(self, context: Context) -> Words:
        """Return the words of a request's language."""
        request = context.request
        return Words(
            language_of(
                request.query.get("lang"),
                request.cookies.get(LANGUAGE_COOKIE),
                request.headers.get("Accept-Language", ""),
            )
        )

    def policy(self, context: Context) -> str:
        """Return what a page of ours may load and do: nothing that does not come from here, or from where downloads and
        uploads are, and no script that is written into it."""
        apart, there = self.house.apart, ""
        if apart is not None:
            url = urlsplit(apart.reached(context))
            there = f" {url.scheme}://{url.netloc}"
        return (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; "
            f"connect-src 'self'{there}; form-action 'self'{there}; "
            "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        )

    def render(self, page: Page, context: Context, words: Words, person: Person | None, csrf: str | None) -> str:
        """Return the HTML of a page."""
        house = self.house
        theme = context.request.cookies.get(THEME_COOKIE, "")
        signed_in = person is not None and person.signed_in
        script = _SCRIPTS.get(page.kind)
        values = {
            "t": words,
            "lang": words.language,
            "other": "ko" if words.language == "en" else "en",
            "theme": theme if theme in THEMES else "auto",
            "kind": page.kind,
            "base": house.prefix,
            "csrf": csrf or "",
            "signed_in": signed_in,
            "writable": signed_in and not house.read_only,
            "public": house.signing_in.public,
            "read_only": house.read_only,
            "version": __version__,
            "script": None if script is None else self._assets.url(f"page/{script}.js"),
            "modules": [] if script is None else self._modules[script],
            "styles": [self._assets.url(name) for name in ("pannier.css", "page/page.css")],
            "here": context.request.path,
            "folder": "",
            "path": "",
            "look": None,
            **page.values,
        }
        return self._templates[f"{page.template}.html"].render(values).encode("utf-8", "replace").decode()


def shown(name: str) -> str:
    """Return a name as a page shows it: what could hide or turn it around is written out (UX section 2.1)."""
    return "".join(_visible(character) for character in name)


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xDC80 <= code <= 0xDCFF:
        return f"⟨{code - 0xDC00:02X}⟩"
    if 0x80 <= code <= 0x9F or code in _TURNING:
        return f"⟨U+{code:04X}⟩"
    return character


_TURNING = {0x061C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), 0x2028, 0x2029, *range(0x2066, 0x206A), 0xFEFF}
"""Characters that change the direction of what follows, or are not seen."""


def part(path: str) -> str:
    """Return a path as part of a URL, whatever bytes it stands for; slashes stay."""
    return quote(to_bytes(path), safe="/")


def moment(milliseconds: int) -> str:
    """Return a time in UTC for people."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "—"


@jinja2.pass_context
def _size(context: jinja2.runtime.Context, value: int) -> str:
    return show_size(value) if value >= 1024 else _bytes(context, value)


@jinja2.pass_context
def _bytes(context: jinja2.runtime.Context, value: int) -> str:
    return f"{value:,}바이트" if context["lang"] == "ko" else show_bytes(value)


def _number(value: int) -> str:
    return f"{value:,}"
