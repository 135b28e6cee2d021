"""What people send each other: ``…/s/CODE``, a page for them, behind which the archive stands under another URL."""

from __future__ import annotations

import base64
import re

from pydantic import BaseModel
from yarl import URL

from pannier.sdk.problems import Unexpected
from pannier.sdk.remote import read_url
from pannier.sdk.transport import Credential, Transport

_PAGE = re.compile(r"/s/[^/]+/?\Z")


class Shared(BaseModel):
    """What a program is told of a link; other members are ignored."""

    file_url: str
    """The archive."""
    filename: str
    entries: int | None = None
    length: int | None = None
    password: bool = False
    """Whether one is asked for."""


def password_credential(password: str) -> Credential:
    """Return what shows that one knows the password of a link (RFC 7617; the name does not matter)."""
    return Credential("Authorization", f"Basic {base64.b64encode(f':{password}'.encode()).decode()}")


def is_page(url: str) -> bool:
    """Whether a URL is that of a link's page.

    Raises:
        ClientError: It is none of a web server.
    """
    return _PAGE.search(read_url(url).path) is not None


async def resolve(transport: Transport, url: str) -> Shared:
    """Return what stands behind the page of a link, its ``file_url`` whole. Nothing of the link is spent by that.

    Raises:
        LinkOver: It is over.
        Declined, Unreachable, Unexpected: The server does not say.
    """
    page = read_url(url)
    shared = (await transport.ask("GET", page, headers={"Accept": "application/json"})).read(Shared)
    target = page.join(URL(shared.file_url))
    if page.scheme == "https" != target.scheme:
        raise Unexpected(f"{page.origin()}: this link leads to a place without encryption")
    return shared.model_copy(update={"file_url": str(target)})
