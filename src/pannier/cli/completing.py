"""Completion of paths: names of folders, and what is in them. Whatever goes wrong, it offers nothing."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import suppress

_MOST = 200


def complete_path(incomplete: str) -> list[str]:
    """Return what may stand in the place of a path that was begun: ``trip/20`` → ``trip/2026/``."""
    found: list[str] = []
    with suppress(Exception):  # a line that is being typed is no place for an error
        found = sorted(_complete(incomplete))
    return found


def _complete(incomplete: str) -> Iterator[str]:
    from pannier.cli.places import place
    from pannier.cli.servers import Choice, servers

    known = servers(Choice())
    above, begun = posixpath.split(incomplete)
    if not above:
        yield from (f"{each.name}/" for server in known for each in server.folders if each.name.startswith(begun))
        return
    where = place(known, above)
    with where.server.manager() as manager:
        for item in manager.files.list(where.folder.folder, where.inside, limit=_MOST).items:
            if item.name.startswith(begun):
                yield posixpath.join(above, item.name) + ("/" if item.type == "DIRECTORY" else "")
