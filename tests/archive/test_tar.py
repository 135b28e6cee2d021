"""The layout of a TAR: its length, its windows, and what stands in it."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import Content, Late, Literal
from pannier.archive.tar import RECORD, TarLayout
from pannier.window import Window
from tests.archive.counting import Looks
from tests.archive.strategies import FEWER, LATE_ABOVE, PURE, Sample, Vast, samples, sized, vasts, windows
from tests.archive.tar_parsing import Member, parse, parse_bytes

END = 1024


def _parse_vast(layout: TarLayout) -> list[Member]:
    """Parse an archive that nobody could store, by asking for windows of it."""
    vast = Vast(layout.entries)
    return parse(lambda offset, length: vast.render(layout, Window(offset, offset + length)), layout.length)


# ---------------------------------------------------------------- lengths and windows


@PURE
@given(samples())
def test_the_length_is_that_of_the_bytes(sample: Sample) -> None:
    layout = TarLayout(sample.entries)
    assert layout.length == sum(segment.length for segment in layout.segments()) == len(sample.render(layout))


@PURE
@given(vasts)
def test_the_length_of_any_archive_is_the_sum_of_its_segments(vast: Vast) -> None:
    layout = TarLayout(vast.entries)
    assert layout.length == sum(segment.length for segment in layout.segments())


@PURE
@given(samples(), st.data())
def test_any_window_is_a_slice_of_the_whole(sample: Sample, data: st.DataObject) -> None:
    """Resuming at any byte gives exactly the missing bytes."""
    layout = TarLayout(sample.entries)
    whole = sample.render(layout)
    for _ in range(5):
        window = data.draw(windows(layout.length))
        assert sample.render(layout, window) == whole[window.start : window.stop]


@pytest.mark.parametrize("step", [7, 512])
@FEWER
@given(samples())
def test_the_whole_can_be_had_in_small_steps(step: int, sample: Sample) -> None:
    layout = TarLayout(sample.entries)
    stops = range(0, layout.length, step)
    pieces = [sample.render(layout, Window(start, min(start + step, layout.length))) for start in stops]
    assert b"".join(pieces) == sample.render(layout)


@PURE
@given(vasts, st.data())
def test_segments_fill_their_window_are_small_and_name_no_entry_outside_it(vast: Vast, data: st.DataObject) -> None:
    layout = TarLayout(vast.entries)
    window = data.draw(windows(layout.length))
    touched = layout.entries_in(window)
    at = window.start
    for segment in layout.segments(window):
        assert segment.length
        match segment:
            case Content(entry):
                assert entry in touched
                assert layout.entry_offset(entry) < at
            case Literal():
                assert segment.length <= 4 * 512
            case Late():
                pytest.fail("nothing waits for a checksum")
        at += segment.length
    assert at == max(window.stop, window.start)


@PURE
@given(vasts, st.data())
def test_the_entries_of_a_window_are_those_whose_bytes_meet_it(vast: Vast, data: st.DataObject) -> None:
    layout = TarLayout(vast.entries)
    window = data.draw(windows(layout.length))
    assert list(layout.entries_in(window)) == [
        number
        for number, member in enumerate(_parse_vast(layout))
        if Window(member.offset, member.stop).intersect(window)
    ]


def test_a_small_window_makes_only_the_headers_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 entries: a window costs what is in it, and its place is found without walking there."""
    layout, looks = TarLayout([sized(number, 1000) for number in range(100_000)]), Looks(monkeypatch)
    middle = layout.entry_offset(50_000)
    for start in (0, 1, middle - 1, middle, middle + 500, middle + 1_520):
        looks.number = 0
        segments = list(layout.segments(Window(start, start + 100)))
        assert sum(segment.length for segment in segments) == 100
        assert looks.number <= 4  # two entries, each with its name
    looks.number = 0
    assert list(layout.segments(Window(layout.length - 600, layout.length)))
    assert layout.entries_in(Window(middle, middle + 5 * 1_536)) == range(50_000, 50_005)
    assert looks.number == 0


# ---------------------------------------------------------------- what is before, and after


@PURE
@given(samples())
def test_before_content_and_after_make_the_archive(sample: Sample) -> None:
    layout = TarLayout(sample.entries)
    numbers = range(len(sample.entries))
    members = [
        layout.before(number, 0) + sample.contents.get(entry.name, b"") + layout.after(number, 0)
        for number, entry in enumerate(layout.entries)
    ]
    assert [layout.entry_offset(number) for number in numbers] == [
        sum(map(len, members[:number])) for number in numbers
    ]
    joined = b"".join(members)
    assert sample.render(layout) == joined + bytes(layout.length - len(joined))


@PURE
@given(vasts, st.data())
def test_before_and_after_stand_around_any_content(vast: Vast, data: st.DataObject) -> None:
    assume(vast.entries)
    layout = TarLayout(vast.entries)
    number = data.draw(st.integers(0, len(vast.entries) - 1))
    begin = layout.entry_offset(number)
    before, after = layout.before(number, 1), layout.after(number, 2)
    content_stop = begin + len(before) + vast.entries[number].size
    assert vast.render(layout, Window(begin, begin + len(before))) == before
    assert vast.render(layout, Window(content_stop, content_stop + len(after))) == after
    assert list(layout.entries_in(Window(content_stop + len(after) - 1, content_stop + len(after)))) == [number]


