"""What a token of uploads allows, and how the upload that it is for is taken."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

from pannier.dto.uploads import Conflict
from pannier.errors import OperationUnsupported
from pannier.streams.hashing import Place
from pannier.volumes.base import EditableVolume, FolderEditor, StagedUpload

LIFETIME = 24 * 3600.0
"""Seconds that an upload stays to which nothing is added (WIRE section 6.4)."""


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """What a valid token allows: one upload of ``size`` bytes to one path.

    ``expires`` is in seconds since the epoch, ``metadata`` what the client said of it.
    """

    place: Place
    path: bytes
    session: bytes
    size: int
    expires: int
    conflict: Conflict = Conflict.REPLACE
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload that a client began, the token that goes on with it, and the path of an empty one, which is whole."""

    grant: UploadGrant
    token: str
    path: bytes | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Where an upload is: bytes that are durable, and the path at which it has just appeared, if it has."""

    offset: int
    path: bytes | None = None


class Lease:
    """An upload that is held: taken and given back in threads, and given back also where the taking was cut off."""

    def __init__(self, grant: UploadGrant) -> None:
        self._grant, self._held = grant, ExitStack()

    def take(self) -> StagedUpload:
        editor = self._held.enter_context(closing(editor_of(self._grant.place)))
        return self._held.enter_context(editor.staged(self._grant.session, LIFETIME))

    def give_back(self) -> None:
        self._held.close()


def editor_of(place: Place) -> FolderEditor:
    """Open a folder for changes; blocks.

    Raises:
        OperationUnsupported: Its volume takes none.
        FolderMissing, VolumeFailed: As they say.
    """
    if not isinstance(place.volume, EditableVolume):
        raise OperationUnsupported(f"volume {place.volume.name!r} takes no changes")
    return place.volume.editor(place.folder_id)
