"""From the text of a selection to paths and rules that a walk can follow. Values only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from pannier.archive.plan import Omitted
from pannier.dto.archives import LinkPolicy
from pannier.dto.paths import to_bytes, to_text
from pannier.dto.selections import Selection
from pannier.errors import InvalidRequest, Offence, OffenceCode

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
    exclude: GitIgnoreSpec
    globs: tuple[str, ...]
    exceptions: frozenset[bytes]

    def omission(self, path: bytes, *, directory: bool) -> Omitted | None:
        """Return why ``path`` is left out with all below it, or None."""
        if path in self.exceptions:
            return Omitted(path, "except", to_text(path))
        if self.globs:
            text = to_text(path)
            result = self.exclude.check_file(text + "/" if directory else text)
            if result.include and result.index is not None:
                return Omitted(path, "exclude", self.globs[result.index])
        return None


def rules(selection: Selection) -> Rules:
    """Return a selection's rules. Globs are those of ``.gitignore``, seen from the folder's root.

    Raises:
        InvalidRequest: A glob or an exception cannot be used.
    """
    try:
        exclude = GitIgnoreSpec.from_lines(selection.exclude)
    except (ValueError, re.error) as error:
        raise InvalidRequest("exclude", f"not a pattern as in .gitignore: {error}") from error
    try:
        exceptions = frozenset(normalise(to_bytes(path)) for path in selection.except_)
    except Unusable as error:
        raise InvalidRequest("except", str(error)) from error
    return Rules(selection.links, exclude, selection.exclude, exceptions)


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
