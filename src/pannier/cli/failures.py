"""What a command says of an error of the SDK or the server: one line, one exit code, one JSON shape."""

from __future__ import annotations

from typing import Any

from pannier.cli.outcomes import ExitCode, Failure
from pannier.errors import ConfigInvalid, PannierError

SERVER_EXTRA = frozenset(
    {"jinja2", "jwt", "prometheus_client", "pydantic_settings", "segno", "structlog", "zstandard", "cryptography"}
)
"""Packages that a server needs, and a client does not."""
_NO_ROOM = 507


def as_failure(error: PannierError) -> Failure:
    """Return an error as a command's own: what it says, with which code, and the problem that ``--json`` tells."""
    from pannier.sdk.problems import Declined, Unreachable

    if isinstance(error, Declined) and error.status == _NO_ROOM:
        text = f"no room: {_said(error)}; make room, and run the same line again to go on"
        return Failure(text, ExitCode.FAILED, problem_of(error))
    if isinstance(error, Declined):
        text = f"the server declined with {error.status}: {_said(error)}"
        code = ExitCode.REFUSED if error.kind == "limit-exceeded" and error.status == 413 else ExitCode.FAILED
        return Failure(text, code, problem_of(error))
    if isinstance(error, Unreachable):
        text = f"the server does not answer ({error}); see that it runs, or name another one with --server"
        return Failure(text, ExitCode.FAILED, {"type": "unreachable", "title": str(error)})
    problem: dict[str, Any] = {"type": "failed", "title": str(error)}
    if isinstance(error, ConfigInvalid):
        problem |= {"type": "config-invalid", "key": error.key}
    notes = getattr(error, "__notes__", [])
    return Failure("\npannier: ".join([str(error), *notes]), ExitCode.FAILED, problem)


def problem_of(error: PannierError) -> dict[str, Any]:
    """Return what ``--json`` tells of an error: the server's problem document under its short type, or the text."""
    from pannier.sdk.problems import Declined

    if not isinstance(error, Declined):
        return {"type": "failed", "title": str(error)}
    told = error.problem.model_dump(exclude_none=True)
    return {**told, "type": error.kind, "title": _said(error)}


def needs_extra(error: ModuleNotFoundError) -> Failure | None:
    """Return what is said where a package of the server is missing; None if it is another one, which is a bug."""
    name = (error.name or "").partition(".")[0]
    if name not in SERVER_EXTRA:
        return None
    extra = "ed25519" if name == "cryptography" else "server"
    text = f"this command needs what a server needs ({name} is missing); install it: pip install 'pannier[{extra}]'"
    return Failure(text, ExitCode.USAGE)


def _said(error: Any) -> str:
    problem = error.problem
    return str(problem.detail or problem.msg or problem.title or "no reason given")
