"""The table of formats."""

from __future__ import annotations

import pytest
from hypothesis import given

from pannier.archive.formats import FORMATS, STORED, TAR, ZIP, renamed
from pannier.dto.archives import ArchiveFormat, Compression, OfferedFormat
from pannier.streams.encoding import ENCODERS
from tests.archive.strategies import FEWER, Sample, samples


def test_requests_can_name_every_format_and_no_other() -> None:
    assert set(FORMATS) == {each.label for each in FORMATS.values()} == set(map(str, OfferedFormat))
    assert {each.name for each in FORMATS.values()} == set(ArchiveFormat)
    assert {each.compression for each in FORMATS.values()} == set(Compression)
    for label, made in FORMATS.items():
        assert OfferedFormat.of(ArchiveFormat(made.name), Compression(made.compression)) == label


def test_every_encoding_has_its_encoder() -> None:
    assert {each.encoding for each in FORMATS.values()} == {None, *ENCODERS}


def test_formats_are_told_by_their_types_and_extensions() -> None:
    assert {label: (made.media_type, made.extension) for label, made in FORMATS.items()} == {
        "zip": ("application/zip", ".zip"),
        "zip+deflate": ("application/zip", ".zip"),
        "tar": ("application/x-tar", ".tar"),
        "tar.gz": ("application/gzip", ".tar.gz"),
        "tar.zst": ("application/zstd", ".tar.zst"),
    }


def test_encoded_formats_share_the_plan_of_a_stored_one() -> None:
    shared = {label: made.stored.label for label, made in FORMATS.items()}
    assert shared == {"zip": "zip", "zip+deflate": "zip", "tar": "tar", "tar.gz": "tar", "tar.zst": "tar"}
    assert all(each.stored is each for each in STORED)


@pytest.mark.parametrize(
    ("filename", "label", "expected"),
    [
        ("trip.zip", "tar", "trip.tar"),
        ("trip.ZIP", "tar.gz", "trip.tar.gz"),
        ("trip.tar.gz", "zip", "trip.zip"),
        ("trip.tgz", "tar.zst", "trip.tar.zst"),
        ("trip.2026", "tar", "trip.2026.tar"),
        ("trip.tar.tar.zst", "tar", "trip.tar.tar"),
        (".zip", "tar", ".tar"),
        ("사진.zip", "zip+deflate", "사진.zip"),
    ],
)
def test_a_file_name_changes_its_extension_with_the_format(filename: str, label: str, expected: str) -> None:
    assert renamed(filename, FORMATS[label]) == expected


@FEWER
@given(samples())
def test_every_format_knows_its_length_in_advance(sample: Sample) -> None:
    for made in (ZIP, TAR):
        layout = made.layout(sample.entries, None)
        assert layout.length == len(sample.render(layout))
        assert 0 <= layout.trailer_offset <= layout.length
        assert sorted(entry.name for entry in layout.entries) == sorted(entry.name for entry in sample.entries)
