"""What cannot be part of an archive, entry by entry, and why; ``errors`` gives these names too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


def show(path: bytes) -> str:
    """Return a path as text that is safe to print: quoted, undecodable bytes and controls escaped."""
    text = path.decode("utf-8", "backslashreplace")
    return repr(text) if text.isprintable() and "'" not in text else ascii(text)


class OffenceCode(StrEnum):
    """Why an entry cannot be part of an archive."""

    OUTSIDE = "outside"
    """The path leaves the folder (``..`` or absolute)."""
    UNSAFE_PATH = "unsafe-path"
    """The path is empty or holds NUL or a line break."""
    LINK_OUTSIDE = "link-outside"
    """A symbolic link is absolute or leads out of the folder."""
    LINK_DANGLING = "link-dangling"
    """A symbolic link leads to nothing."""
    LINK_LOOP = "link-loop"
    """Symbolic links lead in a circle."""
    LINK_REFUSED = "link-refused"
    """The token's link policy allows no link here."""
    SPECIAL = "special-file"
    """A socket, FIFO or device."""
    NAME_TOO_LONG = "name-too-long"
    """The entry name does not fit a ZIP record (65,535 bytes)."""
    MISSING = "missing"
    """Nothing is there."""
    UNREADABLE = "unreadable"
    """The server may not read it."""


@dataclass(frozen=True, slots=True, order=True)
class Offence:
    """One entry that cannot be part of an archive, and why; ``path`` is relative to the folder."""

    path: bytes
    code: OffenceCode
    detail: str

    def __str__(self) -> str:
        return f"{show(self.path)}: {self.detail}"
