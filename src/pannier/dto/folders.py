"""Requests for whole folders, and what all requests for folders and files have in common (WIRE section 4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pannier.dto.archives import VolumeName
from pannier.dto.ids import FolderId
from pannier.dto.paths import VolumePath

FOLDER_MODE = 0o775
"""Permissions of a new folder, where the request does not say (WIRE section 2)."""


class WireRequest(BaseModel):
    """What the wire's older routes take, as body or query: an unknown key is an error there, told without a code."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VolumeRequest(WireRequest):
    """A body that names a volume."""

    volume: VolumeName


class FolderRequest(VolumeRequest):
    """A body that names a virtual folder."""

    vfid: FolderId


class FolderOptions(BaseModel):
    """What is said of a new folder; other keys are for other storage systems."""

    model_config = ConfigDict(extra="allow", frozen=True)

    initial_max_size_for_quota_scope: int | None = None
    """Bytes, for a scope that is made with the folder; none where it is not positive."""


class CreateFolderRequest(FolderRequest):
    """``POST /folder/create``; ``mode`` are the permissions of the folder, null for the default."""

    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = FOLDER_MODE
    options: FolderOptions | None = None


class MountRequest(FolderRequest):
    """``GET /folder/mount``."""

    subpath: VolumePath = "."


class MetadataRequest(FolderRequest):
    """``GET`` and ``POST /folder/metadata``."""

    payload: Any = None


class MountReply(BaseModel):
    """Where a folder is on the host."""

    path: str


class UsageReply(BaseModel):
    """How much is in a folder; -1 where counting took too long."""

    file_count: int
    used_bytes: int


class UsedBytesReply(BaseModel):
    """How many bytes a folder takes on the disk."""

    used_bytes: int


class MetadataReply(BaseModel):
    """Nothing is kept."""

    status: str = "ok"
