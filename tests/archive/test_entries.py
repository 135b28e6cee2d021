"""Entries are values, and their kinds are numbers that stand in every ETag."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from pannier.archive.entries import Entry, Kind
from tests.archive.strategies import sized


def test_the_numbers_of_the_kinds_never_change() -> None:
    assert {kind.name: kind.value for kind in Kind} == {"FILE": 1, "DIRECTORY": 2, "LINK": 3, "SPECIAL": 4}


def test_an_entry_is_a_value() -> None:
    assert sized(1, 10) == sized(1, 10)
    assert len({sized(1, 10), sized(1, 10), sized(1, 11)}) == 2
    with pytest.raises(FrozenInstanceError):
        sized(1, 10).size = 11  # type: ignore[misc]


def test_an_entry_carries_no_dictionary() -> None:
    """A plan holds millions of them."""
    assert not hasattr(sized(1, 10), "__dict__")
    assert Entry.__slots__
