"""Paths as JSON carries them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from pannier.dto.json import dumps
from pannier.dto.paths import LONGEST_PATH, VolumePath, to_bytes, to_text
from tests.dto.examples import any_json, any_text, refusal

PATH: TypeAdapter[str] = TypeAdapter(VolumePath)


class Holder(BaseModel):
    path: VolumePath


@given(st.binary(max_size=200))
def test_any_bytes_survive_the_way_through_json_and_back(path: bytes) -> None:
    sent = dumps(Holder(path=to_text(path)))
    assert sent.isascii()
    assert to_bytes(Holder.model_validate(json.loads(sent)).path) == path


@given(any_text | any_json)
def test_a_value_is_either_taken_as_it_is_or_refused(value: object) -> None:
    if refusal(PATH.validate_python, value) is None:
        taken = PATH.validate_python(value)
        assert taken == value
        to_bytes(taken)


@pytest.mark.parametrize("code", [0xD800, 0xDC00, 0xDC7F, 0xDD00, 0xDFFF])
def test_a_surrogate_that_stands_for_no_byte_is_refused_and_named(code: int) -> None:
    with pytest.raises(ValidationError, match=rf"U\+{code:04X} at character 2 stands alone"):
        PATH.validate_python(f"a/{chr(code)}")


def test_a_pair_of_surrogates_in_json_is_one_character_and_taken() -> None:
    assert PATH.validate_python(json.loads(r'"\ud83c\udf80"')) == "\N{RIBBON}"


def test_the_longest_path_is_taken_and_one_character_more_is_refused() -> None:
    assert PATH.validate_python("p" * LONGEST_PATH)
    with pytest.raises(ValidationError, match="16385 characters; at most 16384"):
        PATH.validate_python("p" * (LONGEST_PATH + 1))


@pytest.mark.parametrize("path", ["", ".", "..", "/etc", "a//b", "a\0b", "a\nb", "e\u0301", "\u00e9"])
def test_nothing_is_normalised_or_judged_here(path: str) -> None:
    assert PATH.validate_python(path) == path


def test_bytes_and_numbers_are_no_paths() -> None:
    for value in (b"a", 1, None, ["a"]):
        with pytest.raises(ValidationError, match="a path is a string"):
            PATH.validate_python(value)


def test_the_schema_of_a_path_is_a_string() -> None:
    for mode in ("validation", "serialization"):
        assert PATH.json_schema(mode=mode) == {"type": "string", "maxLength": LONGEST_PATH}
