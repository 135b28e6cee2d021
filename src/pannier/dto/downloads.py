"""Tokens of single files: how they are asked for, and what they say (WIRE sections 4 and 5)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from pannier.dto.archives import VolumeName
from pannier.dto.claims import LAST_EXPIRY
from pannier.dto.folders import FolderRequest
from pannier.dto.ids import FolderId
from pannier.dto.paths import VolumePath


class DownloadTokenRequest(FolderRequest):
    """``POST /folder/file/download``. ``archive`` is taken and left out of the token, as upstream does."""

    relpath: VolumePath
    archive: bool = False
    unmanaged_path: None = None
    """Anything else would be a place that is no volume's: it is refused."""
    strict: bool = False
    """Ours: whoever spends the token cannot choose a ``dst_dir``."""


class TokenReply(BaseModel):
    """A token."""

    token: str


class DownloadClaim(BaseModel):
    """Everything in a download token that is ours. Closed: an unknown member would be a restriction not kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    strict: bool = False
    told: bool = False
    """Whether it has a session: what it delivers is told, and it can be revoked."""


class DownloadTokenData(BaseModel):
    """The claims of a token that opens one file; claims that are not named here are tolerated."""

    model_config = ConfigDict(frozen=True)

    op: Literal["download"] = "download"
    volume: VolumeName
    vfid: FolderId
    relpath: VolumePath
    exp: int = Field(ge=0, le=LAST_EXPIRY)
    """When it ends, seconds since the epoch."""
    archive: bool = False
    unmanaged_path: None = None
    jti: str | None = Field(default=None, min_length=1, max_length=255)
    pannier: DownloadClaim | None = None

    @model_serializer(mode="wrap")
    def _as_on_the_wire(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # upstream writes the first five; the others are said only where they say something
        return {key: value for key, value in write(self).items() if value not in (None, False)}
