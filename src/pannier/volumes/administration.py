"""What is done with whole folders and volumes of a file system: making, measuring, telling its state. Blocks."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pannier.errors import VolumeFailed
from pannier.volumes.confine import open_beneath
from pannier.volumes.hosts import DiskWork, Measure, Space
from pannier.volumes.ownership import Ownership
from pannier.volumes.renaming import rename_new

_LIST = os.O_RDONLY | os.O_DIRECTORY
_OPEN_DIRECTORY = _LIST | os.O_NOFOLLOW | os.O_CLOEXEC
SCOPE_MODE = 0o755
"""Of the directory of a quota scope (WIRE section 2)."""
_TRIES = 100
_BLOCK = 512
"""Bytes of what stat(2) counts as a block."""
_DIGITS = re.compile(rb"[0-9a-f]{2}|[0-9a-f]{28}|[0-9a-f]{32}")
"""Names of the directories in which folders lie (WIRE section 2)."""
_LAST_DIGITS, _DEEPEST = 28, 3
_SECTOR = 512
"""Bytes of a sector in /proc/diskstats, whatever the device (Linux, Documentation/admin-guide/iostats.rst)."""


def make_folder(root: int, path: bytes, mode: int, ownership: Ownership, *, make_scope: bool, scoped: bool) -> None:
    """Make the directory of a folder, durably, with the directories above it.

    Args:
        root: Descriptor of the volume's root.
        path: As ``folder_path`` gives it.
        mode: The permissions it gets, whatever the umask.
        make_scope: Whether the scope's directory, its first component where it is ``scoped``, may be made too.

    Raises:
        FileExistsError: It is there.
        FileNotFoundError: The scope's directory is not there.
        OSError: It cannot be made.
    """

    def make(above: int, name: bytes) -> None:
        _make(above, name, mode, ownership, exist_ok=False)

    _put(root, path, make, ownership, make_scope=make_scope, scoped=scoped)


def publish_folder(root: int, path: bytes, ownership: Ownership, staged: int, name: bytes, *, scoped: bool) -> None:
    """Rename ``name`` in the directory ``staged`` to the directory of a folder, durably; otherwise as `make_folder`."""

    def publish(above: int, last: bytes) -> None:
        rename_new(name, last, src_dir_fd=staged, dst_dir_fd=above)
        sync_names(above)
        os.fsync(staged)

    _put(root, path, publish, ownership, make_scope=False, scoped=scoped)


def make_scope_of(root: int, path: bytes, ownership: Ownership) -> None:
    """Make the first directory of a path, the quota scope's, if it is missing; errors as of mkdir(2)."""
    _make(root, path.split(b"/")[0], SCOPE_MODE, ownership, exist_ok=True)


def take_folder(root: int, path: bytes, staged: int, name: bytes, *, scoped: bool) -> None:
    """Rename the directory of a folder to ``name`` in the directory ``staged``, durably, and tidy up above it.

    Raises:
        FileNotFoundError, NotADirectoryError: No folder is there.
        OSError: It cannot be renamed.
    """
    above, _, last = path.rpartition(b"/")
    directory = open_beneath(root, above, _LIST)
    try:
        os.close(os.open(last, _OPEN_DIRECTORY, dir_fd=directory))
        os.rename(last, name, src_dir_fd=directory, dst_dir_fd=staged)
        os.fsync(directory)
        os.fsync(staged)
    finally:
        os.close(directory)
    names = path.split(b"/")
    for depth in range(len(names) - 1, int(scoped), -1):
        higher = open_beneath(root, b"/".join(names[: depth - 1]), _LIST)
        try:
            os.rmdir(names[depth - 1], dir_fd=higher)
        except OSError:  # other folders are in it
            return
        finally:
            os.close(higher)


def _put(
    root: int,
    path: bytes,
    put: Callable[[int, bytes], None],
    ownership: Ownership,
    *,
    make_scope: bool,
    scoped: bool,
) -> None:
    """Make the directories above a folder, then ``put`` it into the last of them."""
    names = path.split(b"/")
    for last_try in (*(False,) * _TRIES, True):
        at = os.dup(root)
        try:
            for depth, name in enumerate(names[:-1]):
                is_scope = scoped and depth == 0
                if not is_scope or make_scope:
                    _make(at, name, SCOPE_MODE if is_scope else ownership.directory_mode, ownership, exist_ok=True)
                below = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            put(at, names[-1])
            return
        except FileNotFoundError:
            # whoever deletes the last folder of a directory takes it away, perhaps while we are about to use it
            if last_try or not is_there(root, names[0]):
                raise
        finally:
            os.close(at)


