"""The headers of a TAR, field by field, against the tables of POSIX.1-2017 (``pax`` utility)."""

from __future__ import annotations

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive import tar_records as records
from pannier.archive.entries import Entry, Kind
from tests.archive.strategies import PURE, huge_sizes, modes, times
from tests.archive.tar_parsing import fields, number
from tests.archive.tar_parsing import records as parsed_records

entries = st.builds(
    Entry,
    path=st.just(b"p"),
    name=(st.text("aé가/. ", min_size=1, max_size=400).map(str.encode)),
    kind=st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.LINK]),
    size=huge_sizes,
    mtime_ns=times,
    mode=modes,
    identity=st.just(b""),
    source=st.just(b"p"),
    target=st.binary(min_size=1, max_size=300),
)


def _file(name: bytes = b"n", size: int = 0, seconds: int = 0, mode: int = 0o644) -> Entry:
    return Entry(name, name, Kind.FILE, size, seconds * 10**9, mode, b"", name)


def _link(target: bytes) -> Entry:
    return Entry(b"l", b"l", Kind.LINK, len(target), 0, 0o777, b"", b"l", target)


def _directory(name: bytes) -> Entry:
    return Entry(name, name, Kind.DIRECTORY, 0, 0, 0o755, b"", name)


# ---------------------------------------------------------------- ustar


def test_a_header_byte_by_byte() -> None:
    expected = b"".join(
        [
            b"notes/a.txt".ljust(100, b"\0"),
            b"0000640\0",
            b"0000000\0",
            b"0000000\0",
            b"00000000310\0",  # 200
            b"14524770401\0",  # 2023-11-14T22:13:21Z
            b"XXXXXXXX",
            b"0",
            bytes(100),
            b"ustar\0",
            b"00",
            bytes(32),
            bytes(32),
            b"0000000\0",
            b"0000000\0",
            bytes(155),
            bytes(12),
        ]
    )
    checksum = b"%06o\0 " % sum(expected.replace(b"XXXXXXXX", b" " * 8))
    assert records.header(_file(b"notes/a.txt", 200, 1_700_000_001, 0o640)) == expected.replace(b"XXXXXXXX", checksum)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (_file(b"f", 5), {"name": b"f", "typeflag": b"0", "size": b"00000000005\0", "linkname": b""}),
        (_file(mode=0o777), {"mode": b"0000777\0"}),
        (_file(mode=0), {"mode": b"0000000\0"}),
        (_directory(b"d/"), {"name": b"d/", "typeflag": b"5", "size": b"00000000000\0", "mode": b"0000755\0"}),
        (_link(b"../x y"), {"name": b"l", "typeflag": b"2", "size": b"00000000000\0", "linkname": b"../x y"}),
        (_link(b"t" * 100), {"linkname": b"t" * 100}),
        (_link(b"caf\xe9"), {"linkname": b"caf\xe9"}),
        (_file(size=8**11 - 1), {"size": b"77777777777\0"}),
        (_file(seconds=8**11 - 1), {"mtime": b"77777777777\0"}),
        (_file(seconds=(1 << 32) + 1), {"mtime": b"40000000001\0"}),
        (_file(b"x" * 100), {"name": b"x" * 100, "prefix": b""}),
        (_file(b"p/" + b"x" * 99), {"name": b"x" * 99, "prefix": b"p"}),
        (_file(b"p" * 155 + b"/" + b"x" * 100), {"name": b"x" * 100, "prefix": b"p" * 155}),
        # the first slash that does
        (_file(b"/".join([b"c" * 49] * 5)), {"name": b"/".join([b"c" * 49] * 2), "prefix": b"/".join([b"c" * 49] * 3)}),
        (_directory(b"p" * 100 + b"/" + b"x" * 99 + b"/"), {"name": b"x" * 99 + b"/", "prefix": b"p" * 100}),
    ],
)
def test_what_ustar_can_say_is_one_block(entry: Entry, expected: dict[str, bytes]) -> None:
    header = records.header(entry)
    assert len(header) == records.header_length(entry) == 512
    found = fields(header)
    assert {name: found[name] for name in expected} == {
        name: value.ljust(len(found[name]), b"\0") for name, value in expected.items()
    }


@pytest.mark.parametrize(("mtime_ns", "seconds"), [(1_999_999_999, 1), (2_000_000_000, 2), (999_999_999, 0)])
def test_a_part_of_a_second_is_cut_off(mtime_ns: int, seconds: int) -> None:
    entry = Entry(b"n", b"n", Kind.FILE, 0, mtime_ns, 0o644, b"", b"n")
    assert number(fields(records.header(entry))["mtime"]) == (seconds, True)


def test_a_time_before_1970_is_cut_off_downwards() -> None:
    entry = Entry(b"n", b"n", Kind.FILE, 0, -1, 0o644, b"", b"n")
    assert parsed_records(records.pax_records(entry)) == ((b"mtime", b"-1"),)


@PURE
@given(st.binary(min_size=512, max_size=512))
def test_the_checksum_is_the_sum_of_the_bytes(block: bytes) -> None:
    assert records.header_checksum(block) == sum(block)


def test_the_checksum_of_the_largest_bytes_does_not_wrap() -> None:
    assert records.header_checksum(b"\xff" * 512) == 512 * 255


@PURE
@given(st.binary(max_size=2_000))
def test_padding_fills_the_last_block(content: bytes) -> None:
    padding = records.padding(len(content))
    assert 0 <= padding < 512
    assert (len(content) + padding) % 512 == 0


# ---------------------------------------------------------------- pax


