"""Packing: zlib reads what was packed, in parts or whole; nothing grows."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.crc import combined, crc32, crc32_combine
from pannier.streams import deflate

NOISE = random.Random(5).randbytes(deflate.BLOCK + 1)
TEXT = b"".join(b"%d bottles of beer, " % number for number in range(60_000))[: deflate.BLOCK + 1]
CONTENTS = {
    "text": TEXT,
    "noise": NOISE,
    "text, then noise": TEXT[:300_000] + NOISE,
    "noise, then text": NOISE[:300_000] + TEXT,
    "zeros": bytes(deflate.BLOCK + 1),
}
SIZES = [0, 1, 100, 0xFFFF, 0x10000, 0x10001, 2 * 0x10000, deflate.BLOCK - 1, deflate.BLOCK, deflate.BLOCK + 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_packed_comes_back_and_never_grows_by_more_than_a_thousandth(kind: str, size: int) -> None:
    data = CONTENTS[kind][:size]
    for made in (deflate.packed(data, last=True), deflate.stored(data, last=True)):
        reader = zlib.decompressobj(-15)
        assert (reader.decompress(made), reader.eof, reader.unused_data) == (data, True, b"")
        assert len(made) <= size + size // 1_000 + 5
    whole = deflate.packed_whole(data)
    assert whole is None or (zlib.decompress(whole, -15) == data and len(whole) < size)


@pytest.mark.parametrize("kind", ["text, then noise", "noise, then text"])
def test_content_of_two_kinds_is_packed_where_that_helps(kind: str) -> None:
    data = CONTENTS[kind][: deflate.BLOCK]
    noise = 300_000 if kind.startswith("noise") else deflate.BLOCK - 300_000
    assert noise < len(deflate.packed(data, last=True)) < noise + (deflate.BLOCK - noise) // 2


@given(
    st.lists(
        st.sampled_from(list(CONTENTS.values())).flatmap(
            lambda data: st.integers(0, 200_000).map(lambda size: data[:size])
        ),
        max_size=5,
    )
)
def test_blocks_that_were_packed_apart_are_one_stream(parts: list[bytes]) -> None:
    made = b"".join(deflate.packed(part, last=False) for part in parts) + deflate.packed(b"", last=True)
    reader = zlib.decompressobj(-15)
    assert (reader.decompress(made), reader.eof) == (b"".join(parts), True)


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(0, 3))
def test_checksums_of_parts_give_that_of_the_whole(one: bytes, other: bytes, zeros: int) -> None:
    """By isal and by our own arithmetic, which takes its place where there is no isal."""
    other += bytes(zeros * 70_000)
    whole = zlib.crc32(one + other)
    assert crc32_combine(crc32(one, 0), crc32(other, 0), len(other)) == whole
    assert combined(crc32(one, 0), crc32(other, 0), len(other)) == whole
