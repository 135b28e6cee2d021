"""What a manager asks of volumes and of whole folders. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pannier.dto.folders import (
    FOLDER_MODE,
    CreateFolderRequest,
    FolderRequest,
    MountReply,
    MountRequest,
    UsageReply,
    UsedBytesReply,
)
from pannier.dto.volumes import Metric, MetricReply, SpaceReply, VolumeInfo, VolumesReply
from pannier.errors import (
    FileMissing,
    FolderMissing,
    InvalidRequest,
    MountRefused,
    OperationUnsupported,
    PathOutside,
    QuotaScopeExists,
    VolumeFailed,
)
from pannier.services.places import Places, inside
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Refused, Volume
from pannier.volumes.hosts import HostVolume, Measure, ScopedVolume

_PATIENCE = 30.0
"""Seconds that counting a folder may take (WIRE section 4)."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """How the settings describe a volume: its backend, and where the manager knows it below its root."""

    backend: str
    fsprefix: str = "."


class Folders:
    """The folders of the configured volumes.

    Args:
        mounted: What the settings say of the volumes, by name.
        workers: Threads that wait for storage.
        make_scopes: Whether a missing quota scope is made with its first folder.
    """

    def __init__(self, places: Places, mounted: Mapping[str, Mounted], workers: Workers, *, make_scopes: bool) -> None:
        self._places, self._mounted, self._workers, self._make_scopes = places, mounted, workers, make_scopes

    # -- volumes

    def volumes(self) -> VolumesReply:
        """Tell all volumes that are on this host."""
        return VolumesReply(
            volumes=tuple(
                VolumeInfo(name=name, backend=told.backend, path=volume.path, fsprefix=told.fsprefix)
                for name, volume in self._places.volumes().items()
                if isinstance(volume, HostVolume)
                for told in (self._mounted.get(name, Mounted("vfs")),)
            )
        )

    def known(self, volume: str) -> None:
        """Raise ``VolumeUnknown`` for a volume that is not configured."""
        self._places.volume(volume)

    async def metric(self, volume: str) -> MetricReply:
        """Tell what a volume's device did.

        Raises:
            VolumeUnknown, OperationUnsupported: As they say.
        """
        work = await self._workers.run(host(self._places.volume(volume)).disk_work)
        metric = Metric(
            iops_read=work.reads,
            iops_write=work.writes,
            io_bytes_read=work.bytes_read,
            io_bytes_write=work.bytes_written,
            io_usec_read=work.read_us,
            io_usec_write=work.write_us,
        )
        return MetricReply(metric=metric, observed_at=datetime.now(UTC).isoformat())

    async def space(self, volume: str) -> SpaceReply:
        """Tell how full a volume is; errors as ``metric``."""
        told = await self._workers.run(host(self._places.volume(volume)).space)
        return SpaceReply(capacity_bytes=told.capacity, used_bytes=told.used)

    # -- folders

    async def create(self, request: CreateFolderRequest) -> None:
        """Make a folder.

        Raises:
            InvalidRequest: Its id has no quota scope.
            FolderExists, QuotaScopeMissing, VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull,
            VolumeFailed: As they say.
        """
        volume = host(self._places.volume(request.volume))
        if (scope := request.vfid.scope) is None:
            raise InvalidRequest("vfid", "a new folder needs a quota scope: <scope>/<uuid>")
        limit = request.options.initial_max_size_for_quota_scope if request.options else None
        if limit is not None and limit > 0 and self._make_scopes and isinstance(volume, ScopedVolume):
            with suppress(QuotaScopeExists):  # which has its limit, or none, already
                await self._workers.run(volume.make_scope, scope, limit)
        mode = FOLDER_MODE if request.mode is None else request.mode
        await self._workers.run(volume.make_folder, request.vfid, mode, make_scope=self._make_scopes)

    async def mount(self, request: MountRequest) -> MountReply:
        """Tell where a folder is on the host; its ``subpath`` has to be there.

        Raises:
            MountRefused: There is no such folder, or no such path in it.
            VolumeUnknown, OperationUnsupported, VolumeFailed: As they say.
        """
        place = self._places.place(request.volume, request.vfid)
        try:
            return MountReply(path=await self._workers.run(_mount, place, inside(request.subpath)))
        except FolderMissing as error:
            raise MountRefused(str(request.vfid), None, str(error)) from error
        except (PathOutside, FileMissing) as error:
            raise MountRefused(str(request.vfid), request.subpath, str(error)) from error

    async def usage(self, request: FolderRequest) -> UsageReply:
        """Count what is in a folder, and the bytes of its files.

        Raises:
            FolderMissing, VolumeUnknown, OperationUnsupported, VolumeFailed: As they say.
        """
        measured = await self._measure(request)
        if measured is None:
            return UsageReply(file_count=-1, used_bytes=-1)
        return UsageReply(file_count=measured.entries, used_bytes=measured.bytes)

    async def used_bytes(self, request: FolderRequest) -> UsedBytesReply:
        """Count the bytes that a folder takes on the disk; -1 where that takes too long; errors as ``usage``."""
        measured = await self._measure(request)
        return UsedBytesReply(used_bytes=-1 if measured is None else measured.allocated)

    async def _measure(self, request: FolderRequest) -> Measure | None:
        volume = host(self._places.volume(request.volume))
        try:
            return await self._workers.run(volume.measure, request.vfid, _PATIENCE)
        except OSError as error:
            raise VolumeFailed(f"the folder cannot be counted: {error.strerror}") from error


def host(volume: Volume) -> HostVolume:
    """Return a volume as one of this host.

    Raises:
        OperationUnsupported: It is none.
    """
    if not isinstance(volume, HostVolume):
        raise OperationUnsupported(f"volume {volume.name!r} is not on a file system of this host")
    return volume


def _mount(place: Place, subpath: bytes) -> str:
    path = host(place.volume).folder_path(place.folder_id)
    folder = place.open()
    try:
        folder.lookup(subpath, follow=True)
    except Refused as refused:
        if refused.offence.code.value.startswith("link-") or refused.offence.code.value == "outside":
            raise PathOutside(subpath, refused.offence.detail) from refused
        raise FileMissing(subpath) from refused
    finally:
        folder.close()
    return path
