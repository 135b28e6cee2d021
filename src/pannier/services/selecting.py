"""From the text of a selection to paths and rules that a walk can follow. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pannier.archive.plan import Omitted
from pannier.dto.archives import LinkPolicy
from pannier.dto.paths import to_bytes, to_text
from pannier.dto.selections import Selection
from pannier.errors import InvalidRequest, Offence, OffenceCode
from pannier.services.globs import BadGlob, Globs

ROOT = b""
"""The path of a folder itself."""


def normalise(path: bytes) -> bytes:
    """Return a path without ``.``, ``..``, doubled or trailing slashes; the folder itself is ``b""``.

    ``..`` is taken by the text (``a/../b`` is ``b``), before any link is looked at.

    Raises:
        Unusable: The path is empty or absolute, leaves the folder, or holds NUL or a line break.
    """
    if not path:
        raise Unusable(Offence(path, OffenceCode.UNSAFE_PATH, "a path is empty; '.' is the whole folder"))
    if any(control in path for control in (b"\0", b"\n", b"\r")):
        raise Unusable(Offence(path, OffenceCode.UNSAFE_PATH, "a path holds NUL or a line break"))
    if path.startswith(b"/"):
        raise Unusable(Offence(path, OffenceCode.OUTSIDE, "an absolute path is outside the folder"))
    components: list[bytes] = []
    for component in path.split(b"/"):
        if component == b"..":
            if not components:
                raise Unusable(Offence(path, OffenceCode.OUTSIDE, "the path leaves the folder"))
            components.pop()
        elif component not in (b"", b"."):
            components.append(component)
    return b"/".join(components)


class Unusable(Exception):
    """The text of a path cannot be used; carries the offence."""

    def __init__(self, offence: Offence) -> None:
        super().__init__(str(offence))
        self.offence = offence


@dataclass(frozen=True, slots=True)
class Rules:
    """What a walk leaves out on purpose, and what it does with links."""

    links: LinkPolicy
    exclude: Globs | None
    exceptions: frozenset[bytes]
    _excepting: frozenset[bytes] = field(init=False, repr=False, compare=False)
    """The directories of the exceptions."""

    def __post_init__(self) -> None:
        directories = frozenset(path.rpartition(b"/")[0] for path in self.exceptions)
        object.__setattr__(self, "_excepting", directories)

    def spare(self, directory: bytes) -> bool:
        """Whether nothing is left out of what is directly in a directory."""
        return self.exclude is None and directory not in self._excepting

    def omission(self, path: bytes, *, directory: bool) -> Omitted | None:
        """Return why ``path`` is left out with all below it, or None; what is above it was asked about before."""
        if path in self.exceptions:
            return Omitted(path, "except", to_text(path))
        if self.exclude is not None and path != ROOT:  # patterns speak of what is in the folder, as in .gitignore
            glob = self.exclude.match(to_text(path), directory=directory)
            return None if glob is None else Omitted(path, "exclude", glob)
        return None


def rules(selection: Selection) -> Rules:
    """Return a selection's rules. Globs are those of ``.gitignore``, seen from the folder's root.

    Raises:
        InvalidRequest: A glob cannot be used.
    """
    try:
        exclude = Globs(selection.exclude) if selection.exclude else None
    except BadGlob as error:
        raise InvalidRequest("exclude", f"not a pattern as in .gitignore: {error}") from error
    return Rules(selection.links, exclude, frozenset(_exact(to_bytes(path)) for path in selection.except_ if path))


def _exact(path: bytes) -> bytes:
    """Return what an exception names; one that cannot be used may still name an offender of the selection."""
    try:
        return normalise(path)
    except Unusable:
        return path


def roots(files: Sequence[str]) -> tuple[list[bytes], list[Offence]]:
    """Return the distinct normalised paths of a selection, sorted, and those that cannot be used."""
    usable: set[bytes] = set()
    offences: set[Offence] = set()
    for file in files:
        try:
            usable.add(normalise(to_bytes(file)))
        except Unusable as error:
            offences.add(error.offence)
    return sorted(usable), sorted(offences)


def ancestors(path: bytes) -> list[bytes]:
    """The paths of the directories above ``path``, the folder itself first; none for the folder itself."""
    if not path:
        return []
    components = path.split(b"/")
    return [ROOT, *(b"/".join(components[:i]) for i in range(1, len(components)))]
