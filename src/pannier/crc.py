"""CRC-32 (IEEE) at memory speed: isal where the platform has it, else zlib."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable

_POLYNOMIAL = 0xEDB88320  # reflected, as everywhere in ZIP and gzip


def combined(first: int, second: int, second_length: int) -> int:
    """Return the CRC-32 of two runs of bytes one after the other, of their CRCs and the length of the second.

    In O(log n): appending n zero bytes is a linear map over GF(2), and doubling n squares it (as zlib's own
    ``crc32_combine``, which Python does not hand out).
    """
    if not second_length:
        return first
    step = [_POLYNOMIAL, *(1 << bit for bit in range(31))]  # one zero bit
    for _ in range(3):  # a zero byte is eight of them
        step = [_times(step, column) for column in step]
    while second_length:
        if second_length & 1:
            first = _times(step, first)
        second_length >>= 1
        if second_length:
            step = [_times(step, column) for column in step]
    return first ^ second


def _times(matrix: list[int], vector: int) -> int:
    product = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            product ^= column
        vector >>= 1
    return product


crc32: Callable[[bytes | memoryview, int], int]
crc32_combine: Callable[[int, int, int], int]
try:
    from isal import isal_zlib

    crc32 = isal_zlib.crc32
    crc32_combine = isal_zlib.crc32_combine
except ImportError:  # no wheel for this platform
    crc32 = zlib.crc32
    crc32_combine = combined


def crc32_each(contents: Iterable[bytes]) -> list[int]:
    """Return the CRC-32 of each."""
    return [crc32(content, 0) for content in contents]
