"""The layout of a stored ZIP: its length, its windows, and where Zip64 and descriptors stand."""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import Content, Late, Literal
from pannier.archive.zip import ZipLayout, arrange
from pannier.window import Window
from tests.archive.counting import Looks
from tests.archive.parsing import DESCRIPTOR, UTF8, Archive, parse, parse_bytes
from tests.archive.strategies import (
    FEWER,
    GIB,
    LATE_ABOVE,
    PURE,
    Sample,
    Vast,
    lates,
    samples,
    sized,
    vasts,
    windows,
)

LIMIT_32 = 0xFFFF_FFFF


def _parse_vast(layout: ZipLayout) -> Archive:
    """Parse an archive that nobody could store, by asking for windows of it."""
    vast = Vast(layout.entries)
    return parse(lambda offset, length: vast.render(layout, Window(offset, offset + length)), layout.length)


# ---------------------------------------------------------------- lengths and windows


@PURE
@given(samples())
def test_the_length_is_that_of_the_bytes(sample: Sample) -> None:
    layout = ZipLayout(sample.entries, None)
    assert layout.length == sum(segment.length for segment in layout.segments())
    assert layout.length == len(sample.render(layout))


@PURE
@given(vasts, lates)
def test_the_length_of_any_archive_is_the_sum_of_its_segments(vast: Vast, late_above: int | None) -> None:
    layout = ZipLayout(vast.entries, late_above)
    assert layout.length == sum(segment.length for segment in layout.segments())


@PURE
@given(samples(), st.data())
def test_any_window_is_a_slice_of_the_whole(sample: Sample, data: st.DataObject) -> None:
    """Resuming at any byte gives exactly the missing bytes."""
    layout = ZipLayout(sample.entries, None)
    whole = sample.render(layout)
    for _ in range(5):
        window = data.draw(windows(layout.length))
        assert sample.render(layout, window) == whole[window.start : window.stop]


@pytest.mark.parametrize("step", [1, 7])
@FEWER
@given(samples())
def test_the_whole_can_be_had_in_small_steps(step: int, sample: Sample) -> None:
    layout = ZipLayout(sample.entries, None)
    stops = range(0, layout.length, step)
    pieces = [sample.render(layout, Window(start, min(start + step, layout.length))) for start in stops]
    assert b"".join(pieces) == sample.render(layout)


@PURE
@given(vasts, lates, st.data())
def test_two_windows_that_meet_give_what_one_over_both_gives(
    vast: Vast, late_above: int | None, data: st.DataObject
) -> None:
    """Anywhere in an archive of any size; compared are the bytes of at most a kilobyte around the cut."""
    layout = ZipLayout(vast.entries, late_above)
    cut = data.draw(st.integers(0, layout.length) | _record_edges(layout))
    around = Window(max(0, cut - 500), min(layout.length, cut + 500))
    assert vast.render(layout, Window(around.start, cut)) + vast.render(
        layout, Window(cut, around.stop)
    ) == vast.render(layout, around)


def _record_edges(layout: ZipLayout) -> st.SearchStrategy[int]:
    edges = list(itertools.accumulate((segment.length for segment in layout.segments()), initial=0))
    return st.sampled_from(edges)


@PURE
@given(vasts, lates, st.data())
def test_segments_fill_their_window_and_none_is_empty(vast: Vast, late_above: int | None, data: st.DataObject) -> None:
    layout = ZipLayout(vast.entries, late_above)
    window = data.draw(windows(layout.length))
    lengths = [segment.length for segment in layout.segments(window)]
    assert sum(lengths) == window.length
    assert all(lengths)


@PURE
@given(vasts, lates, st.data())
def test_the_segments_of_a_window_name_no_entry_outside_it(
    vast: Vast, late_above: int | None, data: st.DataObject
) -> None:
    """So nothing is opened or hashed that the window does not need."""
    layout = ZipLayout(vast.entries, late_above)
    window = data.draw(windows(layout.length))
    touched, listed = layout.entries_in(window), layout.trailer_entries(window)
    at = window.start
    for segment in layout.segments(window):
        match segment:
            case Content(entry):
                assert entry in touched
                begin = layout.entry_offset(entry)
                assert begin < at < begin + 100 + layout.entries[entry].size
            case Late(entry):
                assert entry in (touched if at < layout.trailer_offset else listed)
            case Literal():
                pass
        at += segment.length


