"""Volumes on a file system: a local disk, NFS, CephFS. Linux only.

All paths go through ``confine``. Messages hold paths relative to the folder and the system's word for the error, and
nothing else of this server.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from typing_extensions import override

from pannier.dto.ids import FolderId, QuotaScope
from pannier.errors import (
    FolderExists,
    FolderMissing,
    OperationUnsupported,
    QuotaScopeExists,
    QuotaScopeMissing,
    VolumeFailed,
)
from pannier.volumes.administration import (
    disk_work,
    is_there,
    make_folder,
    make_scope_of,
    measure,
    paths_of_folders,
    probe,
    publish_folder,
    space,
    take_folder,
)
from pannier.volumes.aside import clear, take_in
from pannier.volumes.confine import open_beneath, supported
from pannier.volumes.copying import Copied, copy_tree, settle
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.editing import PosixEditor
from pannier.volumes.folders import folder_at, folder_path, scope_path
from pannier.volumes.hosts import DiskWork, Measure, Space
from pannier.volumes.listings import reason
from pannier.volumes.ownership import OURS, Ownership
from pannier.volumes.reading import PosixFolder
from pannier.volumes.refusals import told_of
from pannier.volumes.removal import GoOn
from pannier.volumes.scopes import limit_of, make_scope, measure_scope, set_limit
from pannier.volumes.sources import ENTER
from pannier.volumes.specs import VolumeSpec

CLOCK_GRANULARITY = 0.02
"""Seconds between two ticks of the clock that stamps files: a kernel tick is 1 to 10 ms, doubled.

