"""Moments as text."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.dto.instants import instant


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_795_338_000, "2026-11-22T09:00:00Z"),
        (-(10**40), "0001-01-01T00:00:00Z"),
        (10**40, "9999-12-31T23:59:59Z"),
    ],
)
def test_a_moment_is_written_in_utc_and_clamped_to_the_years_of_the_form(seconds: int, text: str) -> None:
    assert instant(seconds) == text


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_a_moment_that_the_form_holds_can_be_read_back(seconds: int) -> None:
    assert datetime.fromisoformat(instant(seconds)).timestamp() == seconds
