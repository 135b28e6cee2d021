"""Sets of bytes against the plainest model of them: Python's sets of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.coverage import Coverage
from pannier.window import Window

WINDOWS = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda it: Window(it[0], it[0] + it[1]))
LISTS = st.lists(WINDOWS, max_size=12)


def numbers(*windows: Window) -> set[int]:
    return {number for window in windows for number in range(window.start, window.stop)}


def is_normal(coverage: Coverage) -> bool:
    windows = coverage.windows
    return all(windows) and all(a.stop < b.start for a, b in pairwise(windows))


@given(LISTS)
def test_it_holds_what_any_window_holds_in_the_fewest_windows(windows: list[Window]) -> None:
    coverage = Coverage.of(windows)
    assert numbers(*coverage.windows) == numbers(*windows)
    assert is_normal(coverage)
    assert coverage.length == len(numbers(*windows))


@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_of_adding_does_not_matter(windows: list[Window], chance: object) -> None:
    shuffled = list(windows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    added = Coverage()
    for window in shuffled:
        added = added.add(window)
        assert is_normal(added)
    assert added == Coverage.of(windows)


@given(LISTS, LISTS)
def test_a_union_holds_what_either_holds(one: list[Window], other: list[Window]) -> None:
    assert Coverage.of(one).union(Coverage.of(other)) == Coverage.of(one + other)


@given(LISTS, WINDOWS)
def test_what_is_missing_is_what_is_not_there(windows: list[Window], within: Window) -> None:
    coverage = Coverage.of(windows)
    missing = coverage.missing(within)
    assert is_normal(missing)
    assert numbers(*missing.windows) == numbers(within) - numbers(*windows)
    assert coverage.covers(within) == (numbers(within) <= numbers(*windows))


@given(LISTS, st.integers(0, 12))
def test_of_too_many_windows_the_longest_stay(windows: list[Window], most: int) -> None:
    coverage = Coverage.of(windows)
    kept = coverage.longest(most)
    assert set(kept.windows) <= set(coverage.windows)
    assert is_normal(kept)
    assert len(kept.windows) == min(most, len(coverage.windows))
    dropped = set(coverage.windows) - set(kept.windows)
    assert all(away.length <= stays.length for away in dropped for stays in kept.windows)


@given(LISTS)
def test_its_text_is_read_as_what_was_written(windows: list[Window]) -> None:
    coverage = Coverage.of(windows)
    assert Coverage.parse(str(coverage)) == coverage


@pytest.mark.parametrize("text", ["1", "1-", "-1", "a-b", "2-1", "1-2,", "1-2-3", ","])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Coverage.parse(text)
