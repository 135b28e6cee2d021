"""From what a person writes to a path inside a folder of a server.

A path of this machine that exists in a served directory is meant as such; else the first part is a folder's name:
``trip/2026/photos``. A folder without a name is written ``VOLUME/SCOPE/ID`` or ``VOLUME/ID``.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.servers import NamedFolder, Server
from pannier.dto.ids import FolderId


@dataclass(frozen=True)
class Place:
    """A path inside a folder of a server; the folder itself is ``"."``."""

    server: Server
    folder: NamedFolder
    inside: str

    @property
    def shown(self) -> str:
        """What a person would write."""
        return self.folder.name if self.inside == "." else posixpath.join(self.folder.name, self.inside)


@dataclass(frozen=True)
class Selected:
    """Paths inside one folder, and those that are left out of them."""

    server: Server
    folder: NamedFolder
    files: list[str]
    exceptions: list[str]


def locate(servers: Sequence[Server], paths: Sequence[str], exceptions: Sequence[str] = ()) -> Selected:
    """Return the one folder that all paths are in, and the paths inside it.

    Raises:
        Failure: A path is in no served folder, or there is no folder that all are in.
    """
    candidates = [_places(servers, path) for path in (*paths, *exceptions)]
    for first in candidates[0]:
        found = [next((p for p in places if p.folder == first.folder), None) for places in candidates]
        inside = [place.inside for place in found if place is not None]
        if len(inside) == len(candidates):
            return Selected(first.server, first.folder, inside[: len(paths)], inside[len(paths) :])
    names = ", ".join(sorted({places[0].folder.name for places in candidates}))
    raise Failure(f"the paths are in several folders ({names}); name those of one folder at a time", ExitCode.USAGE)


def place(servers: Sequence[Server], path: str) -> Place:
    """Return where a path is; errors as ``locate``."""
    return _places(servers, path)[0]


def _places(servers: Sequence[Server], path: str) -> list[Place]:
    """Return where a path may be: the deepest folder first; a folder's name counts only where no such path exists."""
    found = _on_this_machine(servers, path) if os.path.lexists(path) else []
    if found:
        return found
    if named := _by_name(servers, path):
        return named
    if path.startswith(("/", "./", "../")) and (found := _on_this_machine(servers, path)):
        return found
    known = ", ".join(sorted({folder.name for server in servers for folder in server.folders})) or "none has a name"
    raise Failure(f"{path!r} is in no served folder; served here: {known}", ExitCode.USAGE)


def _on_this_machine(servers: Sequence[Server], path: str) -> list[Place]:
    found = [
        Place(server, folder, inside)
        for server in servers
        for folder in server.folders
        if folder.path is not None and (inside := _inside(path, folder.path)) is not None
    ]
    return sorted(found, key=lambda place: len(place.folder.path or ""), reverse=True)


def _by_name(servers: Sequence[Server], path: str) -> list[Place]:
    name, _, rest = path.partition("/")
    named = [(server, folder, rest) for server in servers for folder in server.folders if folder.name == name]
    if not named:
        named = [(server, *found) for server in servers if (found := _by_id(path)) is not None]
    places = []
    for server, folder, below in named:
        inside = posixpath.normpath(below) if below else "."
        if inside == ".." or inside.startswith(("../", "/")):
            raise Failure(f"{path!r} leads outside the folder {name!r}; name something inside it", ExitCode.USAGE)
        places.append(Place(server, folder, inside))
    return places


def _by_id(path: str) -> tuple[NamedFolder, str] | None:
    """Read ``VOLUME/SCOPE/ID/inside`` or ``VOLUME/ID/inside``."""
    from pannier.sdk.calls import Folder

    volume, *parts = path.split("/")
    for length in (2, 1):
        try:
            id = FolderId.parse("/".join(parts[:length]))
        except ValueError:
            continue
        name = "/".join((volume, *parts[:length]))
        return NamedFolder(name, Folder(volume, str(id))), "/".join(parts[length:])
    return None


def _inside(path: str, root: str) -> str | None:
    """Return a path relative to a served directory, or None; a link at its end is not followed."""
    whole = os.path.abspath(path)
    parent, base = os.path.split(whole)
    for real in (os.path.join(os.path.realpath(parent), base), os.path.realpath(whole)):
        if real == root:
            return "."
        if real.startswith(root.rstrip("/") + "/"):
            return os.path.relpath(real, root)
    return None
