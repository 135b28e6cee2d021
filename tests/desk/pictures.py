"""Pictures that tests and screens show: made here, as PNG (W3C PNG third edition, section 11.2)."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable

Colour = tuple[int, int, int]


def png(width: int, height: int, colour: Callable[[int, int], Colour]) -> bytes:
    """Return a picture, by the colour of each pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + bytes(part for x in range(width) for part in colour(x, y)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def hills(width: int, height: int) -> bytes:
    """Return a picture of hills behind hills, in the evening."""
    ranges = [(0.42, 0.10, 2.1, (150, 178, 178)), (0.58, 0.09, 3.7, (88, 134, 128)), (0.76, 0.08, 5.3, (30, 84, 74))]

    def colour(x: int, y: int) -> Colour:
        across, down = x / width, y / height
        for level, high, waves, hill in reversed(ranges):
            if down > level - high * math.sin(across * waves * 2 + level * 9) * math.cos(across * waves):
                return hill
        light = 1 - down
        return (int(250 - 60 * light), int(214 - 20 * light), int(180 + 50 * light))

    return png(width, height, colour)
