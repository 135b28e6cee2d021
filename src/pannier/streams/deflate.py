"""DEFLATE (RFC 1951) of one run of bytes at a time, so that threads can pack many at once; blocking.

Every block begins and ends at a byte, so that blocks packed apart stand one after the other in one stream. What cannot
be packed is kept as it is, in stored blocks: no content grows by more than a thousandth.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

BLOCK = 1024 * 1024
"""Bytes that are packed together: so many that what a block cannot refer to before it does not count."""

LEVEL = 2
"""Of isal: of its fast levels the one that comes within 4 % of zlib's default (``docs/formats.md``)."""
_SAMPLE = 32 * 1024
_WORTHWHILE = 0.95
"""Content of which a sample does not get smaller than this is kept as it is."""
_PIECE = 64 * 1024
_WINDOW = 32 * 1024
"""Bytes before its own that a piece may refer to (section 2)."""
_NOTHING = memoryview(b"")
_LONGEST_STORED = 0xFFFF
_RAW = -15


class _Packer(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...
    def flush(self, mode: int = ..., /) -> bytes: ...


def _zlib(level: int, before: memoryview) -> _Packer:
    if not before:
        return zlib.compressobj(level, zlib.DEFLATED, _RAW)
    return zlib.compressobj(level, zlib.DEFLATED, _RAW, zdict=before)


_packer: Callable[[int, memoryview], _Packer]
try:
    from isal import isal_zlib

    def _isal(level: int, before: memoryview) -> _Packer:
        if not before:
            return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW)
        return isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW, zdict=before)

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
    """Return the blocks of a run of bytes; ``last`` ends the stream.

    What both ends of the run say of it decides how it is kept; where they differ, as on the border of two files of a
    TAR, each piece of it decides for itself.
    """
    view = memoryview(data)
    packer = _packer(LEVEL, _NOTHING)
    sample = packer.compress(view[:_SAMPLE]) + packer.flush(zlib.Z_SYNC_FLUSH)
    begins = _is_worthwhile(len(sample), min(len(view), _SAMPLE))
    ends = begins if len(view) <= 2 * _SAMPLE else _shrinks(view[-_SAMPLE:])
    if begins is not ends:
        return b"".join(_pieces(view, last=last))
    if not begins:
        return stored(view, last=last)
    rest = packer.compress(view[_SAMPLE:]) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return sample + rest if len(sample) + len(rest) < len(view) else stored(view, last=last)


def _pieces(view: memoryview, *, last: bool) -> Iterator[bytes]:
    for start in range(0, len(view), _PIECE):
        piece = view[start : start + _PIECE]
        final = last and start + _PIECE >= len(view)
        packer = _packer(LEVEL, view[max(0, start - _WINDOW) : start])
        made = packer.compress(piece) + packer.flush(zlib.Z_FINISH if final else zlib.Z_SYNC_FLUSH)
        yield made if len(made) < len(piece) else stored(piece, last=final)


def _shrinks(view: memoryview) -> bool:
    packer = _packer(LEVEL, _NOTHING)
    return _is_worthwhile(len(packer.compress(view)) + len(packer.flush(zlib.Z_FINISH)), len(view))


def _is_worthwhile(packed: int, whole: int) -> bool:
    return packed <= _WORTHWHILE * whole


def stored(data: bytes | memoryview, *, last: bool) -> bytes:
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
