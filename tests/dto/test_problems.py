"""Problem documents."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pannier.dto.json import dumps
from pannier.dto.problems import Problem
from tests.dto.examples import any_text


def written(problem: Problem) -> Any:
    return json.loads(dumps(problem))


def test_a_problem_holds_what_was_given_and_no_null() -> None:
    problem = Problem(
        type="t", title="Gone", status=404, errno=2, paths=("a\udc80",), error_code="vfolder_read_not-found"
    )
    assert written(problem) == {
        "type": "t",
        "title": "Gone",
        "status": 404,
        "errno": 2,
        "paths": ["a\udc80"],
        "error_code": "vfolder_read_not-found",
    }


def test_members_of_its_own_are_kept() -> None:
    problem = Problem.model_validate({"type": "t", "title": "x", "status": 413, "limit": 5, "nothing": None})
    assert written(problem)["limit"] == 5
    assert "nothing" not in written(problem)


@given(any_text, st.dictionaries(any_text, any_text, max_size=3))
def test_no_text_keeps_a_problem_from_being_told(text: str, data: dict[str, str]) -> None:
    problem = Problem(type="t", title=text, status=500, detail=text, msg=text, instance=text, data=data)
    assert written(problem)["detail"] == text.encode("utf-8", "backslashreplace").decode()
    assert written(problem)["data"] == json.loads(json.dumps(data))
