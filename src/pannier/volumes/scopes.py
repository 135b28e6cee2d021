"""Quota scopes on a file system: a directory for each owner, in it the owner's folders and the limit. Blocks.

The limit is a file beside the folders, where only hosts of the volume reach it: it counts for all servers that share
the volume, survives them, and needs nothing that a file system may lack.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pannier.errors import VolumeFailed
from pannier.volumes.administration import SCOPE_MODE, measure
from pannier.volumes.confine import open_beneath
from pannier.volumes.hosts import Measure
from pannier.volumes.ownership import Ownership
from pannier.volumes.renaming import rename_new
from pannier.volumes.staging import sync

LIMIT_FILE = b".pannier-quota"
_LARGEST_FILE = 4_096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Limit(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid")

    v: int = Field(1, ge=1, le=1)
    limit_bytes: int = Field(ge=1)


def make_scope(root: int, name: bytes, ownership: Ownership, limit: int | None) -> None:
    """Make the directory of a scope with its limit, both at once and durably.

    Args:
        root: Descriptor of the volume's root.
        name: Of the directory.
        limit: Bytes, None for none.

    Raises:
        FileExistsError: It is there.
        OSError: It cannot be made.
    """
    hidden = b".pannier-%b" % secrets.token_hex(8).encode()
    os.mkdir(hidden, 0o700, dir_fd=root)
    try:
        scope = os.open(hidden, _DIRECTORY, dir_fd=root)
        try:
            if limit is not None:
                _write(scope, limit)
            ownership.grant(scope, SCOPE_MODE)
            os.fsync(scope)
        finally:
            os.close(scope)
        rename_new(hidden, name, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        _remove(root, hidden)
        raise
    sync(root)


def limit_of(root: int, name: bytes) -> int | None:
    """Return a scope's limit in bytes, None if it has none.

    Raises:
        FileNotFoundError: There is no such scope.
        VolumeFailed: What is kept of its limit cannot be read: nothing may be written then.
        OSError: As of open(2).
    """
    scope = open_beneath(root, name, _DIRECTORY)
    try:
        kept = _read(scope)
    finally:
        os.close(scope)
    if kept is None:
        return None
    try:
        return _Limit.model_validate_json(kept).limit_bytes
    except ValidationError as error:
        raise VolumeFailed("the limit of a quota scope cannot be read; set it again") from error


def set_limit(root: int, name: bytes, limit: int | None) -> None:
    """Set a scope's limit in bytes, or take it away, durably; errors as ``limit_of``."""
    scope = open_beneath(root, name, _DIRECTORY)
    try:
        if limit is not None:
            _write(scope, limit)
        else:
            try:
                os.unlink(LIMIT_FILE, dir_fd=scope)
            except FileNotFoundError:
                return
        os.fsync(scope)
    finally:
        os.close(scope)


def measure_scope(root: int, name: bytes, going_on: Callable[[], bool]) -> Measure | None:
    """Count all that is in a scope, unfinished uploads too; None if it does not go on until the end.

    Raises:
        FileNotFoundError: There is no such scope.
        OSError: As of open(2).
    """
    scope = open_beneath(root, name, _DIRECTORY)
    try:
        return measure(scope, going_on)
    finally:
        os.close(scope)


def _read(scope: int) -> bytes | None:
    try:
        file = os.open(LIMIT_FILE, _OLD, dir_fd=scope)
    except FileNotFoundError:
        return None
    try:
        return os.read(file, _LARGEST_FILE)
    finally:
        os.close(file)


def _write(scope: int, limit: int) -> None:
    hidden = b"%b-%b" % (LIMIT_FILE, secrets.token_hex(8).encode())
    file = os.open(hidden, _NEW, 0o644, dir_fd=scope)
    try:
        try:
            content = _Limit(limit_bytes=limit).model_dump_json().encode()
            if os.write(file, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(hidden, LIMIT_FILE, src_dir_fd=scope, dst_dir_fd=scope)
    except BaseException:
        _unlink(scope, hidden)
        raise


def _remove(root: int, hidden: bytes) -> None:
    """Take away a directory of ours that did not get its name."""
    try:
        scope = os.open(hidden, _DIRECTORY, dir_fd=root)
    except OSError:
        return
    try:
        _unlink(scope, LIMIT_FILE)
    finally:
        os.close(scope)
    try:
        os.rmdir(hidden, dir_fd=root)
    except OSError:
        pass


def _unlink(directory: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass
