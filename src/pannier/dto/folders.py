"""What the manager-facing routes of folders and files have in common (WIRE section 4)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pannier.dto.archives import VolumeName
from pannier.dto.ids import FolderId


class WireRequest(BaseModel):
    """A body of the wire's older routes: an unknown key is an error there."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VolumeRequest(WireRequest):
    """A body that names a volume."""

    volume: VolumeName


class FolderRequest(VolumeRequest):
    """A body that names a virtual folder."""

    vfid: FolderId