Enough for a disk of this machine. A network file system adds its server's clock, the skew between the two and the time
for which attributes are cached (on NFS ``acregmin``, 3 s by default): set ``clock_granularity`` to some seconds there.
"""

_LIST = os.O_RDONLY | os.O_DIRECTORY
ASIDE = b".pannier"
"""Where folders stand that are removed or copied: beside the others, in their scope."""
_THE_FOLDER = b"folder"

_GONE = (errno.ENOENT, errno.ENAMETOOLONG)
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)


class PosixVolume:
    """A directory tree that holds virtual folders in upstream's layout (WIRE section 2).

    Its root is opened once, links on the way to it followed then and never again. What is mounted over it later is not
    seen until the process starts anew.
    """

    identity_scheme = "inode"

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        id: str | None = None,
        clock_granularity: float = CLOCK_GRANULARITY,
        ownership: Ownership = OURS,
    ) -> None:
        """Open the volume; ``clock_granularity`` in seconds, ``ownership`` of what is written.

        The default id is a digest of the name and the real path. Not of the device's number: that follows the order of
        mounting, and every remembered checksum would be lost with it. Another disk under the same path is told apart by
        its files' inodes and times.

        Raises:
            OSError: The root cannot be opened, or is not a directory.
        """
        if not supported():
            raise OSError(errno.ENOSYS, "this platform has no O_PATH, without which paths cannot be confined")
        real = os.path.realpath(root)
        self._real = real
        self._root = Descriptor(os.open(real, ENTER | os.O_CLOEXEC))
        self.name = name
        self.id = id if id is not None else default_id(name, os.fsencode(real))
        self.clock_granularity_ns = round(clock_granularity * 1_000_000_000)
        self._ownership = ownership

    def now_ns(self) -> int:
        return time.time_ns()

    def folder(self, folder: FolderId) -> PosixFolder:
        return PosixFolder(self._open(self._path(folder), folder))

    def editor(self, folder: FolderId) -> PosixEditor:
        return PosixEditor(self._open(self._path(folder), folder), self._ownership)

    def folders(self) -> Iterator[FolderId]:
        """See ``EditableVolume.folders``."""
        with self._root.use() as root:
            for path in paths_of_folders(root):
                if (folder := folder_at(path)) is not None:
                    yield folder

    @property
    def path(self) -> str:
        """See ``HostVolume.path``."""
        return self._real

    def make_folder(self, folder: FolderId, mode: int, *, make_scope: bool) -> None:
        """See ``HostVolume.make_folder``."""
        path, scoped = self._among_others(folder), folder.scope is not None
        with self._told_of(folder, path), self._root.use() as root:
            make_folder(root, path, mode, self._ownership, make_scope=make_scope, scoped=scoped)

    def remove_folder(self, folder: FolderId, aside: bytes) -> None:
        """See ``HostVolume.remove_folder``."""
        try:
            path, scoped = self._among_others(folder), folder.scope is not None
            self._open(path, folder).close()
        except FolderMissing:
            return
        with self._told_of(folder, path), self._beside(folder, path) as beside, self._root.use() as root:
            try:
                with take_in(beside, ASIDE, aside) as staged:
                    take_folder(root, path, staged, _THE_FOLDER, scoped=scoped)
            except (FileNotFoundError, NotADirectoryError):
                pass  # somebody else was faster

    def clear(self, folder: FolderId, aside: bytes, go_on: GoOn) -> bool:
        """See ``HostVolume.clear``."""
        try:
            path = self._among_others(folder)
            with self._told_of(folder, path), self._beside(folder, path) as beside:
                return clear(beside, ASIDE, aside, go_on)
        except (FolderMissing, QuotaScopeMissing):
            return True

    def prepare_clone(self, source: FolderId, target: FolderId, *, make_scope: bool) -> None:
        """See ``HostVolume.prepare_clone``."""
        path = self._among_others(target)
        self._open(self._among_others(source), source).close()
        with self._told_of(target, path), self._root.use() as root:
            if make_scope and target.scope is not None:
                make_scope_of(root, path, self._ownership)
            with self._beside(target, path):
                pass
            if is_there(root, path):
                raise FolderExists(str(target))

    def copy_folder(self, source: FolderId, target: FolderId, aside: bytes, go_on: GoOn, copied: Copied) -> None:
        """See ``HostVolume.copy_folder``."""
        path = self._among_others(target)
        with (
            closing(self._open(self._among_others(source), source)) as folder,
            folder.use() as root,
            self._told_of(target, path),
            self._beside(target, path) as beside,
            take_in(beside, ASIDE, aside) as staged,
        ):
            os.mkdir(_THE_FOLDER, 0o700, dir_fd=staged)
            made = os.open(_THE_FOLDER, _LIST | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=staged)
            try:
                copy_tree(root, made, self._ownership, go_on, copied)
                if copied.whole:
                    settle(made)
            finally:
                os.close(made)

    def publish_folder(self, target: FolderId, aside: bytes) -> bool:
        """See ``HostVolume.publish_folder``."""
        path, scoped = self._among_others(target), target.scope is not None
        with self._told_of(target, path), self._beside(target, path) as beside, self._root.use() as root:
            try:
                staged = open_beneath(beside, ASIDE + b"/" + aside, _LIST)
            except FileNotFoundError:
                return False
            try:
                if not is_there(staged, _THE_FOLDER):
                    return False
                publish_folder(root, path, self._ownership, staged, _THE_FOLDER, scoped=scoped)
            finally:
                os.close(staged)
        return True

    def folder_path(self, folder: FolderId) -> str:
        """See ``HostVolume.folder_path``."""
        path = self._path(folder)
        self._open(path, folder).close()
        return str(Path(self._real, os.fsdecode(path)))

    def measure(self, folder: FolderId, seconds: float) -> Measure | None:
        """See ``HostVolume.measure``."""
        with closing(self._open(self._path(folder), folder)) as opened, opened.use() as root:
            until = time.monotonic() + seconds
            return measure(root, lambda: time.monotonic() <= until)

    def make_scope(self, scope: QuotaScope, limit: int | None) -> None:
        """See ``ScopedVolume.make_scope``."""
        try:
            with self._scope(scope) as (root, name):
                make_scope(root, name, self._ownership, limit)
        except FileExistsError as error:
            raise QuotaScopeExists(str(scope)) from error

    def scope_limit(self, scope: QuotaScope) -> int | None:
        """See ``ScopedVolume.scope_limit``."""
        with self._scope(scope) as (root, name):
            return limit_of(root, name)

    def set_scope_limit(self, scope: QuotaScope, limit: int | None) -> None:
        """See ``ScopedVolume.set_scope_limit``."""
        with self._scope(scope) as (root, name):
            set_limit(root, name, limit)

    def measure_scope(self, scope: QuotaScope, going_on: Callable[[], bool]) -> Measure | None:
        """See ``ScopedVolume.measure_scope``."""
        with self._scope(scope) as (root, name):
            return measure_scope(root, name, going_on)

    def space(self) -> Space:
        """See ``HostVolume.space``."""
        with self._root.use() as root:
            return space(root)

    def disk_work(self) -> DiskWork:
        """See ``HostVolume.disk_work``."""
        with self._root.use() as root:
            return disk_work(root)

    def probe(self) -> None:
        """See ``ProbedVolume.probe``."""
        try:
            with self._root.use() as root:
                probe(root, self._real)
        except OSError as error:
            raise VolumeFailed(f"volume {self.name} does not answer: {reason(error)}") from error

    def close(self) -> None:
        """Give the root back. Idempotent; opened folders stay usable."""
        self._root.close()

    def _path(self, folder: FolderId) -> bytes:
        """Return where a folder is, relative to the volume's root."""
        return folder_path(folder)

    @contextmanager
    def _scope(self, scope: QuotaScope) -> Iterator[tuple[int, bytes]]:
        """Give the root and the name of a scope below it, and say what goes wrong in terms of the scope."""
        name = scope_path(scope)
        try:
            with self._root.use() as root:
                yield root, name
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno in _GONE or error.errno in _NOT_A_DIRECTORY:
                raise QuotaScopeMissing(str(scope)) from error
            raise told_of(error, [name]) from error

    def _among_others(self, folder: FolderId) -> bytes:
        """Return where a folder is, of a volume that holds more than one."""
        path = self._path(folder)
        if not path:
            raise OperationUnsupported("this volume is one folder itself; it takes no others, and loses none")
        return path

    @contextmanager
    def _beside(self, folder: FolderId, path: bytes) -> Iterator[int]:
        """Open the directory where a folder's things stand aside: its scope's, as quotas end there; else the root."""
        scope = path.split(b"/")[0] if folder.scope is not None else b""
        with self._root.use() as root:
            opened = open_beneath(root, scope, _LIST)
        try:
            yield opened
        finally:
            os.close(opened)

    @contextmanager
    def _told_of(self, folder: FolderId, path: bytes) -> Iterator[None]:
        """Say what the file system refuses in terms of a folder."""
        try:
            yield
        except FileExistsError as error:
            raise FolderExists(str(folder)) from error
        except FileNotFoundError as error:
            raise QuotaScopeMissing(str(folder.scope)) from error
        except OSError as error:
            raise told_of(error, [path]) from error

    def _open(self, source: bytes, folder: FolderId) -> Descriptor:
        try:
            with self._root.use() as root:
                return Descriptor(open_beneath(root, source, ENTER))
        except OSError as error:
            if error.errno in _GONE or error.errno in _NOT_A_DIRECTORY:
                raise FolderMissing(str(folder)) from error
            raise VolumeFailed(f"virtual folder {folder} cannot be opened: {reason(error)}") from error


