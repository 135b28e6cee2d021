"""Where virtual folders lie on a volume (WIRE section 2). Pure: no I/O in here."""

from __future__ import annotations

from pannier.dto.ids import FolderId


def folder_path(folder: FolderId) -> bytes:
    """Return the folder's path relative to the volume's root: ``scope/aa/bb/rest`` in hex, legacy ids without scope.

    Made of digits of parsed UUIDs alone, so it cannot climb. The word user or project is not in it.
    """
    digits = folder.folder.hex
    names = [digits[:2], digits[2:4], digits[4:]]
    if folder.scope is not None:
        names.insert(0, folder.scope.owner.hex)
    return "/".join(names).encode("ascii")
