"""When a link for a single download is spent: a table, and what nobody can do whatever is tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.accounts import MOST_LAYERS, MOST_WINDOWS, Account, most
from pannier.coverage import Coverage
from pannier.window import Window

MIB = 1024 * 1024
LENGTH = 1000 * MIB


def account(*windows: tuple[int, int], length: int | None = LENGTH, archive: str = '"a"') -> Account:
    begun = Account(archive, length)
    for start, stop in windows:
        begun = begun.deliver(Window(start, stop))
    return begun


@pytest.mark.parametrize(
    ("delivered", "spent"),
    [
        ([], False),
        ([(0, LENGTH)], True),
        ([(0, LENGTH - 1)], False),
        ([(1, LENGTH)], False),
        ([(500, LENGTH), (0, 500)], True),
        ([(0, 600), (500, LENGTH)], True),
        ([(0, 500), (501, LENGTH)], False),
        ([(0, LENGTH - 1), (0, 250 * MIB)], False),
        ([(0, LENGTH - 1), (0, 314 * MIB + 1)], False),  # exactly as much as may be
        ([(0, LENGTH - 1), (0, 314 * MIB + 2)], True),
        ([(0, LENGTH // 2)] * 3, True),
        ([(0, 64 * MIB)] * 2, False),
    ],
)
def test_a_single_download_is_spent_when_covered_or_when_more_was_taken_than_it_can_need(
    delivered: list[tuple[int, int]], spent: bool
) -> None:
    assert account(*delivered).spent() is spent


def test_the_most_that_a_single_download_may_take() -> None:
    assert [most(0), most(4), most(7), most(LENGTH)] == [64 * MIB, 64 * MIB + 5, 64 * MIB + 8, 1314 * MIB]


def test_an_empty_archive_is_complete_once_it_was_delivered_and_not_before() -> None:
    assert not Account().complete
    assert account(length=0).complete


def test_what_has_no_length_is_never_complete() -> None:
    assert not account((0, 10), length=None).complete


def test_another_archive_begins_its_bytes_anew_but_not_the_sum() -> None:
    both = account((0, 10)).add(account((5, 7), length=20, archive='"b"'))
    assert both == Account('"b"', 20, Coverage.of([Window(5, 7)]), 12)
    assert both.add(Account()) == both


def test_of_one_that_is_exhausted_only_what_it_lacks_is_allowed() -> None:
    exhausted = account((0, LENGTH - 5), (0, 400 * MIB))
    assert exhausted.exhausted()
    assert exhausted.allows(Window(LENGTH - 5, LENGTH))
    assert exhausted.allows(Window(LENGTH - 3, LENGTH - 2))
    assert not exhausted.allows(Window(LENGTH - 6, LENGTH))
    assert not exhausted.allows(Window(0, 1))
    assert account((0, LENGTH)).allows(Window(0, 1))


def test_an_account_of_very_many_pieces_says_too_little_rather_than_too_much() -> None:
    scattered = account(*((2 * at, 2 * at + 1) for at in range(2 * MOST_WINDOWS)), (LENGTH - 9, LENGTH))
    assert len(scattered.coverage.windows) == MOST_WINDOWS
    assert Window(LENGTH - 9, LENGTH) in scattered.coverage.windows
    assert scattered.total == 2 * MOST_WINDOWS + 9


WINDOWS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 30)).map(lambda it: Window(it[0], sum(it))), max_size=9)


@given(WINDOWS, WINDOWS)
def test_it_does_not_matter_who_writes_first(one: list[Window], other: list[Window]) -> None:
    first = account(*((it.start, it.stop) for it in one))
    second = account(*((it.start, it.stop) for it in other))
    assert first.add(second) == second.add(first) == account(*((it.start, it.stop) for it in one + other))


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 600)), max_size=60))
def test_nobody_gets_two_copies(asked: list[tuple[int, int]]) -> None:
    """Whatever is asked for in whatever order, as long as pieces are small beside the archive."""
    piece = 4 * MIB
    times = [0] * (LENGTH // piece)
    state = Account('"a"', LENGTH)
    for start, count in asked:
        for number in range(start, start + count):
            window = Window(number * piece, (number + 1) * piece)
            if number >= len(times) or state.complete or not state.allows(window):
                break
            state = state.deliver(window)
            times[number] += 1
    assert sum(time >= 2 for time in times) < len(times)
    assert sum(max(0, time - 1) for time in times) * piece <= most(LENGTH) + piece


@pytest.mark.parametrize(
    ("delivered", "deliveries"),
    [
        ([], 0),
        ([(0, 100)], 1),
        ([(0, 100)] * 3, 3),
        ([(0, 60), (0, 60)], 0),  # two people with the same half have not had one delivery between them
        ([(0, 60), (0, 60), (60, 100)], 1),
        ([(0, 60), (0, 60), (60, 100), (60, 100)], 2),
        ([(50, 100), (0, 100), (0, 50)], 2),
        ([(0, 100), (0, 99)], 1),
    ],
)
def test_a_delivery_is_every_byte_once(delivered: list[tuple[int, int]], deliveries: int) -> None:
    assert account(*delivered, length=100).deliveries == deliveries


def test_deliveries_of_earlier_archives_count() -> None:
    both = account((0, 10), (0, 10), length=10).add(account((0, 20), (0, 5), length=20, archive='"b"'))
    assert (both.deliveries, both.earlier, both.given(2)) == (3, 2, Coverage.of([Window(0, 5)]))
    assert both.spent(3)
    assert not both.spent(4)


SMALL = st.lists(
    st.tuples(st.integers(0, 11), st.integers(1, 12)).map(lambda it: (it[0], min(12, sum(it)))),
    max_size=MOST_LAYERS // 2,
)


@given(SMALL, SMALL, st.integers(1, 5))
def test_it_is_known_of_each_byte_how_often_it_was_delivered(
    one: list[tuple[int, int]], other: list[tuple[int, int]], times: int
) -> None:
    both = account(*one, length=12).add(account(*other, length=12))
    counts = [sum(start <= byte < stop for start, stop in one + other) for byte in range(12)]
    assert [bool(both.given(times).covers(Window(byte, byte + 1))) for byte in range(12)] == [
        count >= times for count in counts
    ]
    assert both.deliveries == min(counts)
    assert both.total == sum(counts)
    assert both == account(*other, length=12).add(account(*one, length=12)) == account(*one, *other, length=12)
