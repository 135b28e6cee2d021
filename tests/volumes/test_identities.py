"""Identities and their changes in words."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.entries import Kind
from pannier.volumes.identities import change_between, now_is, pack_identity

BEFORE = pack_identity(7, 10, 1000, 2000)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (BEFORE, None),
        (pack_identity(7, 20, 1001, 2001), "size 10 → 20 bytes"),
        (pack_identity(7, 10, 1001, 2001), "modified"),
        (pack_identity(8, 20, 1001, 2001), "replaced by another file"),
        (pack_identity(7, 10, 1000, 2001), "touched (its mode, owner, name or modification time was set)"),
        (b"an etag", "replaced by another file"),
    ],
)
def test_a_change_is_told_by_what_weighs_most(after: bytes, words: str | None) -> None:
    assert change_between(BEFORE, after) == words


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_an_identity_is_the_plain_record_wherever_that_can_hold_it(inode: int, size: int, time: int) -> None:
    assert pack_identity(inode, size, time, time) == struct.pack(">QQqq", inode, size, time, time)


def test_a_time_beyond_64_bits_of_nanoseconds_is_no_error() -> None:
    year_3000 = 32_503_680_000 * 10**9
    assert pack_identity(1, 2, year_3000, year_3000) != pack_identity(1, 2, year_3000, year_3000 + 1)


def test_another_kind_is_called_by_its_name() -> None:
    assert {now_is(kind) for kind in Kind} == {
        "is now a file",
        "is now a directory",
        "is now a symbolic link",
        "is now a special file",
    }
