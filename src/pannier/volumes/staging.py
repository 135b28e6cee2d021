"""Unfinished uploads: files below ``.upload`` of a folder, which grow, and appear elsewhere when they are whole.

The file is the truth. How much of it is durable stands in an extended attribute, written after the bytes were synced
and synced itself: what a crash left behind it is cut off, and never taken for content. Where a file system keeps no
such attributes, the length is what counts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pannier.errors import UploadLeaseHeld, UploadMissing
from pannier.volumes.base import RESERVED
from pannier.volumes.removal import remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_STAGED = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_DURABLE = b"user.pannier.durable"
_SESSION = re.compile(rb"[0-9a-f]{32}")
_REMOVED = re.compile(rb"removed-[0-9a-f]{32}")
_REMOVAL = 3600.0
"""Seconds after which what is left of a removal is nobody's any more."""
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.ENOSYS)


class Staged:
    """An unfinished upload that is open, and whose lease this process holds: nobody else writes to it.

    The lease is a lock of the system (flock(2)): it ends with the process, however that ends.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        size = os.fstat(descriptor).st_size
        try:
            self._offset = min(int(os.getxattr(descriptor, _DURABLE)), size)
        except (OSError, ValueError):
            self._offset = size

    @property
    def offset(self) -> int:
        """Bytes that are durable."""
        return self._offset

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._descriptor

    def cut(self) -> None:
        """Drop what is not durable, before more is written."""
        os.ftruncate(self._descriptor, self._offset)

    def write(self, data: memoryview, at: int) -> None:
        """Write behind what is there; durable with the next ``commit``."""
        done = 0
        while done < len(data):
            done += os.pwrite(self._descriptor, data[done:], at + done)

    def sync(self) -> None:
        """Have the disk keep what was written so far, beside more writes; it counts with the next ``commit``."""
        os.fdatasync(self._descriptor)

    def commit(self, offset: int) -> None:
        """Make the first ``offset`` bytes durable, and say so durably."""
        os.fsync(self._descriptor)
        try:
            os.setxattr(self._descriptor, _DURABLE, str(offset).encode())
            os.fsync(self._descriptor)
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
        self._offset = offset

    def note(self) -> bytes:
        """Return what is written so far, of an upload whose content is not what its file holds."""
        return os.pread(self._descriptor, self._offset, 0)

    def finish(self) -> None:
        """Take our marks off: the file is about to be a file like any other."""
        try:
            os.removexattr(self._descriptor, _DURABLE)
        except OSError:
            pass
        os.fsync(self._descriptor)


class Staging:
    """The unfinished uploads of one folder, whose root is an open descriptor."""

    def __init__(self, root: int) -> None:
        self._root = root

    def create(self, session: bytes) -> None:
        """Make an empty one, durably.

        Raises:
            OSError: It cannot be made.
        """
        while True:
            try:
                os.mkdir(RESERVED, 0o700, dir_fd=self._root)
                sync(self._root)
            except FileExistsError:
                pass
            try:
                with self._directory() as directory:
                    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    made = os.open(session, flags, 0o600, dir_fd=directory)
                    try:
                        Staged(made).commit(0)
                    finally:
                        os.close(made)
                    os.fsync(directory)
                return
            except (FileNotFoundError, UploadMissing):
                continue  # somebody who finished has taken the empty directory away

    @contextmanager
    def open(self, session: bytes, lifetime: float) -> Iterator[tuple[Staged, int]]:
        """Take an unfinished upload, for the block; give it, and a descriptor of the directory it is in.

        Raises:
            UploadMissing: There is none, or nothing was added to it for ``lifetime`` seconds.
            UploadLeaseHeld: Somebody else has it.
        """
        with self._directory() as directory:
            try:
                descriptor = os.open(session, _STAGED, dir_fd=directory)
            except FileNotFoundError:
                raise UploadMissing from None
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise UploadLeaseHeld from None
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or not is_at(directory, session, status):
                    raise UploadMissing  # it was finished while we opened it
                if time.time() - status.st_mtime > lifetime:
                    os.unlink(session, dir_fd=directory)
                    raise UploadMissing
                yield Staged(descriptor), directory
            finally:
                os.close(descriptor)

    def collect(self, lifetime: float) -> None:
        """Remove uploads to which nothing was added for so long, and what a removal that was cut off has left.

        Only what carries our names is touched, and no upload that somebody holds.
        """
        try:
            with self._directory() as directory:
                for name in map(os.fsencode, os.listdir(directory)):
                    if _REMOVED.fullmatch(name):
                        self._collect_removed(directory, name)
                    elif _SESSION.fullmatch(name) and _untouched(directory, name, lifetime):
                        try:
                            with self.open(name, lifetime):
                                pass  # it goes when it is opened, if it is too old
                        except (UploadMissing, UploadLeaseHeld, OSError):
                            pass  # of an OSError the next collection hears again
        except UploadMissing:
            return
        self.tidy()

    def _collect_removed(self, directory: int, name: bytes) -> None:
        try:
            if time.time() - os.lstat(name, dir_fd=directory).st_ctime > _REMOVAL:
                remove_tree(directory, name)
        except OSError:  # the next one tries again
            pass

    def tidy(self) -> None:
        """Take the directory away if nothing is in it."""
        try:
            os.rmdir(RESERVED, dir_fd=self._root)
        except OSError:
            pass

    @contextmanager
    def _directory(self) -> Iterator[int]:
        try:
            directory = os.open(RESERVED, _DIRECTORY, dir_fd=self._root)
        except FileNotFoundError:
            raise UploadMissing from None
        try:
            yield directory
        finally:
            os.close(directory)


def _untouched(directory: int, name: bytes, lifetime: float) -> bool:
    """Whether an upload looks too old, without taking it: whoever goes on with a younger one finds it free."""
    try:
        return time.time() - os.lstat(name, dir_fd=directory).st_mtime > lifetime
    except OSError:
        return False


def sync(directory: int) -> None:
    """Make what happened to the names of a directory durable; ``O_PATH`` will do."""
    number = os.open(b".", _DIRECTORY, dir_fd=directory)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def is_at(directory: int, name: bytes, status: os.stat_result) -> bool:
    """Whether a name is that of the file of this status."""
    try:
        there = os.lstat(name, dir_fd=directory)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino)
