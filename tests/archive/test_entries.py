"""Entries are values, and their kinds are numbers that stand in every ETag; many of them are columns."""

from __future__ import annotations

import tracemalloc
from array import array
from dataclasses import FrozenInstanceError, replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.entries import Entries, EntriesBuilder, Entry, Kind
from pannier.archive.files import Files
from pannier.archive.strings import CHUNK
from tests.archive.strategies import PURE, Sample, components, huge_sizes, identities, modes, samples, sized, times

_FAR = 10**21
"""Nanoseconds that no 64 bits hold."""


def test_the_numbers_of_the_kinds_never_change() -> None:
    assert {kind.name: kind.value for kind in Kind} == {"FILE": 1, "DIRECTORY": 2, "LINK": 3, "SPECIAL": 4}


def test_an_entry_is_a_value() -> None:
    assert sized(1, 10) == sized(1, 10)
    assert len({sized(1, 10), sized(1, 10), sized(1, 11)}) == 2
    with pytest.raises(FrozenInstanceError):
        sized(1, 10).size = 11  # type: ignore[misc]


def test_an_entry_carries_no_dictionary() -> None:
    assert not hasattr(sized(1, 10), "__dict__")
    assert Entry.__slots__


# ---------------------------------------------------------------- columns

any_entries = st.lists(
    st.builds(
        Entry,
        path=components,
        name=components,
        kind=st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.LINK]),
        size=huge_sizes,
        mtime_ns=times | st.sampled_from([_FAR, -_FAR, 1 << 63, -(1 << 63), (1 << 63) - 1]),
        mode=modes,
        identity=identities,
        source=components,
        target=st.binary(max_size=5),
    ),
    max_size=12,
)


@PURE
@given(any_entries)
def test_entries_come_out_as_they_were_put_in(entries: list[Entry]) -> None:
    made = Entries.of(entries)
    assert list(made) == entries
    assert made == entries
    assert [made[number] for number in range(len(entries))] == entries
    assert made[1:5:2] == entries[1:5:2]
    assert Entries.of(made) is made
    assert made.names() == [entry.name for entry in entries]
    assert made.paths() == [entry.path for entry in entries]
    assert made.name_lengths(0, len(entries)) == [len(entry.name) for entry in entries]
    assert (list(made.sizes), list(made.modes)) == ([e.size for e in entries], [e.mode for e in entries])
    assert list(made.kinds) == [entry.kind.value for entry in entries]
    assert made.joined_names(0, len(entries))[0] == b"".join(entry.name for entry in entries)
    sources, ends = made.joined_sources(0, len(entries))
    assert sources == b"".join(entry.source for entry in entries)
    assert list(ends) == list(accumulate(len(entry.source) for entry in entries))
    assert made.joined_identities(0, len(entries))[0] == b"".join(entry.identity for entry in entries)
    assert made.targets(0, len(entries)) == {number: e.target for number, e in enumerate(entries) if e.target}


@PURE
@given(samples())
def test_equality_is_that_of_a_list(sample: Sample) -> None:
    made = Entries.of(sample.entries)
    assert made == Entries.of(list(sample.entries))
    assert made == tuple(sample.entries)
    assert made != [*sample.entries, sized(1, 1)]
    if sample.entries:
        assert made != [*sample.entries[:-1], replace(sample.entries[-1], size=sample.entries[-1].size + 1)]


@PURE
@given(any_entries, st.data())
def test_another_order_is_the_same_entries_in_it(entries: list[Entry], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(entries))))
    assert Entries.of(entries).in_order(order) == [entries[number] for number in order]


def test_positions_are_those_of_a_list() -> None:
    made = Entries.of([sized(0, 1), sized(1, 2)])
    assert made[-1] == sized(1, 2)
    for number in (2, -3):
        with pytest.raises(IndexError):
            made[number]


