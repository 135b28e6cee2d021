"""Archives larger than one cares to store: files whose content is zeros between a few bytes at either edge, as holes.

A layout is written segment by segment; what is zero is not written but skipped, so a file of many gibibytes takes a few
blocks of the disk. Its checksums are computed from the number of zeros, not from the zeros.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

from pannier.archive.entries import Entry
from pannier.archive.layout import Content, Late, Layout, Literal
from pannier.window import Window

EDGE = 64


def edges(entry: Entry) -> tuple[bytes, bytes]:
    """The bytes that a file begins and ends with: its name, again and again; only the first for a small file."""
    pattern = (entry.name + b"|") * EDGE
    if entry.size <= 2 * EDGE:
        return pattern[: entry.size], b""
    return pattern[:EDGE], pattern[-EDGE:]


def content(entry: Entry, window: Window) -> bytes:
    """The bytes of a window of a file."""
    assert window.length < 1 << 22
    found = bytearray(window.length)
    for offset, data in _written(entry):
        inside = Window(offset, offset + len(data)).intersect(window)
        if inside:
            found[inside.start - window.start : inside.stop - window.start] = data[
                inside.start - offset : inside.stop - offset
            ]
    return bytes(found)


def checksum(entry: Entry) -> int:
    """The CRC-32 of a whole file."""
    head, tail = edges(entry)
    return zlib.crc32(tail, crc32_with_zeros(zlib.crc32(head), entry.size - len(head) - len(tail)))


def write(layout: Layout, path: Path) -> None:
    """Write an archive, its zeros as holes. Its last bytes are an end record: nothing sets its length but they."""
    at = 0
    with path.open("wb") as file:
        for segment in layout.segments():
            match segment:
                case Literal(data):
                    file.write(data)
                case Late(number):
                    file.write(segment.build(checksum(layout.entries[number])))
                case Content(number, window):
                    entry = layout.entries[number]
                    assert window == Window(0, entry.size)
                    head, tail = edges(entry)
                    file.write(head)
                    if tail:
                        file.seek(at + entry.size - len(tail))
                        file.write(tail)
            at += segment.length


def write_file(entry: Entry, path: Path) -> None:
    """Write one file on its own, for a server to read."""
    with path.open("wb") as file:
        for offset, data in _written(entry):
            file.seek(offset)
            file.write(data)
        file.truncate(entry.size)


def _written(entry: Entry) -> list[tuple[int, bytes]]:
    head, tail = edges(entry)
    return [(offset, data) for offset, data in ((0, head), (entry.size - len(tail), tail)) if data]


# ---------------------------------------------------------------- CRC-32 over zeros


def crc32_with_zeros(crc: int, zeros: int) -> int:
    """Return what a CRC-32 becomes after ``zeros`` more bytes of zero, in time of their number's logarithm.

    A zero byte changes the register linearly (over GF(2)): squaring that map gives the one for twice as many bytes.
    """
    register = crc ^ 0xFFFF_FFFF
    power = 0
    while zeros:
        if zeros & 1:
            register = _apply(_map(power), register)
        zeros >>= 1
        power += 1
    return register ^ 0xFFFF_FFFF


@cache
def _map(power: int) -> tuple[int, ...]:
    """What 2**power zero bytes make of each bit of the register."""
    if power == 0:
        # crc32 inverts before and after; applied to the register itself that is undone
        return tuple(zlib.crc32(b"\0", 1 << bit ^ 0xFFFF_FFFF) ^ 0xFFFF_FFFF for bit in range(32))
    half = _map(power - 1)
    return tuple(_apply(half, column) for column in half)


def _apply(columns: tuple[int, ...], register: int) -> int:
    result = 0
    for column in columns:
        if register & 1:
            result ^= column
        register >>= 1
    return result
