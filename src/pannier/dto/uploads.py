"""Uploads: how they are asked for, what their tokens say, how a client asks (WIRE sections 4, 5 and 6.4)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

from pannier.dto.archives import VolumeName
from pannier.dto.claims import LAST_EXPIRY
from pannier.dto.folders import FolderRequest, WireRequest
from pannier.dto.ids import FolderId
from pannier.dto.paths import VolumePath

LARGEST = 2**63 - 1
"""Bytes: what a file system can count."""


def _number(value: object) -> object:
    # the manager sends the size as a text
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20 else value


Size = Annotated[int, BeforeValidator(_number), Field(ge=0, le=LARGEST, strict=True)]
"""A number of bytes, or its decimal digits."""

Session = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\z")]
"""The name of an upload, 32 hex digits."""


LONGEST_METADATA = 4_096
"""Most characters of ``Upload-Metadata``: they travel in the token of the upload, which is part of its URL."""
METADATA = r"^[\t\x20-\x7e]*\z"
"""What ``Upload-Metadata`` is made of: tus has keys and Base64 there."""


class Conflict(StrEnum):
    """What happens where something has the name of a file that was uploaded."""

    REPLACE = "replace"
    """The file takes its place, as on the wire; a directory stays and the upload is refused."""
    REFUSE = "refuse"
    """The upload is refused, and stays unfinished until it expires."""
    RENAME = "rename"
    """The file gets a free name like it, ``name (1).ext``."""


class UploadTokenRequest(FolderRequest):
    """``POST /folder/file/upload``; the last three are ours."""

    relpath: VolumePath
    size: Size
    """Bytes of the upload; with ``multiple`` the most of each."""
    strict: bool = False
    """Whoever spends the token cannot choose a ``dst_dir``."""
    conflict: Conflict = Conflict.REPLACE
    multiple: bool = False
    """``relpath`` is a directory, and who has the token begins uploads below it at ``/uploads``."""


class UploadClaim(BaseModel):
    """Everything in an upload token that is ours. Closed: an unknown member would be a restriction not kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    strict: bool = False
    conflict: Conflict = Conflict.REPLACE
    multiple: bool = False
    metadata: str = Field(default="", max_length=LONGEST_METADATA, pattern=METADATA)
    """What the client said of the upload when it began it, as it said it; it is told again in a header."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        defaults = (False, "", Conflict.REPLACE)
        return {key: value for key, value in write(self).items() if key == "v" or value not in defaults}


class UploadTokenData(BaseModel):
    """The claims of a token that takes one upload; claims that are not named here are tolerated."""

    model_config = ConfigDict(frozen=True)

    op: Literal["upload"] = "upload"
    volume: VolumeName
    vfid: FolderId
    relpath: VolumePath
    size: Size
    session: Session
    exp: int = Field(ge=0, le=LAST_EXPIRY)
    """When it ends, seconds since the epoch."""
    pannier: UploadClaim | None = None

    @model_serializer(mode="wrap")
    def _as_on_the_wire(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        return {key: value for key, value in write(self).items() if value is not None}


class UploadQuery(WireRequest):
    """The query of ``/upload``; other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    token: str
    dst_dir: VolumePath | None = None
    """A directory of the folder that the token's path is taken from."""


class PatchHeaders(BaseModel):
    """The headers of a PATCH that count; what they say is tus', and read by its rules."""

    upload_offset: str | None = None
    """Where the bytes belong: how many were sent before them."""
    content_length: int | None = None


class CreationQuery(BaseModel):
    """The query of ``/uploads``."""

    token: str


class TusHeaders(BaseModel):
    """The header of every request for ``/uploads``."""

    tus_resumable: str | None = None
    """The version that the client speaks: ``1.0.0``."""


class CreationHeaders(TusHeaders):
    """The headers of a POST that count; what they say is read by the rules of tus."""

    upload_length: str | None = None
    """Bytes of the upload."""
    upload_metadata: str | None = None
    """Its ``filename``, in Base64, and whatever else."""
    upload_checksum: str | None = None
    content_type: str | None = None
    content_length: int | None = None


class AppendHeaders(TusHeaders, PatchHeaders):
    """The headers of a PATCH at ``/uploads`` that count."""

    upload_checksum: str | None = None
    """An algorithm, and in Base64 what the body comes to."""
    content_type: str | None = None
