"""What is told of volumes (WIRE section 4, Status and volumes)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from pannier.dto.ids import FolderId


class VolumeInfo(BaseModel):
    """A configured volume."""

    name: str
    backend: str
    path: str
    fsprefix: str
    capabilities: tuple[str, ...] = ("vfolder",)


class VolumesReply(BaseModel):
    """``GET /volumes``."""

    volumes: tuple[VolumeInfo, ...]


class NamedFolder(BaseModel):
    """A folder that people know by a name: a directory that is served as one folder."""

    name: str
    volume: str
    vfid: FolderId


class ServedReply(BaseModel):
    """``GET /served`` (ours): where clients reach the server, and the folders that have names."""

    client_url: str
    """Without a slash at the end."""
    folders: tuple[NamedFolder, ...]


class HardwareReply(BaseModel):
    """``GET /volume/hwinfo``: nothing is known of the hardware behind a mounted file system."""

    status: str = "healthy"
    status_info: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class Metric(BaseModel):
    """What the volume's device did since the machine started: operations, bytes and microseconds."""

    iops_read: int
    iops_write: int
    io_bytes_read: int
    io_bytes_write: int
    io_usec_read: int
    io_usec_write: int


class MetricReply(BaseModel):
    """``GET /volume/performance-metric``; ``observed_at`` in ISO 8601."""

    metric: Metric
    observed_at: str


class SpaceReply(BaseModel):
    """``GET /folder/fs-usage``, in bytes."""

    capacity_bytes: int
    used_bytes: int
