"""Leases between the processes of a host: locks of the system, which end with whoever holds them, however that ends.

A lease is one byte of a lock file. There is no clock in it: a process that is slow, or stopped, keeps what it holds,
and what one that was killed held is free at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: kind, whence, first byte, number of bytes, process."""
_TAKEN = (errno.EAGAIN, errno.EACCES)


class Lease:
    """Something that is held. What is forgotten is given back when it is collected."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back. Idempotent."""
        number, self._descriptor = self._descriptor, -1
        if number != -1:
            os.close(number)

    def __del__(self) -> None:
        self.release()


def take(path: Path, number: int) -> Lease | None:
    """Take the lease of this number, None if somebody has it, be it in this process.

    Raises:
        OSError: The lock file at ``path`` cannot be used.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        # of the open file, not of the process (fcntl(2), F_OFD_SETLK): two in one process exclude each other too
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0))
    except OSError as error:
        os.close(descriptor)
        if error.errno in _TAKEN:
            return None
        raise
    return Lease(descriptor)
