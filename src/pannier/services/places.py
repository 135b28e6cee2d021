"""From the names in a request to a place on a volume: the one way in for all services."""

from __future__ import annotations

from collections.abc import Mapping

from pannier.dto.ids import FolderId
from pannier.dto.paths import to_bytes
from pannier.errors import PathOutside, VolumeUnknown
from pannier.services.selecting import Unusable, normalise
from pannier.streams.hashing import Place
from pannier.volumes.base import Volume


class Places:
    """The configured volumes, by the names that requests call them."""

    def __init__(self, volumes: Mapping[str, Volume]) -> None:
        self._volumes = volumes

    def volume(self, name: str) -> Volume:
        """Return a volume.

        Raises:
            VolumeUnknown: None of that name is configured.
        """
        try:
            return self._volumes[name]
        except KeyError:
            raise VolumeUnknown(name) from None

    def place(self, volume: str, folder: FolderId) -> Place:
        """Return where a folder is, whether or not it exists; errors as ``volume``."""
        return Place(self.volume(volume), folder)

    def volumes(self) -> Mapping[str, Volume]:
        """Return all volumes by name."""
        return self._volumes


def inside(path: str) -> bytes:
    """Return a path of a request as a folder takes it: relative, normalised, ``b""`` for the folder itself.

    Links are not looked at here: the volume resolves them, and refuses those that lead out.

    Raises:
        PathOutside: It is empty or absolute, leaves the folder by its text, or holds NUL or a line break.
    """
    try:
        return normalise(to_bytes(path))
    except Unusable as error:
        raise PathOutside(error.offence.path, error.offence.detail) from None
