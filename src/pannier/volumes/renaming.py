"""Renaming that replaces nothing: renameat2(2), which Python has no name for."""

from __future__ import annotations

import ctypes
import errno
import os

_renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
_NOREPLACE = 1
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)
"""What kernels and file systems (NFS, for one) say that do not know the flag."""


def rename_new(source: bytes, target: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
    """Rename within a file system, atomically, unless something is at ``target``.

    Where the file system cannot do both at once, a file gets its new name as a second one, and then loses the first.
    What takes no second name (a directory) is renamed after a look: what comes in between is replaced.

    Raises:
        FileExistsError: Something is there.
        OSError: As of rename(2).
    """
    if _renameat2 is not None:
        if _renameat2(src_dir_fd, source, dst_dir_fd, target, _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _NOT_OFFERED:
            raise OSError(number, os.strerror(number))
    try:
        os.link(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a directory, or a file system without links
        pass
    else:
        os.unlink(source, dir_fd=src_dir_fd)
        return
    try:
        os.lstat(target, dir_fd=dst_dir_fd)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
