"""What an archive is made of: entries. No I/O in this package; paths and names are bytes, ``/``-separated, relative."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a thing in a folder is. The value is part of every ETag: never renumber."""

    FILE = 1
    DIRECTORY = 2
    LINK = 3
    SPECIAL = 4
    """A socket, FIFO or device: never part of an archive."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive, as planned.

    Attributes:
        path: Where it was found below the folder's root, links on the way included.
        name: Its entry name in the archive (``archive.names``); a directory's ends in ``/``.
        kind: FILE, DIRECTORY (only empty ones are entries) or LINK (only where links are stored).
        size: Bytes of content: the file's, or of the link's target; 0 for a directory.
        mtime_ns: Last modification, nanoseconds since the epoch, UTC.
        mode: Permission bits (0o777).
        identity: The volume's opaque name of *this content at this place*; it changes whenever the content may have.
        source: The path without any link in it, by which the volume opens it.
        target: The text of a stored link, else empty.
    """

    path: bytes
    name: bytes
    kind: Kind
    size: int
    mtime_ns: int
    mode: int
    identity: bytes
    source: bytes
    target: bytes = b""