@PURE
@given(vasts, lates, st.data())
def test_the_entries_of_a_window_are_those_whose_records_meet_it(
    vast: Vast, late_above: int | None, data: st.DataObject
) -> None:
    layout = ZipLayout(vast.entries, late_above)
    window = data.draw(windows(layout.length))
    parsed = _parse_vast(layout)
    assert list(layout.entries_in(window)) == [
        number for number, entry in enumerate(parsed.entries) if Window(entry.offset, entry.stop).intersect(window)
    ]
    if window.covers(Window(*parsed.directory)):
        assert list(layout.trailer_entries(window)) == list(range(len(vast.entries)))
    if not Window(*parsed.directory).intersect(window):
        assert not layout.trailer_entries(window)


def test_a_small_window_makes_only_the_records_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 entries: a window costs what is in it and in the groups around, and its place is found without
    walking there."""
    layout, looks = ZipLayout([sized(number, 1000) for number in range(100_000)], LATE_ABOVE), Looks(monkeypatch)
    middle = layout.entry_offset(50_000)
    directory = layout.trailer_offset
    for start in (0, 1, middle - 1, middle, middle + 500, directory - 1, directory, directory + 3_000_000):
        looks.number = 0
        segments = list(layout.segments(Window(start, start + 100)))
        assert sum(segment.length for segment in segments) == 100
        assert 0 < looks.number <= 100  # a group has 8 members, or 64 records of the directory
    looks.number = 0
    assert list(layout.segments(Window(layout.length - 22, layout.length)))
    assert looks.number == 0
    assert layout.entries_in(Window(middle, middle + 5_000)) == range(50_000, 50_005)
    assert looks.number <= 8


# ---------------------------------------------------------------- what stands in the archive


@PURE
@given(samples())
def test_the_archive_holds_what_the_entries_say(sample: Sample) -> None:
    layout = ZipLayout(sample.entries, None)
    whole = sample.render(layout)
    parsed = parse_bytes(whole)
    assert len(parsed.entries) == len(sample.entries)
    for entry, found in zip(layout.entries, parsed.entries, strict=True):
        assert found.name == entry.name
        assert whole[slice(*found.content)] == sample.contents.get(entry.name, entry.target)
        assert found.attributes >> 16 & 0o7777 == entry.mode
        assert found.attributes >> 28 == {Kind.FILE: 0o10, Kind.DIRECTORY: 0o4, Kind.LINK: 0o12}[entry.kind]
        assert found.attributes & 0xFFFF == (0x10 if entry.kind is Kind.DIRECTORY else 0)
        assert found.made_by >> 8 == 3, "modes are read only from an archive made by a Unix"
        seconds = entry.mtime_ns // 10**9
        assert found.central.modified == found.local.modified
        assert found.central.modified == (seconds if 0 <= seconds < 1 << 31 else None)
        assert found.central.method == 0


@PURE
@given(samples())
def test_names_that_are_not_ascii_and_no_others_are_marked_as_utf_8(sample: Sample) -> None:
    for found in parse_bytes(sample.render(ZipLayout(sample.entries, None))).entries:
        assert bool(found.central.flags & UTF8) == (not found.name.isascii())
        found.name.decode()


@PURE
@given(vasts, lates)
def test_an_archive_of_any_size_is_whole_and_zip64_stands_only_where_needed(vast: Vast, late_above: int | None) -> None:
    """``parse`` holds the rules of Zip64; here only that it reads what was laid out."""
    layout = ZipLayout(vast.entries, late_above)
    parsed = _parse_vast(layout)
    assert [(found.name, found.size) for found in parsed.entries] == [
        (entry.name, entry.size) for entry in layout.entries
    ]
    for number, (entry, found) in enumerate(zip(layout.entries, parsed.entries, strict=True)):
        assert found.crc == Vast.crc(entry)
        assert found.offset == layout.entry_offset(number)
    assert parsed.directory[0] == layout.trailer_offset


@PURE
@given(vasts, lates)
def test_a_descriptor_follows_the_content_above_the_limit_and_nowhere_else(vast: Vast, late_above: int | None) -> None:
    layout = ZipLayout(vast.entries, late_above)
    for number, found in enumerate(_parse_vast(layout).entries):
        is_late = late_above is not None and found.size > late_above
        assert (found.descriptor is not None) == is_late
        assert bool(found.local.flags & DESCRIPTOR) == is_late
        assert layout.checksum_first(number) == (found.size > 0 and not is_late)


@PURE
@given(vasts, lates)
def test_where_the_checksum_comes_first_nothing_of_the_content_comes_before_it(
    vast: Vast, late_above: int | None
) -> None:
    layout = ZipLayout(vast.entries, late_above)
    order: dict[int, list[str]] = {}
    for segment in layout.segments(Window(0, layout.trailer_offset)):
        if not isinstance(segment, Literal):
            order.setdefault(segment.entry, []).append(type(segment).__name__)
    for number, entry in enumerate(layout.entries):
        if not entry.size:
            assert number not in order, "the checksum of nothing is known"
        else:
            assert order[number] == (["Late", "Content"] if layout.checksum_first(number) else ["Content", "Late"])


def test_a_stored_link_never_waits_for_its_checksum() -> None:
    """Its text is in the plan; and it is a literal however long it is said to be."""
    link = Entry(b"l", b"l", Kind.LINK, 9, 0, 0o777, b"", b"l", target=b"elsewhere")
    assert all(isinstance(segment, Literal) for segment in ZipLayout([link], None).segments())


@pytest.mark.parametrize("late_above", [0, 1, 8 * 1024, LIMIT_32 - 2])
def test_no_small_entry_may_have_a_descriptor(late_above: int) -> None:
    """Readers in a pipe cannot tell where a small stored entry with a 64-bit descriptor ends."""
    with pytest.raises(ValueError, match="late_above"):
        ZipLayout([], late_above)


def test_the_least_limit_gives_descriptors_to_zip64_entries_only() -> None:
    entries = [sized(0, 1), sized(1, LIMIT_32 - 1), sized(2, LIMIT_32)]
    assert [found.descriptor is not None for found in _parse_vast(ZipLayout(entries, LIMIT_32 - 1)).entries] == [
        False,
        False,
        True,
    ]


def test_an_archive_of_nothing_is_an_end_record() -> None:
    layout = ZipLayout([], LATE_ABOVE)
    assert list(layout.segments()) == [Literal(b"PK\x05\x06" + bytes(18))]
    assert (layout.length, layout.trailer_offset) == (22, 0)
    assert not list(layout.segments(Window(22, 22)))


@pytest.mark.parametrize("count", [65_534, 65_535, pytest.param(65_536, marks=pytest.mark.slow)])
def test_many_entries_need_zip64_from_65535_on(count: int) -> None:
    layout = ZipLayout([sized(number, 0) for number in range(count)], None)
    parsed = parse_bytes(Sample(layout.entries, {}).render(layout))
    assert len(parsed.entries) == count
    assert parsed.zip64_end == (count >= 65_535)
    assert parsed.end[0] == min(count, 0xFFFF)


@pytest.mark.parametrize("size", [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1])
def test_an_entry_needs_zip64_from_4_gib_less_one_byte_on(size: int) -> None:
    """The largest 32-bit number already means: look elsewhere (4.4.8)."""
    layout = ZipLayout([sized(0, 1), sized(1, size)], None)
    small, large = _parse_vast(layout).entries
    assert small.local.version == small.central.version == 20
    assert large.local.version == large.central.version == (45 if size >= LIMIT_32 else 20)
    assert large.local.extra_ids == large.central.extra_ids == ([1, 0x5455] if size >= LIMIT_32 else [0x5455])


@pytest.mark.parametrize("offset", [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1])
def test_an_offset_needs_zip64_from_4_gib_less_one_byte_on(offset: int) -> None:
    """In the directory only: the local header of a small entry stays plain, wherever it lies."""
    header = 30 + 6 + 9
    layout = ZipLayout([sized(0, 1), sized(1, offset - 2 * header - 1), sized(2, 5)], None)
    _, _, last = _parse_vast(layout).entries
    assert last.offset == layout.entry_offset(2) == offset
    assert last.local.version == 20
    assert last.local.extra_ids == [0x5455]
    assert last.central.version == (45 if offset >= LIMIT_32 else 20)
    assert last.central.extra_ids == ([1, 0x5455] if offset >= LIMIT_32 else [0x5455])


@pytest.mark.parametrize("offset", [LIMIT_32 - 1, LIMIT_32, LIMIT_32 + 1])
def test_a_directory_needs_zip64_from_4_gib_less_one_byte_on(offset: int) -> None:
    header = 30 + 6 + 9
    layout = ZipLayout([sized(0, 1), sized(1, offset - 2 * header - 1)], None)
    parsed = _parse_vast(layout)
    assert parsed.directory[0] == layout.trailer_offset == offset
    assert parsed.zip64_end == (offset >= LIMIT_32)
    assert parsed.end == (2, parsed.directory[1] - offset, min(offset, LIMIT_32))


# ---------------------------------------------------------------- order


@PURE
@given(vasts, lates)
def test_the_first_entry_is_never_zip64_unless_all_are(vast: Vast, late_above: int | None) -> None:
    """Safari's unpacker would keep nothing but the first entry."""
    layout = ZipLayout(vast.entries, late_above)
    if any(entry.size < LIMIT_32 for entry in vast.entries):
        assert _parse_vast(layout).entries[0].local.version == 20