def is_there(directory: int, path: bytes) -> bool:
    """Whether anything is at a path, links not followed."""
    try:
        os.close(open_beneath(directory, path, os.O_PATH))
    except FileNotFoundError:
        return False
    return True


def _make(directory: int, name: bytes, mode: int, ownership: Ownership, *, exist_ok: bool) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        if exist_ok:
            return
        raise
    made = os.open(name, _OPEN_DIRECTORY, dir_fd=directory)
    try:
        ownership.grant(made, mode)
        os.fsync(made)
    finally:
        os.close(made)
    sync_names(directory)


def sync_names(directory: int) -> None:
    """Make what happened to the names of a directory durable; its descriptor may be one of ``O_PATH``."""
    here = os.open(b".", _OPEN_DIRECTORY, dir_fd=directory)
    try:
        os.fsync(here)
    finally:
        os.close(here)


def measure(root: int, going_on: Callable[[], bool]) -> Measure | None:
    """Count everything below a folder's root, links not followed; None if it is not to go on until the end.

    What may not be looked at counts as far as it can be seen.
    """
    entries = size = allocated = 0
    seen: set[tuple[int, int]] = set()
    waiting = [b""]
    while waiting:
        above = waiting.pop()
        for name, status in _things(root, above):
            if not going_on():
                return None
            entries += 1
            if stat.S_ISDIR(status.st_mode):
                waiting.append(above + b"/" + name if above else name)
            elif stat.S_ISREG(status.st_mode):
                size += status.st_size
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            allocated += status.st_blocks * _BLOCK
    return Measure(entries, size, allocated)


def _things(root: int, source: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Everything in one directory; nothing where it is gone or closed."""
    try:
        directory = open_beneath(root, source, _LIST)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        return
    try:
        for name in map(os.fsencode, os.listdir(directory)):
            try:
                yield name, os.lstat(name, dir_fd=directory)
            except OSError:  # it is gone
                continue
    finally:
        os.close(directory)


def paths_of_folders(root: int) -> Iterator[str]:
    """Give the paths that may be folders of a volume, relative to its root: of three directories, or of four.

    A directory is listed when it is its turn: none stays open, and what comes meanwhile may be missed.
    """
    waiting = [b""]
    while waiting:
        above = waiting.pop()
        for name, status in _things(root, above):
            if not _DIGITS.fullmatch(name) or not stat.S_ISDIR(status.st_mode):
                continue
            path = above + b"/" + name if above else name
            if len(name) == _LAST_DIGITS:
                yield path.decode("ascii")
            elif path.count(b"/") < _DEEPEST:
                waiting.append(path)


def space(root: int) -> Space:
    """Return how full the file system is: what is used is what is not available, as for its users."""
    told = os.fstatvfs(root)
    capacity = told.f_blocks * told.f_frsize
    return Space(capacity, capacity - told.f_bavail * told.f_frsize)


def probe(root: int, path: str) -> None:
    """Ask a file system whether it is there, past what is cached: ``statvfs`` goes to a server where there is one.

    Raises:
        VolumeFailed: Something else is at the volume's path by now; the manager mounts what is there.
        OSError: It does not answer.
    """
    os.fstatvfs(root)
    here, there = os.fstat(root), os.stat(path)
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        raise VolumeFailed("another directory is at the volume's path since the server started; start it anew")


def disk_work(root: int, table: Path = Path("/proc/diskstats")) -> DiskWork:
    """Return what the device of a file system did; zeros where there is none that the kernel counts for, as on NFS."""
    device = os.fstat(root).st_dev
    wanted = [str(os.major(device)), str(os.minor(device))]
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return DiskWork()
    for fields in map(str.split, lines):
        if fields[:2] == wanted and len(fields) >= 11:
            reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms = map(int, fields[3:11])
            return DiskWork(
                reads, writes, sectors_read * _SECTOR, sectors_written * _SECTOR, read_ms * 1_000, write_ms * 1_000
            )
    return DiskWork()
