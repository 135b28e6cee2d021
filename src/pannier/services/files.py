"""What is done to the files of a folder: listing, directories, names, removals. No HTTP."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from operator import methodcaller
from typing import TypeVar

import structlog

from pannier.archive.entries import Kind
from pannier.dto.files import (
    DeleteRequest,
    Item,
    ItemStat,
    ItemType,
    ListReply,
    ListRequest,
    MkdirReply,
    MkdirRequest,
    MoveRequest,
    Outcome,
    Outcomes,
    RenameRequest,
)
from pannier.dto.folders import FolderRequest
from pannier.dto.paths import to_bytes, to_text
from pannier.errors import OperationRefused, OperationUnsupported, RequestRejected, VolumeFailed
from pannier.services.places import Places, inside
from pannier.services.quotas import Quotas
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import EditableVolume, FolderEditor, Seen

_TYPES = {stat.S_IFDIR: ItemType.DIRECTORY, stat.S_IFLNK: ItemType.SYMLINK}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds from the epoch to the years 1 and 9999."""

T = TypeVar("T")

_log = structlog.get_logger("pannier.files")


class Files:
    """The files of the configured volumes.

    Args:
        workers: Threads for calls that wait for storage.
        quotas: What is told that there may be more room.
        most_listed: Most items of one listing; 0: no limit.
    """

    def __init__(self, places: Places, workers: Workers, quotas: Quotas, most_listed: int) -> None:
        self._places, self._workers, self._quotas, self._most_listed = places, workers, quotas, most_listed

    async def make_directories(self, request: MkdirRequest) -> MkdirReply:
        """Make directories one after the other; what cannot be made is told beside what was.

        Raises:
            VolumeUnknown, FolderMissing, VolumeFailed, OperationUnsupported: Of the folder itself.
        """
        place = self._places.place(request.volume, request.vfid)
        return await self._workers.run(_make_directories, place, request)

    async def list(self, request: ListRequest) -> ListReply:
        """List a directory: names in byte order, from where the cursor says.

        Raises:
            OperationRefused: It is missing (ENOENT), or no directory (ENOTDIR).
            PathOutside, VolumeUnknown, FolderMissing, VolumeFailed: As they say.
        """
        place = self._places.place(request.volume, request.vfid)
        limits = [limit for limit in (request.limit, self._most_listed) if limit]
        return await self._workers.run(_list, place, request, min(limits, default=None))

    async def rename(self, request: RenameRequest) -> None:
        """Give something another name in its directory; what has that name stays.

        Raises:
            TargetExists: Something has that name.
            OperationRefused, PathOutside, VolumeUnknown, FolderMissing, VolumeFailed: As they say.
        """
        path, name = inside(request.relpath), to_bytes(request.new_name)
        await self._edit(request, lambda editor: editor.rename(path, name))

    async def move(self, request: MoveRequest) -> None:
        """Move something; a file that is there is replaced, a directory that is there is moved into; errors as
        ``rename``."""
        source, target = inside(request.src_relpath), inside(request.dst_relpath)
        await self._edit(request, lambda editor: editor.move(source, target))

    async def delete(self, request: DeleteRequest) -> None:
        """Delete files, links, and with ``recursive`` directories; what is missing is no error.

        Nothing is deleted if any path is refused.

        Raises:
            OperationRefused: A directory, without ``recursive`` (EISDIR), or as the file system says.
            PathOutside, VolumeUnknown, FolderMissing, VolumeFailed: As they say.
        """
        paths = sorted({inside(path) for path in request.relpaths})
        place = self._places.place(request.volume, request.vfid)
        await self._workers.run(check_deletable, place, paths, request.recursive)
        for path in paths:
            await self._workers.run(_edit, place, methodcaller("remove", path))
        self._quotas.freed(place)

    async def _edit(self, request: FolderRequest, work: Callable[[FolderEditor], None]) -> None:
        await self._workers.run(_edit, self._places.place(request.volume, request.vfid), work)


def _edit(place: Place, work: Callable[[FolderEditor], T]) -> T:
    if not isinstance(place.volume, EditableVolume):
        raise OperationUnsupported(f"volume {place.volume.name!r} takes no changes")
    with closing(place.volume.editor(place.folder_id)) as editor:
        return work(editor)


def _make_directories(place: Place, request: MkdirRequest) -> MkdirReply:
    def make(editor: FolderEditor) -> MkdirReply:
        made, failed = [], []
        for item in request.paths:
            try:
                editor.make_directory(inside(item), parents=request.parents, exist_ok=request.exist_ok)
            except (RequestRejected, VolumeFailed) as error:
                if isinstance(error, VolumeFailed):
                    _log.error("volume failed", error=str(error))
                failed.append(
                    Outcome(msg=error.reason if isinstance(error, OperationRefused) else str(error), item=item)
                )
            else:
                made.append(Outcome(msg=None, item=item))
        return MkdirReply(results=Outcomes(success=tuple(made), failed=tuple(failed)))

    return _edit(place, make)


def _list(place: Place, request: ListRequest, most: int | None) -> ListReply:
    path, after = inside(request.relpath), bytes.fromhex(request.cursor or "")
    seen, truncated = _edit(place, lambda editor: editor.browse(path, after, most))
    cursor = seen[-1].name.hex() if truncated and seen else None
    return ListReply(items=tuple(map(_item, seen)), truncated=truncated, cursor=cursor)


def _item(seen: Seen) -> Item:
    return Item(
        name=to_text(seen.name),
        type=_TYPES.get(stat.S_IFMT(seen.mode), ItemType.FILE),
        stat=ItemStat(mode=seen.mode, size=seen.size, created=_at(seen.changed_ns), modified=_at(seen.mtime_ns)),
        symlink_target=to_text(seen.target),
    )


def _at(ns: int) -> datetime:
    """Return a time as text can hold it; file systems hold years that calendars do not."""
    return _EPOCH + timedelta(microseconds=min(max(ns // 1_000, _FIRST), _LAST))


def check_deletable(place: Place, paths: Sequence[bytes], recursive: bool) -> None:
    """Look whether everything at some paths may be deleted; blocks. Errors as of ``Files.delete``."""
    kinds = _edit(place, lambda editor: editor.kinds(paths))
    directories = [path for path, kind in zip(paths, kinds, strict=True) if kind is Kind.DIRECTORY]
    if directories and not recursive:
        raise OperationRefused(os.strerror(errno.EISDIR), errno.EISDIR, directories)
