"""The entity tag: another one for whatever could make another byte, and the same one everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.entries import Entry, Kind
from pannier.archive.etag import archive_etag
from pannier.protocol.conditions import EntityTag, parse_etag
from tests.archive.strategies import PURE, Sample, samples, vasts

SHAPE = {"late_checksum_above": "8589934592", "links": "follow"}
ENTRY = Entry(b"d/n", b"d/n", Kind.LINK, 3, 1_700_000_000_123_456_789, 0o644, b"identity", b"d/n", b"abc")
OTHERS: dict[str, Any] = {
    "name": b"d/m",
    "kind": Kind.FILE,
    "size": 4,
    "mtime_ns": 1_700_000_001_123_456_789,
    "mode": 0o755,
    "identity": b"identitz",
    "target": b"abd",
}
"""Every field that reaches a record, or says that content may have changed."""
WITHOUT_EFFECT: dict[str, Any] = {"path": b"elsewhere", "source": b"behind/a/link"}


def _etag(
    entries: Sequence[Entry],
    *,
    media_format: str = "zip",
    version: int = 1,
    shape: Mapping[str, str] = SHAPE,
    scheme: str = "inode",
) -> str:
    return archive_etag(media_format, version, shape, scheme, entries)


def test_every_field_of_an_entry_is_spoken_about_here() -> None:
    assert {field.name for field in fields(Entry)} == OTHERS.keys() | WITHOUT_EFFECT.keys()


@pytest.mark.parametrize("field", OTHERS)
def test_another_value_of_what_reaches_the_archive_gives_another_tag(field: str) -> None:
    before, after = (_etag([ENTRY, other, ENTRY]) for other in (ENTRY, replace(ENTRY, **{field: OTHERS[field]})))
    assert before != after


@pytest.mark.parametrize("field", WITHOUT_EFFECT)
def test_where_something_was_found_changes_no_tag(field: str) -> None:
    assert _etag([replace(ENTRY, **{field: WITHOUT_EFFECT[field]})]) == _etag([ENTRY])


def test_format_version_options_and_scheme_are_in_the_tag() -> None:
    tags = [
        _etag([ENTRY]),
        _etag([ENTRY], media_format="tar"),
        _etag([ENTRY], version=2),
        _etag([ENTRY], scheme="object"),
        _etag([ENTRY], shape={**SHAPE, "links": "store"}),
        _etag([ENTRY], shape={**SHAPE, "late_checksum_above": "None"}),
        _etag([ENTRY], shape={**SHAPE, "more": ""}),
        _etag([ENTRY], shape={"links": "follow"}),
        _etag([ENTRY], shape={}),
        _etag([]),
        _etag([ENTRY, ENTRY]),
    ]
    assert len(set(tags)) == len(tags)


def test_the_order_of_options_is_nothing_and_that_of_entries_is() -> None:
    other = replace(ENTRY, name=b"other")
    assert _etag([ENTRY], shape=dict(reversed(SHAPE.items()))) == _etag([ENTRY])
    assert _etag([ENTRY, other]) != _etag([other, ENTRY])


def test_no_field_can_flow_into_its_neighbour() -> None:
    shifted = [
        replace(ENTRY, name=b"ab", identity=b"c", target=b"d"),
        replace(ENTRY, name=b"a", identity=b"bc", target=b"d"),
        replace(ENTRY, name=b"a", identity=b"b", target=b"cd"),
        replace(ENTRY, name=b"abc", identity=b"", target=b"d"),
        replace(ENTRY, name=b"abcd", identity=b"", target=b""),
    ]
    assert len({_etag([entry]) for entry in shifted}) == len(shifted)
    assert _etag([], shape={"a": "b=c"}) != _etag([], shape={"a": "b", "c": ""})
    assert _etag([], media_format="zip1", scheme="") != _etag([], media_format="zip", scheme="1")


@PURE
@given(samples() | vasts.map(lambda vast: Sample(vast.entries, {})), st.data())
def test_two_plans_have_one_tag_only_if_they_are_equal(sample: Sample, data: st.DataObject) -> None:
    """Any field of any entry: also far years, of which no 64-bit number of nanoseconds knows."""
    tag = _etag(sample.entries)
    assert _etag(list(sample.entries)) == tag
    if sample.entries:
        number = data.draw(st.integers(0, len(sample.entries) - 1))
        field = data.draw(st.sampled_from(list(OTHERS)))
        changed = [*sample.entries]
        changed[number] = replace(changed[number], **{field: OTHERS[field]})
        assert (_etag(changed) == tag) == (changed == sample.entries)


@pytest.mark.parametrize("year", [1, 1677, 1969, 2262, 2263, 2446, 9999, 292_277_026_596])
def test_a_time_of_any_year_has_a_tag(year: int) -> None:
    """ext4 reaches 2446, others further; nanoseconds in 64 bits end in 2262."""
    mtime_ns = (year - 1970) * 31_556_952 * 10**9
    assert _etag([replace(ENTRY, mtime_ns=mtime_ns)]) != _etag([replace(ENTRY, mtime_ns=mtime_ns + 1)])


@PURE
@given(samples())
def test_the_tag_is_a_strong_entity_tag(sample: Sample) -> None:
    tag = _etag(sample.entries)
    assert parse_etag(tag) == EntityTag(tag, weak=False)


def test_long_lists_are_digested_whole() -> None:
    """They are taken some thousand at a time, so that a thread does not keep the others waiting."""
    entries = [replace(ENTRY, name=b"%d" % number) for number in range(9_000)]
    tags = {_etag(entries[:count]) for count in (4_095, 4_096, 4_097, 8_191, 8_192, 8_193, 9_000)}
    assert len(tags) == 7
    for number in (0, 4_095, 4_096, 8_999):
        changed = [*entries]
        changed[number] = replace(ENTRY, name=b"changed")
        assert _etag(changed) not in tags


def test_what_few_entries_have_cannot_flow_into_its_neighbour() -> None:
    far = 10**21
    lists = [
        [replace(ENTRY, target=b"", mtime_ns=far + 5), ENTRY],
        [ENTRY, replace(ENTRY, target=b"", mtime_ns=far + 5)],
        [replace(ENTRY, target=b"a1=1:b"), replace(ENTRY, target=b"")],
        [replace(ENTRY, target=b"a"), replace(ENTRY, target=b"b")],
        [replace(ENTRY, target=b"ab"), replace(ENTRY, target=b"")],
        [replace(ENTRY, target=b""), replace(ENTRY, target=b"ab")],
    ]
    assert len({_etag(entries) for entries in lists}) == len(lists)


_PROGRAM = """
from tests.archive.test_etag import ENTRY, SHAPE, _etag
print(_etag([ENTRY] * 3, shape=dict(sorted(SHAPE.items(), key=hash))))
"""


@pytest.mark.parametrize("seed", ["0", "1", "4294967295"])
def test_another_process_finds_the_same_tag(seed: str) -> None:
    """Two replicas, or one before and after a restart: nothing of the process may be in it."""
    found = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Seoul", "LC_ALL": "C"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == _etag([ENTRY] * 3)


def test_the_tag_of_a_plan_is_what_it_was() -> None:
    """A change here turns every resumed download of a running client into a new one: raise ``ENCODING`` on purpose."""
    assert _etag([ENTRY]) == '"f79e279a2e5290f83466105b202ca53411f90ca7"'
