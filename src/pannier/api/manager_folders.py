"""Manager-facing: volumes and whole folders (WIRE section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from pannier.api.handlers import Answered, ApiResponse, BodyParam, NoBody, api_handler
from pannier.api.routes import Route
from pannier.dto.folders import (
    CreateFolderRequest,
    FolderRequest,
    MetadataReply,
    MetadataRequest,
    MountReply,
    MountRequest,
    UsageReply,
    UsedBytesReply,
    VolumeRequest,
)
from pannier.dto.volumes import HardwareReply, MetricReply, SpaceReply, VolumesReply
from pannier.errors import (
    FolderExists,
    FolderMissing,
    InvalidRequest,
    MountRefused,
    OperationRefused,
    OperationUnsupported,
    QuotaScopeMissing,
    StorageFull,
    VolumeUnknown,
)
from pannier.services.folders import Folders

_VOLUME = (VolumeUnknown, OperationUnsupported)
_FOLDER = (*_VOLUME, FolderMissing)
_CREATE = (*_VOLUME, InvalidRequest, FolderExists, QuotaScopeMissing, OperationRefused, StorageFull)


class ManagerFolders:
    """The handlers of volumes and folders."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def routes(self) -> Iterable[Route]:
        metadata = {200: MetadataReply}
        return [
            Route("GET", "/volumes", self.volumes, {200: VolumesReply}),
            Route("GET", "/volume/hwinfo", self.hardware, {200: HardwareReply}, _VOLUME),
            Route("GET", "/volume/performance-metric", self.metric, {200: MetricReply}, _VOLUME),
            Route("GET", "/folder/fs-usage", self.space, {200: SpaceReply}, _VOLUME),
            Route("POST", "/folder/create", self.create, {204: None}, _CREATE),
            Route("GET", "/folder/mount", self.mount, {200: MountReply}, (*_VOLUME, MountRefused)),
            Route("GET", "/folder/usage", self.usage, {200: UsageReply}, _FOLDER),
            Route("GET", "/folder/used-bytes", self.used_bytes, {200: UsedBytesReply}, _FOLDER),
            Route("GET", "/folder/metadata", self.metadata, metadata, (VolumeUnknown,)),
            Route("POST", "/folder/metadata", self.metadata, metadata, (VolumeUnknown,)),
        ]

    @api_handler
    async def volumes(self, body: NoBody) -> Answered:
        """``GET /volumes``: the volumes of this host."""
        return ApiResponse(self._folders.volumes())

    @api_handler
    async def hardware(self, body: BodyParam[VolumeRequest]) -> Answered:
        """``GET /volume/hwinfo``: how its hardware is: nothing is looked at."""
        self._folders.known(body.parsed.volume)
        return ApiResponse(HardwareReply())

    @api_handler
    async def metric(self, body: BodyParam[VolumeRequest]) -> Answered:
        """``GET /volume/performance-metric``: what the volume's device has done."""
        return ApiResponse(await self._folders.metric(body.parsed.volume))

    @api_handler
    async def space(self, body: BodyParam[VolumeRequest]) -> Answered:
        """``GET /folder/fs-usage``: how full the volume is."""
        return ApiResponse(await self._folders.space(body.parsed.volume))

    @api_handler
    async def create(self, body: BodyParam[CreateFolderRequest]) -> Answered:
        """``POST /folder/create``: make a folder."""
        await self._folders.create(body.parsed)
        return ApiResponse(status=204)

    @api_handler
    async def mount(self, body: BodyParam[MountRequest]) -> Answered:
        """``GET /folder/mount``: where a folder is on the host."""
        return ApiResponse(await self._folders.mount(body.parsed))

    @api_handler
    async def usage(self, body: BodyParam[FolderRequest]) -> Answered:
        """``GET /folder/usage``: what a folder holds."""
        return ApiResponse(await self._folders.usage(body.parsed))

    @api_handler
    async def used_bytes(self, body: BodyParam[FolderRequest]) -> Answered:
        """``GET /folder/used-bytes``: what a folder takes on the disk."""
        return ApiResponse(await self._folders.used_bytes(body.parsed))

    @api_handler
    async def metadata(self, body: BodyParam[MetadataRequest]) -> Answered:
        """``GET`` and ``POST /folder/metadata``: nothing is kept."""
        self._folders.known(body.parsed.volume)
        return ApiResponse(MetadataReply())
