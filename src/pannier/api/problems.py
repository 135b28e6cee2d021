"""From what went wrong to what is answered: one table for all routes (RFC 9457; the wire's keys in WIRE section 3)."""

from __future__ import annotations

import http
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pannier import errors
from pannier.api.kinds import DENIALS, Kind, path_of
from pannier.dto.json import dumps
from pannier.dto.paths import to_text
from pannier.dto.problems import Problem
from pannier.errors import OffenceCode, PannierError
from pannier.protocol.tus import CHECKSUM_MISMATCH

_WIRE = "https://api.backend.ai/probs/"
_OURS = "urn:pannier:problem:"
CONTENT_TYPE = "application/problem+json"

VOLUME_PROBLEM_RETRY = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A problem, ready to be sent."""

    problem: Problem
    headers: dict[str, str] = field(default_factory=dict)


def _limit(error: errors.LimitExceeded) -> Mapping[str, Any]:
    return {"what": error.what, "measured": error.measured, "limit": error.limit, "setting": error.setting}


def _refusal(error: errors.SelectionRefused) -> Mapping[str, Any]:
    offenders = [
        {"path": to_text(offence.path), "code": str(offence.code), "detail": offence.detail}
        for offence in error.offences
    ]
    return {
        "offenders": offenders,
        "total": error.total,
        "entries": error.entries,
        "paths": tuple(offender["path"] for offender in offenders),
    }


def _mount(error: errors.MountRefused) -> Mapping[str, Any]:
    if error.subpath is None:
        return {"msg": "VFolder not found", "vfid": error.folder}
    return {"msg": "Invalid subpath", "vfid": error.folder, "subpath": error.subpath}


KINDS: dict[type[PannierError], Kind] = {
    errors.InvalidRequest: Kind(
        "storage/invalid-api-params",
        400,
        "storage-proxy_request_invalid-parameters",
        "The request has a value that cannot be used.",
        lambda error: {"data": {error.field: error.reason}},
    ),
    errors.MalformedRequest: Kind(
        "generic-bad-request",
        400,
        "api_parsing_invalid-parameters",
        "The request does not have the form of this route.",
        lambda error: {"data": error.fields},
    ),
    errors.InvalidParameters: Kind(
        "storage/invalid-api-params",
        400,
        None,
        "A value does not have the form that this route takes.",
        lambda error: {"data": error.fields},
    ),
    errors.UnreadableBody: Kind(
        "generic-bad-request", 400, "api_parsing_bad-request", "The body is absent or not JSON."
    ),
    errors.VolumeUnknown: Kind(
        "storage/volume/invalid",
        400,
        "storage_access_invalid-parameters",
        "There is no such volume.",
        lambda error: {"msg": error.name},
    ),
    errors.FolderMissing: Kind(
        "storage/vfolder/not-found", 404, "vfolder_read_not-found", "There is no such virtual folder."
    ),
    errors.MountRefused: Kind(
        "mount-refused",
        400,
        None,
        "The folder cannot be mounted.",
        _mount,
    ),
    errors.FolderExists: Kind(
        "storage/vfolder/already-exists", 409, "vfolder_create_already-exists", "The virtual folder exists already."
    ),
    errors.QuotaScopeMissing: Kind(
        "storage/quota/scope/not-found", 404, "quota-scope_read_not-found", "There is no such quota scope."
    ),
    errors.QuotaScopeExists: Kind(
        "storage/quota/scope/already-exists",
        409,
        "quota-scope_create_already-exists",
        "The quota scope exists already.",
    ),
    errors.PathOutside: Kind(
        "storage/subpath/invalid",
        400,
        "vfolder_access_invalid-parameters",
        "The path cannot be used: it has to stay inside its folder.",
        path_of,
    ),
    errors.FileMissing: Kind("storage/file-not-found", 404, "vfolder_read_not-found", "File not found.", path_of),
    errors.NotAFile: Kind(
        "storage/invalid-api-params",
        400,
        "storage-proxy_request_invalid-parameters",
        "This is not a regular file.",
        path_of,
    ),
    errors.TargetExists: Kind(
        "target-exists", 409, "vfolder_create_already-exists", "Something is there already.", path_of
    ),
    errors.OperationRefused: Kind(
        "operation-refused",
        400,
        "vfolder_update_bad-request",
        "The file system refused the operation.",
        lambda error: {
            "msg": error.reason,
            "errno": error.number,
            "paths": tuple(to_text(path) for path in error.paths),
        },
    ),
    errors.OperationUnsupported: Kind(
        "operation-unsupported", 400, "vfolder_access_unsupported", "The volume cannot do this."
    ),
    errors.CloneAcrossVolumes: Kind(  # the wire's manager knows no other status for it (WIRE section 4)
        "storage/generic",
        500,
        "storage-proxy_generic_internal-error",
        "A folder can be cloned within its own volume only.",
    ),
    errors.QuotaExceeded: Kind(
        "quota-exceeded",
        507,
        "vfolder_create_quota-exceeded",
        "The quota would be exceeded.",
        lambda error: {"used": error.used, "asked": error.asked, "limit": error.limit},
    ),
    errors.StorageFull: Kind("storage-full", 507, "vfolder_create_storage-full", "No room is left."),
    errors.UploadMissing: Kind(
        "storage/tus-session-not-found", 404, "storage-proxy_read_not-found", "There is no such unfinished upload."
    ),
    errors.UploadOffsetMismatch: Kind(
        "storage/upload-offset-mismatch",
        409,
        "storage-proxy_update_conflict",
        "The upload is at another offset.",
        lambda error: {"data": {"offset": error.offset, "given": error.given}},
    ),
    errors.UploadLeaseHeld: Kind(
        "storage/tus-lease-held", 409, "storage-proxy_update_conflict", "Another request writes to this upload."
    ),
    errors.UploadLeaseLost: Kind(
        "storage/tus-lease-lost", 409, "storage-proxy_update_conflict", "The writer was silent for too long."
    ),
    errors.UploadChecksumMismatch: Kind(
        "upload-checksum-mismatch",
        CHECKSUM_MISMATCH,
        "storage-proxy_update_conflict",
        "Other bytes came than were meant.",
    ),
    errors.UploadConflict: Kind(
        "storage/upload-offset-mismatch", 409, "storage-proxy_update_conflict", "The upload is elsewhere."
    ),
    errors.TaskMissing: Kind("task-not-found", 404, "vfolder_read_not-found", "There is no such background task."),
    errors.SessionMissing: Kind("session-not-found", 404, "vfolder_read_not-found", "There is no such session."),
    errors.SessionRevoked: Kind("session-revoked", 410, "auth_auth_data-expired", "The link was revoked."),
    errors.SessionSpent: Kind("session-spent", 410, "auth_auth_data-expired", "The link was for one download."),
    errors.SelectionRefused: Kind(
        "selection-refused",
        400,
        "storage-proxy_request_invalid-parameters",
        "Some of the selection cannot be included; nothing was sent.",
        _refusal,
    ),
    errors.LimitExceeded: Kind(
        "limit-exceeded", 413, "vfolder_read_limit-exceeded", "A limit of this server would be passed.", _limit
    ),
    errors.Busy: Kind("limit-exceeded", 503, "vfolder_read_unavailable", "The server is busy.", _limit),
    errors.LinkBusy: Kind(
        "limit-exceeded", 429, "vfolder_read_too-many-requests", "This link has too many streams at once.", _limit
    ),
    errors.HeadTooLarge: Kind(
        "limit-exceeded", 431, "storage-proxy_request_limit-exceeded", "The head of the request is too large.", _limit
    ),
    errors.TooSlow: Kind(
        "limit-exceeded", 408, "storage-proxy_request_timeout", "The request came too slowly.", _limit
    ),
    errors.ManagerForbidden: Kind(
        "storage/forbidden", 403, "storage-proxy_auth_forbidden", "The manager secret is missing or wrong."
    ),
    errors.MintingUnavailable: Kind(
        "minting-unavailable", 501, "storage-proxy_create_unavailable", "This server signs no tokens."
    ),
    errors.TokenUndecodable: Kind("jwt-decode-error", 400, "auth_auth_bad-request", "The token is no JWT."),
    errors.TokenForged: Kind(
        "jwt-invalid-signature", 401, "auth_auth_unauthorized", "The token was not signed by this server's key."
    ),
    errors.TokenExpired: Kind("jwt-expired", 401, "auth_auth_data-expired", "The token has expired."),
    errors.TokenClaimsInvalid: Kind(
        "jwt-payload-validation-error", 400, "auth_auth_invalid-parameters", "The token is not for this."
    ),
    errors.SelectionChanged: Kind(
        "selection-changed", 409, "vfolder_read_conflict", "The archive is no longer the one that was begun."
    ),
    errors.ResumeUnverified: Kind(
        "resume-unverified", 409, "vfolder_read_conflict", "Nothing tells which archive is to be continued."
    ),
    errors.ChecksumsPending: Kind(
        "checksums-pending",
        503,
        "vfolder_read_unavailable",
        "Checksums are still being computed.",
        lambda error: {"known": error.known, "needed": error.total},
    ),
    errors.SourceChanged: Kind(
        "source-changed",
        409,
        "vfolder_read_conflict",
        "A file changed while it was being sent.",
        lambda error: {"paths": (to_text(error.path),)},
    ),
    errors.SourceUnreadable: Kind(
        "source-unreadable",
        500,
        "vfolder_read_failed",
        "The storage could not read a file.",
        lambda error: {"paths": (to_text(error.path),)},
    ),
    errors.VolumeFailed: Kind("source-unreadable", 500, "vfolder_read_failed", "The storage failed."),
    errors.StateUnavailable: Kind(
        "unavailable", 503, "storage-proxy_generic_unavailable", "The server cannot remember anything now."
    ),
    errors.Draining: Kind("unavailable", 503, "storage-proxy_generic_unavailable", "The server is stopping."),
    errors.ConfigInvalid: Kind(
        "storage/generic", 500, "storage-proxy_generic_internal-error", "The server is not set up for this."
    ),
    PannierError: Kind("storage/generic", 500, "storage-proxy_generic_internal-error", "The server failed."),
    **DENIALS,
}
"""Each class of our errors, or its nearest base that stands here."""

_MISSING = {OffenceCode.MISSING, OffenceCode.LINK_DANGLING}
_REFUSAL_STATUSES = (400, 403, 404)
"""Of a selection that is refused: see ``_refusal_status``."""
_STATUS_TYPES = {
    404: "not-found",
    405: "method-not-allowed",
    413: "limit-exceeded",
    429: "too-many-requests",
    503: "unavailable",
}


def kind_of(error: type[PannierError]) -> Kind:
    """Return the row of the table for a class of errors."""
    return next(KINDS[base] for base in error.__mro__ if base in KINDS)


def statuses_of(error: type[PannierError]) -> Iterator[tuple[int, Kind]]:
    """Return the statuses that errors of a class, or of those below it, are told with; of each the row."""
    if error in KINDS:
        kind = KINDS[error]
        statuses = _REFUSAL_STATUSES if error is errors.SelectionRefused else (kind.status,)
        yield from ((status, kind) for status in statuses)
    for narrower in error.__subclasses__():
        yield from statuses_of(narrower)


def answer(error: PannierError, request_id: str) -> Answer:
    """Return what is said of an error."""
    kind = kind_of(type(error))
    status, code = kind.status, kind.error_code
    if isinstance(error, errors.SelectionRefused):
        status, code = _refusal_status(error)
    headers = {}
    retry_after = getattr(error, "retry_after", VOLUME_PROBLEM_RETRY if status == 503 else None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    members = {"msg": str(error), **kind.members(error)}
    problem = Problem(
        type=(_WIRE if "/" in kind.tail or kind.tail.startswith(("jwt-", "generic-")) else _OURS) + kind.tail,
        title=kind.title,
        status=status,
        detail=str(error),
        request=request_id,
        error_code=code,
        **members,
    )
    return Answer(problem, headers)


def answer_http(error: web.HTTPException, request_id: str, detail: str | None = None) -> Answer:
    """Return what is said where aiohttp itself refuses: no such route, another method, no HTTP."""
    tail = _STATUS_TYPES.get(error.status, "generic-bad-request" if error.status < 500 else "storage/generic")
    wire = "/" in tail or tail.startswith("generic-")
    headers = {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
    problem = Problem(
        type=(_WIRE if wire else _OURS) + tail,
        title=http.HTTPStatus(error.status).phrase,
        status=error.status,
        detail=detail,
        request=request_id,
        error_code="storage-proxy_request_" + http.HTTPStatus(error.status).phrase.lower().replace(" ", "-"),
    )
    return Answer(problem, headers)


def answer_status(status: int, tail: str, title: str, request_id: str, **members: Any) -> Answer:
    """Return a problem that no exception stands for, such as a failed precondition."""
    return Answer(
        Problem(
            type=_OURS + tail,
            title=title,
            status=status,
            request=request_id,
            error_code="vfolder_read_" + tail,
            **members,
        )
    )


def answer_bug(request_id: str) -> Answer:
    """Return what is said of an exception that nobody expected: nothing but the request's number."""
    problem = Problem(
        type=_WIRE + "storage/generic",
        title="Something broke on the server.",
        status=500,
        detail=f"report the request number {request_id}",
        request=request_id,
        error_code="storage-proxy_generic_internal-error",
    )
    return Answer(problem)


def respond(told: Answer) -> web.Response:
    """Return the response that tells a problem."""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **told.headers}
    return web.Response(
        body=dumps(told.problem), status=told.problem.status, content_type=CONTENT_TYPE, headers=headers
    )


def _refusal_status(error: errors.SelectionRefused) -> tuple[int, str]:
    """Any escape or special file 400, else missing 404, else unreadable 403 (design, promise 1)."""
    codes = error.codes
    if OffenceCode.SPECIAL in codes and not codes & {OffenceCode.OUTSIDE, OffenceCode.LINK_OUTSIDE}:
        return 400, "vfs-storage_read_invalid-parameters"
    if codes - _MISSING - {OffenceCode.UNREADABLE}:
        return 400, "storage-proxy_request_invalid-parameters"
    if codes & _MISSING:
        return 404, "vfolder_read_not-found"
    return 403, "vfolder_read_forbidden"
