"""Quota scopes: what a manager asks and is told (WIRE section 4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from pannier.dto.folders import VolumeRequest, WireRequest
from pannier.dto.ids import FolderId, QuotaScope

LARGEST_LIMIT = 2**63 - 1

Limit = Annotated[int, Field(ge=0, le=LARGEST_LIMIT)]
"""Bytes; 0 is no limit, as quota tools have it (setquota(8))."""


class ScopeRequest(VolumeRequest):
    """A body that names a quota scope."""

    qsid: QuotaScope


class QuotaOptions(WireRequest):
    """What a scope is limited to."""

    limit_bytes: Limit


class CreateScopeRequest(ScopeRequest):
    """``POST /quota-scope``; ``extra_args`` are for other storage systems."""

    options: QuotaOptions | None = None
    extra_args: dict[str, Any] | None = None


class UpdateScopeRequest(ScopeRequest):
    """``PATCH /quota-scope``; without ``options`` the scope is only made, if it is missing."""

    options: QuotaOptions | None = None


class QuotaReply(BaseModel):
    """``GET /quota-scope``: bytes; null where they are not known, or not limited."""

    used_bytes: int | None
    limit_bytes: int | None


class RetiredQuotaRequest(VolumeRequest):
    """``GET`` and ``PATCH /volume/quota``."""

    vfid: FolderId | None = None
    size_bytes: int | None = None
