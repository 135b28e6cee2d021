"""Sizes and durations: what is read, what is refused, and what is written back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pannier.quantities import (
    GIB,
    KIB,
    MIB,
    TIB,
    Duration,
    Size,
    duration_text,
    parse_duration,
    parse_size,
    show_bytes,
    show_size,
    size_text,
)

SIZES = [
    (0, 0),
    (1000, 1000),
    ("0", 0),
    ("512", 512),
    ("512b", 512),
    ("512 bytes", 512),
    ("1 byte", 1),
    ("1k", KIB),
    ("64m", 64 * MIB),
    ("100g", 100 * GIB),
    ("2T", 2 * TIB),
    ("8GiB", 8 * GIB),
    ("8 gib", 8 * GIB),
    ("8Gi", 8 * GIB),
    ("8\N{NO-BREAK SPACE}GiB", 8 * GIB),
    ("1.5k", 1536),
    ("0.1k", 102),
    (" 3m ", 3 * MIB),
]

DURATIONS = [
    (0, 0.0),
    (90, 90.0),
    (2.5, 2.5),
    ("90", 90.0),
    ("30s", 30.0),
    ("5m", 300.0),
    ("1.5h", 5400.0),
    ("1d", 86_400.0),
    ("2w", 1_209_600.0),
    ("1mo", 30 * 86_400.0),
    ("1yr", 365 * 86_400.0),
    ("1 D", 86_400.0),
]

SHOWN = [
    (0, "0 bytes"),
    (1, "1 byte"),
    (911, "911 bytes"),
    (1023, "1023 bytes"),
    (1024, "1.00 KiB"),
    (2212, "2.16 KiB"),
    (10_239, "10.0 KiB"),
    (43_201_331, "41.2 MiB"),
    (812 * MIB, "812 MiB"),
    (999 * KIB, "999 KiB"),
    (1000 * KIB, "0.977 MiB"),
    (MIB - 1, "1.00 MiB"),
    (3_116_457_222, "2.90 GiB"),
    (5 * TIB, "5.00 TiB"),
    (2**62, "4,096 PiB"),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes_are_read(text: object, size: int) -> None:
    """Plain numbers are bytes, units are powers of 1024."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "g", "-1", -1, "1x", "1kg", "1 0", "1e3", True, 1.5, None, [], "9" * 60, "1_000"])
def test_what_is_no_size_is_refused(text: object) -> None:
    """The message says what a size looks like."""
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["8GB", "8 kb"])
def test_a_unit_that_may_be_decimal_is_refused(text: str) -> None:
    """GB is 10^9 for one reader and 2^30 for another."""
    with pytest.raises(ValueError, match="1000 or of 1024"):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations_are_read(text: object, seconds: float) -> None:
    """A bare number is seconds; a month has 30 days and a year 365."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "1x", -1, "-1s", True, None, float("inf"), float("nan"), "1h30m", "1y"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """The message says what a duration looks like or which units there are."""
    with pytest.raises(ValueError, match=r"duration|unit of time"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=2**70))
def test_an_exact_size_reads_back(size: int) -> None:
    """parse(write(size)) is the identity."""
    assert parse_size(size_text(size)) == size


@given(st.integers(min_value=0, max_value=2**40) | st.decimals(0, 10**6, places=3).map(float))
def test_an_exact_duration_reads_back(seconds: float) -> None:
    """parse(write(duration)) is the identity."""
    assert parse_duration(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (8 * GIB, "8g"), (1536 * MIB, "1536m"), (1000, "1000"), (2 * TIB, "2t")]
)
def test_sizes_are_written_as_settings_take_them(size: int, text: str) -> None:
    """The largest unit that divides it."""
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (86_400, "1d"), (90, "90s"), (120, "2m"), (2.5, "2.5s")])
def test_durations_are_written_as_settings_take_them(seconds: float, text: str) -> None:
    """The largest unit that divides it."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("size", "text"), SHOWN)
def test_sizes_are_shown(size: int, text: str) -> None:
    """Three significant digits and a no-break space."""
    assert show_size(size) == text.replace(" ", "\N{NO-BREAK SPACE}")


@given(st.integers(min_value=1024, max_value=2**59))
def test_a_shown_size_has_three_significant_digits_and_is_near(size: int) -> None:
    """Whatever the size, and within half of the last digit."""
    number, unit = show_size(size).split("\N{NO-BREAK SPACE}")
    assert re.fullmatch(r"[1-9]\.\d\d|[1-9]\d\.\d|[1-9]\d\d|0\.9\d\d", number), number
    factor = 1024 ** ("KiB", "MiB", "GiB", "TiB", "PiB").index(unit) * 1024
    assert abs(float(number) * factor - size) <= size * 0.006


def test_exact_bytes_have_separators() -> None:
    """So that a person can compare them."""
    assert show_bytes(3_116_457_222) == "3,116,457,222\N{NO-BREAK SPACE}bytes"
    assert show_bytes(1) == "1\N{NO-BREAK SPACE}byte"


def test_the_annotated_types_read_and_refuse() -> None:
    """As fields of a model they take the same texts."""
    assert TypeAdapter(Size).validate_python("8g") == 8 * GIB
    assert TypeAdapter(Duration).validate_python("1d") == 86_400
    with pytest.raises(ValidationError):
        TypeAdapter(Size).validate_python("8 parsecs")
    assert TypeAdapter(Size).json_schema()["format"] == "size"
