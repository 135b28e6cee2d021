"""Random folders: small ones with few names, so that links often lead somewhere, and often somewhere odd."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

NAMES = ("a", "b", "c", ".upload")


@dataclass(frozen=True)
class Thing:
    """One thing to make at ``path``: a directory, a file, or a link with this text."""

    path: str
    link: str | None
    directory: bool


_names = st.sampled_from(NAMES)
paths = st.lists(_names, min_size=0, max_size=5).map("/".join)

_parts = st.lists(st.sampled_from((*NAMES, "..", "..", ".", "", "nowhere")), min_size=1, max_size=6)
_targets = _parts.map("/".join).filter(bool) | st.just("/a") | st.just("..")

things = st.builds(
    Thing,
    st.lists(_names, min_size=1, max_size=4).map("/".join),
    st.none() | _targets,
    st.booleans(),
)
trees = st.lists(things, min_size=1, max_size=14)


def made(tree: list[Thing]) -> dict[str, Thing]:
    """Return what of the tree can be made, parents first: nothing below a file or a link, no place taken twice."""
    there: dict[str, Thing] = {}
    for thing in tree:
        names = thing.path.split("/")
        ancestors = ["/".join(names[:depth]) for depth in range(1, len(names))]
        if thing.path in there or any(a in there and not _is_directory(there[a]) for a in ancestors):
            continue
        for ancestor in ancestors:
            there.setdefault(ancestor, Thing(ancestor, None, True))
        there[thing.path] = thing
    return there


def _is_directory(thing: Thing) -> bool:
    return thing.link is None and thing.directory


def grow(root: Path, there: dict[str, Thing]) -> None:
    """Make the tree on disk; a file's content is its path."""
    for path, thing in there.items():
        if thing.link is not None:
            os.symlink(thing.link, root / path)
        elif thing.directory:
            (root / path).mkdir()
        else:
            (root / path).write_text(path)