class SingleFolderVolume(PosixVolume):
    """A directory that is one virtual folder itself, under an id made up for it."""

    def __init__(
        self,
        name: str,
        root: Path,
        folder_id: FolderId,
        *,
        id: str | None = None,
        clock_granularity: float = CLOCK_GRANULARITY,
        ownership: Ownership = OURS,
    ) -> None:
        super().__init__(name, root, id=id, clock_granularity=clock_granularity, ownership=ownership)
        self._folder_id = folder_id

    @override
    def folders(self) -> Iterator[FolderId]:
        yield self._folder_id

    @override
    @contextmanager
    def _scope(self, scope: QuotaScope) -> Iterator[tuple[int, bytes]]:
        raise OperationUnsupported("this volume is one folder itself; it has no quota scopes")
        yield  # makes it the generator that it has to be

    @override
    def _path(self, folder: FolderId) -> bytes:
        if folder != self._folder_id:
            raise FolderMissing(str(folder))
        return b""


def from_spec(spec: VolumeSpec) -> PosixVolume:
    """Open the volume that the settings describe.

    Raises:
        ConfigInvalid: The path is no directory that can be opened, or an option is unknown or unfit.
    """
    spec.only({"clock_granularity", "id"})
    if spec.path is None:
        raise spec.invalid("path", f"backend {spec.backend} needs one", "give the directory that holds the folders")
    granularity = spec.seconds("clock_granularity", CLOCK_GRANULARITY)
    try:
        return PosixVolume(
            spec.name, spec.path, id=spec.text("id"), clock_granularity=granularity, ownership=spec.ownership
        )
    except NotADirectoryError:
        raise spec.invalid("path", f"{str(spec.path)!r} is not a directory", "give the volume's directory") from None
    except FileNotFoundError:
        raise spec.invalid("path", f"{str(spec.path)!r} does not exist", "create or mount it, or correct it") from None
    except OSError as error:
        way_out = "let this process's user enter it, or correct it"
        raise spec.invalid("path", f"{str(spec.path)!r} cannot be opened: {error.strerror}", way_out) from error


def default_id(name: str, real: bytes) -> str:
    """Return the id of a volume that was given none: of its name and real path."""
    return hashlib.sha256(b"\0".join((b"pannier volume", name.encode(), real))).hexdigest()[:32]
