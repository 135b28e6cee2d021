"""Reading files of a file system that are compared with what was planned: open ones, and small ones whole."""

from __future__ import annotations

import errno
import os
import stat
from array import array
from collections.abc import Iterable, Sequence

from pannier.archive.entries import Kind
from pannier.errors import SourceChanged, SourceUnreadable
from pannier.volumes.base import RESERVED
from pannier.volumes.confine import open_beneath
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.identities import change_between, now_is, pack_identities
from pannier.volumes.listings import identity_of, kind_of, reason

# O_NONBLOCK: opening a FIFO that has taken the file's place must not wait for its writer; O_NOCTTY: nor may a terminal
# become ours. On a regular file neither does anything.
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_READ_HERE = READ | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER = getattr(os, "O_PATH", 0) | os.O_DIRECTORY

_TYPE = 0o170000
"""The bits of a mode that say what a thing is (inode(7))."""


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
                raise SourceUnreadable(self._path, reason(error)) from error
        return data

    def check(self) -> None:
        with self._file.use() as number:
            try:
                status = os.fstat(number)
            except OSError as error:
                raise SourceUnreadable(self._path, reason(error)) from error
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
        found: list[os.stat_result] = []
        planned: list[tuple[bytes, bytes, int, bytes]] = []
        for file in files:
            source, identity, size, path = file
            directory, _, name = source.rpartition(b"/")
            try:
                if directory != self._directory or self._at is None:
                    self._enter(directory)
                if not directory and name == RESERVED:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                number = open_file(name, _READ_HERE, dir_fd=self._number)
            except OSError as error:
                raise not_opened(path, error) from error
            try:
                data = read(number, size + 1)  # one more, to see where it has grown
                if len(data) < size:
                    data = _read_on(number, data, size)
                found.append(look(number))
            except OSError as error:
                raise _not_read(number, identity, path, error) from error
            finally:
                close(number)
            contents.append(data)
            planned.append(file)
        _compare(planned, contents, found)
        return contents

    def root(self) -> int:
        return self._root.number()

    def close(self) -> None:
        self._leave()
        self._root.close()

    def _enter(self, directory: bytes) -> None:
        self._leave()
        self._at = Descriptor(open_beneath(self._root.number(), directory, ENTER))
        self._number, self._directory = self._at.number(), directory

    def _leave(self) -> None:
        if self._at is not None:
            self._at.close()
        self._at = None


def _compare(
    planned: Sequence[tuple[bytes, bytes, int, bytes]], contents: Sequence[bytes], found: Sequence[os.stat_result]
) -> None:
    """Require that each file is what was planned, and gave as many bytes: all at once, then, if not, one by one."""
    identities, sizes = [identity for _, identity, _, _ in planned], [size for _, _, size, _ in planned]
    regular = all(status.st_mode & _TYPE == stat.S_IFREG for status in found)
    if regular and list(map(len, contents)) == sizes and _identities_of(found) == b"".join(identities):
        return
    for (_, identity, size, path), data, status in zip(planned, contents, found, strict=True):
        if _change(status, identity) is not None or len(data) != size:
            raise _unlike(status, identity, size, len(data), path)


def _identities_of(found: Sequence[os.stat_result]) -> bytes | None:
    """Return the identities of regular files as one string; None if a time of theirs is far from ours."""
    try:
        return pack_identities(
            array("Q", [status.st_ino for status in found]),
            array("Q", [status.st_size for status in found]),
            array("q", [status.st_mtime_ns for status in found]),
            array("q", [status.st_ctime_ns for status in found]),
        )
    except OverflowError:
        return None


def _change(status: os.stat_result, identity: bytes) -> str | None:
    """Say in words what became of a planned file, None if it is still what it was."""
    kind = kind_of(status)
    if kind is not Kind.FILE:
        return now_is(kind)
    change = change_between(identity, identity_of(status, status.st_size))
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
    return SourceUnreadable(path, reason(error)) if change is None else SourceChanged(path, change)


def _read_on(number: int, data: bytes, size: int) -> bytes:
    while len(data) <= size and (more := os.read(number, size + 1 - len(data))):  # network file systems give less
        data += more
    return data


def not_opened(path: bytes, error: OSError) -> SourceChanged | SourceUnreadable:
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
            return SourceUnreadable(path, reason(error))
