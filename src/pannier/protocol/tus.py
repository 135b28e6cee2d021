"""The rules of tus 1.0.0 for headers: text in, values out (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from pannier.errors import InvalidRequest

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "expiration", "checksum", "termination")
"""What our ``/uploads`` speaks beyond the core."""
CONTENT_TYPE = "application/offset+octet-stream"
CHECKSUMS = {"crc32": 4, "md5": 16, "sha1": 20, "sha256": 32}
"""The algorithms of ``Upload-Checksum``, and the bytes of what each gives."""
CHECKSUM_MISMATCH = 460
"""The status of bytes that are not those of their checksum (tus, extension checksum)."""

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_LARGEST = 2**63 - 1
_KEY = re.compile(r"[!-+\--~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a request's bytes come to, by the client's word."""

    algorithm: str
    digest: bytes


def number(field: str, text: str | None) -> int:
    """Read a number of bytes: decimal digits, and nothing else.

    Raises:
        InvalidRequest: It is absent, something else, or more than a file can have.
    """
    if text is None:
        raise InvalidRequest(field, "is absent; send a number of bytes")
    if not _NUMBER.fullmatch(text) or (value := int(text)) > _LARGEST:
        raise InvalidRequest(field, "is no number of bytes: send its decimal digits")
    return value


def metadata(text: str | None) -> dict[str, bytes]:
    """Read ``Upload-Metadata``: pairs of a key and a value in Base64, which may be absent, between commas.

    Raises:
        InvalidRequest: A key is empty or comes twice, or a value is no Base64.
    """
    found: dict[str, bytes] = {}
    for pair in (text or "").split(","):
        if not pair.strip() and not (text or "").strip():
            break
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise InvalidRequest("Upload-Metadata", "each key is of ASCII without commas and spaces, and comes once")
        found[key] = _base64("Upload-Metadata", value.strip())
    return found


def checksum(text: str) -> Checksum:
    """Read ``Upload-Checksum``: an algorithm and what it gives, in Base64.

    Raises:
        InvalidRequest: It is of another form, or the algorithm is not spoken here.
    """
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise InvalidRequest("Upload-Checksum", f"the algorithms here are {', '.join(CHECKSUMS)}")
    digest = _base64("Upload-Checksum", value.strip())
    if len(digest) != CHECKSUMS[algorithm]:
        raise InvalidRequest("Upload-Checksum", f"{algorithm} has {CHECKSUMS[algorithm]} bytes, not {len(digest)}")
    return Checksum(algorithm, digest)


def _base64(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(field, "a value is no Base64 with its padding") from None
