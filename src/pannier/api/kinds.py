"""How one class of errors is told, and the rows of what the front desk and links refuse with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pannier import denials
from pannier.dto.paths import to_text
from pannier.errors import PannierError


@dataclass(frozen=True, slots=True)
class Kind:
    """How one class of errors is told: type (a tail without a slash is ours), status, the wire's code, a title.

    Without a code (or with one of the domain ``vfolder``) the wire's manager tells its user what was wrong; any other
    domain is our failure to it.
    """

    tail: str
    status: int
    error_code: str | None
    title: str
    members: Callable[[Any], Mapping[str, Any]] = lambda error: {}
    """Members of its own that the problem carries."""


def path_of(error: Any) -> Mapping[str, Any]:
    """Return the member that names an error's path."""
    return {"paths": (to_text(error.path),)}


DENIALS: dict[type[PannierError], Kind] = {
    denials.SignedOut: Kind("signed-out", 401, "auth_auth_unauthorized", "Nobody is signed in."),
    denials.KeyUsed: Kind("key-used", 401, "auth_auth_unauthorized", "This sign-in key was used or is too old."),
    denials.PasswordWrong: Kind("password-wrong", 401, "auth_auth_unauthorized", "The password is not right."),
    denials.PasswordLocked: Kind("password-locked", 429, "auth_auth_too-many-requests", "There were too many tries."),
    denials.CrossSite: Kind("cross-site", 403, "auth_auth_forbidden", "The request came from another site."),
    denials.ReadOnly: Kind("read-only", 403, "vfolder_update_forbidden", "Nothing can be changed here."),
    denials.NameTaken: Kind("name-exists", 409, "vfolder_create_already-exists", "The name is taken.", path_of),
    denials.NameInvalid: Kind(
        "name-invalid", 400, "vfolder_access_invalid-parameters", "No such name can be.", path_of
    ),
    denials.MoveIntoItself: Kind(
        "move-into-itself",
        400,
        "vfolder_update_bad-request",
        "A folder cannot be moved into itself.",
        path_of,
    ),
    denials.TrashMissing: Kind(
        "trash-not-found", 404, "vfolder_read_not-found", "There is no such thing in the trash."
    ),
    denials.NoPreview: Kind("no-preview", 415, "vfolder_read_unsupported", "This is not shown, only downloaded."),
    denials.LinkMissing: Kind("link-not-found", 404, "vfolder_read_not-found", "There is no such link."),
    denials.LinkExpired: Kind(
        "link-expired", 410, "auth_auth_data-expired", "The link has ended.", lambda error: {"ended": error.ended}
    ),
    denials.LinkRevoked: Kind("link-revoked", 410, "auth_auth_data-expired", "The link was taken back."),
    denials.LinkSpent: Kind(
        "link-spent",
        410,
        "auth_auth_data-expired",
        "All deliveries of the link were made.",
        lambda error: {"deliveries": error.deliveries},
    ),
    denials.LinkEnded: Kind("link-revoked", 410, "auth_auth_data-expired", "The link has ended."),
    denials.RequestClosed: Kind("request-closed", 410, "auth_auth_data-expired", "The file request is closed."),
}
"""What ``desk`` refuses with; part of ``problems.KINDS``."""
