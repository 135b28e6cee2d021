"""The headers of tus, as tables."""

from __future__ import annotations

import base64
import hashlib

import pytest

from pannier.errors import InvalidRequest
from pannier.protocol.tus import CHECKSUMS, Checksum, checksum, metadata, number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("007", 7),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("9" * 4_300, None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        (" 1", None),
        ("١", None),
        ("", None),
        (None, None),
    ],
)
def test_numbers(text: str | None, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(InvalidRequest, match="Upload-Offset"):
            number("Upload-Offset", text)
    else:
        assert number("Upload-Offset", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {}),
        ("", {}),
        ("  ", {}),
        ("filename d29ybGQ=", {"filename": b"world"}),
        ("filename d29ybGQ=,is_confidential", {"filename": b"world", "is_confidential": b""}),
        ("a  d29ybGQ= ,  b", {"a": b"world", "b": b""}),
        ("filename 7ZWc", {"filename": "한".encode()}),
        ("a d29ybGQ=,a d29ybGQ=", None),
        ("a d29ybGQ", None),
        ("a !!!!", None),
        ("a,,b", None),
        (",", None),
        ("a b c", None),
        ("키 d29ybGQ=", None),
    ],
)
def test_metadata(text: str | None, expected: dict[str, bytes] | None) -> None:
    if expected is None:
        with pytest.raises(InvalidRequest, match="Upload-Metadata"):
            metadata(text)
    else:
        assert metadata(text) == expected


def test_checksums_of_all_algorithms() -> None:
    for algorithm, length in CHECKSUMS.items():
        digest = bytes(range(length))
        assert checksum(f"{algorithm} {base64.b64encode(digest).decode()}") == Checksum(algorithm, digest)
        assert algorithm == "crc32" or hashlib.new(algorithm).digest_size == length


@pytest.mark.parametrize("text", ["", "sha1", "sha1 ", "sha1 !!", "sha1 AAAA", "sha512 AAAA", "SHA1 AAAA", "AAAA"])
def test_what_is_no_checksum(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Upload-Checksum"):
        checksum(text)
