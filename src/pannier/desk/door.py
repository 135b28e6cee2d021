"""Who asks, and whether a page of ours makes the request: cookies, and what keeps other sites out.

Other sites are told by ``Sec-Fetch-Site`` (W3C Fetch Metadata), or by ``Origin`` where a browser does not send that;
and what changes something has to carry the token that only a page of ours knows.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from aiohttp import web

from pannier.api.requests import Context, Network, client_address
from pannier.denials import CrossSite, ReadOnly, SignedOut
from pannier.dto.ids import FolderId
from pannier.errors import FolderMissing
from pannier.services.links import Address
from pannier.services.places import Places
from pannier.services.signing_in import SIGN_IN_SECONDS, Person, SigningIn, is_token_of, new_cookie
from pannier.streams.hashing import Place

CSRF_HEADER = "X-Pannier-CSRF"
CSRF_FIELD = "csrf"

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Served:
    """A folder at the front desk: its name there, and where it is."""

    name: str
    volume: str
    folder: FolderId


@dataclass(frozen=True, slots=True)
class Apart:
    """The client-facing listener, where the front desk has a listener and so an origin of its own.

    Attributes:
        url: Its base URL, path prefix included, without a trailing slash.
        public: Whether others reach it so; else it is on the host that a browser calls the desk by, at its own port.
    """

    url: str
    public: bool

    def reached(self, context: Context) -> str:
        """Return its base URL for who asks; what no host can be called is not taken over from them."""
        here = _HOST.fullmatch(context.request.host)
        if self.public or here is None:
            return self.url
        url = urlsplit(self.url)
        return url._replace(netloc=f"{here[1]}:{url.port}").geturl()


@dataclass(frozen=True, slots=True)
class House:
    """What all handlers of the front desk share.

    Attributes:
        cookie: The name of the sign-in's cookie: two servers on one host must not take each other's.
        prefix: The path below which everything stands.
        public_url: How others reach it, without the prefix; empty where that is how the browser does.
        read_only: Whether nothing may be changed.
        apart: Where downloads and uploads are, if that is another listener.
    """

    signing_in: SigningIn
    places: Places
    folders: Sequence[Served]
    cookie: str
    prefix: str = ""
    public_url: str = ""
    read_only: bool = False
    trusted: Sequence[Network] = ()
    apart: Apart | None = None

    # -- who asks

    async def person(self, context: Context) -> Person | None:
        """Return who asks, None where nobody is known."""
        return await self.signing_in.person(context.request.cookies.get(self.cookie))

    async def looker(self, context: Context) -> Person:
        """Return who asks and may look.

        Raises:
            SignedOut: Nobody may.
        """
        return await self.signing_in.demand(context.request.cookies.get(self.cookie))

    async def caller(self, context: Context, given: str | None = None) -> Person:
        """Return who asks from a page of ours: for what anybody may do who may look, and others must not make them do.

        ``given``: the token, where it is in the body.

        Raises:
            CrossSite: It is no page of ours.
            SignedOut: Nobody may look.
        """
        self.refuse_others(context)
        person = await self.looker(context)
        if not is_token_of(person, given or context.request.headers.get(CSRF_HEADER)):
            raise CrossSite
        return person

    async def owner(self, context: Context, given: str | None = None) -> Person:
        """Return who asks from a page of ours and is signed in; errors as ``caller``."""
        person = await self.caller(context, given)
        if not person.signed_in:
            raise SignedOut
        return person

    async def editor(self, context: Context, given: str | None = None) -> Person:
        """Return who asks from a page of ours and may change files.

        Raises:
            ReadOnly: Nobody may.
            CrossSite, SignedOut: As ``owner``.
        """
        person = await self.owner(context, given)
        if self.read_only:
            raise ReadOnly
        return person

    async def keeper(self, context: Context) -> Person:
        """Return who asks to be told and is signed in.

        Raises:
            SignedOut: Nobody is.
        """
        person = await self.looker(context)
        if not person.signed_in:
            raise SignedOut
        return person

    def refuse_others(self, context: Context) -> None:
        """Refuse what another site makes a browser send.

        Raises:
            CrossSite: It does.
        """
        headers = context.request.headers
        site = headers.get("Sec-Fetch-Site")
        if site is not None:
            if site not in ("same-origin", "none"):
                raise CrossSite
            return
        origin = headers.get("Origin")
        if origin is None:
            return
        own = {urlsplit(url).netloc.lower() for url in (self.public_url, f"//{context.request.host}") if url}
        if urlsplit(origin).netloc.lower() not in own:
            raise CrossSite

    def address(self, context: Context) -> str:
        """Return the address that a request comes from, as far as proxies are trusted."""
        return client_address(context.request, self.trusted)

    # -- where things are

    def place(self, name: str) -> Place:
        """Return a folder by its name.

        Raises:
            FolderMissing: There is none here.
        """
        served = self.served(name)
        return self.places.place(served.volume, served.folder)

    def served(self, name: str) -> Served:
        """Return what is served under a name; errors as ``place``."""
        for each in self.folders:
            if each.name == name:
                return each
        raise FolderMissing(repr(name))

    def reached(self, context: Context) -> Address:
        """Return how links are to be written: by what is configured, else as the browser that asks has come here."""
        base = self.public_url or f"{context.request.scheme}://{context.request.host}"
        return Address(base.rstrip("/") + self.prefix)

    def spent(self, path: str, token: str, context: Context) -> str:
        """Return the address at which a token is spent: of a download, or of uploads."""
        base = self.prefix if self.apart is None else self.apart.reached(context)
        return f"{base}{path}?token={quote(token, safe='')}"

    # -- cookies

    def let_in(self, response: web.StreamResponse, context: Context, cookie: str) -> None:
        """Have a browser hold a sign-in."""
        self.set_cookie(response, context, self.cookie, cookie, max_age=SIGN_IN_SECONDS)

    def know(self, response: web.StreamResponse, context: Context) -> str:
        """Have a browser hold what nobody has signed in with, and return that."""
        cookie = new_cookie()
        self.set_cookie(response, context, self.cookie, cookie)
        return cookie

    def let_out(self, response: web.StreamResponse) -> None:
        """Have a browser forget it."""
        response.del_cookie(self.cookie, path=f"{self.prefix}/", httponly=True, samesite="Strict")

    def set_cookie(
        self,
        response: web.StreamResponse,
        context: Context,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        path: str | None = None,
    ) -> None:
        """Have a browser hold something that no script and no other site gets at."""
        secure = context.request.secure or self.public_url.startswith("https:")
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path=path or f"{self.prefix}/",
            httponly=True,
            secure=secure,
            samesite="Strict",
        )


def cookie_name(secret: str) -> str:
    """Return the name of a server's cookie: browsers do not tell the ports of one host apart. It tells nothing more."""
    return f"pannier-{hmac.digest(secret.encode(), b'pannier cookie', 'sha256').hex()[:12]}"
