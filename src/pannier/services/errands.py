"""What is done in the background: folders and files deleted, folders cloned. The registry of the kinds of tasks.

What is to vanish does so before the answer: it is renamed to where nobody looks, under a name of the task's own. The
task then touches what has that name, and nothing else: whatever is made anew in the old place meanwhile is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from pannier.dto.ids import FolderId
from pannier.dto.tasks import BegunReply, CloneFolderRequest, DeleteFilesRequest, DeleteFolderRequest, TaskReply
from pannier.errors import (
    CloneAcrossVolumes,
    FolderMissing,
    InvalidRequest,
    OperationUnsupported,
)
from pannier.services.files import check_deletable
from pannier.services.folders import host
from pannier.services.places import Places, inside
from pannier.services.quotas import Quotas
from pannier.services.tasks import Control, Kind, Tasks, TaskStopped, aside_of
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import EditableVolume, Volume
from pannier.volumes.copying import Copied

REMOVE_FOLDER, REMOVE_FILES, CLONE_FOLDER = "remove-folder", "remove-files", "clone-folder"
_COUNTED = 5.0
"""Seconds for which a folder is counted before it is cloned, to say how much there is to do."""
_WHOLE = "whole"
"""The note of a clone that was copied to its end, durably, and is only to appear."""

T = TypeVar("T")


class InFolder(BaseModel):
    """The document of a removal: the folder, or the folder of the files."""

    folder: FolderId


class Clone(BaseModel):
    """The document of a clone."""

    source: FolderId
    target: FolderId


class Errands:
    """Begins tasks.

    Args:
        quotas: What limits how much may be cloned.
        workers: Threads for what is done before the answer.
        make_scopes: Whether a missing quota scope is made with its first folder.
    """

    def __init__(self, places: Places, tasks: Tasks, quotas: Quotas, workers: Workers, *, make_scopes: bool) -> None:
        self._places, self._tasks, self._quotas = places, tasks, quotas
        self._workers, self._make_scopes = workers, make_scopes

    async def delete_folder(self, request: DeleteFolderRequest) -> BegunReply:
        """Have a folder vanish, and removed in the background; a missing one is no error.

        Raises:
            VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull, VolumeFailed, Busy, StateUnavailable:
                As they say.
        """
        volume = host(self._places.volume(request.volume))
        work = InFolder(folder=request.vfid)
        return await self._begin(
            REMOVE_FOLDER, volume, work, lambda aside: partial(volume.remove_folder, request.vfid, aside)
        )

    async def delete_files(self, request: DeleteFilesRequest) -> BegunReply:
        """Have files, links, and with ``recursive`` directories vanish, and removed in the background.

        Nothing vanishes if any path is refused; what is missing is no error.

        Raises:
            OperationRefused: A directory, without ``recursive`` (EISDIR), or as the file system says.
            PathOutside, VolumeUnknown, FolderMissing, OperationUnsupported, StorageFull, VolumeFailed, Busy,
            StateUnavailable: As they say.
        """
        paths = sorted({inside(path) for path in request.relpaths})
        place = self._places.place(request.volume, request.vfid)
        volume = _editable(place.volume)
        await self._workers.run(check_deletable, place, paths, request.recursive)

        def take_away(aside: bytes) -> Callable[[], None]:
            return partial(_take_away, volume, request.vfid, paths, aside)

        return await self._begin(REMOVE_FILES, volume, InFolder(folder=request.vfid), take_away)

    async def clone_folder(self, request: CloneFolderRequest) -> BegunReply:
        """Have a folder cloned in the background; the clone appears when it is whole.

        Raises:
            CloneAcrossVolumes: It is to be on another volume.
            InvalidRequest: Its id has no quota scope.
            FolderMissing: The source.
            FolderExists, QuotaScopeMissing, QuotaExceeded: The clone's.
            VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull, VolumeFailed, Busy, StateUnavailable:
                As they say.
        """
        volume = host(self._places.volume(request.src_volume))
        if request.dst_volume is not None and request.dst_volume != request.src_volume:
            raise CloneAcrossVolumes(f"a folder of volume {volume.name!r} cannot be cloned to another; leave it there")
        if request.dst_vfid.scope is None:
            raise InvalidRequest("dst_vfid", "a new folder needs a quota scope: <scope>/<uuid>")
        work = Clone(source=request.src_vfid, target=request.dst_vfid)
        await self._workers.run(volume.prepare_clone, work.source, work.target, make_scope=self._make_scopes)
        measured = await self._workers.run(volume.measure, work.source, _COUNTED)
        # one that takes longer to count is let in where there is any room: the next count holds up whoever comes then
        await self._quotas.check(Place(volume, work.target), 1 if measured is None else measured.allocated)
        return await self._begin(CLONE_FOLDER, volume, work, None)

    async def task(self, id: str) -> TaskReply:
        """Tell how far a task is; errors as of ``Tasks.told``."""
        return await self._tasks.told(id)

    async def _begin(
        self, kind: str, volume: Volume, work: BaseModel, first: Callable[[bytes], Callable[[], None]] | None
    ) -> BegunReply:
        """Keep a task, do what comes before the answer, and let the task be run.

        It is kept first: should we die in between, what has vanished is removed all the same.
        """
        begun = await self._tasks.begin(kind, volume, work.model_dump_json())
        try:
            if first is not None:
                await self._workers.run(first(aside_of(begun.task)))
        finally:
            self._tasks.release(begun)
        return BegunReply(bgtask_id=begun.task.id)


def _editable(volume: Volume) -> EditableVolume:
    if not isinstance(volume, EditableVolume):
        raise OperationUnsupported(f"volume {volume.name!r} takes no changes")
    return volume


def _take_away(volume: EditableVolume, folder: FolderId, paths: list[bytes], aside: bytes) -> None:
    with closing(volume.editor(folder)) as editor:
        editor.take_away(paths, aside)


# ---------------------------------------------------------------- what the tasks do


def _remove_folder(volume: Volume, work: str, control: Control) -> None:
    folder = InFolder.model_validate_json(work).folder
    if not host(volume).clear(folder, control.aside, control.go_on):
        raise TaskStopped


def _remove_files(volume: Volume, work: str, control: Control) -> None:
    try:
        editor = _editable(volume).editor(InFolder.model_validate_json(work).folder)
    except FolderMissing:
        return  # with all that stood aside in it
    with closing(editor):
        if not editor.clear(control.aside, control.go_on):
            raise TaskStopped


def _clone_folder(volume: Volume, work: str, control: Control) -> None:
    clone, on = Clone.model_validate_json(work), host(volume)
    if control.note != _WHOLE:
        _drop_clone(volume, work, control)
        measured = on.measure(clone.source, _COUNTED)
        control.tell(done=0, total=None if measured is None else measured.entries)
        copied = Copied()

        def go_on(done: int) -> bool:
            control.tell(special=copied.special, vanished=copied.vanished)
            return control.go_on(done)

        on.copy_folder(clone.source, clone.target, control.aside, go_on, copied)
        if not copied.whole:
            raise TaskStopped
        control.tell(special=copied.special, vanished=copied.vanished)
        control.remember(_WHOLE)
    # where nothing stands aside, the attempt before has published it and died before it could say so
    on.publish_folder(clone.target, control.aside)
    on.clear(clone.target, control.aside, lambda done: True)


def _drop_clone(volume: Volume, work: str, control: Control) -> None:
    if not host(volume).clear(Clone.model_validate_json(work).target, control.aside, lambda done: control.go_on(0)):
        raise TaskStopped


KINDS = {
    REMOVE_FOLDER: Kind(_remove_folder),
    REMOVE_FILES: Kind(_remove_files),
    CLONE_FOLDER: Kind(_clone_folder, drop=_drop_clone),
}
"""To add a kind, write its function and its line here."""
