"""Volumes on a file system: a local disk, NFS, CephFS. Linux only.

All paths go through ``confine``. Messages hold paths relative to the folder and the system's word for the error, and
nothing else of this server.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from pannier.archive.entries import Kind
from pannier.dto.ids import FolderId
from pannier.errors import FolderMissing, Offence, OffenceCode, SourceChanged, SourceUnreadable, VolumeFailed, show
from pannier.volumes.base import RESERVED, Found, Refused, Stat
from pannier.volumes.confine import inspect, open_beneath, resolve, supported
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.folders import folder_path
from pannier.volumes.identities import change_between, now_is, pack_identity
from pannier.volumes.specs import VolumeSpec

CLOCK_GRANULARITY = 0.02
"""Seconds between two ticks of the clock that stamps files: a kernel tick is 1 to 10 ms, doubled.

Enough for a disk of this machine. A network file system adds its server's clock, the skew between the two and the time
for which attributes are cached (on NFS ``acregmin``, 3 s by default): set ``clock_granularity`` to some seconds there.
"""

# O_NONBLOCK: opening a FIFO that has taken the file's place must not wait for its writer; O_NOCTTY: nor may a terminal
# become ours. On a regular file neither does anything.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_READ_HERE = _READ | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY
_ENTER = getattr(os, "O_PATH", 0) | os.O_DIRECTORY

_TYPE = 0o170000
"""The bits of a mode that say what a thing is (inode(7))."""

_GONE = (errno.ENOENT, errno.ENAMETOOLONG)
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class PosixSource:
    """An open regular file, compared with the identity it is to have."""

    def __init__(self, file: Descriptor, identity: bytes, path: bytes) -> None:
        self._file, self._identity, self._path = file, identity, path
        self._changed_ns: int | None = None

    def read(self, offset: int, length: int) -> bytes:
        with self._file.use() as number:
            try:
                data = os.pread(number, length, offset)
                while data and len(data) < length:  # the kernel may give less than there is (2 GiB at a time, NFS)
                    more = os.pread(number, length - len(data), offset + len(data))
                    if not more:
                        break
                    data += more
            except OSError as error:
                raise SourceUnreadable(self._path, _reason(error)) from error
        return data

    def check(self) -> None:
        with self._file.use() as number:
            try:
                status = os.fstat(number)
            except OSError as error:
                raise SourceUnreadable(self._path, _reason(error)) from error
        change = _change(status, self._identity)
        if change is not None:
            raise SourceChanged(self._path, change)
        self._changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)

    def changed_ns(self) -> int | None:
        return self._changed_ns

    def fileno(self) -> int | None:
        return self._file.number()

    def close(self) -> None:
        self._file.close()


class PosixWholeReader:
    """Reads small files whole with four system calls each; the directory it last read from stays open.

    One look after reading is enough: an identity that is the planned one then was so all along, as time only goes on.
    """

    def __init__(self, root: int) -> None:
        self._root = Descriptor(root)
        self._at: Descriptor | None = None
        self._number, self._directory = -1, b""

    def read(self, files: Iterable[tuple[bytes, bytes, int, bytes]]) -> list[bytes]:
        open_file, read, look, close = os.open, os.read, os.fstat, os.close
        contents: list[bytes] = []
        for source, identity, size, path in files:
            directory, _, name = source.rpartition(b"/")
            try:
                if directory != self._directory or self._at is None:
                    self._enter(directory)
                if not directory and name == RESERVED:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                number = open_file(name, _READ_HERE, dir_fd=self._number)
            except OSError as error:
                raise _not_opened(path, error) from error
            try:
                data = read(number, size + 1)  # one more, to see where it has grown
                if len(data) < size:
                    data = _read_on(number, data, size)
                status = look(number)
            except OSError as error:
                raise _not_read(number, identity, path, error) from error
            finally:
                close(number)
            same = (
                status.st_mode & _TYPE == stat.S_IFREG
                and pack_identity(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns) == identity
            )
            if not same or len(data) != size:
                raise _unlike(status, identity, size, len(data), path)
            contents.append(data)
        return contents

    def close(self) -> None:
        self._leave()
        self._root.close()

    def _enter(self, directory: bytes) -> None:
        self._leave()
        self._at = Descriptor(open_beneath(self._root.number(), directory, _ENTER))
        self._number, self._directory = self._at.number(), directory

    def _leave(self) -> None:
        if self._at is not None:
            self._at.close()
        self._at = None


class PosixFolder:
    """One virtual folder, held by the descriptor of its root."""

    def __init__(self, root: Descriptor) -> None:
        self._root = root

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        with self._root.use() as root, resolve(root, path, follow=follow) as place:
            return Found(place.source, _stat(place.status, place.target, place.directory, place.name), place.target)

    def scan(self, source: bytes) -> Iterable[tuple[bytes, Found | Offence]]:
        try:
            with self._root.use() as root:
                directory = Descriptor(open_beneath(root, source, _LIST))
        except OSError as error:
            raise _not_listed(source, error) from error
        # opened here, so that what is wrong with the directory is raised now, not at the first name
        return _listing(directory, source)

    def open(self, source: bytes, identity: bytes, path: bytes) -> PosixSource:
        try:
            with self._root.use() as root:
                file = Descriptor(open_beneath(root, source, _READ))
        except OSError as error:
            raise _not_opened(path, error) from error
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
        self, name: str, root: Path, *, id: str | None = None, clock_granularity: float = CLOCK_GRANULARITY
    ) -> None:
        """Open the volume; ``clock_granularity`` in seconds.

        The default id is a digest of the name and the real path. Not of the device's number: that follows the order of
        mounting, and every remembered checksum would be lost with it. Another disk under the same path is told apart by
        its files' inodes and times.

        Raises:
            OSError: The root cannot be opened, or is not a directory.
        """
        if not supported():
            raise OSError(errno.ENOSYS, "this platform has no O_PATH, without which paths cannot be confined")
        real = os.path.realpath(root)
        self._root = Descriptor(os.open(real, _ENTER | os.O_CLOEXEC))
        self.name = name
        self.id = id if id is not None else _default_id(name, os.fsencode(real))
        self.clock_granularity_ns = round(clock_granularity * 1_000_000_000)

    def now_ns(self) -> int:
        return time.time_ns()

    def folder(self, folder: FolderId) -> PosixFolder:
        return self._open(folder_path(folder), folder)

    def close(self) -> None:
        """Give the root back. Idempotent; opened folders stay usable."""
        self._root.close()

    def _open(self, source: bytes, folder: FolderId) -> PosixFolder:
        try:
            with self._root.use() as root:
                return PosixFolder(Descriptor(open_beneath(root, source, _ENTER)))
        except OSError as error:
            if error.errno in _GONE or error.errno in _NOT_A_DIRECTORY:
                raise FolderMissing(str(folder)) from error
            raise VolumeFailed(f"virtual folder {folder} cannot be opened: {_reason(error)}") from error


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
    ) -> None:
        super().__init__(name, root, id=id, clock_granularity=clock_granularity)
        self._folder_id = folder_id

    def folder(self, folder: FolderId) -> PosixFolder:
        if folder != self._folder_id:
            raise FolderMissing(str(folder))
        return self._open(b"", folder)


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
        return PosixVolume(spec.name, spec.path, id=spec.text("id"), clock_granularity=granularity)
    except NotADirectoryError:
        raise spec.invalid("path", f"{str(spec.path)!r} is not a directory", "give the volume's directory") from None
    except FileNotFoundError:
        raise spec.invalid("path", f"{str(spec.path)!r} does not exist", "create or mount it, or correct it") from None
    except OSError as error:
        way_out = "let this process's user enter it, or correct it"
        raise spec.invalid("path", f"{str(spec.path)!r} cannot be opened: {error.strerror}", way_out) from error


def _default_id(name: str, real: bytes) -> str:
    return hashlib.sha256(b"\0".join((b"pannier volume", name.encode(), real))).hexdigest()[:32]


def _reason(error: OSError) -> str:
    # strerror alone: the error's own text ends in the name it was about
    return os.strerror(error.errno) if error.errno is not None else "unknown error"


def _kind(status: os.stat_result) -> Kind:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return Kind.FILE
        case stat.S_IFDIR:
            return Kind.DIRECTORY
        case stat.S_IFLNK:
            return Kind.LINK
        case _:
            return Kind.SPECIAL


def _identity(status: os.stat_result, size: int) -> bytes:
    return pack_identity(status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns)


def _change(status: os.stat_result, identity: bytes) -> str | None:
    """Say in words what became of a planned file, None if it is still what it was."""
    kind = _kind(status)
    if kind is not Kind.FILE:
        return now_is(kind)
    change = change_between(identity, _identity(status, status.st_size))
    # its last name went while it was open: what stands there now, if anything, is another file
    return "is gone or was replaced" if change is not None and status.st_nlink == 0 else change


def _unlike(status: os.stat_result, identity: bytes, size: int, got: int, path: bytes) -> SourceChanged:
    change = _change(status, identity)
    return SourceChanged(path, f"it gave {got:,} of {size:,} bytes" if change is None else change)


def _not_read(number: int, identity: bytes, path: bytes, error: OSError) -> SourceChanged | SourceUnreadable:
    try:
        change = _change(os.fstat(number), identity)  # a directory, for one, cannot be read
    except OSError:
        change = None
    return SourceUnreadable(path, _reason(error)) if change is None else SourceChanged(path, change)


def _read_on(number: int, data: bytes, size: int) -> bytes:
    while len(data) <= size and (more := os.read(number, size + 1 - len(data))):  # network file systems give less
        data += more
    return data


def _stat(status: os.stat_result, target: bytes, directory: int, name: bytes) -> Stat:
    kind = _kind(status)
    size = status.st_size if kind is Kind.FILE else len(target)
    return Stat(
        kind=kind,
        size=size,
        mtime_ns=status.st_mtime_ns,
        mode=stat.S_IMODE(status.st_mode) & 0o777,
        identity=_identity(status, size),
        changed_ns=status.st_ctime_ns,
        readable=_readable(kind, directory, name),
    )


def _readable(kind: Kind, directory: int, name: bytes) -> bool:
    """Ask the system, not the mode: ACLs, capabilities and a server that squashes root all have their say."""
    if kind is Kind.FILE:
        rights = os.R_OK
    elif kind is Kind.DIRECTORY:
        rights = os.R_OK | os.X_OK
    else:
        return True  # of a link everything was read with it; a special file's content is nobody's matter
    return os.access(name, rights, dir_fd=directory, effective_ids=True, follow_symlinks=False)


def _listing(directory: Descriptor, source: bytes) -> Iterator[tuple[bytes, Found | Offence]]:
    try:
        with closing(directory), directory.use() as number, os.scandir(number) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if not source and name == RESERVED:
                    continue
                found = _listed(number, source, name, entry)
                if found is not None:
                    yield name, found
    except OSError as error:
        raise VolumeFailed(f"directory {show(source)} cannot be listed: {_reason(error)}") from error


def _listed(directory: int, source: bytes, name: bytes, entry: os.DirEntry[str]) -> Found | Offence | None:
    path = source + b"/" + name if source else name
    try:
        status, target = entry.stat(follow_symlinks=False), b""
        if stat.S_ISLNK(status.st_mode):
            status, target = inspect(directory, name)
        return Found(path, _stat(status, target, directory, name), target)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _EXHAUSTED:  # not this entry's fault
            raise
        return Offence(path, OffenceCode.UNREADABLE, f"this server may not look there ({_reason(error)})")


def _not_listed(source: bytes, error: OSError) -> Refused | VolumeFailed:
    if error.errno in _GONE:
        return Refused(Offence(source, OffenceCode.MISSING, "nothing is there"))
    if error.errno in _NOT_A_DIRECTORY:
        return Refused(Offence(source, OffenceCode.MISSING, "no directory is there any more"))
    if error.errno in _NOT_ALLOWED:
        return Refused(Offence(source, OffenceCode.UNREADABLE, f"this server may not list it ({_reason(error)})"))
    return VolumeFailed(f"directory {show(source)} cannot be listed: {_reason(error)}")


def _not_opened(path: bytes, error: OSError) -> SourceChanged | SourceUnreadable:
    match error.errno:
        case errno.ENOENT | errno.ENAMETOOLONG:
            return SourceChanged(path, "is gone")
        case errno.ELOOP:
            return SourceChanged(path, now_is(Kind.LINK))
        case errno.ENOTDIR:
            return SourceChanged(path, "a directory on the way to it was replaced")
        case errno.ENXIO | errno.ENODEV:
            return SourceChanged(path, now_is(Kind.SPECIAL))
        case _:
            return SourceUnreadable(path, _reason(error))