@PURE
@given(st.lists(st.tuples(st.sampled_from([0, 1, 7, CHUNK - 1, CHUNK + 1]), st.booleans(), st.booleans()), max_size=4))
def test_files_of_a_directory_are_entries_like_those_put_in_alone(runs: list[tuple[int, bool, bool]]) -> None:
    """Through a link or not, with identities of one length or several, before and after the years of 64 bits."""
    builder, expected = EntriesBuilder(), list[Entry]()
    for run, (count, linked, mixed) in enumerate(runs):
        prefix, source = b"%d/" % run, b"real/" if linked else b"%d/" % run
        names = [b"%05d" % number for number in range(count)]
        mtimes = [number * 1_000_000_007 for number in range(count)]
        whose = [b"i%04d" % number + (b"+" * (number % 3) if mixed else b"") for number in range(count)]
        files = Files(
            names,
            array("Q", range(count)),
            [*mtimes[:-1], _FAR] if mixed and count else array("q", mtimes),
            array("H", [0o644]) * count,
            whose if mixed else b"".join(whose),
            mtimes,
        )
        expected += [
            Entry(prefix + name, prefix + name, Kind.FILE, size, mtime, mode, files.identity(size), source + name)
            for name, size, mtime, mode in zip(names, files.sizes, files.mtimes, files.modes, strict=True)
        ]
        builder.extend(prefix, source, files)
        link = Entry(b"link", b"li\\nk", Kind.LINK, 3, run, 0o777, b"x", b"elsewhere", b"abc")
        builder.append(link)
        expected.append(link)
    assert list(builder.paths()) == [entry.path for entry in expected]
    assert builder.build() == expected
    assert len(builder) == 0


def test_some_files_can_be_taken_from_many() -> None:
    files = Files(
        [b"a", b"b", b"c"], array("Q", [1, 2, 3]), array("q", [4, 5, 6]), array("H", [7, 8, 9]), b"xyz", [0] * 3
    )
    for picked in (files.pick([0, 2]), Files([b"a", b"c"], array("Q"), [], array("H"), [b"x", b"z"], [])):
        assert [picked.names[0], picked.identity(1)] == [b"a", b"z"]
    assert (list(files.pick([1]).mtimes), list(files.cut(1, 3).sizes), files.cut(1, 2).identities) == (
        [5],
        [2, 3],
        b"y",
    )
    assert files.cut(0, 3) is files


@PURE
@given(any_entries.filter(bool), st.data())
def test_an_entry_can_be_replaced_where_it_is(entries: list[Entry], data: st.DataObject) -> None:
    builder = EntriesBuilder()
    for entry in entries:
        builder.append(entry)
    number = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(any_entries.filter(bool))[0]
    entries[number] = replace(other, path=entries[number].path, source=entries[number].source)
    builder.put(number, entries[number])
    assert builder[number] == entries[number]
    with pytest.raises(ValueError, match="stays where it is"):
        builder.put(number, replace(entries[number], path=b"elsewhere/" + entries[number].path))
    assert builder.build() == entries


def test_an_entry_can_be_renamed() -> None:
    builder = EntriesBuilder()
    builder.append(sized(1, 1))
    builder.rename(0, b"other")
    assert builder.build() == [replace(sized(1, 1), name=b"other")]


def test_a_million_would_fit_into_eighty_megabytes() -> None:
    """55 bytes each and the path, which has 16; while they are built too."""
    count, builder = 100_000, EntriesBuilder()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for first in range(0, count, 1_000):
            names = [b"%06d" % number for number in range(first, first + 1_000)]
            times = array("q", [0]) * 1_000
            builder.extend(
                b"directory/",
                b"directory/",
                Files(names, array("Q", times), times, array("H", [0o644]) * 1_000, bytes(32_000), times),
            )
        made = builder.build()
        now, peak = (value - before for value in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    assert len(made) == count
    assert now < 75 * count
    assert peak < 80 * count