@PURE
@given(vasts)
def test_files_of_the_largest_32_bit_size_come_last(vast: Vast) -> None:
    """Info-ZIP's unzip cannot read the directory behind them."""
    largest = [entry.size == LIMIT_32 for entry in ZipLayout(vast.entries, None).entries]
    assert largest == sorted(largest)


@PURE
@given(vasts)
def test_arranging_moves_what_it_must_and_nothing_else(vast: Vast) -> None:
    arranged = list(arrange(vast.entries))
    last = [entry for entry in vast.entries if entry.size == LIMIT_32]
    rest = [entry for entry in vast.entries if entry.size != LIMIT_32]
    if rest and rest[0].size > LIMIT_32 and any(entry.size < LIMIT_32 for entry in rest):
        first = next(entry for entry in rest if entry.size < LIMIT_32)
        rest = [first, *(entry for entry in rest if entry is not first)]
    assert arranged == [*rest, *last]


@PURE
@given(samples())
def test_the_same_entries_give_the_same_bytes(sample: Sample) -> None:
    first, second = (sample.render(ZipLayout(list(sample.entries), None)) for _ in range(2))
    assert first == second


@PURE
@given(samples())
def test_where_a_file_came_from_never_shows_in_its_bytes(sample: Sample) -> None:
    assume(sample.entries)
    elsewhere = [Entry(b"x", e.name, e.kind, e.size, e.mtime_ns, e.mode, b"y", b"z", e.target) for e in sample.entries]
    assert sample.render(ZipLayout(elsewhere, None)) == sample.render(ZipLayout(sample.entries, None))


