"""The name of a download."""

from __future__ import annotations

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from pannier.dto.filenames import LONGEST_FILENAME, Filename
from pannier.errors import InvalidRequest
from pannier.protocol.disposition import check_filename
from tests.dto.examples import any_text

NAME: TypeAdapter[str] = TypeAdapter(Filename)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "blank"),
        (" \t", "blank"),
        (".", "directory"),
        ("..", "directory"),
        ("a/b", "without a path"),
        ("a\\b", "without a path"),
        ("a\nb", r"U\+000A at character 1"),
        ("a\x7f", r"U\+007F at character 1"),
        ("{name}\0", r"U\+0000 at character 6"),
        ("n" * (LONGEST_FILENAME + 1), "255"),
        ("a\udc80", "unicode"),
    ],
)
def test_a_name_the_wire_does_not_allow_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        NAME.validate_python(name)


@pytest.mark.parametrize("name", ["a.zip", "...", "결과.zip", " a", 'say "hi".zip', "n" * LONGEST_FILENAME])
def test_other_names_are_taken_as_they_are(name: str) -> None:
    assert NAME.validate_python(name) == name


@given(any_text)
def test_the_rule_is_the_one_of_the_protocol_for_all_text_that_utf8_holds(name: str) -> None:
    try:
        check_filename(name)
        name.encode()
        expected = True
    except (InvalidRequest, UnicodeEncodeError):
        expected = False
    try:
        NAME.validate_python(name)
        taken = True
    except ValidationError:
        taken = False
    assert taken == expected
