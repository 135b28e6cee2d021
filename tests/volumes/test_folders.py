"""Where folders lie: WIRE section 2, to the letter."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.dto.ids import FolderId, QuotaScope, ScopeKind
from pannier.volumes.folders import folder_at, folder_path

FOLDER = "ce8c6955-1234-4567-8901-23456789d89d"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            f"user:5e67aac8-ba94-470e-a117-2f603ea62b3a/{FOLDER}",
            b"5e67aac8ba94470ea1172f603ea62b3a/ce/8c/695512344567890123456789d89d",
        ),
        (
            f"project:5E67AAC8BA94470EA1172F603EA62B3A/{FOLDER.replace('-', '').upper()}",
            b"5e67aac8ba94470ea1172f603ea62b3a/ce/8c/695512344567890123456789d89d",
        ),
        (FOLDER, b"ce/8c/695512344567890123456789d89d"),
    ],
    ids=["a user's", "a project's, spelt otherwise", "legacy"],
)
def test_a_folder_lies_where_the_wire_says(text: str, path: bytes) -> None:
    assert folder_path(FolderId.parse(text)) == path


@given(st.uuids(), st.none() | st.uuids())
def test_no_two_folders_of_a_scope_share_a_path_and_none_climbs(folder: uuid.UUID, owner: uuid.UUID | None) -> None:
    scope = None if owner is None else QuotaScope(ScopeKind.USER, owner)
    names = folder_path(FolderId(scope, folder)).split(b"/")
    assert [len(name) for name in names] == [*([32] if owner else []), 2, 2, 28]
    assert all(set(name) <= set(b"0123456789abcdef") for name in names)
    assert b"".join(names[-3:]).decode() == folder.hex


@given(st.uuids(), st.none() | st.uuids())
def test_a_path_names_its_folder(folder: uuid.UUID, owner: uuid.UUID | None) -> None:
    scope = QuotaScope(ScopeKind.USER, owner) if owner else None
    assert folder_at(folder_path(FolderId(scope, folder)).decode()) == FolderId(scope, folder)


@pytest.mark.parametrize("path", ["", "aa/bb", "aa/bb/cc", "AA/bb/" + "0" * 28, "x/aa/bb/" + "0" * 28])
def test_other_paths_name_none(path: str) -> None:
    assert folder_at(path) is None