def test_eight_gib_is_not_yet_late_and_a_byte_more_is() -> None:
    for size, is_late in ((8 * GIB, False), (8 * GIB + 1, True)):
        [_, found] = _parse_vast(ZipLayout([sized(0, 1), sized(1, size)], LATE_ABOVE)).entries
        assert (found.descriptor is not None) == is_late


# ---------------------------------------------------------------- many entries at once


def _whole_entries(layout: ZipLayout, content: Callable[[int], bytes], crc32: Callable[[int], int]) -> bytes:
    """The archive as ``before``, content, ``after`` and ``trailer`` say."""
    numbers = range(len(layout.entries))
    parts = [
        part
        for number in numbers
        for part in (layout.before(number, crc32(number)), content(number), layout.after(number, crc32(number)))
    ]
    return b"".join([*parts, layout.trailer(numbers, list(map(crc32, numbers)))])


@PURE
@given(samples())
def test_whole_entries_are_what_their_segments_are(sample: Sample) -> None:
    layout = ZipLayout(sample.entries, None)
    contents = [sample.contents.get(entry.name, b"") for entry in layout.entries]
    whole = _whole_entries(layout, contents.__getitem__, lambda number: zlib.crc32(contents[number]))
    assert sample.render(layout, Window(0, len(whole))) == whole
    assert sample.render(layout, Window(len(whole), layout.length))[:4] in (b"PK\x05\x06", b"PK\x06\x06")


