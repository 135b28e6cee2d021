"""The headers of a TAR archive, as bytes (POSIX.1-2017, ``pax`` utility: ustar and pax interchange formats). No I/O.

Every entry has a ustar header; a pax extended header stands before it only where ustar cannot say what is so. No byte
depends on content. Which fields are written how is fixed by what readers accept, see ``docs/tar.md``.
"""

from __future__ import annotations

import struct
import zlib

from pannier.archive.entries import Entry, Kind

BLOCK = 512
"""Everything in a TAR is a whole number of these."""

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_NAME_LENGTH = 100
_PREFIX_LENGTH = 155
_CHECKSUM = slice(148, 156)

_MAGIC = b"ustar\x0000"  # and the version, without a NUL between or behind
_ZERO = b"0000000\0"  # uid, gid, and the device numbers that nothing here has
_CHECKSUM_BLANK = b" " * 8
_OCTAL_LIMIT = 8**11
"""A field of 12 bytes holds 11 octal digits and a NUL: sizes below 8 GiB, times before 2242-03-16."""

_EXTENDED_NAME = b"././@PaxHeader"
_EXTENDED_MODE = 0o644


PLAIN_NAME = _NAME_LENGTH
"""Bytes of a name that need neither a prefix nor a pax record."""


def is_plain(size: int, mtime_ns: int) -> bool:
    """Whether size and time fit their fields of a ustar header."""
    return size < _OCTAL_LIMIT and 0 <= mtime_ns < _OCTAL_LIMIT * 1_000_000_000


def padding(size: int) -> int:
    """How many zeros follow ``size`` bytes of content."""
    return -size % BLOCK


def header_length(entry: Entry) -> int:
    """Length of ``header`` in bytes."""
    extended = pax_records(entry)
    return 2 * BLOCK + len(extended) + padding(len(extended)) if extended else BLOCK


def header(entry: Entry) -> bytes:
    """All that stands before the content of an entry: its ustar header, and a pax header before that where needed."""
    main = _main(entry)
    extended = pax_records(entry)
    if not extended:
        return main
    announced = _block(_EXTENDED_NAME, b"", _EXTENDED_MODE, len(extended), 0, b"x", b"")
    return b"".join((announced, extended, bytes(padding(len(extended))), main))


def pax_records(entry: Entry) -> bytes:
    """The records of an entry's pax header, in fixed order; empty where ustar says it all.

    A link's text that is no UTF-8 has a record only where it is too long for its field: then all records are declared
    to be plain bytes, as ``hdrcharset`` provides.
    """
    records = b""
    name, target = entry.name, entry.target
    if not name.isascii() or (len(name) > _NAME_LENGTH and _split(name) is None):
        records = pax_record(b"path", name)
    if target and entry.kind is Kind.LINK:
        too_long = len(target) > _NAME_LENGTH
        if not target.isascii() and not _is_utf8(target):
            if too_long:
                records = pax_record(b"hdrcharset", b"BINARY") + records + pax_record(b"linkpath", target)
        elif too_long or not target.isascii():
            records += pax_record(b"linkpath", target)
    if entry.size >= _OCTAL_LIMIT and entry.kind is Kind.FILE:
        records += pax_record(b"size", b"%d" % entry.size)
    seconds = entry.mtime_ns // 1_000_000_000
    if not 0 <= seconds < _OCTAL_LIMIT:
        records += pax_record(b"mtime", b"%d" % seconds)
    return records


def pax_record(keyword: bytes, value: bytes) -> bytes:
    """``"%d %s=%s\\n"``, where the number is the length of all of it, its own digits included."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(b"%d" % rest)
    length = rest + len(b"%d" % length)  # the digits themselves may have made one digit more
    return b"%d %s=%s\n" % (length, keyword, value)


def _main(entry: Entry) -> bytes:
    name, prefix, target, size = entry.name, b"", b"", 0
    if len(name) > _NAME_LENGTH:
        split = _split(name)
        prefix, name = (b"", _shortened(name)) if split is None else split
    if entry.kind is Kind.FILE:
        flag, size = b"0", entry.size
    elif entry.kind is Kind.DIRECTORY:
        flag = b"5"
    else:
        flag, target = b"2", entry.target  # its size is that of no content: 0
    return _block(name, prefix, entry.mode, size, entry.mtime_ns // 1_000_000_000, flag, target[:_NAME_LENGTH])


def _block(name: bytes, prefix: bytes, mode: int, size: int, mtime: int, flag: bytes, target: bytes) -> bytes:
    block = _HEADER.pack(
        name,
        b"%07o\0" % mode,
        _ZERO,
        _ZERO,
        _number(size),
        _number(mtime),
        _CHECKSUM_BLANK,
        flag,
        target,
        _MAGIC,
        b"",  # no names of user and group: ids of 0 mean the same everywhere
        b"",
        _ZERO,
        _ZERO,
        prefix,
    )
    return b"%s%06o\0 %s" % (block[: _CHECKSUM.start], header_checksum(block), block[_CHECKSUM.stop :])


def header_checksum(block: bytes) -> int:
    """The sum of a header's bytes, its own field as spaces.

    Adler-32 holds one more than the sum of its input, modulo 65,521, in its low half: all of it for 256 bytes, and
    several times faster than adding in Python.
    """
    return (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2


def _number(value: int) -> bytes:
    """A field of 12 bytes: octal, or where that does not fit base-256.

    The pax record counts then. GNU's base-256 is for readers that skip pax headers: with a 0 for the size they would
    take content for headers.
    """
    if 0 <= value < _OCTAL_LIMIT:
        return b"%011o\0" % value
    data = value.to_bytes(12, "big", signed=True)
    return bytes([data[0] | 0x80]) + data[1:]


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Split a name of over 100 bytes into ustar's prefix and name, at the first slash that does; None where none does.

    The slash at the end of a directory's name stays with the name.
    """
    at = name.find(b"/", max(len(name) - _NAME_LENGTH - 1, 1), len(name) - 1)
    return None if at < 0 or at > _PREFIX_LENGTH else (name[:at], name[at + 1 :])


def _shortened(name: bytes) -> bytes:
    """What stands in the name field where the pax record counts: a beginning that is whole characters, and inert."""
    cut = name[: _NAME_LENGTH - 1].decode("utf-8", "ignore").encode()
    cut = cut.rstrip(b"./") or b"_"  # a cut may not make "..", nor a directory of a file
    return cut + b"/" if name.endswith(b"/") else cut


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
