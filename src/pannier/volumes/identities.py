"""Identities of the ``inode`` scheme: what a file system says of a file, in 32 bytes; and their changes in words."""

from __future__ import annotations

import struct
import sys
from array import array

from pannier.archive.entries import Kind

_LAYOUT = struct.Struct(">QQQQ")
IDENTITY_LENGTH = _LAYOUT.size
_MASK = (1 << 64) - 1
_NOUNS = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.LINK: "symbolic link", Kind.SPECIAL: "special file"}


def pack_identity(inode: int, size: int, mtime_ns: int, ctime_ns: int) -> bytes:
    """Return the identity: inode, size in bytes, both times in nanoseconds since the epoch, big-endian.

    Times are taken modulo 2**64: some file systems hold years that 64 bits of nanoseconds do not reach. The device is
    not in it: its number depends on the order of mounting, and the volume's id stands for it.
    """
    return _LAYOUT.pack(inode & _MASK, size & _MASK, mtime_ns & _MASK, ctime_ns & _MASK)


def pack_identities(inodes: array[int], sizes: array[int], mtimes: array[int], ctimes: array[int]) -> bytes:
    """Return many identities as one string; all of 64 bits, times signed."""
    packed = array("Q", bytes(_LAYOUT.size * len(inodes)))
    for place, column in enumerate((inodes, sizes, mtimes, ctimes)):
        packed[place::4] = array("Q", column.tobytes())
    if sys.byteorder == "little":
        packed.byteswap()
    return packed.tobytes()


def change_between(before: bytes, after: bytes) -> str | None:
    """Say in words what happened to a file between two identities, None if nothing did."""
    if before == after:
        return None
    if len(before) != _LAYOUT.size or len(after) != _LAYOUT.size:
        return "replaced by another file"
    inode, size, mtime, _ = _LAYOUT.unpack(before)
    inode_now, size_now, mtime_now, _ = _LAYOUT.unpack(after)
    if inode != inode_now:
        return "replaced by another file"
    if size != size_now:
        return f"size {size} → {size_now} bytes"
    if mtime != mtime_now:
        return "modified"
    return "touched (its mode, owner, name or modification time was set)"


def now_is(kind: Kind) -> str:
    """Say in words that something of another kind has taken a file's place."""
    return f"is now a {_NOUNS[kind]}"