@PURE
@given(vasts, lates)
def test_the_records_of_any_entry_are_what_its_segments_are(vast: Vast, late_above: int | None) -> None:
    """Zip64, late checksums, far offsets, times of any year."""
    layout = ZipLayout(vast.entries, late_above)
    assert layout.checksums
    crcs = [Vast.crc(entry) for entry in layout.entries]
    for number, entry in enumerate(layout.entries):
        before, after = layout.before(number, crcs[number]), layout.after(number, crcs[number])
        begin = layout.entry_offset(number)
        middle = begin + len(before) + entry.size
        stop = layout.entry_offset(number + 1) if number + 1 < len(layout.entries) else layout.trailer_offset
        assert middle + len(after) == stop
        assert vast.render(layout, Window(begin, begin + len(before))) == before
        assert vast.render(layout, Window(middle, stop)) == after
    trailer = layout.trailer(range(len(crcs)), crcs)
    assert vast.render(layout, Window(layout.trailer_offset, layout.trailer_offset + len(trailer))) == trailer


@pytest.mark.parametrize("odd", ["", "far", "zip64", "old", "link", "directory", "renamed"])
def test_a_run_of_the_directory_is_that_run_of_the_whole(odd: str) -> None:
    """Long runs of plain files are made together, and one that is not must not harm its neighbours."""
    entries = [sized(number, number % 3, mtime_ns=number * 10**9) for number in range(9_000)]
    match odd:
        case "far":
            entries[4_097] = sized(4_097, LIMIT_32 - 1)
        case "zip64":
            entries[4_095] = sized(4_095, LIMIT_32 + 1)
        case "old":
            entries[4_096] = sized(4_096, 1, mtime_ns=-1)
        case "link":
            entries[4_096] = Entry(b"l", b"l", Kind.LINK, 9, 0, 0o777, b"", b"l", target=b"elsewhere")
        case "directory":
            entries[4_096] = Entry(b"d", b"d/", Kind.DIRECTORY, 0, 0, 0o755, b"", b"d")
        case "renamed":
            entries[4_096] = replace(entries[4_096], name="é".encode() * 20)
    layout, plain = ZipLayout(entries, None), Vast(entries)
    offset = layout.trailer_offset
    directory = plain.render(layout, Window(offset, layout.length))

    def read(begin: int, length: int) -> bytes:
        if begin >= offset:
            return directory[begin - offset : begin - offset + length]
        return plain.render(layout, Window(begin, begin + length))

    whole = parse(read, layout.length)
    assert [found.offset for found in whole.entries[4_000:4_200]] == [
        layout.entry_offset(n) for n in range(4_000, 4_200)
    ]
    chance = random.Random(3)
    for start, stop in ((0, 4_100), (4_090, 4_100), (4_096, 9_000), (17, 17)):
        begin, end = (len(layout.trailer(range(at), bytes(at))) for at in (start, stop))
        with_content = [entry.size > 0 and entry.kind is Kind.FILE for entry in entries[start:stop]]
        crcs = [
            Vast.crc(entry) if has else chance.getrandbits(32)  # what does not count
            for entry, has in zip(entries[start:stop], with_content, strict=True)
        ]
        assert layout.trailer(range(start, stop), crcs) == plain.render(layout, Window(offset + begin, offset + end))
