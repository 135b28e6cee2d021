"""For managers: what is done to the files of a folder."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import AsyncIterator, Sequence

from pannier.dto.files import (
    DeleteRequest,
    Item,
    ListReply,
    ListRequest,
    MkdirReply,
    MkdirRequest,
    MoveRequest,
    Outcomes,
    RenameRequest,
)
from pannier.dto.paths import to_bytes
from pannier.sdk.calls import Calls, Folder, made
from pannier.sdk.problems import Declined, NotFound

_LONGEST_NAME = 255


class AsyncFiles(Calls):
    """The files of folders. Paths are relative to their folder; ``"."`` is the folder itself."""

    async def list(
        self, folder: Folder, path: str = ".", *, limit: int | None = None, cursor: str | None = None
    ) -> ListReply:
        """Return what is in a directory, by the bytes of the names; ``cursor`` asks for what comes after a page.

        Raises:
            Declined: It is missing or no directory (``errno`` in the problem), or leads outside the folder.
            Unreachable: No answer came.
        """
        members = {"volume": folder.volume, "vfid": folder.id, "relpath": path, "limit": limit, "cursor": cursor}
        request = made(ListRequest, **members)
        return (await self._post("/folder/file/list", request, repeatable=True)).read(ListReply)

    async def each(self, folder: Folder, path: str = ".") -> AsyncIterator[Item]:
        """Yield everything in a directory, by the bytes of the names; errors as ``list``."""
        cursor: str | None = None
        while True:
            page = await self.list(folder, path, cursor=cursor)
            for item in page.items:
                yield item
            if not page.truncated or page.cursor is None:
                return
            cursor = page.cursor

    async def find(self, folder: Folder, path: str) -> Item | None:
        """Return what is at a path, a link itself and not what it leads to; None if nothing is there.

        Raises:
            Declined, Unreachable: As ``list``; a path without a name (``"."``) is told of by its directory only.
        """
        above, name = posixpath.split(posixpath.normpath(path))
        raw = to_bytes(name)
        # the listing goes on behind a name; this one sorts right before the one that is wanted
        before = raw[:-1] + bytes([raw[-1] - 1]) + b"\xff" * (_LONGEST_NAME - len(raw))
        if len(raw) > _LONGEST_NAME:
            return None
        try:
            page = await self.list(folder, above or ".", limit=1, cursor=before.hex())
        except Declined as error:
            if error.problem.errno in (errno.ENOENT, errno.ENOTDIR) or isinstance(error, NotFound):
                return None
            raise
        return next((item for item in page.items if item.name == name), None)

    async def is_directory(self, folder: Folder, path: str) -> bool | None:
        """Return whether a path leads to a directory, through links too; None where it leads to nothing.

        Raises:
            Declined, Unreachable: As ``list``.
        """
        try:
            await self.list(folder, path, limit=1)
        except Declined as error:
            if error.problem.errno == errno.ENOTDIR:
                return False
            if error.problem.errno == errno.ENOENT or isinstance(error, NotFound):
                return None
            raise
        return True

    async def make_directories(
        self, folder: Folder, paths: Sequence[str], *, parents: bool = True, exist_ok: bool = False
    ) -> Outcomes:
        """Make up to 50 directories, and return which were made and which not, each with the reason.

        Raises:
            Declined: Nothing could be tried.
            Unreachable: No answer came.
        """
        members = {"volume": folder.volume, "vfid": folder.id, "relpath": tuple(paths)}
        request = made(MkdirRequest, **members, parents=parents, exist_ok=exist_ok)
        try:
            answer = await self._post("/folder/file/mkdir", request, repeatable=exist_ok)
        except Declined as error:
            if error.status == 422 and (results := error.members.get("results")) is not None:
                return Outcomes.model_validate(results)
            raise
        return answer.read(MkdirReply).results

    async def rename(self, folder: Folder, path: str, new_name: str) -> None:
        """Give something another name in its directory; nothing is replaced.

        Raises:
            Conflict: Something has that name.
            Declined, Unreachable: As they say.
        """
        members = {"volume": folder.volume, "vfid": folder.id, "relpath": path, "new_name": new_name}
        await self._post("/folder/file/rename", made(RenameRequest, **members))

    async def move(self, folder: Folder, source: str, target: str) -> None:
        """Move something: a file at ``target`` is replaced, a directory there is moved into.

        Raises:
            Conflict: The directory at ``target`` holds something of that name.
            Declined, Unreachable: As they say.
        """
        members = {"volume": folder.volume, "vfid": folder.id, "src_relpath": source, "dst_relpath": target}
        await self._post("/folder/file/move", made(MoveRequest, **members))

    async def delete(self, folder: Folder, paths: Sequence[str], *, recursive: bool = False) -> None:
        """Delete files, links and, with ``recursive``, directories; what is missing is no error.

        Raises:
            Declined: A path is refused, or a directory and not ``recursive``: then nothing was deleted.
            Unreachable: No answer came.
        """
        members = {"volume": folder.volume, "vfid": folder.id, "relpaths": tuple(paths), "recursive": recursive}
        await self._post("/folder/file/delete", made(DeleteRequest, **members), repeatable=True)
