"""The table of formats."""

from __future__ import annotations

from hypothesis import given

from pannier.archive.formats import FORMATS, TAR, ZIP
from tests.archive.strategies import FEWER, Sample, samples


def test_formats_are_found_by_their_name() -> None:
    assert {name: made.name for name, made in FORMATS.items()} == {"zip": "zip", "tar": "tar"}


def test_zip_is_told_by_its_registered_type_and_extension() -> None:
    assert (ZIP.media_type, ZIP.extension) == ("application/zip", ".zip")


def test_tar_is_told_by_the_type_and_extension_that_everybody_uses() -> None:
    """None is registered."""
    assert (TAR.media_type, TAR.extension) == ("application/x-tar", ".tar")


@FEWER
@given(samples())
def test_every_format_knows_its_length_in_advance(sample: Sample) -> None:
    for made in FORMATS.values():
        layout = made.layout(sample.entries, None)
        assert layout.length == len(sample.render(layout))
        assert 0 <= layout.trailer_offset <= layout.length
        assert sorted(entry.name for entry in layout.entries) == sorted(entry.name for entry in sample.entries)
