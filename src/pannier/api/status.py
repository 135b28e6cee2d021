"""Whether the server is up, in the words of the wire (WIRE sections 4 and 6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field

from pannier import __version__
from pannier.api.handlers import Answered, ApiResponse, QueryParam, api_handler
from pannier.api.middlewares import Drain
from pannier.api.routes import Route
from pannier.dto.folders import WireRequest
from pannier.services.readiness import Finding, Readiness


class NoQuery(WireRequest):
    """The query of a route that takes none."""


class Status(BaseModel):
    """The answer of ``/`` and ``/status``."""

    status: Literal["ok"] = "ok"
    type: str
    version: str = Field(default=__version__, serialization_alias="storage-proxy")


class ConnectivityCheck(BaseModel):
    """One thing that the server needs: its state, or a volume's root."""

    service_group: str
    component_id: str
    is_healthy: bool
    last_checked_at: str
    error_message: str | None = None


class Connectivity(BaseModel):
    """What the server needs, and whether all of it answers."""

    overall_healthy: bool
    connectivity_checks: list[ConnectivityCheck] = []
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

    def __init__(self, kind: str, drain: Drain, readiness: Readiness) -> None:
        self._kind, self._drain, self._readiness = kind, drain, readiness

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
        """``GET /health``: as ``/readyz``, in words only."""
        return ApiResponse(await self._looked("degraded"))

    @api_handler
    async def alive(self) -> Answered:
        """``GET /livez``: the event loop answers."""
        return ApiResponse(_health("ok"))

    @api_handler
    async def ready(self) -> Answered:
        """``GET /readyz``: new work is taken, and what it needs is there."""
        looked = await self._looked("error")
        return ApiResponse(looked, status=200 if looked.status == "ok" else 503)

    async def _looked(self, otherwise: Literal["degraded", "error"]) -> Health:
        findings = await self._readiness.look()
        ready = not self._drain.draining and all(finding.healthy for finding in findings)
        return _health("ok" if ready else otherwise, findings)


def _health(status: Literal["ok", "degraded", "error"], findings: Iterable[Finding] = ()) -> Health:
    checks = [
        ConnectivityCheck(
            service_group=finding.group,
            component_id=finding.name,
            is_healthy=finding.healthy,
            last_checked_at=finding.looked.isoformat(),
            error_message=finding.reason,
        )
        for finding in findings
    ]
    now = datetime.now(UTC).isoformat()
    return Health(
        status=status,
        connectivity=Connectivity(overall_healthy=status == "ok", connectivity_checks=checks, timestamp=now),
    )
