"""Looking at the names in a directory, by this process or by another for it: what lstat(2) says, as columns."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, runtime_checkable

from pannier.volumes.base import RESERVED, Listing
from pannier.volumes.confine import open_beneath
from pannier.volumes.identities import pack_identities


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """The names in a directory, in byte order, and what lstat(2) says of each, as columns; made by any process.

    Attributes:
        modes, users, groups: ``array("I")``.
        sizes: ``array("Q")``.
        mtimes, ctimes: Nanoseconds since the epoch, ``array("q")``.
        identities: Of each that is a regular file, as one string.
    """

    names: list[bytes]
    modes: array[int]
    users: array[int]
    groups: array[int]
    sizes: array[int]
    mtimes: array[int]
    ctimes: array[int]
    identities: bytes


@runtime_checkable
class SharedFolder(Protocol):
    """A folder whose directories other processes can look at, too."""

    def root(self) -> int:
        """Return the descriptor by which they can, valid until ``close``."""

    def listing(self, source: bytes, looked: Looked, looked_ns: int) -> Listing:
        """Return what ``Folder.scan`` would, of a directory that was looked at by another process; errors as there."""


def look_at(directory: int, names: list[bytes]) -> Looked:
    """Return what lstat(2) says of names in a directory.

    Raises:
        OSError: One of them is gone, or cannot be looked at.
        OverflowError: One has times that 64 bits of nanoseconds do not reach.
    """
    lstat = os.lstat
    found = [lstat(name, dir_fd=directory) for name in names]
    sizes = array("Q", [status.st_size for status in found])
    mtimes = array("q", [status.st_mtime_ns for status in found])
    ctimes = array("q", [status.st_ctime_ns for status in found])
    return Looked(
        names,
        array("I", [status.st_mode for status in found]),
        array("I", [status.st_uid for status in found]),
        array("I", [status.st_gid for status in found]),
        sizes,
        mtimes,
        ctimes,
        pack_identities(array("Q", [status.st_ino for status in found]), sizes, mtimes, ctimes),
    )


def look_beneath(root: int, source: bytes, most: int) -> Looked | None:
    """Look at a directory below an open one, ``source`` a path without links; None if it holds more than ``most``.

    Raises:
        OSError, OverflowError: As of ``look_at``, or the directory cannot be opened or listed.
    """
    directory = open_beneath(root, source, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(directory) as entries:
            names = [os.fsencode(entry.name) for entry in islice(entries, most + 1)]
        if len(names) > most:
            return None
        if not source and RESERVED in names:
            names.remove(RESERVED)
        return look_at(directory, sorted(names))
    finally:
        os.close(directory)
