"""Entity tags and dates, by RFC 9110 8.8.3 and 5.6.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.protocol.validators import (
    AnyTag,
    EntityTag,
    Validator,
    http_date,
    parse_etag,
    parse_etags,
    parse_http_date,
    strongly_equal,
    weakly_equal,
)
from tests.protocol.strategies import PURE, any_text, nearly_tags

EXAMPLE = 784111777
"""The moment that RFC 9110 5.6.7 writes in three forms."""

entity_tags = st.builds(
    EntityTag,
    st.text(st.characters(min_codepoint=0x21, exclude_characters='"\x7f', exclude_categories=())).map('"{}"'.format),
    st.booleans(),
)


def written(tag: EntityTag) -> str:
    return f"W/{tag.opaque}" if tag.weak else tag.opaque


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', 'W/"1"', False, True),
        ('"1"', '"1"', True, True),
        ('"1"', '"2"', False, False),
    ],
)
def test_tags_compare_as_in_the_table_of_the_rfc(one: str, other: str, strong: bool, weak: bool) -> None:
    """RFC 9110 8.8.3.2."""
    left, right = parse_etag(one), parse_etag(other)
    assert left is not None
    assert right is not None
    assert strongly_equal(left, right) is strong
    assert weakly_equal(left, right) is weak


@pytest.mark.parametrize(
    "text", ['"xyzzy"', 'W/"xyzzy"', '""', '"a,b"', '"W/"', '"\'!#~"', '"\u00e9\udc80"', ' "padded"\t']
)
def test_one_tag_is_read(text: str) -> None:
    """RFC 9110 8.8.3: etagc is any visible character but the quote, and obs-text."""
    tag = parse_etag(text)
    assert tag is not None
    assert written(tag) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "xyzzy",
        '"',
        '"a',
        'a"',
        '"a b"',
        '"a"b"',
        'w/"a"',
        'W"a"',
        'W/ "a"',
        '"a","b"',
        '"\x00"',
        '"\x7f"',
        '"a"\n',
    ],
)
def test_what_is_not_exactly_one_tag_is_none(text: str) -> None:
    assert parse_etag(text) is None


@pytest.mark.parametrize("text", ["*", " * ", "\t*"])
def test_an_asterisk_is_any_tag(text: str) -> None:
    assert parse_etags(text) == AnyTag()


@pytest.mark.parametrize(
    "text", ['"a" "b"', '"a""b"', '*, "a"', '"a", *', '"a", b', 'b, "a"', '"a"; "b"', '"a', "", " ", ",", '"a"\n,"b"']
)
def test_a_list_with_anything_malformed_matches_nothing(text: str) -> None:
    assert parse_etags(text) == ()


def test_empty_elements_and_blanks_in_a_list_are_passed_over() -> None:
    """RFC 9110 5.6.1.2."""
    assert parse_etags(' ,"a" ,\t, W/"b",, ') == (EntityTag('"a"'), EntityTag('"b"', weak=True))


@PURE
@given(st.lists(entity_tags, max_size=6), st.sampled_from([",", ", ", " ,\t", ",,"]))
def test_parsing_a_list_of_tags_gives_the_tags_back(tags: list[EntityTag], comma: str) -> None:
    assert parse_etags(comma.join(map(written, tags))) == tuple(tags)


@PURE
@given(any_text | nearly_tags)
def test_no_text_makes_reading_tags_or_dates_raise(text: str) -> None:
    parse_etag(text)
    parse_etags(text)
    parse_http_date(text)


@pytest.mark.parametrize(
    "text", ['"' * 300_001, '"a' * 300_000, "," * 1_000_000 + "x", '"a",' * 200_000, '"a"' + " " * 1_000_000 + "x"]
)
def test_long_lists_of_tags_take_linear_time(text: str) -> None:
    """A quadratic parser would need minutes here; the test's time limit is the assertion."""
    parse_etags(text)
    parse_etag(text)


@pytest.mark.parametrize("etag", ["", "now", 'W/"now"', '"a" ', '"a b"', '"a\n"', '"a", "b"', "*"])
def test_a_validator_takes_one_strong_tag_with_quotes(etag: str) -> None:
    with pytest.raises(ValueError, match="strong entity tag"):
        Validator(etag, 0, dates_are_strong=True)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        " Sun, 06 Nov 1994 08:49:37 GMT\t",
    ],
)
def test_the_three_forms_of_a_date_are_one_moment(text: str) -> None:
    """RFC 9110 5.6.7: a recipient takes all three."""
    assert parse_http_date(text) == EXAMPLE


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800),
        ("Wed Dec 31 23:59:59 2025", 1767225599),
        ("Wednesday, 31-Dec-69 00:00:00 GMT", 3155673600),
        ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
        ("Tue, 06 Nov 1994 08:49:37 GMT", EXAMPLE),
    ],
)
def test_dates_at_the_edges_are_read(text: str, seconds: int) -> None:
    """Leap days and leap seconds count, day names are not compared, years of two digits are 1970 to 2069."""
    assert parse_http_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "784111777",
        "now",
        "1994-11-06T08:49:37Z",
        "06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 12:00:00 GMT",
        "Sat, 01 Jan 0000 00:00:00 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Day, 06 Nov 1994 08:49:37 GMT",
        "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=5",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    """RFC 9110 5.6.7: dates are case-sensitive and have no other white space than their grammar shows."""
    assert parse_http_date(text) is None


def test_a_date_is_written_as_imf_fixdate() -> None:
    assert http_date(EXAMPLE) == "Sun, 06 Nov 1994 08:49:37 GMT"


@PURE
@given(st.integers(-62135596800, 253402300799))
def test_reading_a_written_date_gives_the_seconds_back(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-(10**30), "Mon, 01 Jan 0001 00:00:00 GMT"),
        (-62135596801, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (253402300800, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (10**30, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_times_outside_the_calendar_are_written_as_its_ends(seconds: int, text: str) -> None:
    assert http_date(seconds) == text
