"""A ZIP parser of the tests' own, stricter than any reader: it believes nothing that the writer's code says.

It reads the end records, then the directory, then every local header and data descriptor, and insists that both
headers of an entry agree, that everything lies in one row without a gap or an overlap, and that each field that may be
all-ones (APPNOTE 4.4.1.4) is so exactly when the Zip64 field holds its value. Content is never read: an archive may be
larger than any disk, as long as somebody can answer ``read(offset, length)``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

Read = Callable[[int, int], bytes]

ONES_16, ONES_32 = 0xFFFF, 0xFFFF_FFFF
DESCRIPTOR, UTF8 = 1 << 3, 1 << 11
ZIP64, TIME = 0x0001, 0x5455


@dataclass(frozen=True)
class Header:
    """What the two headers of an entry have in common, as it stands there: 32-bit fields may be all-ones."""

    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    compressed: int
    size: int
    name: bytes
    extras: tuple[tuple[int, bytes], ...]

    @property
    def extra_ids(self) -> list[int]:
        return [kind for kind, _ in self.extras]

    @property
    def modified(self) -> int | None:
        """Unix seconds, of the extra field 0x5455."""
        data = dict(self.extras).get(TIME)
        if data is None:
            return None
        flags, seconds = struct.unpack("<Bi", data)
        assert flags == 1
        return int(seconds)


@dataclass(frozen=True)
class Parsed:
    """One entry. ``content`` is half-open, ``stop`` is behind the descriptor if there is one."""

    local: Header
    central: Header
    made_by: int
    attributes: int
    offset: int
    size: int
    content: tuple[int, int]
    descriptor: tuple[int, int, int] | None
    """CRC-32 and both sizes."""
    stop: int

    @property
    def name(self) -> bytes:
        return self.central.name

    @property
    def crc(self) -> int:
        return self.central.crc


@dataclass(frozen=True)
class Archive:
    entries: tuple[Parsed, ...]
    directory: tuple[int, int]
    zip64_end: bool
    end: tuple[int, int, int]
    """Number of entries, directory length and offset as the old end record says: all-ones where they do not fit."""


def parse_bytes(data: bytes) -> Archive:
    return parse(lambda offset, length: data[offset : offset + length], len(data))


def parse_file(file: BinaryIO, length: int) -> Archive:
    def read(offset: int, wanted: int) -> bytes:
        file.seek(offset)
        return file.read(wanted)

    return parse(read, length)


def parse(read: Read, length: int) -> Archive:
    """Take an archive of ``length`` bytes apart; whatever is not as it should be is an AssertionError."""
    end_at = length - 22
    signature, disk, directory_disk, here, entries, directory_length, directory_offset, comment = struct.unpack(
        "<4s4H2IH", read(end_at, 22)
    )
    assert (signature, disk, directory_disk, comment) == (b"PK\x05\x06", 0, 0, 0)
    assert here == entries
    end = entries, directory_length, directory_offset
    directory_stop = end_at
    zip64 = end_at >= 20 and read(end_at - 20, 4) == b"PK\x06\x07"
    if zip64:
        _, locator_disk, directory_stop, disks = struct.unpack("<4sIQI", read(end_at - 20, 20))
        assert (locator_disk, disks, directory_stop) == (0, 1, end_at - 20 - 56)
        fields = struct.unpack("<4sQ2H2I4Q", read(directory_stop, 56))
        assert fields[:2] == (b"PK\x06\x06", 44)
        assert fields[2] >> 8 == 3
        assert fields[3:6] == (45, 0, 0)
        assert fields[6] == fields[7]
        for short, whole, ones in zip(end, fields[7:], (ONES_16, ONES_32, ONES_32), strict=True):
            assert short == min(whole, ones)
        entries, directory_length, directory_offset = fields[7:]
    assert zip64 == (entries >= ONES_16 or directory_length >= ONES_32 or directory_offset >= ONES_32)
    assert directory_offset + directory_length == directory_stop
    found: list[Parsed] = []
    at, local_at = directory_offset, 0
    for _ in range(entries):
        entry, at = _entry(read, at)
        assert entry.offset == local_at, "local headers lie in the order of the directory, without a gap"
        local_at = entry.stop
        found.append(entry)
    assert at == directory_stop
    assert local_at == directory_offset
    return Archive(tuple(found), (directory_offset, directory_stop), zip64, end)


def _entry(read: Read, at: int) -> tuple[Parsed, int]:
    signature, made_by, *common, comment, disk, internal, attributes, offset = struct.unpack(
        "<4s6H3I5H2I", read(at, 46)
    )
    assert (signature, comment, disk, internal) == (b"PK\x01\x02", 0, 0, 0)
    central, stop = _header(read, at + 46, common)
    wide = _zip64(central)
    sizes = [wide.pop(0) if field == ONES_32 else field for field in (central.size, central.compressed)]
    if offset == ONES_32:
        offset = wide.pop(0)
        assert offset >= ONES_32
    assert not wide, "a Zip64 field holds what overflowed, and nothing else (4.5.3)"
    size = sizes[0]
    assert sizes == [size, size]
    assert (central.size == ONES_32) == (size >= ONES_32)

    signature, *common = struct.unpack("<4s5H3I2H", read(offset, 30))
    assert signature == b"PK\x03\x04"
    local, content_at = _header(read, offset + 30, common)
    wide = _zip64(local)
    assert wide == ([size, size] if local.size == ONES_32 else [])
    assert local.size == local.compressed == min(size, ONES_32)
    same = ("flags", "method", "time", "date", "name")
    assert [getattr(local, field) for field in same] == [getattr(central, field) for field in same]
    local_version = 45 if size >= ONES_32 else 20
    assert local.version == local_version
    assert central.version == (45 if offset >= ONES_32 else local_version)

    content = content_at, content_at + size
    descriptor: tuple[int, int, int] | None = None
    entry_stop = content[1]
    if central.flags & DESCRIPTOR:
        signature, crc, compressed, uncompressed = struct.unpack("<4sIQQ", read(content[1], 24))
        assert signature == b"PK\x07\x08"
        assert (crc, compressed, uncompressed) == (central.crc, size, size)
        assert local.crc == 0
        descriptor = crc, compressed, uncompressed
        entry_stop += 24
    else:
        assert local.crc == central.crc
    return Parsed(local, central, made_by, attributes, offset, size, content, descriptor, entry_stop), stop


def _header(read: Read, at: int, fields: list[int]) -> tuple[Header, int]:
    *fixed, name_length, extra_length = fields
    name = read(at, name_length)
    extra = read(at + name_length, extra_length)
    assert (len(name), len(extra)) == (name_length, extra_length)
    extras = []
    while extra:
        kind, length = struct.unpack_from("<2H", extra)
        assert len(extra) >= 4 + length
        extras.append((kind, extra[4 : 4 + length]))
        extra = extra[4 + length :]
    assert len({kind for kind, _ in extras}) == len(extras)
    version, flags, method, time, date, crc, compressed, size = fixed
    header = Header(version, flags, method, time, date, crc, compressed, size, name, tuple(extras))
    return header, at + name_length + extra_length


def _zip64(header: Header) -> list[int]:
    if ZIP64 not in header.extra_ids:
        return []
    assert header.extra_ids[0] == ZIP64, "Zip64 comes first: some readers look nowhere else"
    data = header.extras[0][1]
    return list(struct.unpack(f"<{len(data) // 8}Q", data))
