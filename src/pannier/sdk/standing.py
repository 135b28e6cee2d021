"""What the server knows of a link's session: how far it came, and why it broke off."""

from __future__ import annotations

from yarl import URL

from pannier.dto.sessions import SessionReply
from pannier.sdk.problems import ClientError
from pannier.sdk.transport import Transport

_ROUTE = "/download-archive"


async def standing(transport: Transport, url: URL) -> SessionReply | None:
    """Return how the session of an archive's URL stands; None where the server does not say, or has none."""
    token = url.query.get("token")
    if not token or not url.path.endswith(_ROUTE):
        return None
    asked = url.with_path(url.path.removesuffix(_ROUTE) + "/session").with_query({"token": token})
    try:
        async with transport.stream("GET", asked) as body:
            return SessionReply.model_validate_json(await body.read(2**20))
    except (ClientError, ValueError):
        return None
