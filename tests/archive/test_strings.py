"""Byte strings in chunks behave as a list of them."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.strings import CHUNK, Strings
from tests.archive.strategies import PURE

counts = st.sampled_from([0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
sealed, even = st.booleans(), st.booleans()
hows = ["append", "extend", "extend with even ones", "even"]


def _numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % (number * number) for number in range(start, start + count)]


@PURE
@given(st.lists(st.tuples(st.sampled_from(hows), counts), max_size=4), sealed, even, st.data())
def test_what_was_added_is_there_in_order(
    steps: list[tuple[str, int]], seal: bool, even: bool, data: st.DataObject
) -> None:
    strings, expected = Strings(even=even), list[bytes]()
    for how, count in steps:
        match how:
            case "append":
                added = _numbered(min(count, 3), len(expected))
                for string in added:
                    strings.append(string)
            case "extend":
                added = [b"d/" + string for string in _numbered(count, len(expected))]
                strings.extend(_numbered(count, len(expected)), b"d/")
            case "extend with even ones":
                added = [b"d/" + b"%05d" % number for number in range(count)]
                strings.extend([b"%05d" % number for number in range(count)], b"d/")
            case _:
                added = [b"%07d" % number for number in range(count)]
                strings.extend_even(b"".join(added), count)
        expected += added
    if seal:
        strings.seal()
    assert len(strings) == len(expected)
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert strings.take(start, stop) == expected[start:stop]
    assert strings.lengths(start, stop) == [len(string) for string in expected[start:stop]]
    joined, ends = strings.joined(start, stop)
    assert (joined, list(ends)) == (b"".join(expected[start:stop]), list(accumulate(map(len, expected[start:stop]))))
    aligned = start // CHUNK * CHUNK
    last = min(len(expected), aligned + CHUNK)
    assert strings.joined(aligned, last)[0] == b"".join(expected[aligned:last])
    for number in {start, stop - 1, stop // 2, CHUNK - 1, CHUNK} & set(range(len(expected))):
        assert strings.get(number) == expected[number]


@PURE
@given(st.lists(st.binary(max_size=5), min_size=1, max_size=20), st.data(), sealed, even)
def test_one_can_be_replaced_by_a_longer_or_shorter_one(
    few: list[bytes], data: st.DataObject, seal: bool, even: bool
) -> None:
    expected = [b"%05d" % number for number in range(CHUNK + 5)] if even else _numbered(CHUNK - 5) + few
    strings = Strings(even=even)
    strings.extend(expected)
    if seal:
        strings.seal()
    number = data.draw(st.sampled_from([0, 1, CHUNK - 6, CHUNK - 5, len(expected) - 1]))
    expected[number] = data.draw(st.binary(max_size=9) | st.just(b"fiver"))
    strings.put(number, expected[number])
    assert strings.take(0, len(expected)) == expected
    assert [strings.get(at) for at in (0, number, len(expected) - 1)] == [expected[0], expected[number], expected[-1]]


@pytest.mark.parametrize("even", [False, True])
def test_empty_strings_are_strings_too(even: bool) -> None:
    strings = Strings(even=even)
    strings.extend_even(b"", 3)
    strings.extend([b"", b"a", b""])
    assert strings.take(0, 6) == [b"", b"", b"", b"", b"a", b""]


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("seal", [False, True])
def test_there_is_none_beyond_the_last(even: bool, seal: bool) -> None:
    strings = Strings(even=even)
    strings.extend([b"a", b"b"])
    if seal:
        strings.seal()
    for number in (2, CHUNK, 3 * CHUNK):
        with pytest.raises(IndexError):
            strings.get(number)


def test_strings_of_equal_length_are_counted() -> None:
    with pytest.raises(ValueError, match="7 bytes are no 2 strings"):
        Strings().extend_even(b"1234567", 2)
