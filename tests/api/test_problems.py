"""From what went wrong to what is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from pannier import denials, errors
from pannier.api.problems import KINDS, answer, answer_bug, answer_http, answer_status, kind_of, respond
from pannier.dto.json import dumps
from pannier.errors import Offence, OffenceCode, PannierError

OUTSIDE, MISSING, SPECIAL, UNREADABLE = (
    Offence(b"a", OffenceCode.OUTSIDE, "outside"),
    Offence(b"b", OffenceCode.MISSING, "missing"),
    Offence(b"c", OffenceCode.SPECIAL, "special"),
    Offence(b"d\xff", OffenceCode.UNREADABLE, "unreadable"),
)

EXAMPLES: list[tuple[PannierError, int, str | None, str]] = [
    # error, status, error_code and the end of its type: the rows of WIRE section 3, then ours
    (errors.InvalidRequest("f", "bad"), 400, "storage-proxy_request_invalid-parameters", "storage/invalid-api-params"),
    (errors.MalformedRequest({"f": "bad"}), 400, "api_parsing_invalid-parameters", "generic-bad-request"),
    (errors.InvalidParameters({"f": "bad"}), 400, None, "storage/invalid-api-params"),
    (errors.UnreadableBody("absent"), 400, "api_parsing_bad-request", "generic-bad-request"),
    (errors.VolumeUnknown("v"), 400, "storage_access_invalid-parameters", "storage/volume/invalid"),
    (errors.FolderMissing("f"), 404, "vfolder_read_not-found", "storage/vfolder/not-found"),
    (errors.MountRefused("f", None, "x"), 400, None, "mount-refused"),
    (errors.FolderExists("f"), 409, "vfolder_create_already-exists", "storage/vfolder/already-exists"),
    (errors.QuotaScopeMissing("s"), 404, "quota-scope_read_not-found", "storage/quota/scope/not-found"),
    (errors.QuotaScopeExists("s"), 409, "quota-scope_create_already-exists", "storage/quota/scope/already-exists"),
    (errors.PathOutside(b"..", "it leaves"), 400, "vfolder_access_invalid-parameters", "storage/subpath/invalid"),
    (errors.FileMissing(b"a"), 404, "vfolder_read_not-found", "storage/file-not-found"),
    (errors.NotAFile(b"a", "a directory"), 400, "storage-proxy_request_invalid-parameters", "invalid-api-params"),
    (errors.TargetExists(b"a"), 409, "vfolder_create_already-exists", "target-exists"),
    (errors.OperationRefused("No such file", 2, [b"a"]), 400, "vfolder_update_bad-request", "operation-refused"),
    (errors.OperationUnsupported("x"), 400, "vfolder_access_unsupported", "operation-unsupported"),
    (errors.CloneAcrossVolumes("x"), 500, "storage-proxy_generic_internal-error", "storage/generic"),
    (errors.QuotaExceeded("s", used=1, asked=2, limit=2), 507, "vfolder_create_quota-exceeded", "quota-exceeded"),
    (errors.StorageFull("x"), 507, "vfolder_create_storage-full", "storage-full"),
    (errors.UploadMissing(), 404, "storage-proxy_read_not-found", "storage/tus-session-not-found"),
    (
        errors.UploadOffsetMismatch(given=1, offset=2),
        409,
        "storage-proxy_update_conflict",
        "storage/upload-offset-mismatch",
    ),
    (errors.UploadLeaseHeld(), 409, "storage-proxy_update_conflict", "storage/tus-lease-held"),
    (errors.UploadLeaseLost(), 409, "storage-proxy_update_conflict", "storage/tus-lease-lost"),
    (errors.UploadChecksumMismatch("md5"), 460, "storage-proxy_update_conflict", "upload-checksum-mismatch"),
    (errors.TaskMissing("t"), 404, "vfolder_read_not-found", "task-not-found"),
    (errors.SessionMissing("s"), 404, "vfolder_read_not-found", "session-not-found"),
    (errors.SessionRevoked(), 410, "auth_auth_data-expired", "session-revoked"),
    (errors.SessionSpent(), 410, "auth_auth_data-expired", "session-spent"),
    (errors.ManagerForbidden(), 403, "storage-proxy_auth_forbidden", "storage/forbidden"),
    (errors.MintingUnavailable(), 501, "storage-proxy_create_unavailable", "minting-unavailable"),
    (errors.TokenUndecodable("x"), 400, "auth_auth_bad-request", "jwt-decode-error"),
    (errors.TokenForged("x"), 401, "auth_auth_unauthorized", "jwt-invalid-signature"),
    (errors.TokenExpired("x"), 401, "auth_auth_data-expired", "jwt-expired"),
    (errors.TokenClaimsInvalid("x"), 400, "auth_auth_invalid-parameters", "jwt-payload-validation-error"),
    (errors.SelectionRefused([OUTSIDE], 1), 400, "storage-proxy_request_invalid-parameters", "selection-refused"),
    (errors.LimitExceeded("x", measured=2, limit=1, setting="s"), 413, "vfolder_read_limit-exceeded", "limit-exceeded"),
    (errors.Busy("x", measured=2, limit=1, setting="s", retry_after=3), 503, "vfolder_read_unavailable", "exceeded"),
    (
        errors.LinkBusy("x", measured=2, limit=1, setting="s", retry_after=3),
        429,
        "vfolder_read_too-many-requests",
        "limit-exceeded",
    ),
    (
        errors.HeadTooLarge("x", measured=2, limit=1, setting="s"),
        431,
        "storage-proxy_request_limit-exceeded",
        "limit-exceeded",
    ),
    (errors.TooSlow("x", measured=1, limit=2, setting="s"), 408, "storage-proxy_request_timeout", "limit-exceeded"),
    (errors.SelectionChanged(), 409, "vfolder_read_conflict", "selection-changed"),
    (errors.ResumeUnverified(), 409, "vfolder_read_conflict", "resume-unverified"),
    (errors.ChecksumsPending(known=1, total=2, retry_after=4), 503, "vfolder_read_unavailable", "checksums-pending"),
    (errors.SourceChanged(b"a", "gone"), 409, "vfolder_read_conflict", "source-changed"),
    (errors.SourceUnreadable(b"a", "EIO"), 500, "vfolder_read_failed", "source-unreadable"),
    (errors.VolumeFailed("x"), 500, "vfolder_read_failed", "source-unreadable"),
    (errors.StateUnavailable("x"), 503, "storage-proxy_generic_unavailable", "unavailable"),
    (errors.Draining(7), 503, "storage-proxy_generic_unavailable", "unavailable"),
    (denials.SignedOut(), 401, "auth_auth_unauthorized", "signed-out"),
    (denials.KeyUsed(), 401, "auth_auth_unauthorized", "key-used"),
    (denials.PasswordWrong(), 401, "auth_auth_unauthorized", "password-wrong"),
    (denials.PasswordLocked(4), 429, "auth_auth_too-many-requests", "password-locked"),
    (denials.CrossSite(), 403, "auth_auth_forbidden", "cross-site"),
    (denials.ReadOnly(), 403, "vfolder_update_forbidden", "read-only"),
    (denials.NameTaken(b"a"), 409, "vfolder_create_already-exists", "name-exists"),
    (denials.NameInvalid(b"..", "x"), 400, "vfolder_access_invalid-parameters", "name-invalid"),
    (denials.MoveIntoItself(b"a"), 400, "vfolder_update_bad-request", "move-into-itself"),
    (denials.TrashMissing(), 404, "vfolder_read_not-found", "trash-not-found"),
    (denials.NoPreview(), 415, "vfolder_read_unsupported", "no-preview"),
    (denials.LinkMissing(), 404, "vfolder_read_not-found", "link-not-found"),
    (denials.LinkExpired("2026-11-20T05:05:00Z"), 410, "auth_auth_data-expired", "link-expired"),
    (denials.LinkRevoked(), 410, "auth_auth_data-expired", "link-revoked"),
    (denials.LinkSpent(2), 410, "auth_auth_data-expired", "link-spent"),
    (denials.RequestClosed(), 410, "auth_auth_data-expired", "request-closed"),
    (errors.ConfigInvalid("k", "r", "w"), 500, "storage-proxy_generic_internal-error", "storage/generic"),
]


def family(error: type[PannierError]) -> Iterator[type[PannierError]]:
    for each in error.__subclasses__():
        yield each
        yield from family(each)


def test_every_class_of_errors_has_a_row_and_an_example() -> None:
    examples = {type(example[0]) for example in EXAMPLES}
    for error in family(PannierError):
        if error.__module__ not in (errors.__name__, denials.__name__):
            continue
        kind_of(error)
        if error.__subclasses__():
            continue  # what is raised are the leaves, and the two that have examples
        assert error in KINDS, f"{error.__name__} has no row of its own"
        assert error in examples, f"{error.__name__} has no example"


@pytest.mark.parametrize(("error", "status", "code", "tail"), EXAMPLES, ids=lambda it: type(it).__name__)
def test_an_error_is_told_in_the_one_form(error: PannierError, status: int, code: str | None, tail: str) -> None:
    told = answer(error, "12345678")
    problem = told.problem
    assert (problem.status, problem.error_code, problem.request) == (status, code, "12345678")
    assert problem.type.endswith(tail)
    assert problem.type.startswith(("https://api.backend.ai/probs/", "urn:pannier:problem:"))
    assert code is None or re.fullmatch(r"[a-z-]+_[a-z-]+_[a-z-]+", code)
    assert problem.detail == str(error)
    assert problem.msg
    assert problem.title.endswith(".")
    assert ("Retry-After" in told.headers) == (status in (429, 503))
    response = respond(told)
    assert response.content_type == "application/problem+json"
    assert response.body == dumps(problem)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_an_error_without_a_row_is_told_as_its_nearest_base() -> None:
    class Later(errors.VolumeFailed):
        pass

    class Unforeseen(PannierError):
        pass

    assert answer(Later("x"), "1").problem.type == "urn:pannier:problem:source-unreadable"
    assert answer(Unforeseen("x"), "1").problem.status == 500


def test_a_problem_says_when_to_come_back() -> None:
    for error in (
        errors.Busy("x", measured=2, limit=1, setting="s", retry_after=3),
        errors.ChecksumsPending(known=1, total=2, retry_after=3),
        errors.Draining(3),
    ):
        assert answer(error, "1").headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    ("offences", "status", "code"),
    [
        ([OUTSIDE], 400, "storage-proxy_request_invalid-parameters"),
        ([SPECIAL], 400, "vfs-storage_read_invalid-parameters"),
        ([OUTSIDE, SPECIAL], 400, "storage-proxy_request_invalid-parameters"),
        ([MISSING, SPECIAL, UNREADABLE], 400, "vfs-storage_read_invalid-parameters"),
        ([MISSING, OUTSIDE, UNREADABLE], 400, "storage-proxy_request_invalid-parameters"),
        ([MISSING], 404, "vfolder_read_not-found"),
        ([MISSING, UNREADABLE], 404, "vfolder_read_not-found"),
        ([UNREADABLE], 403, "vfolder_read_forbidden"),
        *(
            ([Offence(b"x", code, "")], 400, "storage-proxy_request_invalid-parameters")
            for code in (
                OffenceCode.UNSAFE_PATH,
                OffenceCode.LINK_OUTSIDE,
                OffenceCode.LINK_LOOP,
                OffenceCode.LINK_REFUSED,
                OffenceCode.NAME_TOO_LONG,
            )
        ),
        ([Offence(b"x", OffenceCode.LINK_DANGLING, "")], 404, "vfolder_read_not-found"),
    ],
)
def test_a_refusal_has_the_status_of_its_gravest_offender(offences: list[Offence], status: int, code: str) -> None:
    problem = answer(errors.SelectionRefused(offences, len(offences)), "1").problem
    assert (problem.status, problem.error_code) == (status, code)


def test_an_offender_that_is_not_shown_counts_too() -> None:
    refused = errors.SelectionRefused([MISSING], 1_001, codes=[OffenceCode.MISSING, OffenceCode.OUTSIDE])
    assert answer(refused, "1").problem.status == 400


def test_a_refusal_lists_its_offenders_undecodable_names_too() -> None:
    problem = answer(errors.SelectionRefused([UNREADABLE, MISSING], 5), "1").problem
    document = _read(dumps(problem))
    assert document["offenders"] == [
        {"path": "d\udcff", "code": "unreadable", "detail": "unreadable"},
        {"path": "b", "code": "missing", "detail": "missing"},
    ]
    assert (document["total"], document["paths"]) == (5, ["d\udcff", "b"])
    assert "(and 4 more)" in document["detail"]


def test_members_of_the_wire_are_carried() -> None:
    assert answer(errors.VolumeUnknown("scratch"), "1").problem.msg == "scratch"  # WIRE section 3: msg is the name
    assert answer(errors.InvalidRequest("f", "bad"), "1").problem.data == {"f": "bad"}
    limit = _read(dumps(answer(errors.LimitExceeded("bytes", measured=2, limit=1, setting="s"), "1").problem))
    assert (limit["what"], limit["measured"], limit["limit"], limit["setting"]) == ("bytes", 2, 1, "s")


@pytest.mark.parametrize(
    ("error", "status", "tail"),
    [
        (web.HTTPNotFound(), 404, "not-found"),
        (web.HTTPMethodNotAllowed("PUT", {"GET"}), 405, "method-not-allowed"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "limit-exceeded"),
        (web.HTTPExpectationFailed(), 417, "generic-bad-request"),
        (web.HTTPTooManyRequests(), 429, "too-many-requests"),
        (web.HTTPServiceUnavailable(), 503, "unavailable"),
        (web.HTTPBadGateway(), 502, "storage/generic"),
    ],
)
def test_what_the_framework_refuses_has_the_same_form(error: web.HTTPException, status: int, tail: str) -> None:
    told = answer_http(error, "12345678")
    assert told.problem.status == status
    assert told.problem.type.endswith(tail)
    assert told.problem.error_code is not None
    assert re.fullmatch(r"[a-z-]+_[a-z-]+_[a-z-]+", told.problem.error_code)
    assert told.headers.get("Allow") == ("GET" if status == 405 else None)


def test_a_bug_says_nothing_but_the_number_of_the_request() -> None:
    document = _read(dumps(answer_bug("12345678").problem))
    assert document["status"] == 500
    assert "12345678" in document["detail"]


def test_a_problem_without_an_exception_has_members_of_its_own() -> None:
    document = _read(dumps(answer_status(416, "range-not-satisfiable", "Beyond.", "1", length=9).problem))
    assert (document["status"], document["length"]) == (416, 9)


def _read(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    assert isinstance(document, dict)
    return document
