"""What a file system or the resolver refuses, in terms of the paths that were asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from pannier.errors import OffenceCode, OperationRefused, PathOutside, StorageFull, VolumeFailed, show
from pannier.volumes.base import Refused

_FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What no caller can change."""
_OUTSIDE = (OffenceCode.LINK_OUTSIDE, OffenceCode.LINK_LOOP, OffenceCode.OUTSIDE)


def told(refused: Refused, paths: Sequence[bytes]) -> OperationRefused | PathOutside:
    """Return the error that a refused path is for an operation on ``paths``."""
    offence = refused.offence
    if offence.code in _OUTSIDE:
        return PathOutside(offence.path, offence.detail)
    number = errno.EACCES if offence.code is OffenceCode.UNREADABLE else errno.ENOENT
    return OperationRefused(os.strerror(number), number, paths)


def told_of(error: OSError, paths: Sequence[bytes]) -> OperationRefused | StorageFull | VolumeFailed:
    """Return the error that a failed system call is for an operation on ``paths``."""
    number = error.errno or errno.EIO
    words = os.strerror(number)
    if number in _FULL:
        return StorageFull(f"{', '.join(map(show, paths))}: {words}; make room, or ask for more")
    if number in BROKEN:
        return VolumeFailed(f"{', '.join(map(show, paths))}: {words}")
    return OperationRefused(words, number, paths)
