"""What tokens say."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pannier.dto.archives import ArchiveOptions, LayoutPolicy, LinkPolicy, TokenOperation
from pannier.dto.claims import ArchiveDownloadTokenData, PannierClaim
from pannier.dto.json import dumps
from pannier.dto.selections import Selection, placeholder
from pannier.dto.terms import TokenTerms
from tests.dto.examples import DIGEST, FOLDER, FOLDER_TEXT, any_json, refusal

CLAIMS: dict[str, Any] = {
    "operation": "download",
    "volume": "v",
    "virtual_folder_id": FOLDER_TEXT,
    "files": ["a"],
    "filename": None,
    "exp": 2_000_000_000,
}
KEPT = CLAIMS | {"files": [placeholder(DIGEST)]}


class Operation(Enum):
    DOWNLOAD = "download"
    UPLOAD = "upload"


class UpstreamTokenData(BaseModel):
    """The wire's model of the same claims (WIRE section 5), in plain pydantic."""

    model_config = ConfigDict(extra="ignore")

    operation: Operation
    volume: str
    virtual_folder_id: str
    files: list[str] = Field(min_length=1)
    filename: str | None
    exp: int


def data(**changes: Any) -> ArchiveDownloadTokenData:
    return ArchiveDownloadTokenData.model_validate(CLAIMS | changes)


def written(model: BaseModel) -> Any:
    return json.loads(dumps(model))


def test_a_rate_and_a_grace_stand_beside_the_files_of_the_wire() -> None:
    """A reader that does not know them serves the same, faster, and not beyond the end."""
    read = data(pannier={"v": 1, "rate": 5, "resume_grace": 60})
    assert read.selection() == Selection(files=("a",))
    assert read.terms == TokenTerms(rate=5, resume_grace=60)
    assert written(read)["pannier"] == {"v": 1, "resume_grace": 60, "rate": 5}
    UpstreamTokenData.model_validate(written(read))
    assert data().terms == data(pannier={"v": 1, "rate": None, "one_time": False}).terms == TokenTerms()


@pytest.mark.parametrize("where", [{"paths": ["a"]}, {"selection": DIGEST}])
def test_that_it_is_for_one_download_never_stands_beside_files_that_can_be_opened(where: dict[str, Any]) -> None:
    claim = {"v": 1, **where, "one_time": True}
    assert data(files=[placeholder(DIGEST)], pannier=claim).terms.one_time
    assert written(data(files=[placeholder(DIGEST)], pannier=claim))["pannier"] == claim
    for files, wrong in [
        (["a"], {"v": 1, "one_time": True}),
        ([placeholder(DIGEST)], {"v": 1, "one_time": True}),
        ([placeholder(DIGEST)], claim | {"format": "tar.gz"}),
        ([placeholder(DIGEST)], claim | {"compression": "deflate"}),
        ([placeholder(DIGEST)], claim | {"formats": ["tar"]}),
    ]:
        with pytest.raises(ValidationError):
            data(files=files, pannier=wrong)


@pytest.mark.parametrize(
    "claim", [{"rate": 0}, {"rate": 1.5}, {"resume_grace": -1}, {"resume_grace": 10**10}, {"one_time": 2}]
)
def test_terms_that_are_none_are_refused(claim: dict[str, Any]) -> None:
    assert refusal(lambda value: data(pannier=value), {"v": 1, **claim}) is not None


@pytest.mark.parametrize(
    ("claim", "offered"),
    [
        ({"v": 1, "format": "tar"}, "tar"),
        ({"v": 1, "compression": "deflate"}, "zip+deflate"),
        ({"v": 1, "format": "tar.gz", "formats": ["zip", "tar"]}, "tar.gz"),
        ({"v": 1, "formats": ["zip+deflate"]}, "zip"),
        ({"v": 1}, "zip"),
    ],
)
def test_formats_stand_beside_the_files_of_the_wire(claim: dict[str, Any], offered: str) -> None:
    """A reader that does not know them serves the same files."""
    read = data(pannier=claim)
    assert read.selection() == Selection(files=("a",))
    assert read.formats.offered == offered
    assert written(read)["pannier"] == claim
    UpstreamTokenData.model_validate(written(read))


def test_without_our_claim_a_token_is_for_a_stored_zip_and_nothing_else() -> None:
    assert (data().formats.offered, data().formats.formats) == ("zip", ())


@pytest.mark.parametrize(
    "claim",
    [
        {"v": 1, "format": "7z"},
        {"v": 1, "format": "tar", "compression": "deflate"},
        {"v": 1, "formats": ["tar+deflate"]},
        {"v": 1, "formats": ["zip"] * 6},
        {"v": 1, "paths": ["a"], "layout": "plain", "compression": "deflate"},
        {"v": 1, "paths": ["a"], "layout": "plain", "formats": ["zip+deflate"]},
    ],
)
def test_formats_that_cannot_be_kept_are_refused(claim: dict[str, Any]) -> None:
    files = [placeholder(DIGEST)] if "paths" in claim else ["a"]
    assert refusal(lambda value: data(pannier=value, files=files), claim) is not None


