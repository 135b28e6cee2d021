"""ZIPs beyond 32 bits, as real (sparse) files under real readers: sizes, offsets, numbers of entries, descriptors."""

from __future__ import annotations

import hashlib
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.layout import render
from pannier.archive.zip import ZipLayout
from pannier.window import Window
from tests.archive import sparse
from tests.archive.parsing import Archive, parse_file
from tests.archive.strategies import GIB, LATE_ABOVE, PURE, sized
from tests.readers import READERS, Reader, ReaderFailed

LIMIT_32 = 0xFFFF_FFFF
SEEKING = [reader for reader in READERS if reader.zip64 and reader.name not in ("bsdtar-pipe", "java-stream")]
"""Those that go to a member by the directory, whatever lies before it."""

SIZES = [5, LIMIT_32 - 1, LIMIT_32, 100, LIMIT_32 + 1, LATE_ABOVE, 0, LATE_ABOVE + 1, 70_000]
"""Both sides of every edge, with small neighbours in between: about 28 GiB."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)


def _written(folder: Path, sizes: list[int], late_above: int | None = LATE_ABOVE) -> tuple[ZipLayout, Path]:
    layout = ZipLayout([sized(number, size) for number, size in enumerate(sizes)], late_above)
    archive = folder / "large.zip"
    sparse.write(layout, archive)
    return layout, archive


def _parsed(archive: Path) -> Archive:
    with archive.open("rb") as file:
        return parse_file(file, archive.stat().st_size)


def _digest(layout: ZipLayout, number: int) -> tuple[int, str]:
    entry = layout.entries[number]
    data = sparse.content(entry, Window(0, entry.size))
    return entry.size, hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------- the helpers


@PURE
@given(st.binary(max_size=20), st.integers(0, 5_000))
def test_a_checksum_over_zeros_is_that_of_the_zeros(head: bytes, zeros: int) -> None:
    assert sparse.crc32_with_zeros(zlib.crc32(head), zeros) == zlib.crc32(head + bytes(zeros))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 128, 129, 1_000_000])
def test_a_sparse_file_is_what_it_says(size: int, folder: Path) -> None:
    entry = sized(1, size)
    sparse.write_file(entry, folder / "file")
    data = (folder / "file").read_bytes()
    assert data == sparse.content(entry, Window(0, size))
    assert zlib.crc32(data) == sparse.checksum(entry)


def test_a_layout_written_with_holes_is_the_same_archive(folder: Path) -> None:
    layout, archive = _written(folder, [0, 1, 128, 129, 300_000, 2_000_000])
    entries = layout.entries
    assert archive.read_bytes() == render(
        layout,
        lambda number, window: sparse.content(entries[number], window),
        lambda number: sparse.checksum(entries[number]),
    )


# ---------------------------------------------------------------- lengths


@pytest.mark.parametrize("late_above", [None, LIMIT_32 - 1, LATE_ABOVE])
def test_a_file_on_disk_is_as_long_as_foretold(late_above: int | None, folder: Path) -> None:
    """No length was ever too small because Zip64 fields or descriptors were not counted."""
    layout, archive = _written(folder, SIZES, late_above)
    assert archive.stat().st_size == layout.length > 28 * GIB
    assert archive.stat().st_blocks * 512 < 1 << 20, "holes"
    parsed = _parsed(archive)
    assert [entry.size for entry in parsed.entries] == [entry.size for entry in layout.entries]
    assert sorted(entry.size for entry in parsed.entries) == sorted(SIZES)
    assert [entry.crc for entry in parsed.entries] == [sparse.checksum(entry) for entry in layout.entries]


# ---------------------------------------------------------------- readers that seek


@pytest.fixture(scope="module")
def edge_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ZipLayout, Path]]:
    folder = tmp_path_factory.mktemp("large")
    yield _written(folder, SIZES)
    shutil.rmtree(folder)


@pytest.mark.parametrize("reader", SEEKING, ids=lambda reader: reader.name)
def test_small_members_between_large_ones_are_read_by_all_that_seek(
    reader: Reader, edge_archive: tuple[ZipLayout, Path]
) -> None:
    """Their offsets lie on both sides of 2**32, and of 2**34; behind descriptors, and before them."""
    layout, archive = edge_archive
    small = [number for number, entry in enumerate(layout.entries) if 0 < entry.size < GIB]
    assert layout.entry_offset(small[-1]) > 1 << 34
    for number in small:
        assert reader.digest(archive, layout.entries[number].name.decode()) == _digest(layout, number)


@pytest.mark.parametrize("reader", SEEKING, ids=lambda reader: reader.name)
@pytest.mark.parametrize("offset", [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1])
def test_a_member_whose_offset_is_at_the_edge_is_found(offset: int, reader: Reader, folder: Path) -> None:
    header = 30 + 6 + 9
    layout, archive = _written(folder, [1, offset - 2 * header - 1, 5])
    assert layout.entry_offset(2) == offset
    assert reader.digest(archive, "000002") == _digest(layout, 2)


@pytest.mark.parametrize("reader", SEEKING, ids=lambda reader: reader.name)
def test_files_of_the_largest_size_of_fat32_hide_nothing(reader: Reader, folder: Path) -> None:
    """4 GiB - 1 in a 64-bit field: unzip takes it for "look elsewhere", and is lost behind it."""
    layout, archive = _written(folder, [3, LIMIT_32, 100, LIMIT_32, 7])
    for number, entry in enumerate(layout.entries):
        if entry.size < GIB:
            assert reader.digest(archive, entry.name.decode()) == _digest(layout, number)


@pytest.fixture(scope="module", params=[65_534, 65_535, 65_536])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ZipLayout, Path]]:
    folder = tmp_path_factory.mktemp("crowd")
    count: int = request.param
    layout, archive = _written(folder, [number % 3 for number in range(count - 1)] + [2])
    assert archive.stat().st_size == layout.length
    yield layout, archive
    shutil.rmtree(folder)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_the_last_of_many_members_is_found(reader: Reader, crowd: tuple[ZipLayout, Path]) -> None:
    layout, archive = crowd
    count = len(layout.entries)
    if count >= 65_535 and not reader.zip64:
        return  # the end record of so many is Zip64, which this reader does not know
    assert reader.digest(archive, f"{count - 1:06}") == _digest(layout, count - 1)


def test_java_streams_refuse_a_descriptor_of_a_stored_entry(folder: Path) -> None:
    """The one reader that does; hence plain headers up to 8 GiB, and ``layout: plain`` for more."""
    [java] = [reader for reader in READERS if reader.name == "java-stream"]
    _, archive = _written(folder, [3, LIMIT_32], late_above=LIMIT_32 - 1)
    with pytest.raises(ReaderFailed, match="EXT descriptor"):
        java.digest(archive, "000001")


# ---------------------------------------------------------------- every byte of one


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reader", [reader for reader in READERS if reader.zip64], ids=lambda reader: reader.name)
@pytest.mark.parametrize("size", [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1])
def test_every_byte_of_a_file_at_the_edge_is_read_by_all(size: int, reader: Reader, folder: Path) -> None:
    """Also by those that see the archive as a stream; the neighbour behind shows that they found its end."""
    layout, archive = _written(folder, [3, size, 5])
    assert reader.digest(archive, "000001")[0] == size
    small = next(number for number in (1, 2) if layout.entries[number].size == 5)
    assert reader.digest(archive, "000002") == _digest(layout, small)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "reader",
    [reader for reader in READERS if reader.zip64 and reader.name != "java-stream"],
    ids=lambda reader: reader.name,
)
def test_every_byte_of_a_file_with_a_descriptor_is_read_by_all_but_one(reader: Reader, folder: Path) -> None:
    """Java's ``ZipInputStream`` refuses descriptors of stored entries: ``layout=plain`` is for it."""
    layout, archive = _written(folder, [3, LATE_ABOVE + 1, 5])
    assert _parsed(archive).entries[1].descriptor is not None
    assert reader.digest(archive, "000001")[0] == LATE_ABOVE + 1
    assert reader.digest(archive, "000002") == _digest(layout, 2)
