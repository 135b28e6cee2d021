"""Conditional and ranged requests; the table is in ``tests/vectors/conditions.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pannier.protocol.conditions import (
    Conditions,
    Conflict,
    ConflictReason,
    Decision,
    Failed,
    Full,
    NotModified,
    NotPinned,
    Partial,
    Pin,
    PinnedTo,
    Unpinnable,
    Unsatisfiable,
    Validator,
    decide,
    http_date,
    pins,
)
from pannier.protocol.ranges import FromTo, parse_range
from pannier.window import Window
from tests.protocol.strategies import (
    PURE,
    any_text,
    conditions,
    lengths,
    methods,
    pin_states,
    range_headers,
    validators,
)

CASES = json.loads((Path(__file__).parents[1] / "vectors" / "conditions.json").read_text())
NOW = Validator('"now"', 1_700_000_000, dates_are_strong=True)


def pin_of(case: dict[str, Any]) -> Pin:
    match case["pin"]:
        case "unpinnable":
            return Unpinnable()
        case "not-pinned":
            return NotPinned()
        case str(etag):
            return PinnedTo(etag)
        case other:
            raise AssertionError(other)


def decision_of(expected: dict[str, Any]) -> Decision:
    match expected:
        case {"decision": "full"}:
            return Full()
        case {"decision": "partial", "window": [start, stop]}:
            return Partial(Window(start, stop))
        case {"decision": "not-modified"}:
            return NotModified()
        case {"decision": "failed"}:
            return Failed()
        case {"decision": "conflict", "reason": reason}:
            return Conflict(ConflictReason(reason))
        case {"decision": "unsatisfiable", "length": length}:
            return Unsatisfiable(length)
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["description"])
def test_the_table_of_conditions_holds(case: dict[str, Any]) -> None:
    validator = None
    if case["etag"] is not None:
        validator = Validator(case["etag"], case["last_modified"], dates_are_strong=case["dates_are_strong"])
    decided = decide(case["method"], Conditions.of(case["headers"]), case["length"], validator, pin_of(case))
    assert decided == decision_of(case["expected"])


def test_descriptions_in_the_table_are_unique() -> None:
    assert len({case["description"] for case in CASES}) == len(CASES)


def test_the_table_reaches_every_decision_from_every_pin_that_allows_it() -> None:
    reached = {(case["pin"], case["expected"]["decision"]) for case in CASES}
    everywhere = {"full", "partial", "not-modified", "failed", "unsatisfiable"}
    for pin in ("unpinnable", "not-pinned", '"now"', '"old"'):
        assert everywhere <= {decision for of, decision in reached if of == pin}, pin
    assert {pin for pin, decision in reached if decision == "conflict"} == {"not-pinned", '"old"'}


@PURE
@given(methods, conditions, st.none() | lengths, validators, pin_states)
def test_a_partial_answer_lies_in_the_representation_and_answers_a_get(
    method: str, asked: Conditions, length: int | None, validator: Validator | None, pin: Pin
) -> None:
    match decide(method, asked, length, validator, pin):
        case Partial(window):
            assert method == "GET"
            assert length is not None
            assert window
            assert Window(0, length).covers(window)
        case Unsatisfiable(told):
            assert method == "GET"
            assert told == length


@PURE
@given(range_headers, lengths)
def test_a_session_pinned_to_another_archive_gets_no_byte_by_a_bare_range(header: str, length: int) -> None:
    """Promise 2: 409 selection-changed, never 200 or 416, whatever the range is."""
    decided = decide("GET", Conditions(range=header), length, NOW, PinnedTo('"old"'))
    if parse_range(header) is None:
        assert decided == Full()
    else:
        assert decided == Conflict(ConflictReason.SELECTION_CHANGED)


@PURE
@given(range_headers, lengths)
def test_without_a_pin_no_bare_range_is_served_from_the_middle(header: str, length: int) -> None:
    """Promise 2: not pinned, a range that is neither from 0 nor a suffix is 409 resume-unverified."""
    decided = decide("GET", Conditions(range=header), length, NOW, NotPinned())
    ranges = parse_range(header) or ()
    if any(isinstance(spec, FromTo) and spec.first > 0 for spec in ranges):
        assert decided == Conflict(ConflictReason.RESUME_UNVERIFIED)
    else:
        assert not isinstance(decided, Conflict)


@PURE
@given(range_headers, lengths)
def test_a_pin_that_holds_is_as_plain_http(header: str, length: int) -> None:
    asked = Conditions(range=header)
    assert decide("GET", asked, length, NOW, PinnedTo('"now"')) == decide("GET", asked, length, NOW, Unpinnable())


@PURE
@given(range_headers, any_text, lengths, pin_states)
def test_if_range_never_ends_in_a_conflict(header: str, if_range: str, length: int, pin: Pin) -> None:
    """Promise 2: If-Range is answered 206 or 200 (or 416), whatever is pinned."""
    decided = decide("GET", Conditions(range=header, if_range=if_range), length, NOW, pin)
    assert not isinstance(decided, Conflict)


@PURE
@given(range_headers, lengths)
def test_a_matching_if_range_does_not_ask_for_the_pin(header: str, length: int) -> None:
    asked = Conditions(range=header, if_range=NOW.etag)
    every: list[Pin] = [Unpinnable(), NotPinned(), PinnedTo('"now"'), PinnedTo('"old"')]
    assert len({decide("GET", asked, length, NOW, pin) for pin in every}) == 1


@PURE
@given(st.integers(-(10**9), 4 * 10**9), st.integers(-(10**9), 4 * 10**9))
def test_a_date_in_if_range_matches_only_exactly(modified: int, said: int) -> None:
    """RFC 9110 13.1.5: exact match, not "not modified since"."""
    asked = Conditions(range="bytes=1-", if_range=http_date(said))
    decided = decide("GET", asked, 10, Validator('"x"', modified, dates_are_strong=True), Unpinnable())
    assert decided == (Partial(Window(1, 10)) if said == modified else Full())


def test_a_time_that_no_date_can_say_is_never_matched_by_the_nearest_one() -> None:
    far = Validator('"x"', 10**15, dates_are_strong=True)
    asked = Conditions(range="bytes=1-", if_range=http_date(far.last_modified))
    assert decide("GET", asked, 10, far, Unpinnable()) == Full()


def test_only_a_body_or_the_headers_of_one_pin() -> None:
    assert pins(Full())
    assert pins(Partial(Window(0, 1)))
    assert not pins(NotModified())
    assert not pins(Failed())
    assert not pins(Conflict(ConflictReason.SELECTION_CHANGED))
    assert not pins(Unsatisfiable(1))


def test_reasons_of_a_conflict_are_the_problem_types_of_the_wire() -> None:
    assert [str(reason) for reason in ConflictReason] == ["selection-changed", "resume-unverified"]


def test_conditions_are_taken_by_name_in_any_case() -> None:
    headers = {
        "If-Match": "a",
        "if-none-match": "b",
        "IF-MODIFIED-SINCE": "c",
        "If-Unmodified-Since": "d",
        "iF-rAnGe": "e",
        "Range": "f",
        "X-Range": "g",
    }
    assert Conditions.of(headers) == Conditions("a", "b", "c", "d", "e", "f")
    assert Conditions.of({}) == Conditions()


def test_an_empty_header_is_not_an_absent_one() -> None:
    assert Conditions.of({"If-Match": ""}) == Conditions(if_match="")


def test_repeated_lines_of_tags_are_one_list() -> None:
    """RFC 9110 5.3: repeated lines of a list header may be joined."""
    asked = Conditions.of(CIMultiDict([("If-None-Match", '"a"'), ("if-none-match", '"now"')]))
    assert asked == Conditions(if_none_match='"a", "now"')
    assert decide("GET", asked, 10, NOW, Unpinnable()) == NotModified()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((("Range", "bytes=0-1"), ("Range", "bytes=2-3")), Full()),
        ((("Range", "bytes=0-1"), ("If-Range", '"now"'), ("If-Range", '"now"')), Full()),
        ((("If-Modified-Since", http_date(10**10)), ("If-Modified-Since", http_date(10**10))), Full()),
        ((("If-Unmodified-Since", http_date(0)), ("If-Unmodified-Since", http_date(0))), Full()),
    ],
)
def test_repeated_lines_of_what_is_no_list_are_ignored(lines: tuple[tuple[str, str], ...], expected: Decision) -> None:
    """Which of them a proxy on the way saw is not known, so none counts."""
    assert decide("GET", Conditions.of(CIMultiDict(lines)), 10, NOW, Unpinnable()) == expected
