"""Records of packed entries: those made by the column are those made one by one."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from pannier.archive import zip_deflate as records
from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.zip_records import DEFLATED, STORED

_SECOND = 1_000_000_000
TIMES = st.one_of(
    st.integers(0, 2**31 * _SECOND - 1), st.sampled_from([-1, 0, 2**31 * _SECOND - 1, 2**31 * _SECOND, -(10**18)])
)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    made = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.LINK]))
        path = f"{draw(st.sampled_from(['a', '파일']))}{number}".encode()
        target = b"a" if kind is Kind.LINK else b""
        size = {Kind.FILE: draw(st.integers(0, 5_000)), Kind.DIRECTORY: 0, Kind.LINK: len(target)}[kind]
        name = path + b"/" if kind is Kind.DIRECTORY else path
        mode = draw(st.integers(0, 0o777))
        made.append(Entry(path, name, kind, size, draw(TIMES), mode, b"i", path, target))
    return made


@given(entries(), st.data())
def test_headers_by_the_column_are_those_made_one_by_one(made: list[Entry], data: st.DataObject) -> None:
    checksums = [data.draw(st.integers(0, 2**32 - 1)) for _ in made]
    methods = [data.draw(st.sampled_from([STORED, DEFLATED])) for _ in made]
    packed = [data.draw(st.integers(0, entry.size)) for entry in made]
    offsets = [number * 10_000 for number in range(len(made))]
    each = [
        records.central_header(entry, method, crc32, length, offset, late=False)
        for entry, method, crc32, length, offset in zip(made, methods, checksums, packed, offsets, strict=True)
    ]
    columns = records.central_headers(Entries.of(made), range(len(made)), checksums, (methods, packed), offsets)
    odd = any(not 0 <= entry.mtime_ns < 2**31 * _SECOND for entry in made)
    assert columns == (None if odd else b"".join(each))
    alone = [
        records.local_headers([entry.name], [entry.size], [entry.mtime_ns], [crc32], ([method], [length]))[0]
        for entry, method, crc32, length in zip(made, methods, checksums, packed, strict=True)
    ]
    names, sizes, mtimes = ([getattr(entry, it) for entry in made] for it in ("name", "size", "mtime_ns"))
    assert records.local_headers(names, sizes, mtimes, checksums, (methods, packed)) == alone


def test_an_offset_that_needs_zip64_is_no_matter_of_columns() -> None:
    entry = Entry(b"a", b"a", Kind.FILE, 1, 0, 0o644, b"i", b"a")
    checksums = [zlib.crc32(b"x")]
    assert records.central_headers(Entries.of([entry]), range(1), checksums, ([STORED], [1]), [2**32 - 1]) is None
