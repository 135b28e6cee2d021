"""What hypothesis draws for the protocol tests, and the settings they share."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from pannier.protocol.conditions import Conditions, NotPinned, Pin, PinnedTo, Unpinnable, Validator, http_date
from pannier.protocol.ranges import BEYOND, FromTo, RangeSpec, Suffix, format_range
from tests.examples import examples

PURE = settings(max_examples=examples(300), deadline=None)

TAGS = ('"now"', '"old"', '"other"')
DATES = st.integers(-(10**11), 10**12)

any_text = st.text(st.characters(exclude_categories=()), max_size=80)
"""Lone surrogates too: that is how undecodable bytes of a header arrive."""

nearly_ranges = st.text("bytesBYTES=-,0123456789 \t", max_size=60) | st.text("-,0123456789 ", max_size=40).map(
    "bytes=".__add__
)
nearly_tags = st.text('W/"now, *\t', max_size=30)

lengths = st.integers(0, 40) | st.integers(0, 2**64)


@st.composite
def range_specs(draw: st.DrawFn, most: int = BEYOND) -> RangeSpec:
    """Any spec whose numbers are at most ``most``."""
    if draw(st.booleans()):
        return Suffix(draw(st.integers(0, most)))
    first = draw(st.integers(0, most))
    return FromTo(first, draw(st.none() | st.integers(first, most)))


specs = range_specs(most=45) | range_specs()

range_headers = (
    st.lists(specs, min_size=1, max_size=20).map(lambda drawn: format_range(*drawn)) | nearly_ranges | any_text
)
tag_headers = st.lists(st.sampled_from([*TAGS, 'W/"now"', "*", ""]), max_size=4).map(", ".join) | nearly_tags | any_text
date_headers = DATES.map(http_date) | any_text

conditions = st.builds(
    Conditions,
    if_match=st.none() | tag_headers,
    if_none_match=st.none() | tag_headers,
    if_modified_since=st.none() | date_headers,
    if_unmodified_since=st.none() | date_headers,
    if_range=st.none() | tag_headers | date_headers,
    range=st.none() | range_headers,
)
methods = st.sampled_from(["GET", "HEAD", "POST"])
validators = st.none() | st.builds(Validator, st.sampled_from(TAGS), DATES, st.booleans())
pin_states: st.SearchStrategy[Pin] = st.just(Unpinnable()) | st.just(NotPinned()) | st.sampled_from(TAGS).map(PinnedTo)
