"""The strong ETag of an archive, known before a byte of content is read. No I/O.

It is a digest of everything that can reach a byte: format and layout version, the options and settings in effect, and
for each entry what stands in its records together with its identity (RFC 9110 section 8.8.1: equal tags mean equal
bytes). Entries are digested as columns, some thousand at a time: buffers so large that other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence

from pannier.archive.entries import Entries, Entry

ENCODING = 2
"""Of the digested bytes. Raise it with every change of them, so that no new tag can equal an old one by chance."""

_AT_ONCE = 4096
"""Entries digested together; part of the encoding."""


def archive_etag(
    media_format: str, version: int, shape: Mapping[str, str], identity_scheme: str, entries: Sequence[Entry]
) -> str:
    """Return the entity tag, quotes included: the same for the same arguments on every host, different for others."""
    digest = hashlib.blake2b(digest_size=20, person=b"pannier-etag", salt=ENCODING.to_bytes(2, "big"))
    for text in (media_format, str(version), identity_scheme, *(f"{key}={shape[key]}" for key in sorted(shape))):
        _update(digest, text.encode())
    digest.update(struct.pack(">IQ", 0xFFFF_FFFF, len(entries)))  # no text is that long: the head ends here
    columns = Entries.of(entries)
    for start in range(0, len(columns), _AT_ONCE):
        for column in _columns(columns, start, min(start + _AT_ONCE, len(columns))):
            _update(digest, column)
    return f'"{digest.hexdigest()}"'


def _columns(entries: Entries, start: int, stop: int) -> Iterator[bytes]:
    """The values of a run of entries, always as many columns; each is digested with its length before it."""
    yield bytes(entries.kinds[start:stop])
    yield _packed(entries.modes[start:stop])
    yield _packed(entries.sizes[start:stop])
    yield _packed(entries.mtimes[start:stop])
    yield b"".join(b"%d=%d;" % item for item in entries.far_times(start, stop).items())
    for joined, ends in (entries.joined_names(start, stop), entries.joined_identities(start, stop)):
        yield _packed(ends)
        yield joined
    yield b"".join(b"%d=%d:%b" % (at, len(target), target) for at, target in entries.targets(start, stop).items())


def _packed(column: array[int]) -> bytes:
    """The bytes of a column on every host: little-endian."""
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _update(digest: hashlib.blake2b, data: bytes) -> None:
    digest.update(len(data).to_bytes(4, "big"))
    digest.update(data)
