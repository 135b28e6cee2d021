"""The records of a ZIP archive, as bytes (PKWARE APPNOTE 6.3.10; section numbers below are its). No I/O.

Every record that holds a CRC-32 of content is made with zeros in its place; ``zip`` cuts that field out as late bytes.
Which fields and flags are written is fixed by what readers accept, see ``docs/zip.md``.
"""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime

from pannier.archive.entries import Entry, Kind

LIMIT_32 = 0xFFFF_FFFF
"""A 32-bit field with this value means: look into the Zip64 field (4.4.8)."""
LIMIT_16 = 0xFFFF
"""The same for the numbers of entries (4.4.21)."""

LOCAL_CRC_AT = 14
CENTRAL_CRC_AT = 16
DESCRIPTOR_CRC_AT = 4

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_DESCRIPTOR_64 = struct.Struct("<4sIQQ")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_TIME_EXTRA = struct.Struct("<2HBi")

DESCRIPTOR_LENGTH = _DESCRIPTOR_64.size

_STORED = 0
_VERSION_PLAIN = 20  # directories and plain stored files; some old readers refuse less (4.4.3.2)
_VERSION_ZIP64 = 45
_MADE_BY = (3 << 8) | _VERSION_ZIP64  # host 3: Unix, so that the mode in the external attributes counts (4.4.2)
_FLAG_DESCRIPTOR = 1 << 3
_FLAG_UTF8 = 1 << 11
_DOS_DIRECTORY = 0x10
_TYPE_BITS = {Kind.FILE: 0o100000, Kind.DIRECTORY: 0o040000, Kind.LINK: 0o120000}

_DOS_FIRST = 315_532_800  # 1980-01-01T00:00:00Z
_DOS_LAST = 4_354_819_198  # 2107-12-31T23:59:58Z


def dos_time(mtime: int) -> tuple[int, int]:
    """Return MS-DOS time and date of a Unix time in seconds, in UTC, clamped to 1980-2107 (4.4.6).

    UTC, because the bytes must not depend on the server's zone; readers that know 0x5455 use that instead.
    """
    at = datetime.fromtimestamp(min(max(mtime, _DOS_FIRST), _DOS_LAST), UTC)
    return (at.hour << 11) | (at.minute << 5) | (at.second >> 1), ((at.year - 1980) << 9) | (at.month << 5) | at.day


def needs_zip64(size: int) -> bool:
    """Whether a size or an offset does not fit a 32-bit field."""
    return size >= LIMIT_32


def _time_extra(mtime: int) -> bytes:
    # Info-ZIP's extended timestamp: flags say mtime only. Its 32 bits are signed, but 7-Zip and bsdtar read a time
    # before 1970 as one after 2038: where readers would differ it is left out, and the DOS time stands alone.
    if 0 <= mtime < 1 << 31:
        return _TIME_EXTRA.pack(0x5455, 5, 1, mtime)
    return b""


