"""The records of a ZIP archive, as bytes (PKWARE APPNOTE 6.3.10; section numbers below are its). No I/O.

Every record that holds a CRC-32 of content is made with zeros in its place; ``zip`` cuts that field out as late bytes.
Which fields and flags are written is fixed by what readers accept, see ``docs/zip.md``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

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

# The same with what plain entries have in common as one field, and time and date as one: packing is what takes time.
_PLAIN_LOCAL = struct.Struct("<10s4I2H")
_PLAIN_CENTRAL = struct.Struct("<12s4IH12sI")
_PLAIN_TIME = struct.Struct("<5sI")
_FAR_EXTRA = struct.Struct("<4sQ")

Packed = tuple[Sequence[int], Sequence[int]]
"""The method of each of many entries, and how many bytes its content has as it is kept."""

DESCRIPTOR_LENGTH = _DESCRIPTOR_64.size

STORED, DEFLATED = 0, 8
"""Methods (4.4.5)."""
_VERSION_PLAIN = 20  # directories and plain stored files; some old readers refuse less (4.4.3.2)
_VERSION_ZIP64 = 45
_MADE_BY = (3 << 8) | _VERSION_ZIP64  # host 3: Unix, so that the mode in the external attributes counts (4.4.2)
_FLAG_DESCRIPTOR = 1 << 3
_FLAG_UTF8 = 1 << 11
_DOS_DIRECTORY = 0x10
_TYPE_BITS = {Kind.FILE: 0o100000, Kind.DIRECTORY: 0o040000, Kind.LINK: 0o120000}

_DOS_FIRST = 315_532_800  # 1980-01-01T00:00:00Z
_DOS_LAST = 4_354_819_198  # 2107-12-31T23:59:58Z


_DAY = 86_400
_NANOSECONDS = 1_000_000_000
_UNIX_YEARS = (1 << 31) * _NANOSECONDS

PLAIN_LOCAL_LENGTH = _LOCAL.size + _TIME_EXTRA.size
PLAIN_CENTRAL_LENGTH = _CENTRAL.size + _TIME_EXTRA.size
FAR_CENTRAL_LENGTH = PLAIN_CENTRAL_LENGTH + 12
"""Lengths of the headers of a plain entry (``is_plain``) beside its name; far: at an offset that needs Zip64."""


def dos_time(mtime: int) -> tuple[int, int]:
    """Return MS-DOS time and date of a Unix time in seconds, in UTC, clamped to 1980-2107 (4.4.6).

    UTC, because the bytes must not depend on the server's zone; readers that know 0x5455 use that instead.
    """
    stamp = _dos_stamp(mtime)
    return stamp & 0xFFFF, stamp >> 16


def _dos_stamp(mtime: int) -> int:
    """Both in one number, the date above."""
    day, second = divmod(min(max(mtime, _DOS_FIRST), _DOS_LAST), _DAY)
    minute = second // 60
    return _dos_date(day) | minute // 60 << 11 | minute % 60 << 5 | second % 60 >> 1


@lru_cache(maxsize=4096)
def _dos_date(day: int) -> int:
    at = datetime.fromtimestamp(day * _DAY, UTC)
    return (at.year - 1980 << 9 | at.month << 5 | at.day) << 16


def needs_zip64(size: int) -> bool:
    """Whether a size or an offset does not fit a 32-bit field."""
    return size >= LIMIT_32


def is_plain(size: int, mtime_ns: int) -> bool:
    """Whether an entry's headers need nothing unusual: no Zip64 field, and a time that all readers understand alike."""
    return size < LIMIT_32 and 0 <= mtime_ns < _UNIX_YEARS


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


