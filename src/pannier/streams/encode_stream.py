"""The bytes of a stored archive as one packed stream: gzip (RFC 1952) and Zstandard (RFC 8878)."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import zstandard

from pannier.crc import crc32, crc32_combine
from pannier.streams import deflate
from pannier.streams.base import FileSpan
from pannier.streams.encoder import Work
from pannier.streams.ordered import in_order

_GZIP_HEAD = b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"
"""Deflate, no name, no time (the bytes are of no certain moment), no certain system (2.3.1)."""

_ZSTD_BLOCK = 2 * 1024 * 1024
_ZSTD_LEVEL = 3

T = TypeVar("T")
Parts = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Packed:
    """A part of a gzip member, and what of its checksum and length it is."""

    data: bytes
    crc: int
    length: int


async def gzip_stream(work: Work) -> AsyncGenerator[bytes, None]:
    """One gzip member, of blocks that are packed side by side: many readers take only the first of several."""
    crc = length = 0
    head = _GZIP_HEAD
    async with aclosing(in_order(_calls(work, deflate.BLOCK, _gzip_block), work.packers, work.ahead)) as blocks:
        async for block in blocks:
            crc = crc32_combine(crc, block.crc, block.length)
            length += block.length
            yield head + block.data
            head = b""
    yield crc.to_bytes(4, "little") + (length & 0xFFFF_FFFF).to_bytes(4, "little")


async def zstd_stream(work: Work) -> AsyncGenerator[bytes, None]:
    """A frame for each block, one after the other, as section 3 has them; each with its size and a checksum."""
    async with aclosing(in_order(_calls(work, _ZSTD_BLOCK, _zstd_block), work.packers, work.ahead)) as frames:
        async for frame in frames:
            yield frame


def _gzip_block(parts: Parts, last: bool) -> _Packed:
    data = b"".join(parts)
    return _Packed(deflate.packed(data, last=last), crc32(data, 0), len(data))


def _zstd_block(parts: Parts, last: bool) -> bytes:
    return _threads.compressor.compress(b"".join(parts))


class _Threads(threading.local):
    """What each thread has of its own: its compressor, which serves one at a time."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)


_threads = _Threads()


async def _calls(work: Work, size: int, pack: Callable[[Parts, bool], T]) -> AsyncGenerator[Callable[[], T], None]:
    """Cut the bytes of the stored archive into blocks, each to be packed; all but the last are of one size."""
    parts: list[bytes] = []
    held = 0
    async with aclosing(_pieces(work, size)) as pieces:
        async for piece in pieces:
            while held + len(piece) >= size:
                cut = size - held
                yield partial(pack, [*parts, piece[:cut]], False)
                parts, held, piece = [], 0, piece[cut:]
            if piece:
                parts.append(piece)
                held += len(piece)
    yield partial(pack, parts, True)


async def _pieces(work: Work, size: int) -> AsyncGenerator[bytes, None]:
    """Give the bytes of the stored archive, none of them larger than ``size``."""
    async with aclosing(work.stored().read()) as items:
        async for item in items:
            if isinstance(item, bytes):
                yield item
                continue
            assert isinstance(item, FileSpan), "everything is read here"
            offset, stop = item.offset, item.offset + item.length
            while offset < stop:
                data = await work.readers.run(item.read, offset, min(size, stop - offset))
                if not data:
                    break  # the reader sees that less was fed than it asked for
                yield data
                offset += len(data)