def _zip64_extra(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", 0x0001, 8 * len(values), *values)


def local_extra(entry: Entry) -> bytes:
    """The extra field of a local header; Zip64 first, and only where the size needs it (4.5.3)."""
    zip64 = _zip64_extra(entry.size, entry.size) if needs_zip64(entry.size) else b""
    return zip64 + _time_extra(entry.mtime_ns // 1_000_000_000)


def local_length(entry: Entry) -> int:
    """Length of ``local_header`` in bytes."""
    return _LOCAL.size + len(entry.name) + len(local_extra(entry))


def local_header(entry: Entry, *, descriptor: bool) -> bytes:
    """A local file header (4.3.7). ``descriptor``: the CRC follows the content (4.3.9), not this header."""
    extra = local_extra(entry)
    version, flags, size = _common(entry, needs_zip64(entry.size), descriptor)
    time, date = dos_time(entry.mtime_ns // 1_000_000_000)
    crc = known_crc(entry)
    header = _LOCAL.pack(
        b"PK\x03\x04", version, flags, _STORED, time, date, crc, size, size, len(entry.name), len(extra)
    )
    return header + entry.name + extra


def descriptor(entry: Entry) -> bytes:
    """A Zip64 data descriptor with its signature (4.3.9.2 and 4.3.9.3)."""
    return _DESCRIPTOR_64.pack(b"PK\x07\x08", 0, entry.size, entry.size)


def central_extra(entry: Entry, offset: int) -> bytes:
    """The extra field of a central header: only what overflowed, sizes before the offset (4.5.3)."""
    values: tuple[int, ...] = (entry.size, entry.size) if needs_zip64(entry.size) else ()
    if needs_zip64(offset):
        values += (offset,)
    return (_zip64_extra(*values) if values else b"") + _time_extra(entry.mtime_ns // 1_000_000_000)


def central_length(entry: Entry, offset: int) -> int:
    """Length of ``central_header`` in bytes."""
    return _CENTRAL.size + len(entry.name) + len(central_extra(entry, offset))


def central_header(entry: Entry, offset: int, *, descriptor: bool) -> bytes:
    """A central directory header for an entry whose local header lies at ``offset`` (4.3.12)."""
    extra = central_extra(entry, offset)
    version, flags, size = _common(entry, needs_zip64(entry.size) or needs_zip64(offset), descriptor)
    time, date = dos_time(entry.mtime_ns // 1_000_000_000)
    attributes = (_TYPE_BITS[entry.kind] | entry.mode) << 16
    if entry.kind is Kind.DIRECTORY:
        attributes |= _DOS_DIRECTORY
    header = _CENTRAL.pack(
        b"PK\x01\x02",
        _MADE_BY,
        version,
        flags,
        _STORED,
        time,
        date,
        known_crc(entry),
        size,
        size,
        len(entry.name),
        len(extra),
        0,  # no comment
        0,  # disk
        0,  # internal attributes
        attributes,
        min(offset, LIMIT_32),
    )
    return header + entry.name + extra


def time_extra(mtime: int) -> bytes:
    """The extended timestamp of a Unix time in seconds; empty where readers would understand it differently."""
    return _time_extra(mtime)


def attributes(entry: Entry) -> int:
    """The external attributes: what it is and its mode as on Unix, and MS-DOS's bit of a directory (4.4.15)."""
    unix = (_TYPE_BITS[entry.kind] | entry.mode) << 16
    return unix | _DOS_DIRECTORY if entry.kind is Kind.DIRECTORY else unix


def end_records(entries: int, directory_offset: int, directory_length: int) -> bytes:
    """The end of the central directory (4.3.16), preceded by its Zip64 form and locator only where needed (4.3.14)."""
    end = _END.pack(
        b"PK\x05\x06",
        0,
        0,
        min(entries, LIMIT_16),
        min(entries, LIMIT_16),
        min(directory_length, LIMIT_32),
        min(directory_offset, LIMIT_32),
        0,
    )
    if entries < LIMIT_16 and not needs_zip64(directory_length) and not needs_zip64(directory_offset):
        return end
    zip64 = _END_64.pack(
        b"PK\x06\x06",
        _END_64.size - 12,  # the length of what follows this field (4.3.14.1)
        _MADE_BY,
        _VERSION_ZIP64,
        0,
        0,
        entries,
        entries,
        directory_length,
        directory_offset,
    )
    locator = _LOCATOR_64.pack(b"PK\x06\x07", 0, directory_offset + directory_length, 1)
    return zip64 + locator + end


def known_crc(entry: Entry) -> int:
    """The CRC-32 that follows from the plan alone: of a stored link's target; 0 for the empty and the unknown."""
    return zlib.crc32(entry.target) if entry.kind is Kind.LINK else 0


def _common(entry: Entry, zip64: bool, descriptor: bool) -> tuple[int, int, int]:
    """Version needed, flags and the 32-bit size field."""
    flags = 0 if entry.name.isascii() else _FLAG_UTF8
    if descriptor:
        flags |= _FLAG_DESCRIPTOR
    return (_VERSION_ZIP64 if zip64 else _VERSION_PLAIN), flags, min(entry.size, LIMIT_32)
