"""DEFLATE (RFC 1951) of one run of bytes at a time, so that threads can pack many at once; blocking.

Every block begins and ends at a byte, so that blocks packed apart stand one after the other in one stream. What cannot
be packed is kept as it is, in stored blocks: no content grows by more than a thousandth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

BLOCK = 1024 * 1024
"""Bytes that are packed together: so many that what a block cannot refer to before it does not count."""

_SAMPLE = 64 * 1024
_WORTHWHILE = 0.95
"""A block whose first bytes do not get smaller than this is not packed."""
_LONGEST_STORED = 0xFFFF
_RAW = -15


class _Packer(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


def _zlib(level: int) -> _Packer:
    return zlib.compressobj(level, zlib.DEFLATED, _RAW)


_packer: Callable[[int], _Packer]
LEVEL = 2
"""Of isal; of the levels that are fast, the one that is within 4 % of zlib's default (``docs/formats.md``)."""
try:
    from isal import isal_zlib

    def _isal(level: int) -> _Packer:
        return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW)

    def _whole(data: bytes) -> bytes:
        return isal_zlib.compress(data, LEVEL, _RAW)

    _packer = _isal
except ImportError:  # no wheel for this platform

    def _whole(data: bytes) -> bytes:
        return zlib.compress(data, LEVEL, _RAW)

    _packer = _zlib


def packed_whole(data: bytes) -> bytes | None:
    """Return a whole stream; None where it would not be smaller than the data."""
    packed = _whole(data) if data else data
    return packed if len(packed) < len(data) else None


def packed(data: bytes, *, last: bool) -> bytes:
    """Return the blocks of a run of bytes; ``last`` ends the stream."""
    view = memoryview(data)
    packer = _packer(LEVEL)
    sample = packer.compress(view[:_SAMPLE]) + packer.flush(zlib.Z_SYNC_FLUSH)
    if len(sample) > _WORTHWHILE * min(len(data), _SAMPLE):
        return stored(data, last=last)
    rest = packer.compress(view[_SAMPLE:]) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return sample + rest if len(sample) + len(rest) < len(data) else stored(data, last=last)


def stored(data: bytes, *, last: bool) -> bytes:
    """Return a run of bytes as it is, in stored blocks (3.2.4)."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    for at in range(0, len(view) or 1, _LONGEST_STORED):
        part = view[at : at + _LONGEST_STORED]
        final = last and at + _LONGEST_STORED >= len(view)
        parts.append(
            final.to_bytes(1, "little") + len(part).to_bytes(2, "little") + (len(part) ^ 0xFFFF).to_bytes(2, "little")
        )
        parts.append(part)
    return b"".join(parts)
