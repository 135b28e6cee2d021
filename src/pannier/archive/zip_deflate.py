"""The records of a ZIP with packed content, as bytes (PKWARE APPNOTE 6.3.10; section numbers are its). No I/O.

What is small is packed before its header is written, which so says it all. What is large is packed while it is sent:
its header says nothing of checksum and sizes, a data descriptor behind its content does. Readers that stream take that
for packed entries only, so a large one is always "deflated", if need be in blocks that hold it as it is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pannier.archive import zip_records as records
from pannier.archive.entries import Entries, Entry
from pannier.archive.zip_records import DEFLATED, Packed

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_DESCRIPTOR = struct.Struct("<4s3I")
_DESCRIPTOR_64 = struct.Struct("<4sIQQ")
_ZIP64 = struct.Struct("<2H2Q")

_FLAG_DESCRIPTOR = 1 << 3
_FLAG_UTF8 = 1 << 11
_VERSION_DEFLATE, _VERSION_ZIP64 = 20, 45
_MADE_BY = (3 << 8) | _VERSION_ZIP64


def is_wide(size: int) -> bool:
    """Whether a large entry has 64-bit sizes in its header and descriptor: it, or what it is packed to, may need them.

    What cannot be packed grows by less than a thousandth (``streams.deflate.packed``).
    """
    return records.needs_zip64(size + size // 1_000)


def local_headers(
    names: Sequence[bytes], sizes: Sequence[int], mtimes: Sequence[int], checksums: Sequence[int], packed: Packed
) -> list[bytes]:
    """The headers of entries that are packed already; sizes below 4 GiB, times in nanoseconds (4.3.7)."""
    if _all_plain(sizes, mtimes):
        return records.plain_local_headers(names, sizes, mtimes, checksums, packed)
    made = []
    for name, size, mtime_ns, crc32, method, length in zip(names, sizes, mtimes, checksums, *packed, strict=True):
        seconds = mtime_ns // 1_000_000_000
        time, date = records.dos_time(seconds)
        extra = records.time_extra(seconds)
        flags = 0 if name.isascii() else _FLAG_UTF8
        head = _LOCAL.pack(
            b"PK\x03\x04",
            _VERSION_DEFLATE,
            flags,
            method,
            time,
            date,
            crc32,
            length,
            size,
            len(name),
            len(extra),
        )
        made.append(head + name + extra)
    return made


def central_headers(
    entries: Entries, numbers: range, checksums: Sequence[int], packed: Packed, offsets: Sequence[int]
) -> bytes | None:
    """``central_header`` of consecutive entries, none of them packed while it was sent; None if one is odd."""
    start, stop = numbers.start, numbers.stop
    sizes, mtimes = entries.sizes[start:stop], entries.mtimes[start:stop]
    if not _all_plain(sizes, mtimes) or records.needs_zip64(max(max(packed[1]), offsets[-1])):
        return None
    names, kinds, modes = entries.names(start, stop), entries.kinds[start:stop], entries.modes[start:stop]
    return records.plain_central_headers(
        names, kinds, sizes, mtimes, modes, checksums, offsets, far=False, packed=packed
    )


def _all_plain(sizes: Sequence[int], mtimes: Sequence[int]) -> bool:
    return records.is_plain(max(sizes), min(mtimes)) and records.is_plain(0, max(mtimes))


def late_header(entry: Entry) -> bytes:
    """The header of an entry that is packed while it is sent (4.4.4, bit 3).

    Its Zip64 field tells readers in a pipe that the descriptor has 64-bit sizes; it holds none itself (4.3.9.2).
    """
    wide = is_wide(entry.size)
    extra = _ZIP64.pack(0x0001, 16, 0, 0) if wide else b""
    extra += records.time_extra(entry.mtime_ns // 1_000_000_000)
    time, date = records.dos_time(entry.mtime_ns // 1_000_000_000)
    size = records.LIMIT_32 if wide else 0
    version, flags = _VERSION_ZIP64 if wide else _VERSION_DEFLATE, _flags(entry) | _FLAG_DESCRIPTOR
    head = _LOCAL.pack(b"PK\x03\x04", version, flags, DEFLATED, time, date, 0, size, size, len(entry.name), len(extra))
    return head + entry.name + extra


def descriptor(entry: Entry, crc32: int, packed: int) -> bytes:
    """What follows the content of such an entry, with its signature (4.3.9)."""
    if is_wide(entry.size):
        return _DESCRIPTOR_64.pack(b"PK\x07\x08", crc32, packed, entry.size)
    return _DESCRIPTOR.pack(b"PK\x07\x08", crc32, packed, entry.size)


def central_header(entry: Entry, method: int, crc32: int, packed: int, offset: int, *, late: bool) -> bytes:
    """A central directory header (4.3.12); in the Zip64 field only what overflowed, in the order of 4.5.3."""
    wide = [value for value in (entry.size, packed, offset) if records.needs_zip64(value)]
    extra = struct.pack(f"<2H{len(wide)}Q", 0x0001, 8 * len(wide), *wide) if wide else b""
    extra += records.time_extra(entry.mtime_ns // 1_000_000_000)
    time, date = records.dos_time(entry.mtime_ns // 1_000_000_000)
    head = _CENTRAL.pack(
        b"PK\x01\x02",
        _MADE_BY,
        _VERSION_ZIP64 if wide or (late and is_wide(entry.size)) else _VERSION_DEFLATE,
        _flags(entry) | (_FLAG_DESCRIPTOR if late else 0),
        method,
        time,
        date,
        crc32,
        min(packed, records.LIMIT_32),
        min(entry.size, records.LIMIT_32),
        len(entry.name),
        len(extra),
        0,  # no comment
        0,  # disk
        0,  # internal attributes
        records.attributes(entry),
        min(offset, records.LIMIT_32),
    )
    return head + entry.name + extra


def _flags(entry: Entry) -> int:
    return 0 if entry.name.isascii() else _FLAG_UTF8
