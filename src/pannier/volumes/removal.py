"""Removing trees by descriptors: no link is followed, however deep the tree, with two descriptors."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable

GoOn = Callable[[int], bool]
"""Told now and then how many things were done since; False ends what asks."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SLICE = 1_000
"""Names after which somebody may say that it is enough."""


def remove_tree(parent: int, name: bytes, go_on: GoOn = lambda removed: True, *, counted: bool = True) -> bool:
    """Remove what ``name`` is in the directory ``parent``, with everything below it.

    Directories found below are first moved up, beside the ones that are next: so a tree of any depth needs no path
    longer than a name, and every directory is entered once. What is being removed should therefore stand where nobody
    looks. Something new that is put into it meanwhile is removed too.

    Args:
        go_on: Told now and then how many things were removed since; False ends it.
        counted: Whether ``name`` itself, as a directory, is one of them.

    Returns:
        Whether all is gone; otherwise it may be called again.

    Raises:
        OSError: Something cannot be removed.
    """
    try:
        top = os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return go_on(1)
    except OSError:
        if not _is_link(parent, name):
            raise
        os.unlink(name, dir_fd=parent)
        return go_on(1)
    try:
        while names := os.listdir(top):
            for below in names:
                if not _empty(top, os.fsencode(below), go_on):
                    return False
    finally:
        os.close(top)
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    return go_on(int(counted))


def _empty(top: int, name: bytes, go_on: GoOn) -> bool:
    """Remove one thing of ``top``; of a directory the files, its directories are moved up into ``top``."""
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=top)
    except FileNotFoundError:
        return True
    except OSError:  # a link, a file, or a directory that may not be read
        os.unlink(name, dir_fd=top)
        return go_on(1)
    removed = 0
    try:
        with os.scandir(directory) as entries:
            for number, entry in enumerate(entries, 1):
                below = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):  # it counts when it is removed itself
                    os.rename(below, secrets.token_hex(16).encode(), src_dir_fd=directory, dst_dir_fd=top)
                else:
                    os.unlink(below, dir_fd=directory)
                    removed += 1
                if number % _SLICE == 0:
                    if not go_on(removed):
                        return False
                    removed = 0
    finally:
        os.close(directory)
    try:
        os.rmdir(name, dir_fd=top)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # something came meanwhile, or was skipped as the listing changed under us: the next round finds it
    return go_on(removed + 1)


def _is_link(parent: int, name: bytes) -> bool:
    try:
        os.readlink(name, dir_fd=parent)
    except OSError:
        return False
    return True
