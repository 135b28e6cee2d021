"""For managers: volumes, whole folders, and the tasks that run in the background."""

from __future__ import annotations

from urllib.parse import quote

from pannier.dto.folders import CreateFolderRequest, FolderRequest, UsageReply, VolumeRequest
from pannier.dto.tasks import BegunReply, CloneFolderRequest, DeleteFolderRequest, TaskReply
from pannier.dto.volumes import ServedReply, SpaceReply, VolumeInfo, VolumesReply
from pannier.sdk.calls import Calls, Folder, made


class AsyncFolders(Calls):
    """Folders as a whole."""

    async def served(self) -> ServedReply:
        """Return where clients reach the server, and the folders that have names of their own."""
        return (await self._get("/served")).read(ServedReply)

    async def volumes(self) -> tuple[VolumeInfo, ...]:
        """Return the configured volumes."""
        return (await self._get("/volumes")).read(VolumesReply).volumes

    async def space(self, volume: str) -> SpaceReply:
        """Return how much a volume holds and how much of that is taken, in bytes.

        Raises:
            Declined, Unreachable: As they say; so do all of these.
        """
        return (await self._get("/folder/fs-usage", made(VolumeRequest, volume=volume))).read(SpaceReply)

    async def create(self, folder: Folder, *, mode: int | None = None) -> None:
        """Make a folder; ``mode`` are its permissions.

        Raises:
            Conflict: It exists.
        """
        await self._post("/folder/create", made(CreateFolderRequest, volume=folder.volume, vfid=folder.id, mode=mode))

    async def usage(self, folder: Folder) -> UsageReply:
        """Return how many things are in a folder, and their bytes; -1 both where counting takes too long."""
        request = made(FolderRequest, volume=folder.volume, vfid=folder.id)
        return (await self._get("/folder/usage", request)).read(UsageReply)

    async def delete(self, folder: Folder) -> str:
        """Delete a folder: it vanishes at once; the task that removes its content is returned."""
        request = made(DeleteFolderRequest, volume=folder.volume, vfid=folder.id)
        return (await self._post("/folder/delete", request, repeatable=True)).read(BegunReply).bgtask_id

    async def clone(self, folder: Folder, target: str) -> str:
        """Begin to copy a folder to another id on its volume, and return the task.

        Raises:
            NotFound: There is no such folder.
            Conflict: The target exists.
        """
        request = made(CloneFolderRequest, src_volume=folder.volume, src_vfid=folder.id, dst_vfid=target)
        return (await self._post("/folder/clone", request)).read(BegunReply).bgtask_id

    async def task(self, id: str) -> TaskReply:
        """Return how far a task is.

        Raises:
            NotFound: None is known under that id.
        """
        return (await self._get(f"/tasks/{quote(id, safe='')}")).read(TaskReply)
