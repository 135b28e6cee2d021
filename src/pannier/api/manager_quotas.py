"""Manager-facing: quota scopes (WIRE section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, api_handler
from pannier.api.routes import Route
from pannier.dto.quotas import CreateScopeRequest, QuotaReply, RetiredQuotaRequest, ScopeRequest, UpdateScopeRequest
from pannier.errors import (
    OperationRefused,
    OperationUnsupported,
    QuotaScopeExists,
    QuotaScopeMissing,
    StorageFull,
    VolumeUnknown,
)
from pannier.services.quotas import Quotas

_SCOPE = (VolumeUnknown, OperationUnsupported, OperationRefused)
_PATH = "/quota-scope"


class ManagerQuotas:
    """The handlers of quota scopes."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    def routes(self) -> Iterable[Route]:
        return [
            Route("POST", _PATH, self.make, {204: None}, (*_SCOPE, QuotaScopeExists, StorageFull)),
            Route("GET", _PATH, self.tell, {200: QuotaReply}, (*_SCOPE, QuotaScopeMissing)),
            Route("PATCH", _PATH, self.limit, {204: None}, (*_SCOPE, StorageFull)),
            Route("DELETE", f"{_PATH}/quota", self.lift, {204: None}, (*_SCOPE, QuotaScopeMissing)),
            Route("GET", "/volume/quota", self.retired, {}, (OperationUnsupported,)),
            Route("PATCH", "/volume/quota", self.retired, {}, (OperationUnsupported,)),
        ]

    @api_handler
    async def make(self, body: BodyParam[CreateScopeRequest]) -> Answered:
        """``POST /quota-scope``: make a scope, with a limit."""
        await self._quotas.make(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def tell(self, body: BodyParam[ScopeRequest]) -> Answered:
        """``GET /quota-scope``: what is used of a scope, and its limit."""
        return ApiResponse(await self._quotas.tell(body.parsed))

    @api_handler
    async def limit(self, body: BodyParam[UpdateScopeRequest]) -> Answered:
        """``PATCH /quota-scope``: set a scope's limit."""
        await self._quotas.limit(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def lift(self, body: BodyParam[ScopeRequest]) -> Answered:
        """``DELETE /quota-scope/quota``: take a scope's limit away."""
        await self._quotas.lift(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def retired(self, body: BodyParam[RetiredQuotaRequest]) -> Answered:
        """``GET`` and ``PATCH /volume/quota``: never done here or upstream."""
        raise OperationUnsupported("single folders have no quotas; set one of the folder's scope: PATCH /quota-scope")
