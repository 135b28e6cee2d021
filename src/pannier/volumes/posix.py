"""Volumes on a file system: a local disk, NFS, CephFS. Linux only.

All paths go through ``confine``. Messages hold paths relative to the folder and the system's word for the error, and
nothing else of this server.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from typing_extensions import override

from pannier.dto.ids import FolderId, QuotaScope
from pannier.errors import (
    FolderExists,
    FolderMissing,
    Offence,
    OffenceCode,
    OperationUnsupported,
    QuotaScopeExists,
    QuotaScopeMissing,
    VolumeFailed,
    show,
)
from pannier.volumes.administration import disk_work, make_folder, measure, paths_of_folders, probe, space
from pannier.volumes.base import Found, Listing, Refused
from pannier.volumes.confine import open_beneath, resolve, supported
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.editing import PosixEditor, told_of
from pannier.volumes.folders import folder_at, folder_path, scope_path
from pannier.volumes.hosts import DiskWork, Measure, Space
from pannier.volumes.listings import batches, identities, reason, stat_of
from pannier.volumes.ownership import OURS, Ownership
from pannier.volumes.scopes import limit_of, make_scope, measure_scope, set_limit
from pannier.volumes.sources import ENTER, READ, PosixSource, PosixWholeReader, not_opened
from pannier.volumes.specs import VolumeSpec

CLOCK_GRANULARITY = 0.02
"""Seconds between two ticks of the clock that stamps files: a kernel tick is 1 to 10 ms, doubled.

Enough for a disk of this machine. A network file system adds its server's clock, the skew between the two and the time
for which attributes are cached (on NFS ``acregmin``, 3 s by default): set ``clock_granularity`` to some seconds there.
"""

_LIST = os.O_RDONLY | os.O_DIRECTORY

_GONE = (errno.ENOENT, errno.ENAMETOOLONG)
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


class PosixFolder:
    """One virtual folder, held by the descriptor of its root."""

    def __init__(self, root: Descriptor) -> None:
        self._root = root

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        with self._root.use() as root, resolve(root, path, follow=follow) as place:
            return Found(place.source, stat_of(place.status, place.target, place.directory, place.name), place.target)

    def scan(self, source: bytes) -> Listing:
        # opened here, so that what is wrong with the directory is raised now, not at the first name
        return Listing(source, batches(self._enter(source, _LIST), source))

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        with closing(self._enter(source, ENTER)) as directory, directory.use() as number:
            try:
                return identities(number, names)
            except OSError as error:
                raise VolumeFailed(f"directory {show(source)} cannot be looked at: {reason(error)}") from error

    def _enter(self, source: bytes, flags: int) -> Descriptor:
        try:
            with self._root.use() as root:
                return Descriptor(open_beneath(root, source, flags))
        except OSError as error:
            raise _not_listed(source, error) from error

    def open(self, source: bytes, identity: bytes, path: bytes) -> PosixSource:
        try:
            with self._root.use() as root:
                file = Descriptor(open_beneath(root, source, READ))
        except OSError as error:
            raise not_opened(path, error) from error
        opened = PosixSource(file, identity, path)
        try:
            opened.check()
        except BaseException:
            opened.close()
            raise
        return opened

    def whole_reader(self) -> PosixWholeReader:
        with self._root.use() as root:
            return PosixWholeReader(os.dup(root))

    def close(self) -> None:
        self._root.close()


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
        path, scoped = self._path(folder), folder.scope is not None
        if not path:
            raise OperationUnsupported("this volume is one folder itself; it takes no others")
        try:
            with self._root.use() as root:
                make_folder(root, path, mode, self._ownership, make_scope=make_scope, scoped=scoped)
        except FileExistsError as error:
            raise FolderExists(str(folder)) from error
        except FileNotFoundError as error:
            raise QuotaScopeMissing(str(folder.scope)) from error
        except OSError as error:
            raise told_of(error, [path]) from error

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


def _not_listed(source: bytes, error: OSError) -> Refused | VolumeFailed:
    if error.errno in _GONE:
        return Refused(Offence(source, OffenceCode.MISSING, "nothing is there"))
    if error.errno in _NOT_A_DIRECTORY:
        return Refused(Offence(source, OffenceCode.MISSING, "no directory is there any more"))
    if error.errno in _NOT_ALLOWED:
        return Refused(Offence(source, OffenceCode.UNREADABLE, f"this server may not list it ({reason(error)})"))
    return VolumeFailed(f"directory {show(source)} cannot be listed: {reason(error)}")