@PURE
@given(samples(), st.data())
def test_there_are_no_checksums(sample: Sample, data: st.DataObject) -> None:
    layout = TarLayout(sample.entries)
    window = data.draw(windows(layout.length))
    numbers = range(len(sample.entries))
    assert not layout.checksums
    assert not any(layout.checksum_first(number) for number in numbers)
    assert layout.trailer_offset == layout.length
    assert layout.trailer_entries(window) == range(0)
    assert layout.trailer(numbers, ()) == b""
    assert [(layout.before(n, 0), layout.after(n, 0)) for n in numbers] == [
        (layout.before(n, 0xFFFF_FFFF), layout.after(n, 0xFFFF_FFFF)) for n in numbers
    ]


# ---------------------------------------------------------------- what stands in the archive


_FLAGS = {Kind.FILE: b"0", Kind.DIRECTORY: b"5", Kind.LINK: b"2"}


@PURE
@given(samples())
def test_the_archive_holds_what_the_entries_say(sample: Sample) -> None:
    """In the order in which they were planned; ``parse_bytes`` holds the rules of the format."""
    whole = sample.render(TarLayout(sample.entries))
    members = parse_bytes(whole)
    assert len(members) == len(sample.entries)
    for entry, member in zip(sample.entries, members, strict=True):
        assert (member.name, member.flag, member.target) == (entry.name, _FLAGS[entry.kind], entry.target)
        assert whole[slice(*member.content)] == sample.contents.get(entry.name, b"")
        assert (member.mode, member.mtime) == (entry.mode, entry.mtime_ns // 10**9)


@PURE
@given(vasts)
def test_an_archive_of_any_size_is_whole(vast: Vast) -> None:
    layout = TarLayout(vast.entries)
    members = _parse_vast(layout)
    assert [(member.name, member.size, member.mtime) for member in members] == [
        (entry.name, entry.size, entry.mtime_ns // 10**9) for entry in vast.entries
    ]
    assert [member.offset for member in members] == [layout.entry_offset(n) for n in range(len(members))]


@PURE
@given(samples())
def test_python_reads_any_archive_as_it_was_planned(sample: Sample) -> None:
    whole = sample.render(TarLayout(sample.entries))
    with tarfile.open(fileobj=io.BytesIO(whole), mode="r:", encoding="utf-8") as opened:
        infos = opened.getmembers()
        assert [info.name.encode() for info in infos] == [entry.name.removesuffix(b"/") for entry in sample.entries]
        for entry, info in zip(sample.entries, infos, strict=True):
            assert (info.mode, int(info.mtime), info.uid, info.gid) == (entry.mode, entry.mtime_ns // 10**9, 0, 0)
            assert info.linkname.encode("utf-8", "surrogateescape") == entry.target
            content = opened.extractfile(info) if info.isreg() else None
            assert (content.read() if content else b"") == sample.contents.get(entry.name, b"")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1023, 1024, 1025])
def test_content_is_padded_to_blocks(size: int) -> None:
    layout = TarLayout([sized(0, size), sized(1, 0)])
    assert layout.entry_offset(1) == 512 + -(-size // 512) * 512
    assert len(layout.after(0, 0)) == -size % 512


def test_the_text_of_a_stored_link_is_no_content() -> None:
    """An entry's size counts it, as a ZIP does."""
    link = Entry(b"l", b"l", Kind.LINK, 9, 0, 0o777, b"", b"l", target=b"elsewhere")
    layout = TarLayout([link, sized(1, 5)])
    assert layout.entry_offset(1) == 512
    assert layout.after(0, 0) == b""
    assert [member.target for member in _parse_vast(layout)] == [b"elsewhere", b""]


def test_an_archive_of_nothing_is_one_record_of_zeros() -> None:
    """As GNU tar writes it."""
    layout = TarLayout([], LATE_ABOVE)
    assert Sample([], {}).render(layout) == bytes(10_240)
    assert layout.entries_in(Window(0, layout.length)) == range(0)


@pytest.mark.parametrize(
    ("entries", "length"), [(17, 10_240), (18, 10_240), (19, 20_480), (20, 20_480), (38, 20_480), (39, 30_720)]
)
def test_two_blocks_of_zeros_and_what_fills_the_record_end_it(entries: int, length: int) -> None:
    layout = TarLayout([sized(number, 0) for number in range(entries)])
    assert layout.length == length
    assert layout.length % RECORD == 0
    assert layout.length - entries * 512 >= END


# ---------------------------------------------------------------- the same bytes


@PURE
@given(samples(), st.sampled_from([None, 0, LATE_ABOVE]))
def test_the_same_entries_give_the_same_bytes(sample: Sample, late_above: int | None) -> None:
    """Whatever the limit for late checksums, and wherever the files came from."""
    elsewhere = [Entry(b"x", e.name, e.kind, e.size, e.mtime_ns, e.mode, b"y", b"z", e.target) for e in sample.entries]
    assert sample.render(TarLayout(elsewhere, late_above)) == sample.render(TarLayout(sample.entries))
