"""The records of a ZIP read back (PKWARE APPNOTE 6.3.10; section numbers are its). No I/O.

Of any writer's archive what a client needs; nothing here is trusted further than its own record says. What a record
leaves out, or contradicts itself in, is a ``ValueError`` with the reason.
"""

from __future__ import annotations

import struct
from calendar import timegm
from dataclasses import dataclass

from pannier.archive.entries import Kind
from pannier.archive.zip_records import LIMIT_16, LIMIT_32

LOCAL, CENTRAL, END, END_64, LOCATOR_64, DESCRIPTOR = (
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x07\x08",
)
"""The signatures that records begin with."""

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
LOCAL_LENGTH, CENTRAL_LENGTH, END_LENGTH, END_64_LENGTH, LOCATOR_64_LENGTH = 30, 46, 22, 56, 20
"""Bytes of each, without what varies."""

_ENCRYPTED, _DESCRIPTOR_FLAG = 1 << 0, 1 << 3
_ZIP64, _TIME = 0x0001, 0x5455
_UNIX = 3
_KINDS = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.LINK, 0: Kind.FILE}


@dataclass(frozen=True, slots=True)
class Header:
    """What the local header of an entry says (4.3.7).

    ``packed`` and ``size`` are bytes of the content as it is kept and as it is; with ``late`` the descriptor behind the
    content says them, and the checksum, and ``wide`` is whether it does so in 64 bits (4.3.9.2).
    """

    name: bytes
    method: int
    crc32: int
    packed: int
    size: int
    mtime: int
    late: bool
    wide: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """What the central directory says of an entry (4.3.12); ``offset`` is that of its local header."""

    name: bytes
    method: int
    crc32: int
    packed: int
    size: int
    mtime: int
    late: bool
    offset: int
    kind: Kind
    mode: int


@dataclass(frozen=True, slots=True)
class End:
    """What the end records say of the directory; all-ones of the short form are replaced by what the long one says."""

    entries: int
    length: int
    offset: int


def local_rest(fixed: bytes) -> tuple[int, int]:
    """Return how many bytes of name and of extra field follow the first ``LOCAL_LENGTH`` bytes."""
    return struct.unpack_from("<2H", fixed, 26)


def parse_local(fixed: bytes, name: bytes, extra: bytes) -> Header:
    """Read a local header.

    Raises:
        ValueError: It cannot be read in a stream.
    """
    _, _, flags, method, time, date, crc32, packed, size, _, _ = _LOCAL.unpack(fixed)
    _refuse_encrypted(flags)
    fields = _fields(extra)
    wide = _ZIP64 in fields
    if wide:
        # both or none in a local header (4.5.3)
        values = _numbers(fields[_ZIP64], (size == LIMIT_32) + (packed == LIMIT_32))
        size = values.pop(0) if size == LIMIT_32 else size
        packed = values.pop(0) if packed == LIMIT_32 else packed
    return Header(name, method, crc32, packed, size, _mtime(fields, time, date), bool(flags & _DESCRIPTOR_FLAG), wide)


def central_rest(fixed: bytes) -> tuple[int, int, int]:
    """Return how many bytes of name, extra field and comment follow the first ``CENTRAL_LENGTH`` bytes."""
    return struct.unpack_from("<3H", fixed, 28)


