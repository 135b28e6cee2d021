"""Identifiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from pannier.dto.ids import FolderId
from tests.dto.examples import FOLDER, FOLDER_TEXT, any_json, refusal

FOLDER_ID: TypeAdapter[FolderId] = TypeAdapter(FolderId)


@pytest.mark.parametrize(
    "text",
    [
        FOLDER_TEXT,
        "user:5e67aac8ba94470ea1172f603ea62b3a/ce8c6955-7b41-4ba0-9b0e-a1b8b0b5d89d",
        FOLDER_TEXT.upper().replace("USER", "user"),
    ],
)
def test_every_spelling_of_the_uuids_gives_one_folder_with_one_text(text: str) -> None:
    assert FOLDER_ID.validate_python(text) == FOLDER
    assert str(FOLDER_ID.validate_python(text)) == FOLDER_TEXT


def test_a_legacy_id_has_no_scope() -> None:
    assert str(FolderId.parse("ce8c6955-7b41-4ba0-9b0e-a1b8b0b5d89d")) == "ce8c69557b414ba09b0ea1b8b0b5d89d"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/" + FOLDER_TEXT.partition("/")[2],
        "group:" + FOLDER_TEXT.partition(":")[2],
        FOLDER_TEXT + "/..",
        "../" + FOLDER_TEXT,
        FOLDER_TEXT.replace("ce8c", "{ce8"),
        FOLDER_TEXT[:-1],
    ],
)
def test_what_is_no_folder_id_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        FOLDER_ID.validate_python(text)


@given(any_json)
def test_any_value_is_taken_or_refused_and_nothing_else_happens(value: object) -> None:
    refusal(FOLDER_ID.validate_python, value)


def test_the_schema_of_a_folder_id_is_a_string() -> None:
    for mode in ("validation", "serialization"):
        assert FOLDER_ID.json_schema(mode=mode)["type"] == "string"
