"""What people do to the files of a folder, so that nothing is ever replaced and a deletion can be undone. No HTTP."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import TypeVar

from pannier.denials import MoveIntoItself, NameInvalid, NameTaken
from pannier.dto.paths import to_bytes, to_text
from pannier.errors import FileMissing, OperationRefused, PannierError, PathOutside, TargetExists
from pannier.services.places import inside
from pannier.services.quotas import Quotas
from pannier.services.upload_grants import editor_of
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import FolderEditor
from pannier.volumes.deletions import Deletion

TRASH_SECONDS = 24 * 3600.0
"""How long what was deleted can come back."""

T = TypeVar("T")


class Changes:
    """Changes of files that people make.

    Args:
        workers: Threads that wait for storage.
        quotas: What is told that there may be more room.
        clock: Seconds since the epoch.
    """

    def __init__(self, workers: Workers, quotas: Quotas, *, clock: Callable[[], float] = time.time) -> None:
        self._workers, self._quotas, self._clock = workers, quotas, clock

    async def make_directory(self, place: Place, path: str) -> str:
        """Make a directory in one that is there, and return its path.

        Raises:
            NameInvalid, NameTaken: Of its name.
            FileMissing: The directory above is not there.
            PathOutside, OperationRefused, StorageFull, VolumeFailed: As they say.
        """
        where = _named(path)
        check_name(where.rpartition(b"/")[2])
        try:
            await self._edit(place, lambda editor: editor.make_directory(where, parents=False, exist_ok=False))
        except OperationRefused as error:
            raise _plainly(error, where) from None
        return to_text(where)

    async def rename(self, place: Place, path: str, name: str) -> str:
        """Give something another name, and return its path then; errors as ``make_directory``."""
        old, new = _named(path), to_bytes(name)
        check_name(new)
        try:
            await self._edit(place, lambda editor: editor.rename(old, new))
        except TargetExists as error:
            raise NameTaken(error.path) from None
        except OperationRefused as error:
            raise _plainly(error, old) from None
        above = old.rpartition(b"/")[0]
        return to_text(above + b"/" + new if above else new)

    async def move(
        self, place: Place, paths: Sequence[str], into: str
    ) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, PannierError]]]:
        """Move things into a directory, each by itself; return what is where now, and what was not moved.

        Raises:
            PathOutside, FolderMissing, VolumeFailed: As they say.
        """
        target = inside(into)

        def work(editor: FolderEditor) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, PannierError]]]:
            moved: list[tuple[bytes, bytes]] = []
            failed: list[tuple[bytes, PannierError]] = []
            for source in topmost(_named(path) for path in paths):
                try:
                    if target == source or target.startswith(source + b"/"):
                        raise MoveIntoItself(source)
                    editor.move(source, target, into=True)
                    name = source.rpartition(b"/")[2]
                    moved.append((source, target + b"/" + name if target else name))
                except TargetExists as error:
                    failed.append((source, NameTaken(error.path)))
                except OperationRefused as error:
                    failed.append((source, _plainly(error, source)))
                except PannierError as error:
                    failed.append((source, error))
            return moved, failed

        return await self._edit(place, work)

    async def delete(self, place: Place, paths: Sequence[str]) -> Deletion:
        """Move things to the trash; what is missing is no error, unless everything is.

        Raises:
            FileMissing: Nothing of it is there.
            PathOutside, OperationRefused, StorageFull, FolderMissing, VolumeFailed: As they say.
        """
        named = topmost(_named(path) for path in paths)
        deletion = await self._edit(place, lambda editor: editor.trash().put(named, self._clock()))
        if deletion is None:
            raise FileMissing(named[0])
        return deletion

    async def deletions(self, place: Place) -> list[Deletion]:
        """Return what is in the trash, the latest first."""
        return await self._edit(place, lambda editor: editor.trash().deletions())

    async def restore(
        self, place: Place, id: str
    ) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, PannierError]]]:
        """Put back what was deleted at once; see ``Trash.restore``.

        Raises:
            TrashMissing: There is no such deletion.
        """
        return await self._edit(place, lambda editor: editor.trash().restore(id))

    async def forget(self, place: Place, id: str) -> None:
        """Delete for good.

        Raises:
            TrashMissing: There is no such deletion.
        """
        await self._edit(place, lambda editor: editor.trash().forget(id))
        self._quotas.freed(place)

    async def _edit(self, place: Place, work: Callable[[FolderEditor], T]) -> T:
        return await self._workers.run(_edit, place, work)


def _edit(place: Place, work: Callable[[FolderEditor], T]) -> T:
    with closing(editor_of(place)) as editor:
        return work(editor)


def check_name(name: bytes) -> None:
    """Refuse what is no name for something new.

    Raises:
        NameInvalid: It is empty, ``.`` or ``..``, or holds a slash or a control character.
    """
    if name in (b"", b".", b"..") or b"/" in name or any(byte < 0x20 or byte == 0x7F for byte in name):
        raise NameInvalid(name, "a name is not empty, '.' or '..', and holds no '/' and no control character")


def topmost(paths: Iterable[bytes]) -> list[bytes]:
    """Return distinct paths without those that are below others of them, in the order of their bytes."""
    found: list[bytes] = []
    for path in sorted(set(paths), key=lambda it: it.split(b"/")):
        if not (found and (path + b"/").startswith(found[-1] + b"/")):
            found.append(path)
    return found


def _named(path: str) -> bytes:
    """Return the path of something in a folder.

    Raises:
        PathOutside: It leaves the folder, or is the folder itself.
    """
    named = inside(path)
    if not named:
        raise PathOutside(named, "this is the folder itself; name something in it")
    return named


def _plainly(error: OperationRefused, path: bytes) -> PannierError:
    """Return what the file system said, where people have a word for it."""
    match error.number:
        case errno.EEXIST | errno.ENOTEMPTY:
            return NameTaken(path)
        case errno.ENOENT:
            return FileMissing(path)
        case errno.EINVAL:
            return MoveIntoItself(path)
        case errno.ENAMETOOLONG:
            return NameInvalid(path, "the name is too long")
    return error
