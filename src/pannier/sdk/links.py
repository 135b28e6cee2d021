"""What people send each other: ``…/s/CODE``, a page for them, behind which the archive stands under another URL."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from yarl import URL

from pannier.sdk.problems import Unexpected
from pannier.sdk.remote import read_url
from pannier.sdk.transport import Credential, Transport

_PAGE = re.compile(r"/s/[^/]+/?\Z")
_ARCHIVE = re.compile(r"(/s/[^/]+)/[^/]+\Z")


@dataclass(frozen=True, slots=True)
class Shared:
    """What a program is told of a link.

    Attributes:
        file_url: The archive, whole.
        failed_at: The file at which the server broke off the last download, if it did: a path below the folder.
    """

    file_url: str
    failed_at: str | None = None


def password_credential(password: str) -> Credential:
    """Return what shows that one knows the password of a link (RFC 7617; the name does not matter)."""
    return Credential("Authorization", f"Basic {base64.b64encode(f':{password}'.encode()).decode()}")


def is_page(url: str) -> bool:
    """Whether a URL is that of a link's page.

    Raises:
        ClientError: It is none of a web server.
    """
    return _PAGE.search(read_url(url).path) is not None


def page_of(url: str) -> str | None:
    """Return the page of a link, given the URL of the archive behind it (``…/s/CODE/NAME``); None of any other URL.

    Raises:
        ClientError: It is none of a web server.
    """
    archive = read_url(url)
    found = _ARCHIVE.search(archive.raw_path)
    return None if found is None else str(archive.with_path(archive.raw_path[: found.end(1)], encoded=True))


async def resolve(transport: Transport, url: str) -> Shared:
    """Return what stands behind the page of a link. Nothing of the link is spent by that.

    Raises:
        LinkOver: It is over.
        Declined, Unreachable, Unexpected: The server does not say.
    """
    page = read_url(url)
    match (await transport.ask("GET", page, headers={"Accept": "application/json"})).json():
        case {"file_url": str(file_url)} as told:
            target = page.join(URL(file_url))
        case _:
            raise Unexpected(f"{page.origin()}: answered with another form (file_url); is that a Pannier?")
    if page.scheme == "https" != target.scheme:
        raise Unexpected(f"{page.origin()}: this link leads to a place without encryption")
    match told:
        case {"failure": {"entry": str(entry)}}:
            return Shared(str(target), entry)
    return Shared(str(target))
