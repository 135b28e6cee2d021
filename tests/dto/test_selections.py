"""Selections as documents."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.dto.archives import ArchiveOptions, LayoutPolicy, LinkPolicy
from pannier.dto.paths import to_text
from pannier.dto.selections import Selection, is_placeholder, placeholder
from tests.dto.examples import DIGEST, any_text

paths = st.binary(max_size=20).map(to_text)
options = st.builds(
    ArchiveOptions,
    links=st.sampled_from(LinkPolicy),
    layout=st.sampled_from(LayoutPolicy),
    exclude=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)).map(tuple),
    except_=st.lists(paths, max_size=3).map(tuple),
)
selections = st.builds(Selection.of, st.lists(paths, min_size=1, max_size=4).map(tuple), options)


@given(selections)
def test_a_document_gives_the_selection_back(selection: Selection) -> None:
    assert Selection.parse(selection.body()) == selection


@given(selections, selections)
def test_two_selections_have_one_digest_only_if_they_are_equal(one: Selection, other: Selection) -> None:
    assert (one.digest == other.digest) == (one == other)


def test_the_digest_of_a_selection_never_changes() -> None:
    # tokens name kept selections by it, across versions
    selection = Selection.of(("a", "b\udcff"), ArchiveOptions(links=LinkPolicy.OMIT, except_=("a/x",)))
    assert selection.body() == (
        rb'{"links":"omit","exclude":[],"except":["a/x"],"layout":"auto","files":["a","b\udcff"]}'
    )


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"files":[]}', b"\xff", b"["])
def test_another_document_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Selection.parse(body)


def test_a_placeholder_lies_where_no_resolver_serves() -> None:
    assert placeholder(DIGEST) == f".upload/selection-{DIGEST}"
    assert is_placeholder(placeholder(DIGEST))


@given(any_text)
def test_other_paths_are_no_placeholders(path: str) -> None:
    assert not is_placeholder(path)
    assert not is_placeholder(f".upload/selection-{path}")
    assert not is_placeholder(placeholder(DIGEST) + "\n")
