"""Empty files. They say nothing in their bytes, and some clients send nothing for them.

So the file is made as soon as it is known where it goes; the staged upload, which stays for those that do ask, holds
the path at which that was.
"""

from __future__ import annotations

import secrets
from contextlib import closing

from pannier.dto.uploads import Conflict
from pannier.errors import TargetExists
from pannier.services.upload_grants import LIFETIME, UploadGrant, editor_of
from pannier.volumes.base import StagedUpload


def place_empty(grant: UploadGrant, conflict: Conflict) -> bytes:
    """Make the file of an empty upload, and return its path; errors as ``StagedUpload.publish``."""
    empty = secrets.token_hex(16).encode()
    with closing(editor_of(grant.place)) as editor:
        editor.stage(empty)
        with editor.staged(empty, LIFETIME) as staged:
            try:
                return staged.publish(grant.path, conflict).path
            except BaseException:
                staged.discard()
                raise


def place_early(grant: UploadGrant, conflict: Conflict) -> None:
    """Make the file of an empty upload when its token is made; what is there stays, unless ``conflict`` says otherwise.

    Raises:
        TargetExists: Something came between, and the upload's own policy is to refuse.
    """
    with closing(editor_of(grant.place)) as editor, editor.staged(grant.session, LIFETIME) as staged:
        try:
            place_empty(grant, conflict)
        except TargetExists:
            if grant.conflict is not Conflict.REPLACE:
                raise
        else:
            _note(staged, grant.path)


def place_late(grant: UploadGrant, staged: StagedUpload) -> None:
    """Make the file of an empty upload where its client wants it, unless that was done before."""
    if staged.note().rstrip(b"\0") != grant.path:
        place_empty(grant, grant.conflict)
        _note(staged, grant.path)


def _note(staged: StagedUpload, path: bytes) -> None:
    # where the file's length says how much counts, a shorter path must not end in what is left of a longer one
    noted = path.ljust(staged.offset, b"\0")
    staged.write(memoryview(noted), 0)
    staged.commit(len(noted))
