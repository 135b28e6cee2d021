"""Plans: what is known of checksums, and that nothing of a refused selection has a shape."""

from __future__ import annotations

import pytest

from pannier.archive.entries import Entries, Entry, Kind
from pannier.archive.formats import ZIP
from pannier.archive.plan import SHOWN_OFFENCES, Checksums, Omitted, Plan, Shape
from pannier.errors import Offence, OffenceCode, SelectionRefused
from tests.archive.strategies import GIB, sized

DIRECTORY = Entry(b"d", b"d/", Kind.DIRECTORY, 0, 0, 0o755, b"d", b"d")
LINK = Entry(b"l", b"l", Kind.LINK, 6, 0, 0o777, b"l", b"l", b"target")


def _plan(*, offences: int = 0, shape: Shape | None = None) -> Plan:
    refused = tuple(Offence(b"%d" % number, OffenceCode.MISSING, "nothing is there") for number in range(offences))
    return Plan(Entries(), refused, (), (), (), content_bytes=0, seconds=0.0, shape=shape)


def _shape() -> Shape:
    layout = ZIP.layout([sized(1, 5 * GIB), sized(2, 7)], None)
    return Shape(ZIP, layout, '"tag"', last_modified=0, checksums=Checksums(layout.entries))


def _checksums(entries: int) -> Checksums:
    return Checksums(Entries.of(sized(number, 7) for number in range(entries)))


def test_checksums_are_unknown_until_they_are_learnt() -> None:
    checksums = _checksums(3)
    assert [checksums.get(entry) for entry in range(3)] == [None, None, None]
    checksums.put(1, 0xFFFF_FFFF)
    assert [checksums.get(entry) for entry in range(3)] == [None, 0xFFFF_FFFF, None]


def test_what_has_no_content_is_known_from_the_start() -> None:
    entries = Entries.of([sized(0, 0), sized(1, 5), DIRECTORY, sized(3, 0), LINK, sized(5, 1)])
    checksums = Checksums(entries)
    assert checksums.unknown(range(6)) == [1, 5]
    assert checksums.unknown(range(2, 5)) == []
    checksums.put(1, 8)
    assert checksums.unknown(range(6)) == [5]


def test_a_checksum_of_zero_is_known_too() -> None:
    checksums = _checksums(1)
    checksums.put(0, 0)
    assert checksums.get(0) == 0


def test_a_checksum_can_be_forgotten_and_learnt_again() -> None:
    checksums = _checksums(2)
    checksums.put(0, 1)
    checksums.put(1, 2)
    checksums.forget(0)
    assert (checksums.get(0), checksums.get(1)) == (None, 2)
    checksums.put(0, 3)
    assert checksums.get(0) == 3


def test_a_shape_numbers_entries_in_the_order_of_the_archive() -> None:
    shape = _shape()
    assert shape.entries == 2
    assert [shape.entry(number).size for number in range(2)] == [7, 5 * GIB]


def test_a_plan_with_a_shape_gives_it() -> None:
    shape = _shape()
    plan = _plan(shape=shape)
    assert plan.demand() is shape
    assert plan.tag == '"tag"'


def test_a_plan_with_offences_gives_no_shape() -> None:
    with pytest.raises(SelectionRefused) as refused:
        _plan(offences=3).demand()
    assert [offence.path for offence in refused.value.offences] == [b"0", b"1", b"2"]
    assert refused.value.total == 3


def test_a_refusal_shows_some_offenders_and_counts_all() -> None:
    with pytest.raises(SelectionRefused) as refused:
        _plan(offences=SHOWN_OFFENCES + 5).demand()
    assert len(refused.value.offences) == SHOWN_OFFENCES
    assert refused.value.total == SHOWN_OFFENCES + 5


def test_the_tags_of_refused_plans_are_no_entity_tags() -> None:
    assert not _plan(offences=1).tag.startswith('"')


def test_what_is_left_out_is_sorted_by_path() -> None:
    assert sorted([Omitted(b"b", "link", ""), Omitted(b"a", "except", "a")])[0].path == b"a"