def local_header(entry: Entry, *, descriptor: bool, crc32: int = 0) -> bytes:
    """A local file header (4.3.7). ``descriptor``: the CRC follows the content (4.3.9), not this header."""
    extra = local_extra(entry)
    version, flags, size = _common(entry, needs_zip64(entry.size), descriptor)
    time, date = dos_time(entry.mtime_ns // 1_000_000_000)
    crc = known_crc(entry) or crc32
    header = _LOCAL.pack(
        b"PK\x03\x04", version, flags, STORED, time, date, crc, size, size, len(entry.name), len(extra)
    )
    return header + entry.name + extra


def plain_local_header(name: bytes, size: int, mtime_ns: int, crc32: int) -> bytes:
    """``local_header`` of a plain entry without a descriptor, its checksum in it."""
    seconds = mtime_ns // _NANOSECONDS
    head = _PLAIN_LOCAL.pack(_LOCAL_HEADS[STORED][name.isascii()], _dos_stamp(seconds), crc32, size, size, len(name), 9)
    return head + name + _PLAIN_TIME.pack(_TIME_HEAD, seconds)


def plain_local_headers(
    names: Sequence[bytes],
    sizes: Sequence[int],
    mtimes: Sequence[int],
    checksums: Sequence[int],
    packed: Packed | None = None,
) -> list[bytes]:
    """``plain_local_header`` of many; stored, or ``packed``."""
    pack, stamp_of = _PLAIN_LOCAL.pack, _dos_stamp
    before, stamp, extra = -1, 0, b""
    headers: list[bytes] = []
    add = headers.append
    methods, lengths = _methods_and_lengths(sizes, packed)
    for name, size, mtime_ns, crc32, method, length in zip(
        names, sizes, mtimes, checksums, methods, lengths, strict=True
    ):
        seconds = mtime_ns // _NANOSECONDS
        if seconds != before:
            before, stamp, extra = seconds, stamp_of(seconds), _PLAIN_TIME.pack(_TIME_HEAD, seconds)
        head = _LOCAL_HEADS[method][name.isascii()]
        add(pack(head, stamp, crc32, length, size, len(name), 9) + name + extra)
    return headers


def plain_central_headers(
    names: Sequence[bytes],
    kinds: Sequence[int],
    sizes: Sequence[int],
    mtimes: Sequence[int],
    modes: Sequence[int],
    checksums: Sequence[int],
    offsets: Sequence[int],
    *,
    far: bool,
    packed: Packed | None = None,
) -> bytes:
    """``central_header`` of many plain entries without descriptors, checksums in them; stored, or ``packed``.

    ``far``: all their offsets need Zip64; else none does.
    """
    pack, stamp_of = _PLAIN_CENTRAL.pack, _dos_stamp
    heads, attributes = _CENTRAL_FAR if far else _CENTRAL_NEAR
    methods, lengths = _methods_and_lengths(sizes, packed)
    before, stamp, extra = -1, 0, b""
    parts: list[bytes] = []
    add = parts.append
    for name, kind, size, mtime_ns, mode, crc32, offset, method, length in zip(
        names, kinds, sizes, mtimes, modes, checksums, offsets, methods, lengths, strict=True
    ):
        seconds = mtime_ns // _NANOSECONDS
        if seconds != before:
            before, stamp, extra = seconds, stamp_of(seconds), _PLAIN_TIME.pack(_TIME_HEAD, seconds)
        head = heads[method][name.isascii()]
        field = LIMIT_32 if far else offset
        add(pack(head, stamp, crc32, length, size, len(name), attributes[kind][mode], field))
        add(name)
        add(_FAR_EXTRA.pack(_FAR_HEAD, offset) + extra if far else extra)
    return b"".join(parts)


def descriptor(entry: Entry, crc32: int = 0) -> bytes:
    """A Zip64 data descriptor with its signature (4.3.9.2 and 4.3.9.3)."""
    return _DESCRIPTOR_64.pack(b"PK\x07\x08", crc32, entry.size, entry.size)


def central_extra(entry: Entry, offset: int) -> bytes:
    """The extra field of a central header: only what overflowed, sizes before the offset (4.5.3)."""
    values: tuple[int, ...] = (entry.size, entry.size) if needs_zip64(entry.size) else ()
    if needs_zip64(offset):
        values += (offset,)
    return (_zip64_extra(*values) if values else b"") + _time_extra(entry.mtime_ns // 1_000_000_000)


def central_length(entry: Entry, offset: int) -> int:
    """Length of ``central_header`` in bytes."""
    return _CENTRAL.size + len(entry.name) + len(central_extra(entry, offset))


def central_header(entry: Entry, offset: int, *, descriptor: bool, crc32: int = 0) -> bytes:
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
        STORED,
        time,
        date,
        known_crc(entry) or crc32,
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


def _methods_and_lengths(sizes: Sequence[int], packed: Packed | None) -> Packed:
    return (bytes(len(sizes)), sizes) if packed is None else packed


def _heads(signature: bytes, *versions: int) -> dict[int, tuple[bytes, bytes]]:
    """What headers of plain entries begin with, by method; then for names that are not ASCII, and that are."""
    form = struct.Struct(f"<{len(versions) + 2}H")
    return {
        method: (
            signature + form.pack(*versions, _FLAG_UTF8, method),
            signature + form.pack(*versions, 0, method),
        )
        for method in (STORED, DEFLATED)
    }


def _attributes(extra: int) -> dict[int, list[bytes]]:
    """The fields of a central header from the length of the extra field to the attributes, by kind and mode."""
    return {
        kind.value: [
            struct.pack("<4HI", extra, 0, 0, 0, (bits | mode) << 16 | _DOS_DIRECTORY * (kind is Kind.DIRECTORY))
            for mode in range(0o1000)
        ]
        for kind, bits in _TYPE_BITS.items()
    }


_LOCAL_HEADS = _heads(b"PK\x03\x04", _VERSION_PLAIN)
_CENTRAL_NEAR = _heads(b"PK\x01\x02", _MADE_BY, _VERSION_PLAIN), _attributes(_TIME_EXTRA.size)
_CENTRAL_FAR = _heads(b"PK\x01\x02", _MADE_BY, _VERSION_ZIP64), _attributes(_TIME_EXTRA.size + _FAR_EXTRA.size)
_TIME_HEAD = struct.pack("<2HB", 0x5455, 5, 1)
_FAR_HEAD = struct.pack("<2H", 0x0001, 8)
