"""Whether the server is up, in the words of the wire (WIRE sections 4 and 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pannier import __version__
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.middlewares import Drain
from pannier.api.routes import Route


class NoQuery(BaseModel):
    """The query of a route that takes none."""

    model_config = ConfigDict(extra="forbid")


class Status(BaseModel):
    """The answer of ``/`` and ``/status``."""

    status: Literal["ok"] = "ok"
    type: str
    version: str = Field(default=__version__, serialization_alias="storage-proxy")


class Connectivity(BaseModel):
    """The services this one needs; it needs none."""

    overall_healthy: bool
    connectivity_checks: list[Any] = []
    timestamp: str


class Health(BaseModel):
    """The answer of ``/health``, ``/livez`` and ``/readyz``."""

    status: Literal["ok", "degraded", "error"]
    version: str = __version__
    component: str = "storage-proxy"
    connectivity: Connectivity


class ClientStatus:
    """The status of the client-facing listener."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    def routes(self) -> Iterable[Route]:
        return [Route("GET", "/", self.status, {200: Status}, head=True)]

    @api_handler
    async def status(self, query: QueryParam[NoQuery]) -> Answered:
        """``GET /``: whether it is up."""
        return ApiResponse(Status(type="client-facing"))


class ServerStatus:
    """The status routes of another listener, called ``kind``."""

    def __init__(self, kind: str, drain: Drain) -> None:
        self._kind, self._drain = kind, drain

    def routes(self) -> Iterable[Route]:
        return [
            Route("GET", "/", self.status, {200: Status}, head=True),
            Route("GET", "/status", self.status, {200: Status}, head=True),
            Route("GET", "/health", self.health, {200: Health}, head=True),
            Route("GET", "/livez", self.alive, {200: Health}, head=True),
            Route("GET", "/readyz", self.ready, {200: Health, 503: Health}, head=True),
        ]

    @api_handler
    async def status(self) -> Answered:
        """``GET /`` and ``/status``: whether it is up."""
        return ApiResponse(Status(type=self._kind))

    @api_handler
    async def health(self) -> Answered:
        """``GET /health``."""
        return ApiResponse(_health("degraded" if self._drain.draining else "ok"))

    @api_handler
    async def alive(self) -> Answered:
        """``GET /livez``: the event loop answers."""
        return ApiResponse(_health("ok"))

    @api_handler
    async def ready(self) -> Answered:
        """``GET /readyz``: new work is taken."""
        if self._drain.draining:
            return ApiResponse(_health("error"), status=503)
        return ApiResponse(_health("ok"))


def _health(status: Literal["ok", "degraded", "error"]) -> Health:
    now = datetime.now(UTC).isoformat()
    return Health(status=status, connectivity=Connectivity(overall_healthy=status == "ok", timestamp=now))