def parse_central(fixed: bytes, name: bytes, extra: bytes) -> Listed:
    """Read a header of the central directory.

    Raises:
        ValueError: It contradicts itself, or is of another kind than file, directory or link.
    """
    _, made_by, _, flags, method, time, date, crc32, packed, size, _, _, _, disk, _, attributes, offset = (
        _CENTRAL.unpack(fixed)
    )
    if disk:
        raise ValueError("it is one of several volumes")
    _refuse_encrypted(flags)
    fields = _fields(extra)
    full = [value == LIMIT_32 for value in (size, packed, offset)]
    if any(full) and _ZIP64 in fields:
        values = _numbers(fields[_ZIP64], sum(full))
        size, packed, offset = (
            values.pop(0) if long else value for long, value in zip(full, (size, packed, offset), strict=True)
        )
    unix = attributes >> 16 if made_by >> 8 == _UNIX else 0
    kind = Kind.DIRECTORY if name.endswith(b"/") else _KINDS.get(unix & 0o170000)
    if kind is None or (kind is Kind.DIRECTORY) != name.endswith(b"/"):
        raise ValueError("it is neither a file nor a directory nor a link")
    mtime = _mtime(fields, time, date)
    late = bool(flags & _DESCRIPTOR_FLAG)
    return Listed(name, method, crc32, packed, size, mtime, late, offset, kind, unix & 0o777)


def descriptor_length(wide: bool) -> int:
    """Return the length of a data descriptor, with the signature that all writers of today put before it (4.3.9.3)."""
    return 24 if wide else 16


def parse_descriptor(data: bytes) -> tuple[int, int, int]:
    """Return checksum, packed and whole size.

    Raises:
        ValueError: It is none, or lacks its signature.
    """
    form = "<4sIQQ" if len(data) == descriptor_length(wide=True) else "<4s3I"
    signature, crc32, packed, size = struct.unpack(form, data)
    if signature != DESCRIPTOR:
        raise ValueError("the descriptor behind its content is missing")
    return crc32, packed, size


def parse_end(records: bytes) -> End:
    """Read the end of an archive: all that stands behind the central directory.

    Raises:
        ValueError: It is no end, or has something behind it.
    """
    long = None
    if records.startswith(END_64) and len(records) >= END_64_LENGTH + LOCATOR_64_LENGTH + END_LENGTH:
        _, left, _, _, _, _, _, entries, length, offset = _END_64.unpack_from(records)
        long = End(entries, length, offset)
        if left != END_64_LENGTH - 12 or not records.startswith(LOCATOR_64, END_64_LENGTH):
            raise ValueError("its Zip64 end record has another form")
        records = records[END_64_LENGTH + LOCATOR_64_LENGTH :]
    if len(records) < END_LENGTH or not records.startswith(END):
        raise ValueError("it has no end record")
    _, disk, first, here, entries, length, offset, comment = _END.unpack_from(records)
    if len(records) != END_LENGTH + comment:
        raise ValueError("something stands behind its end")
    if disk or first or here != entries:
        raise ValueError("it is one of several volumes")
    if long is None:
        return End(entries, length, offset)
    short = ((entries, long.entries, LIMIT_16), (length, long.length, LIMIT_32), (offset, long.offset, LIMIT_32))
    if any(value not in (limit, said) for value, said, limit in short):
        raise ValueError("its two end records contradict each other")
    return long


def _refuse_encrypted(flags: int) -> None:
    if flags & _ENCRYPTED:
        raise ValueError("it is encrypted")


def _fields(extra: bytes) -> dict[int, bytes]:
    """Return the fields of an extra field; what is cut off at its end is none (4.5.1)."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4 + length
        if at <= len(extra):
            fields.setdefault(kind, extra[at - length : at])
    return fields


def _numbers(field: bytes, count: int) -> list[int]:
    if len(field) < 8 * count:
        raise ValueError("its Zip64 field is too short")
    return list(struct.unpack_from(f"<{count}Q", field))


def _mtime(fields: dict[int, bytes], time: int, date: int) -> int:
    """Return Unix seconds: of the extended timestamp, else of MS-DOS's, taken as UTC."""
    field = fields.get(_TIME, b"")
    if len(field) >= 5 and field[0] & 1:
        return int(struct.unpack_from("<i", field, 1)[0])
    year, month, day = 1980 + (date >> 9), max(1, min(12, date >> 5 & 15)), max(1, date & 31)
    return timegm((year, month, day, time >> 11, time >> 5 & 63, (time & 31) * 2))
