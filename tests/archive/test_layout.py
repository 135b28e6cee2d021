"""Units, cuts and renderings: the arithmetic under every layout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.layout import Content, Ends, Late, Literal, Segment, Units, clip
from pannier.archive.strings import CHUNK
from pannier.window import Window
from tests.archive.strategies import PURE, windows

segment_lists = st.lists(
    st.binary(min_size=1, max_size=9).map(Literal)
    | st.builds(
        lambda entry, start, length: Content(entry, Window(start, start + length)),
        st.integers(0, 9),
        st.integers(0, 1 << 40),
        st.integers(1, 9),
    )
    | st.integers(0, 9).map(Late),
    max_size=6,
)
unit_lists = st.lists(segment_lists.filter(bool), max_size=8)


def units_of(lengths: Sequence[int], begin: int = 0, apart: int = 1) -> Units:
    """Return units of these lengths."""
    return Units(len(lengths), lambda part: lengths[part.start : part.stop], begin, apart=apart)


def ends_of(lengths: Sequence[int], known: Callable[[range], bool]) -> Ends:
    """Return what finds the ends of units of these lengths, of those runs that it knows."""

    def ends(part: range, begin: int, apart: int) -> list[int] | None:
        if not known(part):
            return None
        units = [*range(part.start + apart, part.stop + 1, apart)]
        units += [part.stop] if len(part) % apart else []
        return [begin + sum(lengths[part.start : unit]) for unit in units]

    return ends


spacings = st.sampled_from([1, 4, 16, 64])


def _one_by_one(segments: Iterable[Segment]) -> list[tuple[str, int, int]]:
    """What each byte of some segments is: the definition that cuts are held against."""
    found: list[tuple[str, int, int]] = []
    for segment in segments:
        match segment:
            case Literal(data):
                found += [("literal", 0, byte) for byte in data]
            case Content(entry, window):
                found += [("content", entry, at) for at in range(window.start, window.stop)]
            case Late(entry, window):
                found += [("late", entry, at) for at in range(window.start, window.stop)]
    return found


@pytest.mark.parametrize("apart", [1, 16, 64])
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 4_095, 4_096, 4_097, 8_200])
def test_units_lie_where_their_lengths_put_them_however_their_ends_are_found(count: int, apart: int) -> None:
    lengths = [number % 7 for number in range(count)]
    plain = units_of(lengths, 100, apart)
    for known in (lambda part: True, lambda part: part.start == 4_096):
        found = Units(
            count,
            lambda part: lengths[part.start : part.stop],
            100,
            apart=apart,
            ends=ends_of(lengths, known),
        )
        assert found.stop == plain.stop == 100 + sum(lengths)
        some = {0, 1, 62, 63, 64, 65, 127, 128, 4_095, 4_096, 4_097, 8_191, 8_192, 8_200}
        assert all(
            found.start_of(unit) == plain.start_of(unit) == 100 + sum(lengths[:unit]) for unit in some if unit <= count
        )


@PURE
@given(segment_lists, st.integers(0, 1 << 40), st.data())
def test_a_cut_run_of_segments_is_a_slice_of_its_bytes(segments: list[Segment], at: int, data: st.DataObject) -> None:
    whole = _one_by_one(segments)
    window = data.draw(windows(len(whole)))
    cut = list(clip(segments, at, window.shift(at)))
    assert _one_by_one(cut) == whole[window.start : window.stop]
    assert sum(segment.length for segment in cut) == window.length
    assert all(segment.length for segment in cut)


@PURE
@given(segment_lists, st.integers(0, 40), st.integers(0, 40))
def test_a_window_beyond_the_segments_gives_what_there_is(segments: list[Segment], start: int, length: int) -> None:
    whole = _one_by_one(segments)
    assert _one_by_one(clip(segments, 0, Window(start, start + length))) == whole[start : start + length]


@PURE
@given(unit_lists, st.integers(0, 1 << 40), st.data())
def test_the_segments_of_a_window_are_the_slice_of_all_units(
    units: list[list[Segment]], begin: int, data: st.DataObject
) -> None:
    lengths = [sum(segment.length for segment in segments) for segments in units]
    laid = units_of(lengths, begin, data.draw(spacings))
    whole = _one_by_one(segment for segments in units for segment in segments)
    window = data.draw(windows(len(whole)))
    found = laid.segments(window.shift(begin), units.__getitem__)
    assert _one_by_one(found) == whole[window.start : window.stop]


@PURE
@given(st.lists(st.integers(1, 9), max_size=70), st.integers(0, 1 << 40), st.data())
def test_the_units_that_touch_a_window_are_those_with_a_byte_in_it(
    lengths: list[int], begin: int, data: st.DataObject
) -> None:
    units = units_of(lengths, begin, data.draw(spacings))
    owners = [unit for unit, length in enumerate(lengths) for _ in range(length)]
    window = data.draw(windows(len(owners) + 20))
    assert list(units.touching(window.shift(begin))) == sorted(set(owners[window.start : window.stop]))


@PURE
@given(st.lists(st.integers(1, 1 << 50), max_size=70), st.integers(0, 1 << 40), st.data())
def test_units_begin_where_the_ones_before_end(lengths: list[int], begin: int, data: st.DataObject) -> None:
    units = units_of(lengths, begin, data.draw(spacings))
    assert len(units) == len(lengths)
    starts = [begin + sum(lengths[:unit]) for unit in range(len(lengths) + 1)]
    assert [units.start_of(unit) for unit in range(len(lengths) + 1)] == starts
    start, stop = sorted((data.draw(st.integers(0, len(lengths))), data.draw(st.integers(0, len(lengths)))))
    assert list(units.starts(start, stop + 1)) == starts[start : stop + 1]
    assert units.stop == begin + sum(lengths)


@pytest.mark.parametrize("apart", [1, 16])
@pytest.mark.parametrize("count", [15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 40])
def test_units_are_found_in_any_chunk(count: int, apart: int) -> None:
    units = units_of([3] * count, 7, apart)
    for unit in {*range(0, count, 1 + count // 50), count - 1}:
        assert units.start_of(unit) == 7 + 3 * unit
        assert units.touching(Window(8 + 3 * unit, 9 + 3 * unit)) == range(unit, unit + 1)
    assert list(units.starts(0, count + 1)) == [7 + 3 * unit for unit in range(count + 1)]
    found = units.segments(Window(9, units.stop - 1), lambda _: [Literal(b"abc")])
    assert b"".join(segment.data for segment in found if isinstance(segment, Literal)) == (b"abc" * count)[2:-1]


def test_what_lies_before_the_first_unit_touches_none() -> None:
    units = units_of([5, 5], 100)
    assert units.touching(Window(0, 100)) == range(0)
    assert units.touching(Window(0, 101)) == range(1)
    assert units.touching(Window(110, 120)) == range(0)
    assert units.touching(Window(104, 106)) == range(2)


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (100, 100), (105, 105), (110, 110), (200, 200)])
def test_an_empty_window_touches_nothing(start: int, stop: int) -> None:
    assert not units_of([5, 5], 100).touching(Window(start, stop))


def test_a_unit_outside_the_window_is_not_even_made() -> None:
    made = []

    def make(unit: int) -> list[Segment]:
        made.append(unit)
        return [Literal(bytes(10))]

    assert sum(segment.length for segment in units_of([10] * 50).segments(Window(95, 111), make)) == 16
    assert made == [9, 10, 11]


def test_a_checksum_is_written_little_endian() -> None:
    """APPNOTE 4.4.7 with 4.1.9."""
    assert Late(0).build(0x12345678) == b"\x78\x56\x34\x12"
    assert Late(0).cut(1, 3).build(0x12345678) == b"\x56\x34"


@PURE
@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 4), st.integers(0, 4))
def test_a_cut_checksum_is_a_slice_of_its_bytes(crc: int, one: int, other: int) -> None:
    start, stop = sorted((one, other))
    late = Late(3).cut(start, stop)
    assert late.entry == 3
    assert late.length == stop - start
    assert late.build(crc) == Late(3).build(crc)[start:stop]
