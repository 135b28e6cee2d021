"""Requests for archives and their answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pannier.dto.archives import (
    MOST_EXCEPTIONS,
    MOST_GLOBS,
    MOST_ITEMS,
    ArchiveFormat,
    ArchiveOptions,
    ArchivePlanPage,
    ArchivePlanReply,
    ArchivePlanRequest,
    ArchiveTokenReply,
    ArchiveTokenRequest,
    ArchiveTokenRequestAlias,
    ChecksumCoverage,
    Compression,
    LayoutPolicy,
    LinkPolicy,
    Member,
    Offender,
    Omitted,
    Page,
    PlanList,
    Renamed,
    Warning,
)
from pannier.dto.json import dumps
from tests.dto.examples import FOLDER, FOLDER_TEXT, any_json, refusal

BODY: dict[str, Any] = {"volume": "v", "virtual_folder_id": FOLDER_TEXT, "files": ["a"]}


def test_a_request_of_the_wire_is_read_with_every_default() -> None:
    request = ArchiveTokenRequest.model_validate(BODY)
    assert (request.volume, request.virtual_folder_id, request.files) == ("v", FOLDER, ("a",))
    assert request.filename is None
    assert not request.narrows
    assert request.options == ArchiveOptions()


def test_the_options_stand_flat_in_the_body() -> None:
    request = ArchiveTokenRequest.model_validate(
        BODY | {"links": "store", "exclude": ["*.tmp"], "except": ["a/b\udcff"], "layout": "plain"}
    )
    assert request.options == ArchiveOptions(
        links=LinkPolicy.STORE, exclude=("*.tmp",), except_=("a/b\udcff",), layout=LayoutPolicy.PLAIN
    )


@pytest.mark.parametrize(
    "options", [{"links": "omit"}, {"exclude": ["x"]}, {"except": ["x"]}, {"layout": "plain"}], ids=str
)
def test_any_option_that_differs_from_its_default_narrows(options: dict[str, Any]) -> None:
    assert ArchiveTokenRequest.model_validate(BODY | options).narrows
    assert ArchiveOptions.model_validate(options).narrows


def test_options_that_say_the_default_do_not_narrow() -> None:
    assert not ArchiveOptions.model_validate({"links": "follow", "exclude": [], "except": [], "layout": "auto"}).narrows


def test_unknown_members_are_ignored_as_on_the_wire() -> None:
    assert ArchiveTokenRequest.model_validate(BODY | {"later": 1, "\udc80": 2}) == ArchiveTokenRequest.model_validate(
        BODY
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"files": []}, "files"),
        ({"files": "a"}, "files"),
        ({"files": ["a", "\ud800"]}, "files"),
        ({"filename": "a/b"}, "filename"),
        ({"virtual_folder_id": "x"}, "virtual_folder_id"),
        ({"volume": "\udc80"}, "volume"),
        ({"links": "ignore"}, "links"),
        ({"layout": "zip"}, "layout"),
        ({"exclude": ["x" * 1025]}, "exclude"),
        ({"exclude": ["a\0"]}, "exclude"),
        ({"exclude": [""]}, "exclude"),
        ({"exclude": ["x"] * (MOST_GLOBS + 1)}, "exclude"),
        ({"except": ["x"] * (MOST_EXCEPTIONS + 1)}, "except"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_member_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ArchiveTokenRequest.model_validate(BODY | change)
    assert refused.value.errors()[0]["loc"][0] == field


def test_limits_themselves_are_inside() -> None:
    options = {"exclude": ["x" * 1024] * MOST_GLOBS, "except": ["x"] * MOST_EXCEPTIONS}
    assert ArchiveTokenRequest.model_validate(BODY | options).narrows


@pytest.mark.parametrize("name", ["virtual_folder_id", "vfid", "vfolder_id"])
def test_the_alias_route_takes_three_names_of_the_folder(name: str) -> None:
    body = {"volume": "v", name: FOLDER_TEXT, "files": ["a"]}
    assert ArchiveTokenRequestAlias.model_validate(body).virtual_folder_id == FOLDER


@pytest.mark.parametrize("name", ["vfid", "vfolder_id"])
def test_the_main_route_takes_one_name_of_the_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="virtual_folder_id"):
        ArchiveTokenRequest.model_validate({"volume": "v", name: FOLDER_TEXT, "files": ["a"]})


def test_a_request_written_out_is_read_back() -> None:
    request = ArchiveTokenRequest.model_validate(BODY | {"except": ["\udc80"], "filename": "결과.zip"})
    assert ArchiveTokenRequest.model_validate(json.loads(dumps(request))) == request


@pytest.mark.parametrize("model", [ArchiveTokenRequest, ArchiveTokenRequestAlias, ArchivePlanRequest, ArchiveOptions])
@given(body=any_json | st.fixed_dictionaries({}, optional=dict.fromkeys([*BODY, "exclude", "except"], any_json)))
def test_any_json_is_taken_or_refused_and_nothing_else_happens(model: type[BaseModel], body: object) -> None:
    refusal(model.model_validate, body)


def test_a_reply_while_the_plan_runs_holds_the_token_and_that() -> None:
    reply = ArchiveTokenReply(token="t", session="s", plan="running")
    assert json.loads(dumps(reply)) == {"token": "t", "session": "s", "plan": "running"}


def plan_reply() -> ArchivePlanReply:
    return ArchivePlanReply(
        format=ArchiveFormat.ZIP,
        compression=Compression.NONE,
        entries=1,
        files=1,
        directories=0,
        links=0,
        bytes=3,
        length=None,
        etag=None,
        seconds=0.5,
        checksums=ChecksumCoverage(known_entries=0, known_bytes=0),
        members=Page[Member](
            total=1, items=(Member(path="a\udc80", name="a_80", kind="file", size=3, modified="2026-11-22T09:00:00Z"),)
        ),
        offenders=Page[Offender](total=0, items=()),
        omitted=Page[Omitted](total=2000, items=(Omitted(path="b", reason="exclude", rule="b"),), cursor="c"),
        renamed=Page[Renamed](total=1, items=(Renamed(path="a\udc80", name="a_80", reasons=("undecodable",)),)),
        warnings=Page[Warning](total=0, items=()),
    )


def test_a_plan_says_null_where_nothing_is_known_and_is_read_back_with_undecodable_paths() -> None:
    sent = json.loads(dumps(plan_reply()))
    assert (sent["length"], sent["etag"], sent["format"]) == (None, None, "zip")
    assert sent["members"]["items"][0]["path"] == "a\udc80"
    assert ArchivePlanReply.model_validate(sent) == plan_reply()


def test_a_page_holds_a_thousand_items_at_most() -> None:
    warning = Warning(path="a", reason="r")
    with pytest.raises(ValidationError):
        Page[Warning](total=0, items=(warning,) * (MOST_ITEMS + 1))


@pytest.mark.parametrize(
    ("name", "item"),
    [
        (PlanList.MEMBERS, Member(path="a", name="a", kind="link", size=3, modified="2026-11-22T09:00:00Z")),
        (PlanList.OFFENDERS, Offender(path="a", code="missing", detail="d")),
        (PlanList.OMITTED, Omitted(path="a", reason="link")),
        (PlanList.RENAMED, Renamed(path="a", name="b", reasons=("r",))),
        (PlanList.WARNINGS, Warning(path="a", reason="r")),
    ],
)
def test_a_further_page_is_read_as_the_list_it_names(name: PlanList, item: BaseModel) -> None:
    page = {"total": 1, "items": [item.model_dump()], "cursor": None}
    answer = ArchivePlanPage.model_validate({"list": name.value, "page": page})
    assert answer.page.items == (item,)
    assert ArchivePlanPage.model_validate(json.loads(dumps(answer))) == answer