@pytest.mark.parametrize(
    ("length", "digits"),
    # "N k=vvv\n": 4 bytes around the value, and the digits
    [
        (4, b"9"),
        (5, b"11"),
        (6, b"12"),
        (93, b"99"),
        (94, b"101"),
        (95, b"102"),
        (992, b"999"),
        (993, b"1001"),
        (9_991, b"9999"),
        (9_992, b"10001"),
    ],
)
def test_the_length_of_a_record_counts_its_own_digits(length: int, digits: bytes) -> None:
    """A record of 10, 100 or 1,000 bytes cannot be: the next digit comes with a byte of its own."""
    record = records.pax_record(b"k", b"v" * length)
    assert record == digits + b" k=" + b"v" * length + b"\n"
    assert len(record) == int(digits)


@PURE
@given(st.integers(0, 70_000))
def test_a_record_is_as_long_as_it_says(length: int) -> None:
    record = records.pax_record(b"path", b"p" * length)
    assert int(record.split(b" ")[0]) == len(record)


LONG = b"d" * 99 + b"/" + b"x" * 101
MANY = b"/".join([b"d" * 200, b"x" * 90])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (_file(LONG), [(b"path", LONG)]),
        (_file(MANY), [(b"path", MANY)]),
        (_file(b"x" * 101), [(b"path", b"x" * 101)]),
        (_directory(b"x" * 100 + b"/"), [(b"path", b"x" * 100 + b"/")]),
        (_directory(b"p" * 50 + b"/" + b"x" * 100 + b"/"), [(b"path", b"p" * 50 + b"/" + b"x" * 100 + b"/")]),
        (_file("é".encode()), [(b"path", "é".encode())]),
        (_file("한/글".encode()), [(b"path", "한/글".encode())]),
        (_link(b"t" * 101), [(b"linkpath", b"t" * 101)]),
        (_link("대상".encode()), [(b"linkpath", "대상".encode())]),
        (_link(b"\xff" * 101), [(b"hdrcharset", b"BINARY"), (b"linkpath", b"\xff" * 101)]),
        (_link(b"\xff" * 100), []),
        (_file(size=8**11 - 1), []),
        (_file(size=8**11), [(b"size", b"8589934592")]),
        (_file(size=12 << 30), [(b"size", b"12884901888")]),
        (_file(seconds=-1), [(b"mtime", b"-1")]),
        (_file(seconds=-(1 << 31) - 1), [(b"mtime", b"-2147483649")]),
        (_file(seconds=0), []),
        (_file(seconds=1 << 31), []),
        (_file(seconds=8**11 - 1), []),
        (_file(seconds=8**11), [(b"mtime", b"8589934592")]),
        (_file(seconds=10**12), [(b"mtime", b"1000000000000")]),
        (_file("é".encode(), 9 << 30, -1), [(b"path", "é".encode()), (b"size", b"9663676416"), (b"mtime", b"-1")]),
    ],
)
def test_a_pax_header_says_what_ustar_cannot_and_nothing_else(
    entry: Entry, expected: list[tuple[bytes, bytes]]
) -> None:
    assert parsed_records(records.pax_records(entry)) == tuple(expected)
    assert len(records.header(entry)) == records.header_length(entry) == (512 * 3 if expected else 512)


def test_a_pax_header_itself_is_always_the_same_but_for_its_length() -> None:
    [one, other] = (
        fields(records.header(entry)[:512])
        for entry in (_file("é".encode(), 9 << 30, -1, 0o777), _link("대상".encode()))
    )
    for found in (one, other):
        assert found.pop("size") != b"00000000000\0"
        found.pop("chksum")
    assert one == other
    assert one["name"].rstrip(b"\0") == b"././@PaxHeader"
    assert (one["typeflag"], one["mode"], one["mtime"]) == (b"x", b"0000644\0", b"00000000000\0")


@pytest.mark.parametrize("value", [8**11, 1 << 44, -1, -(1 << 31) - 1, 10**12])
def test_readers_without_pax_find_what_does_not_fit_in_base_256(value: int) -> None:
    """As GNU tar writes it: with a 0 for its size they would take a large file's content for headers."""
    entry = _file(size=value) if value > 0 else _file(seconds=value)
    field = fields(records.header(entry)[-512:])["size" if value > 0 else "mtime"]
    assert number(field) == (value, False)
    assert tarfile.TarInfo.frombuf(records.header(entry)[-512:], "utf-8", "strict").name == "n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"x" * 150, b"x" * 99),
        (("가" * 50).encode(), ("가" * 33).encode()),
        (b"a" * 96 + b"/..x" + b"y" * 120, b"a" * 96),
        (b"a" * 98 + b"/" + b"y" * 120, b"a" * 98),
        (b"." * 150, b"_"),
        (b"x" * 150 + b"/", b"x" * 99 + b"/"),
    ],
)
def test_a_name_that_does_not_fit_begins_harmlessly(name: bytes, shown: bytes) -> None:
    """For readers that skip pax headers: whole characters, no ``..`` and no directory of what is a file."""
    entry = _directory(name) if name.endswith(b"/") else _file(name)
    found = fields(records.header(entry)[-512:])
    assert (found["name"].rstrip(b"\0"), found["prefix"].rstrip(b"\0")) == (shown, b"")


def test_a_name_in_another_script_is_also_split_as_ustar_would() -> None:
    name = ("가" * 40 + "/" + "나" * 30).encode()
    found = fields(records.header(_file(name))[-512:])
    assert found["prefix"].rstrip(b"\0") + b"/" + found["name"].rstrip(b"\0") == name


@PURE
@given(entries)
def test_headers_are_as_long_as_foretold(entry: Entry) -> None:
    assert len(records.header(entry)) == records.header_length(entry)
    assert records.header_length(entry) % 512 == 0
