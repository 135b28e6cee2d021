"""A TAR parser of the tests' own, stricter than any reader: it believes nothing that the writer's code says.

It reads header after header (POSIX.1-2017, ``pax``: ustar and pax interchange formats), checks every byte of each
against what may stand there, and insists that all padding is zeros, that a pax header says nothing which ustar could
have said, and that the end is two blocks or more of zeros. Content is never read: an archive may be larger than any
disk, as long as somebody can answer ``read(offset, length)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[int, int], bytes]

BLOCK, RECORD = 512, 10_240
FIELDS = (
    ("name", 100),
    ("mode", 8),
    ("uid", 8),
    ("gid", 8),
    ("size", 12),
    ("mtime", 12),
    ("chksum", 8),
    ("typeflag", 1),
    ("linkname", 100),
    ("magic", 6),
    ("version", 2),
    ("uname", 32),
    ("gname", 32),
    ("devmajor", 8),
    ("devminor", 8),
    ("prefix", 155),
    ("", 12),
)
"""The table of POSIX: in this order, without gaps."""


@dataclass(frozen=True)
class Member:
    """One entry. ``offset`` is that of its first header, ``content`` is half-open, ``stop`` is behind the padding."""

    name: bytes
    mode: int
    size: int
    mtime: int
    flag: bytes
    target: bytes
    pax: tuple[tuple[bytes, bytes], ...]
    fields: dict[str, bytes]
    offset: int
    content: tuple[int, int]
    stop: int


def fields(block: bytes) -> dict[str, bytes]:
    """Cut a header into its fields."""
    assert len(block) == BLOCK
    found, at = {}, 0
    for name, length in FIELDS:
        found[name] = block[at : at + length]
        at += length
    assert at == BLOCK
    return found


def parse_bytes(data: bytes) -> list[Member]:
    return parse(lambda offset, length: data[offset : offset + length], len(data))


def parse(read: Read, length: int) -> list[Member]:
    """Take an archive of ``length`` bytes apart; whatever is not as it should be is an AssertionError."""
    assert length % RECORD == 0
    members: list[Member] = []
    at = 0
    while (block := read(at, BLOCK)) != bytes(BLOCK):
        offset = at
        pax: tuple[tuple[bytes, bytes], ...] = ()
        found = _header(block)
        if found["typeflag"] == b"x":
            pax, at = _extended(read, at, found)
            found = _header(read(at, BLOCK))
        member = _member(found, pax, offset, at + BLOCK)
        assert not any(read(member.content[1], member.stop - member.content[1]))
        members.append(member)
        at = member.stop
    assert 2 * BLOCK <= length - at < 2 * BLOCK + RECORD
    assert not any(read(at, length - at))
    return members


def _header(block: bytes) -> dict[str, bytes]:
    found = fields(block)
    summed = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    assert found["chksum"] == b"%06o\0 " % summed
    assert (found["magic"], found["version"]) == (b"ustar\0", b"00")
    for zero in ("uid", "gid", "devmajor", "devminor"):
        assert found[zero] == b"0000000\0"
    for empty in ("uname", "gname", ""):
        assert not any(found[empty])
    assert re.fullmatch(rb"0000[0-7]{3}\0", found["mode"])
    for text in ("name", "linkname", "prefix"):
        found[text] = _text(found[text])
    return found


def _text(field: bytes) -> bytes:
    text = field.rstrip(b"\0")
    assert b"\0" not in text
    return text


def number(field: bytes) -> tuple[int, bool]:
    """The value of a field of 12 bytes, and whether it is octal (else GNU's base-256)."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            return int.from_bytes(field, "big", signed=True), False
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big"), False
    assert re.fullmatch(rb"[0-7]{11}\0", field)
    return int(field[:11], 8), True


def records(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The records of a pax header."""
    found = []
    while data:
        match = re.match(rb"([1-9][0-9]*) ([a-z]+)=", data)
        assert match
        length = int(match[1])
        assert data[length - 1 : length] == b"\n"
        found.append((match[2], data[match.end() : length - 1]))
        data = data[length:]
    assert len(dict(found)) == len(found)
    return tuple(found)


def _extended(read: Read, at: int, header: dict[str, bytes]) -> tuple[tuple[tuple[bytes, bytes], ...], int]:
    assert header["name"] == b"././@PaxHeader"
    assert not header["prefix"] + header["linkname"]
    assert header["mode"] == b"0000644\0"
    assert number(header["mtime"]) == (0, True)
    size, _ = number(header["size"])
    padded = -(-size // BLOCK) * BLOCK
    data = read(at + BLOCK, padded)
    assert not any(data[size:])
    found = records(data[:size])
    assert found
    return found, at + BLOCK + padded


def _member(found: dict[str, bytes], pax: tuple[tuple[bytes, bytes], ...], offset: int, content_at: int) -> Member:
    said = dict(pax)
    flag = found["typeflag"]
    assert flag in (b"0", b"2", b"5")

    name = b"/".join(filter(None, (found["prefix"], found["name"])))
    if b"path" in said:
        assert not said[b"path"].isascii() or len(said[b"path"]) > 100
        if len(name) != len(said[b"path"]):
            assert said[b"path"].startswith(name.rstrip(b"/")) or name.rstrip(b"/") == b"_"
            assert name.rstrip(b"/").rpartition(b"/")[2] not in (b"", b".", b"..")
        else:
            assert name == said[b"path"]
        assert name.endswith(b"/") == said[b"path"].endswith(b"/")
        name.decode()
        name = said[b"path"]
    else:
        assert name.isascii()
    assert name.endswith(b"/") == (flag == b"5")

    target = found["linkname"]
    assert bool(target) == (flag == b"2")
    if b"linkpath" in said:
        assert target == said[b"linkpath"][:100]
        target = said[b"linkpath"]
        assert not target.isascii() or len(target) > 100

    values = {}
    for field in ("size", "mtime"):
        value, octal = number(found[field])
        assert octal == (field.encode() not in said) == (0 <= value < 8**11)
        assert said.get(field.encode(), b"%d" % value) == b"%d" % value
        values[field] = value

    assert set(said) <= {b"hdrcharset", b"path", b"linkpath", b"size", b"mtime"}
    assert said.get(b"hdrcharset", b"BINARY") == b"BINARY"
    assert flag == b"0" or values["size"] == 0
    stop = content_at + values["size"]
    return Member(
        name,
        int(found["mode"][:7], 8),
        values["size"],
        values["mtime"],
        flag,
        target,
        pax,
        found,
        offset,
        (content_at, stop),
        -(-stop // BLOCK) * BLOCK,
    )
