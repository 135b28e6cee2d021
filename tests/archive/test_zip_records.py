"""The records of a ZIP, field by field (section numbers are APPNOTE's)."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive import zip_records as records
from pannier.archive.entries import Entry, Kind
from tests.archive.strategies import EDGES, PURE, huge_sizes, modes, times

FIRST, LAST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)

entries = st.builds(
    Entry,
    path=st.just(b"p"),
    name=st.binary(min_size=1, max_size=30),
    kind=st.just(Kind.FILE),
    size=huge_sizes,
    mtime_ns=times,
    mode=modes,
    identity=st.just(b""),
    source=st.just(b"p"),
)
offsets = st.sampled_from(EDGES) | st.integers(0, 1 << 50)


def _from_dos(time: int, date: int) -> datetime:
    return datetime(
        1980 + (date >> 9), date >> 5 & 15, date & 31, time >> 11, time >> 5 & 63, (time & 31) * 2, tzinfo=UTC
    )


# ---------------------------------------------------------------- times


@PURE
@given(st.integers(int(FIRST.timestamp()), int(LAST.timestamp())))
def test_a_dos_time_is_the_even_second_before_in_utc(seconds: int) -> None:
    """4.4.6: two seconds are its finest."""
    assert _from_dos(*records.dos_time(seconds)).timestamp() == seconds // 2 * 2


@PURE
@given(st.integers(-(10**12), 10**12))
def test_a_dos_time_outside_its_years_is_the_nearest_one_inside(seconds: int) -> None:
    assert FIRST <= _from_dos(*records.dos_time(seconds)) <= LAST


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-(1 << 63), FIRST),
        (0, FIRST),
        (315_532_799, FIRST),
        (315_532_800, FIRST),
        (315_532_802, datetime(1980, 1, 1, 0, 0, 2, tzinfo=UTC)),
        (951_782_400, datetime(2000, 2, 29, tzinfo=UTC)),
        (4_107_542_400, datetime(2100, 3, 1, tzinfo=UTC)),  # 2100 is no leap year
        (4_354_819_198, LAST),
        (4_354_819_199, LAST),
        (4_354_819_200, LAST),
        (1 << 63, LAST),
    ],
)
def test_the_years_of_dos_are_1980_to_2107(seconds: int, expected: datetime) -> None:
    assert _from_dos(*records.dos_time(seconds)) == expected


@pytest.mark.parametrize(
    ("seconds", "given"),
    [(-(1 << 31) - 1, False), (-(1 << 31), False), (-1, False), (0, True), ((1 << 31) - 1, True), (1 << 31, False)],
)
def test_the_unix_time_is_there_where_all_readers_understand_it_alike(seconds: int, given: bool) -> None:
    entry = Entry(b"n", b"n", Kind.FILE, 0, seconds * 10**9, 0o644, b"", b"n")
    expected = struct.pack("<2HBi", 0x5455, 5, 1, seconds) if given else b""
    assert records.local_extra(entry) == records.central_extra(entry, 0) == expected


@pytest.mark.parametrize(("mtime_ns", "seconds"), [(1_999_999_999, 1), (2_000_000_000, 2), (999_999_999, 0)])
def test_a_part_of_a_second_is_cut_off(mtime_ns: int, seconds: int) -> None:
    entry = Entry(b"n", b"n", Kind.FILE, 0, mtime_ns, 0o644, b"", b"n")
    assert struct.unpack("<2HBi", records.local_extra(entry))[3] == seconds


# ---------------------------------------------------------------- lengths and extras


@PURE
@given(entries, offsets, st.booleans())
def test_headers_are_as_long_as_foretold(entry: Entry, offset: int, descriptor: bool) -> None:
    assert len(records.local_header(entry, descriptor=descriptor)) == records.local_length(entry)
    assert len(records.central_header(entry, offset, descriptor=descriptor)) == records.central_length(entry, offset)
    assert len(records.descriptor(entry)) == records.DESCRIPTOR_LENGTH == 24


@PURE
@given(entries, offsets)
def test_a_zip64_field_holds_what_overflowed_and_stands_first(entry: Entry, offset: int) -> None:
    """4.5.3; the local one always holds both sizes."""
    for extra, values in (
        (records.local_extra(entry), [entry.size] * 2 if entry.size >= 0xFFFF_FFFF else []),
        (
            records.central_extra(entry, offset),
            ([entry.size] * 2 if entry.size >= 0xFFFF_FFFF else []) + ([offset] if offset >= 0xFFFF_FFFF else []),
        ),
    ):
        expected = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""
        assert extra.startswith(expected)
        assert extra[len(expected) :][:2] in (b"", b"UT")


def test_the_checksum_fields_are_where_they_are_said_to_be() -> None:
    """Zeros stand there until the checksum is known; everything around them is known before."""
    entry = Entry(b"n", b"n", Kind.FILE, 5, 0, 0o644, b"", b"n")
    local = records.local_header(entry, descriptor=False)
    central = records.central_header(entry, 0, descriptor=False)
    assert struct.unpack_from("<I", local, records.LOCAL_CRC_AT) == (0,)
    assert struct.unpack_from("<2I", local, records.LOCAL_CRC_AT + 4) == (5, 5)
    assert struct.unpack_from("<I", central, records.CENTRAL_CRC_AT) == (0,)
    assert struct.unpack_from("<2I", central, records.CENTRAL_CRC_AT + 4) == (5, 5)
    assert records.descriptor(entry)[records.DESCRIPTOR_CRC_AT :] == struct.pack("<I2Q", 0, 5, 5)


def test_the_checksum_of_a_stored_link_is_that_of_its_text() -> None:
    link = Entry(b"l", b"l", Kind.LINK, 9, 0, 0o777, b"", b"l", target=b"123456789")
    assert records.known_crc(link) == 0xCBF43926  # the check value of CRC-32
    assert struct.unpack_from("<I", records.local_header(link, descriptor=False), 14) == (0xCBF43926,)


# ---------------------------------------------------------------- the end


@PURE
@given(st.integers(0, 1 << 40), st.integers(0, 1 << 50), st.integers(0, 1 << 50))
def test_the_end_has_a_zip64_form_exactly_when_something_does_not_fit(entries: int, offset: int, length: int) -> None:
    end = records.end_records(entries, offset, length)
    needed = entries >= 0xFFFF or offset >= 0xFFFF_FFFF or length >= 0xFFFF_FFFF
    assert len(end) == (22 + 20 + 56 if needed else 22)


@pytest.mark.parametrize(
    ("entries", "offset", "length"),
    [(0xFFFF, 5, 5), (1, 0xFFFF_FFFF, 5), (1, 5, 0xFFFF_FFFF), (1 << 20, 1 << 40, 1 << 36)],
)
def test_the_old_end_is_all_ones_only_where_the_value_does_not_fit(entries: int, offset: int, length: int) -> None:
    """4.4.1.4; readers that know no Zip64 still see what fits."""
    old = struct.unpack("<4s4H2IH", records.end_records(entries, offset, length)[-22:])
    assert old[3:7] == (min(entries, 0xFFFF), min(entries, 0xFFFF), min(length, 0xFFFF_FFFF), min(offset, 0xFFFF_FFFF))


def test_the_locator_points_at_the_zip64_end() -> None:
    offset, length = 5 << 32, 1000
    end = records.end_records(3, offset, length)
    signature, disk, at, disks = struct.unpack("<4sIQI", end[56:76])
    assert (signature, disk, at, disks) == (b"PK\x06\x07", 0, offset + length, 1)
    assert end[:4] == b"PK\x06\x06"
