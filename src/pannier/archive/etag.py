"""The strong ETag of an archive, known before a byte of content is read. No I/O.

It is a digest of everything that can reach a byte: format and layout version, the options and settings in effect, and
for each entry what stands in its records together with its identity (RFC 9110 section 8.8.1: equal tags mean equal
bytes).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

from pannier.archive.entries import Entry

_ENTRY = struct.Struct(">BQqIIIII")
_AT_ONCE = 1_000


def archive_etag(
    media_format: str, version: int, shape: Mapping[str, str], identity_scheme: str, entries: Sequence[Entry]
) -> str:
    """Return the entity tag, quotes included: the same for the same arguments on every host, different for others."""
    digest = hashlib.blake2b(digest_size=20, person=b"pannier-etag")
    for text in (media_format, str(version), identity_scheme, *(f"{key}={shape[key]}" for key in sorted(shape))):
        _update(digest, text.encode())
    digest.update(struct.pack(">IQ", 0xFFFF_FFFF, len(entries)))  # no text is that long: the head ends here
    for start in range(0, len(entries), _AT_ONCE):
        digest.update(b"".join(map(_encode, entries[start : start + _AT_ONCE])))
    return f'"{digest.hexdigest()}"'


def _encode(entry: Entry) -> bytes:
    name, identity, target = entry.name, entry.identity, entry.target
    seconds, nanoseconds = divmod(entry.mtime_ns, 1_000_000_000)  # together they may need more than 64 bits
    head = _ENTRY.pack(
        entry.kind.value, entry.size, seconds, nanoseconds, entry.mode, len(name), len(identity), len(target)
    )
    return b"".join((head, name, identity, target))


def _update(digest: hashlib.blake2b, data: bytes) -> None:
    digest.update(len(data).to_bytes(4, "big"))
    digest.update(data)
