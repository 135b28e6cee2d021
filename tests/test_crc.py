"""The checksum of the archive is the one of zlib, whichever library computes it."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from pannier.crc import crc32


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_pieces_give_the_checksum_of_the_whole(pieces: list[bytes]) -> None:
    crc = 0
    for piece in pieces:
        crc = crc32(memoryview(piece), crc)
    assert crc == zlib.crc32(b"".join(pieces))
