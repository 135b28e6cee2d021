"""Things that were deleted and can come back: ``.upload/trash/<id>/`` of a folder, one directory for each deletion.

Strategy: a manifest with the paths is written and synced first, then each thing is renamed beside it, under its number.
So whatever ends it early, everything is either where it was or in the trash under a path that is known, and the disk
alone tells what there is, over restarts and without a database. What is given up goes through a name that the
collection of removals knows.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pannier.denials import TrashMissing
from pannier.errors import OffenceCode, OperationRefused, PannierError, PathOutside
from pannier.volumes.base import RESERVED, Refused
from pannier.volumes.deletions import DeletedThing, Deletion
from pannier.volumes.listings import kind_of
from pannier.volumes.publishing import free_names
from pannier.volumes.removal import remove_tree
from pannier.volumes.renaming import rename_new
from pannier.volumes.staging import Staging, sync

if TYPE_CHECKING:
    from pannier.volumes.editing import PosixEditor

_TRASH = b"trash"
_MANIFEST = b"manifest"
_ID = re.compile(r"[0-9a-f]{32}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST_MANIFEST = 2**28


@dataclass(frozen=True, slots=True)
class PosixTrash:
    """A ``Trash``: that of the folder which an editor changes."""

    editor: PosixEditor

    def put(self, paths: Sequence[bytes], now: float) -> Deletion | None:
        """See ``Trash.put``."""
        with self.editor.telling(*paths), self._made() as (id, directory):
            _write(directory, paths, now)
            moved: list[DeletedThing] = []
            for number, path in enumerate(paths):
                with self.editor.telling(path):
                    kind = self._put(path, b"%d" % number, directory)
                if kind is not None:
                    moved.append(DeletedThing(path, kind))
            os.fsync(directory)
        if not moved:
            self.forget(id)
            return None
        return Deletion(id, now, tuple(moved))

    def deletions(self) -> list[Deletion]:
        """See ``Trash.deletions``."""
        with self.editor.telling(RESERVED), self._opened() as trash:
            names = [] if trash is None else [name for name in os.listdir(trash) if _ID.fullmatch(name)]
            found = [deletion for name in names if trash is not None and (deletion := _read(trash, name)) is not None]
        return sorted((each for each in found if each.things), key=lambda it: it.at, reverse=True)

    def restore(self, id: str) -> tuple[list[tuple[bytes, bytes]], list[tuple[bytes, PannierError]]]:
        """See ``Trash.restore``."""
        restored: list[tuple[bytes, bytes]] = []
        failed: list[tuple[bytes, PannierError]] = []
        with self.editor.telling(RESERVED), self._deletion(id) as (_, directory):
            for number, path in enumerate(_manifest(directory)[1]):
                name = b"%d" % number
                if _kind(directory, name) is None:
                    continue
                try:
                    with self.editor.telling(path):
                        restored.append((path, self._restore(name, directory, path)))
                except PannierError as error:
                    failed.append((path, error))
        if not failed:
            self.forget(id)
        return restored, failed

    def forget(self, id: str) -> None:
        """See ``Trash.forget``."""
        with self.editor.telling(RESERVED), self._deletion(id) as (trash, _), self._reserved() as reserved:
            assert reserved is not None, "the trash is in it"
            hidden = b"removed-" + secrets.token_hex(16).encode()
            try:
                os.rename(id.encode(), hidden, src_dir_fd=trash, dst_dir_fd=reserved)
            except FileNotFoundError:
                raise TrashMissing from None
            remove_tree(reserved, hidden)
        self._tidy()

    def collect(self, lifetime: float, now: float) -> None:
        """See ``Trash.collect``."""
        with self.editor.telling(RESERVED), self._opened() as trash:
            if trash is None:
                return
            old = [name for name in os.listdir(trash) if _ID.fullmatch(name) and _since(trash, name) + lifetime < now]
        for name in old:
            try:
                self.forget(name)
            except TrashMissing:  # somebody else was faster
                pass
        self._tidy()

    # -- one thing

    def _put(self, path: bytes, number: bytes, directory: int) -> str | None:
        """Move what is at a path into the trash, and return its kind; None if nothing is there."""
        if not path:
            raise PathOutside(path, "this is the folder itself; name something in it")
        try:
            with self.editor.spot(path) as spot:
                os.rename(spot.name, number, src_dir_fd=spot.directory, dst_dir_fd=directory)
                sync(spot.directory)
        except FileNotFoundError:
            return None
        except Refused as refused:
            if refused.offence.code in (OffenceCode.MISSING, OffenceCode.LINK_DANGLING):
                return None
            raise
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            reason = "it is mounted from elsewhere, and has no trash of its own"
            raise OperationRefused(reason, errno.EXDEV, [path]) from None
        return _kind(directory, number)

    def _restore(self, number: bytes, directory: int, path: bytes) -> bytes:
        """Move a thing back, and return where it is now: under another name where its own is taken."""
        above = path.rpartition(b"/")[0]
        if above:
            self.editor.make_way(above, durable=True)
        with self.editor.spot(path) as spot:
            for name in free_names(spot.name):
                try:
                    rename_new(number, name, src_dir_fd=directory, dst_dir_fd=spot.directory)
                except FileExistsError:
                    continue
                sync(spot.directory)
                return spot.source + b"/" + name if spot.source else name
        raise OperationRefused(os.strerror(errno.EEXIST), errno.EEXIST, [path])

    # -- places

    @contextmanager
    def _reserved(self) -> Iterator[int | None]:
        with self.editor.root.use() as root:
            try:
                opened = os.open(RESERVED, _DIRECTORY, dir_fd=root)
            except FileNotFoundError:
                opened = None
            try:
                yield opened
            finally:
                if opened is not None:
                    os.close(opened)

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """Open the trash; None where there is none."""
        with self._reserved() as reserved:
            try:
                opened = None if reserved is None else os.open(_TRASH, _DIRECTORY, dir_fd=reserved)
            except FileNotFoundError:
                opened = None
            try:
                yield opened
            finally:
                if opened is not None:
                    os.close(opened)

    @contextmanager
    def _deletion(self, id: str) -> Iterator[tuple[int, int]]:
        """Open a deletion: give the trash and its directory there."""
        with self._opened() as trash:
            if trash is None or not _ID.fullmatch(id):
                raise TrashMissing
            try:
                directory = os.open(id, _DIRECTORY, dir_fd=trash)
            except FileNotFoundError:
                raise TrashMissing from None
            try:
                yield trash, directory
            finally:
                os.close(directory)

    @contextmanager
    def _made(self) -> Iterator[tuple[str, int]]:
        """Make the place of a new deletion, durably, and give its id and directory."""
        id = secrets.token_hex(16)
        with self.editor.root.use() as root:
            while True:
                try:
                    _make(root, RESERVED)
                    reserved = os.open(RESERVED, _DIRECTORY, dir_fd=root)
                    try:
                        _make(reserved, _TRASH)
                        trash = os.open(_TRASH, _DIRECTORY, dir_fd=reserved)
                    finally:
                        os.close(reserved)
                    try:
                        _make(trash, id.encode())
                        directory = os.open(id, _DIRECTORY, dir_fd=trash)
                    finally:
                        os.close(trash)
                    break
                except FileNotFoundError:
                    continue  # somebody who finished has taken an empty directory away
        try:
            yield id, directory
        finally:
            os.close(directory)

    def _tidy(self) -> None:
        with self._reserved() as reserved:
            if reserved is not None:
                try:
                    os.rmdir(_TRASH, dir_fd=reserved)
                except OSError:  # something is in it
                    pass
        with self.editor.root.use() as root:
            Staging(root).tidy()


def _make(above: int, name: bytes) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        return
    sync(above)


def _kind(directory: int, name: bytes) -> str | None:
    try:
        status = os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return None
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return "special"
    return kind_of(status).name.lower()


def _write(directory: int, paths: Sequence[bytes], now: float) -> None:
    document = json.dumps({"at": now, "paths": [os.fsdecode(path) for path in paths]}).encode("ascii")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(_MANIFEST, flags, 0o600, dir_fd=directory), "wb") as file:
        file.write(document)
        file.flush()
        os.fsync(file.fileno())
    os.fsync(directory)


def _manifest(directory: int) -> tuple[float, list[bytes]]:
    """Return when a deletion was, and its paths; nothing is in one whose manifest was not written to its end."""
    try:
        with os.fdopen(os.open(_MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory), "rb") as file:
            document: dict[str, Any] = json.loads(file.read(_LARGEST_MANIFEST))
        return float(document["at"]), [os.fsencode(path) for path in document["paths"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return os.fstat(directory).st_mtime, []


def _read(trash: int, name: str) -> Deletion | None:
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=trash)
    except FileNotFoundError:
        return None
    try:
        at, paths = _manifest(directory)
        things = ((path, _kind(directory, b"%d" % number)) for number, path in enumerate(paths))
        return Deletion(name, at, tuple(DeletedThing(path, kind) for path, kind in things if kind is not None))
    finally:
        os.close(directory)


def _since(trash: int, name: str) -> float:
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=trash)
    except FileNotFoundError:
        return time.time()
    try:
        return _manifest(directory)[0]
    finally:
        os.close(directory)
