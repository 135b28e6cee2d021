"""CRC-32 (IEEE) at memory speed: isal where the platform has it, else zlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable

crc32: Callable[[bytes | memoryview, int], int]
try:
    from isal import isal_zlib

    crc32 = isal_zlib.crc32
except ImportError:  # no wheel for this platform
    import zlib

    crc32 = zlib.crc32


def crc32_each(contents: Iterable[bytes]) -> list[int]:
    """Return the CRC-32 of each."""
    return [crc32(content, 0) for content in contents]
