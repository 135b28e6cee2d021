"""Copying a folder by descriptors: no link is followed, and nothing outside the folder is read.

What is copied may change meanwhile. What vanishes, or becomes something else before it is opened, is left out and
counted; a file that is written to is copied as it is found, up to the length that it had.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import stat
from dataclasses import dataclass

from pannier.errors import PannierError
from pannier.volumes.base import RESERVED
from pannier.volumes.confine import inspect, open_beneath
from pannier.volumes.ownership import Ownership
from pannier.volumes.refusals import told_of
from pannier.volumes.removal import GoOn
from pannier.volumes.sources import READ

_LIST = os.O_RDONLY | os.O_DIRECTORY
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)
"""What is said of something that vanished, or is now a link, a socket or anything else than it was."""
_FICLONE = 0x40049409
"""ioctl_ficlone(2): the new file shares the blocks of the old one."""
_NOT_OFFERED = (
    *(errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP),
    *(errno.ENOTTY, errno.EPERM, errno.ETXTBSY),
)
"""What kernels and file systems say that cannot copy in this way."""
_BURST = 16 * 1024 * 1024
"""Bytes between two questions whether to go on."""
_BUFFER = 1024 * 1024
_syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
_MOST_LINKED = 1_000_000
"""Files with several names that are remembered; others become files of their own."""


@dataclass(slots=True)
class Copied:
    """What became of the things in a folder: copied; neither file, directory nor link; gone before they were read."""

    entries: int = 0
    special: int = 0
    vanished: int = 0
    whole: bool = False
    """Whether the copy went to its end."""


def copy_tree(source: int, target: int, ownership: Ownership, go_on: GoOn, copied: Copied) -> None:
    """Copy what is in the directory ``source`` into the empty directory ``target``, and its mode and time.

    Modes are kept, but for set-id bits of files; times of modification; symbolic links, as they are; names of one file
    in the folder stay one file; holes stay holes, and where the file system can do that, blocks are shared. Owner and
    group are those of all that is written. Access lists and other extended attributes are not copied, nor is
    ``.upload`` at the top.

    Args:
        go_on: Told how many things were copied since; False ends it, and ``copied.whole`` stays False.
        copied: Counted up while it goes on.

    Raises:
        OperationRefused, StorageFull, VolumeFailed: Something cannot be read or written; said with its path.
    """
    _Copy(source, target, ownership, go_on, copied).run()


class _Stopped(Exception):
    """It is to end."""


class _Copy:
    def __init__(self, source: int, target: int, ownership: Ownership, go_on: GoOn, copied: Copied) -> None:
        self._source, self._target, self._ownership = source, target, ownership
        self._go_on, self._copied = go_on, copied
        self._shares = self._copies = True
        self._names: dict[tuple[int, ...], bytes] = {}

    def run(self) -> None:
        # last in, first out; with a status: a directory whose content was copied and that gets its mode and time
        waiting: list[tuple[bytes, os.stat_result | None]] = [(b"", None)]
        path = b""
        try:
            while waiting:
                path, status = waiting.pop()
                if status is not None:
                    self._finish(path, status)
                    continue
                try:
                    directory = open_beneath(self._source, path, _LIST)
                except OSError as error:
                    self._lost(error)
                    continue
                try:
                    waiting.append((path, os.fstat(directory)))
                    below = self._directory(path, directory)
                finally:
                    os.close(directory)
                waiting.extend((path + b"/" + name if path else name, None) for name in below)
        except _Stopped:
            return
        except PannierError:
            raise
        except OSError as error:
            raise told_of(error, [path or b"."]) from error
        self._copied.whole = True

    def _directory(self, path: bytes, source: int) -> list[bytes]:
        """Copy one directory without what is below; return the names of its directories."""
        target = self._make(path)
        below = []
        try:
            for name in map(os.fsencode, os.listdir(source)):
                if not path and name == RESERVED:
                    continue
                try:
                    if self._entry(source, target, path, name):
                        below.append(name)
                except OSError as error:
                    raise told_of(error, [path + b"/" + name if path else name]) from error
        finally:
            os.close(target)
        return below

    def _make(self, path: bytes) -> int:
        """Make a directory of the copy, for nobody else until it is finished, and open it."""
        if not path:
            return os.open(b".", _ENTER, dir_fd=self._target)
        above, _, name = path.rpartition(b"/")
        parent = open_beneath(self._target, above, _LIST)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            return os.open(name, _ENTER, dir_fd=parent)
        finally:
            os.close(parent)

    def _finish(self, path: bytes, status: os.stat_result) -> None:
        made = open_beneath(self._target, path, _LIST)
        try:
            self._ownership.grant(made, stat.S_IMODE(status.st_mode) & ~stat.S_ISUID)
            os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(made)
        if path:
            self._did()

    def _entry(self, source: int, target: int, path: bytes, name: bytes) -> bool:
        """Copy one thing; True for a directory, which comes later."""
        try:
            status = os.lstat(name, dir_fd=source)
        except OSError as error:
            self._lost(error)
            return False
        if stat.S_ISDIR(status.st_mode):
            return True
        if stat.S_ISLNK(status.st_mode):
            self._link(source, target, name)
        elif stat.S_ISREG(status.st_mode):
            self._file(source, target, path, name)
        else:
            self._copied.special += 1
        return False

    def _link(self, source: int, target: int, name: bytes) -> None:
        try:
            status, text = inspect(source, name)
        except OSError as error:
            self._lost(error)
            return
        if not stat.S_ISLNK(status.st_mode):
            self._copied.vanished += 1
            return
        os.symlink(text, name, dir_fd=target)
        self._ownership.grant_link(target, name)
        os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        self._did()

    def _file(self, source: int, target: int, path: bytes, name: bytes) -> None:
        try:
            opened = os.open(name, READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        except OSError as error:
            self._lost(error)
            return
        try:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode):
                self._copied.vanished += 1
            elif not self._linked(status, target, name):
                self._content(opened, status, target, name)
                if status.st_nlink > 1 and len(self._names) < _MOST_LINKED:
                    self._names[_same(status)] = path + b"/" + name if path else name
                self._did()
        finally:
            os.close(opened)

    def _linked(self, status: os.stat_result, target: int, name: bytes) -> bool:
        """Give a file that was copied already one more name, if this is one of its names."""
        first = self._names.get(_same(status)) if status.st_nlink > 1 else None
        if first is None:
            return False
        above, _, known = first.rpartition(b"/")
        directory = open_beneath(self._target, above, _LIST)
        try:
            os.link(known, name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP):
                raise
            return False  # it becomes a file of its own
        finally:
            os.close(directory)
        self._did()
        return True

    def _content(self, opened: int, status: os.stat_result, target: int, name: bytes) -> None:
        made = os.open(name, _NEW, 0o600, dir_fd=target)
        try:
            if not self._shared(opened, made):
                os.ftruncate(made, self._extents(opened, made, status.st_size))
            self._ownership.grant(made, stat.S_IMODE(status.st_mode) & 0o777)
            os.utime(made, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(made)

    def _shared(self, opened: int, made: int) -> bool:
        if self._shares:
            try:
                fcntl.ioctl(made, _FICLONE, opened)
                return True
            except OSError as error:
                if error.errno not in _NOT_OFFERED:
                    raise
                self._shares = error.errno == errno.EXDEV  # what is mounted in the folder says nothing of the rest
        return False

    def _extents(self, opened: int, made: int, size: int) -> int:
        """Copy what is no hole, up to ``size``; return where the file ends."""
        at = 0
        while at < size:
            try:
                start = os.lseek(opened, at, os.SEEK_DATA)
                stop = min(os.lseek(opened, start, os.SEEK_HOLE), size)
            except OSError as error:
                if error.errno == errno.ENXIO:  # a hole until the end, which may have come nearer
                    return min(size, os.fstat(opened).st_size)
                if error.errno != errno.EINVAL:
                    raise
                start, stop = at, size  # the file system tells no holes
            at = start
            while at < stop:
                moved = self._burst(opened, made, at, min(stop - at, _BURST))
                if not moved:
                    return at  # it was cut meanwhile
                at += moved
                if at < size and not self._go_on(0):
                    raise _Stopped
        return min(at, size)

    def _burst(self, opened: int, made: int, at: int, count: int) -> int:
        if self._copies:
            try:
                if moved := os.copy_file_range(opened, made, count, at, at):
                    return moved
            except OSError as error:
                if error.errno not in _NOT_OFFERED:
                    raise
                self._copies = error.errno == errno.EXDEV
        data = os.pread(opened, min(count, _BUFFER), at)
        done = 0
        while done < len(data):
            done += os.pwrite(made, data[done:], at + done)
        return done

    def _lost(self, error: OSError) -> None:
        """Count what is gone; what is there and cannot be read is an error: nothing is missing silently."""
        if error.errno not in _GONE:
            raise error
        self._copied.vanished += 1

    def _did(self) -> None:
        self._copied.entries += 1
        if not self._go_on(1):
            raise _Stopped


def _same(status: os.stat_result) -> tuple[int, ...]:
    """What tells one file by whatever name; another one that took its number has other times."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def settle(directory: int) -> None:
    """Make everything on the file system of an open directory durable; for a copy cheaper than file by file."""
    if _syncfs is None:
        os.sync()
    elif _syncfs(directory) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
