"""Ranges by RFC 9110 section 14; the table is in ``tests/vectors/ranges.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.protocol.ranges import (
    BEYOND,
    FromTo,
    RangeSpec,
    Suffix,
    content_range,
    format_range,
    parse_range,
    resolve,
    unsatisfied_range,
)
from pannier.window import Window
from tests.protocol.strategies import PURE, any_text, lengths, nearly_ranges, specs

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "ranges.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["description"])
def test_the_table_of_ranges_holds(case: dict[str, Any]) -> None:
    parsed = parse_range(case["header"])
    if case["specs"] is None:
        assert parsed is None
        return
    assert parsed is not None
    assert [format_range(spec).removeprefix("bytes=") for spec in parsed] == case["specs"]
    windows = [resolve(spec, case["length"]) for spec in parsed]
    assert [None if window is None else [window.start, window.stop] for window in windows] == case["windows"]


def test_descriptions_in_the_table_are_unique() -> None:
    assert len({case["description"] for case in CASES}) == len(CASES)


@PURE
@given(st.lists(specs, min_size=1, max_size=40))
def test_parsing_what_was_formatted_is_the_identity(drawn: list[RangeSpec]) -> None:
    assert parse_range(format_range(*drawn)) == tuple(drawn)


@PURE
@given(specs, lengths)
def test_a_resolved_window_never_leaves_the_representation(spec: RangeSpec, length: int) -> None:
    window = resolve(spec, length)
    assert window is None or Window(0, length).covers(window)


@PURE
@given(specs, st.integers(0, 40))
def test_a_range_names_the_bytes_that_counting_one_by_one_gives(spec: RangeSpec, length: int) -> None:
    """RFC 9110 14.1.2, in the slow way."""

    def is_named(at: int) -> bool:
        match spec:
            case FromTo(first, last):
                return at >= first and (last is None or at <= last)
            case Suffix(count):
                return length - at <= count

    window = resolve(spec, length)
    assert (list(range(window.start, window.stop)) if window else []) == list(filter(is_named, range(length)))


@PURE
@given(any_text | nearly_ranges)
def test_no_text_makes_parsing_raise(header: str) -> None:
    parsed = parse_range(header)
    assert parsed is None or len(parsed) > 0


@PURE
@given(
    st.lists(st.sampled_from(["0-5", "-5", "7-"]), min_size=1),
    st.lists(st.sampled_from(["", " ", "\t", ","]), min_size=1),
)
def test_blanks_and_empty_elements_change_nothing(elements: list[str], noise: list[str]) -> None:
    """RFC 9110 5.6.1.2: a recipient takes empty list elements."""
    between = f"{''.join(noise)},{''.join(reversed(noise))}"
    assert parse_range("bytes=" + between.join(elements)) == parse_range("bytes=" + ",".join(elements))


def test_a_hundred_thousand_ranges_are_several_and_parsed_in_one_pass() -> None:
    """A quadratic parser would need minutes here; the test's time limit is the assertion."""
    parsed = parse_range("bytes=" + ",".join(["0-0"] * 100_000))
    assert parsed is not None
    assert len(parsed) == 100_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes={n}-", FromTo(BEYOND)),
        ("bytes=-{n}", Suffix(BEYOND)),
        ("bytes=1-{n}", FromTo(1, BEYOND)),
        ("bytes={n}-{n}", FromTo(BEYOND, BEYOND)),
        ("bytes=1{n}-{n}", None),
    ],
)
def test_a_million_digits_are_read_at_once(header: str, expected: RangeSpec | None) -> None:
    """``int()`` would refuse them, or take quadratic time."""
    assert parse_range(header.format(n="9" * 1_000_000)) == (None if expected is None else (expected,))


@pytest.mark.parametrize(
    "text", ["bytes=" + "," * 1_000_000, "bytes=" + " " * 1_000_000 + "x", "bytes=" + "-" * 1_000_000]
)
def test_a_million_separators_are_ignored_at_once(text: str) -> None:
    assert parse_range(text) is None


def test_a_million_leading_zeros_mean_nothing() -> None:
    zeros = "0" * 1_000_000
    assert parse_range(f"bytes={zeros}1-{zeros}2") == (FromTo(1, 2),)


def test_content_range_is_inclusive() -> None:
    """RFC 9110 14.4."""
    assert content_range(Window(0, 1), 1) == "bytes 0-0/1"
    assert content_range(Window(500, 1234), 1234) == "bytes 500-1233/1234"


@pytest.mark.parametrize("window", [Window(0, 0), Window(5, 5), Window(0, 11), Window(20, 30)])
def test_a_window_that_no_content_range_can_say_is_a_bug(window: Window) -> None:
    with pytest.raises(ValueError, match="no Content-Range"):
        content_range(window, 10)


def test_an_unsatisfied_range_tells_the_length() -> None:
    """RFC 9110 14.4, 15.5.17."""
    assert unsatisfied_range(0) == "bytes */0"
    assert unsatisfied_range(1234) == "bytes */1234"


def test_specs_that_no_header_can_hold_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="not a range"):
        FromTo(-1)
    with pytest.raises(ValueError, match="not a range"):
        FromTo(5, 4)
    with pytest.raises(ValueError, match="not a suffix"):
        Suffix(-1)
    with pytest.raises(ValueError, match="at least one"):
        format_range()
