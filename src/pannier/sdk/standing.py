"""What the server knows of a link's session: how far it came, and why it broke off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from yarl import URL

from pannier.sdk.links import page_of, resolve
from pannier.sdk.problems import ClientError
from pannier.sdk.transport import Transport

if TYPE_CHECKING:
    from pannier.dto.sessions import SessionReply

_ROUTE = "/download-archive"


async def standing(transport: Transport, url: URL) -> SessionReply | None:
    """Return how the session of an archive's URL stands; None where the server does not say, or has none."""
    token = url.query.get("token")
    if not token or not url.path.endswith(_ROUTE):
        return None
    from pannier.dto.sessions import SessionReply

    asked = url.with_path(url.path.removesuffix(_ROUTE) + "/session").with_query({"token": token})
    try:
        async with transport.stream("GET", asked) as body:
            return SessionReply.model_validate_json(await body.read(2**20))
    except (ClientError, ValueError):
        return None


async def failed_entry(transport: Transport, url: URL) -> str | None:
    """Return the file at which the server broke off the last download of an archive; None where it does not say."""
    page = page_of(str(url))
    if page is not None:
        try:
            return (await resolve(transport, page)).failed_at
        except ClientError:
            return None
    told = await standing(transport, url)
    return None if told is None or told.failure is None else told.failure.entry