def test_a_small_selection_is_written_exactly_as_on_the_wire() -> None:
    minted = ArchiveDownloadTokenData(
        operation=TokenOperation.DOWNLOAD, volume="v", virtual_folder_id=FOLDER, files=("a",), exp=2_000_000_000
    )
    assert written(minted) == CLAIMS


def test_upstreams_model_reads_what_we_mint_and_we_read_what_it_mints() -> None:
    claim = PannierClaim(paths=("a",), except_=("a/b",))
    for minted in (data(jti="j"), data(files=[placeholder(DIGEST)], pannier=claim)):
        upstream = UpstreamTokenData.model_validate(written(minted))
        assert upstream.operation is Operation.DOWNLOAD
        assert tuple(upstream.files) == minted.files
        back = ArchiveDownloadTokenData.model_validate(upstream.model_dump(mode="json"))
        assert (back.files, back.virtual_folder_id, back.exp) == (minted.files, FOLDER, minted.exp)


def test_the_filename_may_be_absent_when_read() -> None:
    assert ArchiveDownloadTokenData.model_validate({k: v for k, v in CLAIMS.items() if k != "filename"}) == data()


def test_unknown_claims_beside_ours_are_tolerated() -> None:
    assert data(aud="x", iss=1, later={"\udc80": []}) == data()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"operation": "upload"}, "operation"),
        ({"operation": "delete"}, "operation"),
        ({"files": []}, "files"),
        ({"files": None}, "files"),
        ({"exp": None}, "exp"),
        ({"exp": 1.5}, "exp"),
        ({"exp": 10**30}, "exp"),
        ({"filename": "a/b"}, "filename"),
        ({"virtual_folder_id": ".."}, "virtual_folder_id"),
        ({"jti": ""}, "jti"),
        ({"jti": "\udc80"}, "jti"),
        ({"volume": "\udc80"}, "volume"),
        ({"jti": 5}, "jti"),
        ({"pannier": 1}, "pannier"),
    ],
    ids=str,
)
def test_wrong_claims_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        data(**change)
    assert refused.value.errors()[0]["loc"][0] == field


def test_claims_of_a_download_token_are_refused() -> None:
    with pytest.raises(ValidationError):
        ArchiveDownloadTokenData.model_validate(
            {"op": "download", "volume": "v", "vfid": FOLDER_TEXT, "relpath": "a", "exp": 2_000_000_000}
        )


@pytest.mark.parametrize(
    "claim",
    [
        {"v": 2},
        {"v": 1, "later": 1},
        {"v": 1, "selection": DIGEST, "paths": ["a"]},
        {"v": 1, "selection": DIGEST[:-1]},
        {"v": 1, "selection": DIGEST.upper()},
        {"v": 1, "selection": DIGEST + "\n"},
        {"v": 1, "paths": []},
        {"v": 1, "links": "omit"},
        {"v": 1, "selection": DIGEST, "exclude": ["x"]},
        {"v": 1, "paths": ["a"], "links": "later"},
    ],
    ids=str,
)
def test_our_claim_is_closed_and_says_a_selection_once(claim: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ArchiveDownloadTokenData.model_validate(KEPT | {"pannier": claim})


def test_our_claim_is_written_without_what_goes_without_saying() -> None:
    assert written(PannierClaim()) == {"v": 1}
    assert written(PannierClaim(selection=DIGEST)) == {"v": 1, "selection": DIGEST}
    full = PannierClaim(
        paths=("a",), links=LinkPolicy.OMIT, exclude=("*.o",), except_=("b",), layout=LayoutPolicy.PLAIN
    )
    assert written(full) == {
        "v": 1,
        "paths": ["a"],
        "links": "omit",
        "exclude": ["*.o"],
        "except": ["b"],
        "layout": "plain",
    }
    assert PannierClaim.model_validate(written(full)) == full


@pytest.mark.parametrize(
    ("files", "claim"),
    [
        (["a"], {"v": 1, "selection": DIGEST}),
        (["a"], {"v": 1, "paths": ["a"]}),
        ([placeholder("f" * 64)], {"v": 1, "selection": DIGEST}),
        ([placeholder(DIGEST), "a"], {"v": 1, "selection": DIGEST}),
    ],
    ids=str,
)
def test_a_token_that_names_two_selections_is_refused(files: list[str], claim: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="selection"):
        data(files=files, pannier=claim)


def test_the_selection_is_found_wherever_it_is_said() -> None:
    kept = [placeholder(DIGEST)]
    narrowed = ArchiveOptions(exclude=("x",))
    assert data().selection() == Selection(files=("a",))
    assert data(pannier={"v": 1}).selection() == Selection(files=("a",))
    assert data(files=kept, pannier={"v": 1, "selection": DIGEST}).selection() is None
    claim = {"v": 1, "paths": ["b"], "exclude": ["x"]}
    assert data(files=kept, pannier=claim).selection() == Selection.of(("b",), narrowed)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys([*CLAIMS, "jti", "pannier"], any_json)) | any_json)
def test_any_claims_are_taken_or_refused_and_nothing_else_happens(claims: object) -> None:
    merged = CLAIMS | claims if isinstance(claims, dict) else claims
    refusal(ArchiveDownloadTokenData.model_validate, merged)
