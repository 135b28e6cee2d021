"""Models as JSON text."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, Field

from pannier.dto.json import Sparse, dumps
from pannier.dto.paths import VolumePath


class Document(BaseModel):
    named: VolumePath = Field(alias="the name")


class Reply(Sparse):
    token: str
    length: int | None = None
    empty: str = ""


def test_a_model_is_written_under_its_wire_names_in_ascii() -> None:
    assert dumps(Document.model_validate({"the name": "é\udc80"})) == b'{"the name":"\\u00e9\\udc80"}'


def test_a_sparse_model_leaves_out_none_and_nothing_else() -> None:
    assert json.loads(dumps(Reply(token="t"))) == {"token": "t", "empty": ""}


def test_the_schema_of_a_sparse_model_still_names_its_members() -> None:
    assert set(Reply.model_json_schema(mode="serialization")["properties"]) == {"token", "length", "empty"}


def test_a_number_that_json_cannot_hold_is_not_written() -> None:
    class Wait(BaseModel):
        seconds: float

    with pytest.raises(ValueError, match="JSON"):
        dumps(Wait(seconds=float("inf")))
