"""Manager-facing: what the command line asks first, where clients reach this server and which folders have names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pannier.api.handlers import Answered, ApiResponse, NoBody, api_handler
from pannier.api.routes import Route
from pannier.dto.volumes import NamedFolder, ServedReply


class ManagerServed:
    """The handler of ``/served``.

    Attributes:
        client_url: Where clients reach the server; known once it listens.
    """

    def __init__(self, folders: Sequence[NamedFolder]) -> None:
        self._folders = tuple(folders)
        self.client_url = ""

    def routes(self) -> Iterable[Route]:
        return [Route("GET", "/served", self.served, {200: ServedReply})]

    @api_handler
    async def served(self, body: NoBody) -> Answered:
        """``GET /served``: the base URL of the client-facing listener, and the folders that are volumes themselves."""
        return ApiResponse(ServedReply(client_url=self.client_url, folders=self._folders))
