"""Where virtual folders lie on a volume (WIRE section 2). Pure: no I/O in here."""

from __future__ import annotations

import re
import uuid

from pannier.dto.ids import FolderId, QuotaScope, ScopeKind

_PATH = re.compile(r"(?:(?P<owner>[0-9a-f]{32})/)?(?P<folder>[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28})", re.ASCII)


def folder_path(folder: FolderId) -> bytes:
    """Return the folder's path relative to the volume's root: ``scope/aa/bb/rest`` in hex, legacy ids without scope.

    Made of digits of parsed UUIDs alone, so it cannot climb. The word user or project is not in it.
    """
    digits = folder.folder.hex
    names = [digits[:2], digits[2:4], digits[4:]]
    path = "/".join(names).encode("ascii")
    return path if folder.scope is None else b"%b/%b" % (scope_path(folder.scope), path)


def scope_path(scope: QuotaScope) -> bytes:
    """Return where the folders of a quota scope lie, relative to the volume's root."""
    return scope.owner.hex.encode("ascii")


def folder_at(path: str) -> FolderId | None:
    """Return the folder that lies at a path relative to the volume's root, None if no folder lies there.

    Whether a scope is a user's or a project's is not in the path; it is called a user's.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    owner = found["owner"]
    scope = QuotaScope(ScopeKind.USER, uuid.UUID(owner)) if owner else None
    return FolderId(scope, uuid.UUID(found["folder"].replace("/", "")))
