"""``pannier rm``: deletes, after it has said what."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pannier.cli.completing import complete_path
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Selected, locate
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import counted, note, result, tell
from pannier.quantities import show_size

EXAMPLE = "\b\nExample:\n  pannier rm --recursive trip/old"


@takes_server
def rm(
    choice: Choice,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Paths of one folder.", autocompletion=complete_path)
    ],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Directories too, with all that is in them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> int:
    """Delete files and directories. On a terminal it asks first."""
    selected = locate(servers(choice), paths)
    what, entries, size = _look(selected, paths, recursive=recursive)
    asks = sys.stdin is not None and sys.stdin.isatty() and not yes
    if asks and as_json:
        raise Failure("--json asks nothing; say --yes with it", ExitCode.USAGE)
    if asks and not typer.confirm(f"delete {what} for good? This cannot be undone", err=True):
        raise Failure("nothing was deleted")
    with selected.server.manager() as manager:
        manager.files.delete(selected.folder.folder, selected.files, recursive=recursive)
    if as_json:
        return tell({"deleted": selected.files, "entries": entries, "bytes": size})
    result(f"deleted {what}")
    return ExitCode.DONE


def _look(selected: Selected, paths: list[str], *, recursive: bool) -> tuple[str, int | None, int | None]:
    """Return in words what would be deleted, and how many entries and bytes that is where it can be counted.

    Raises:
        Failure: Something is not there, or is a directory and that was not said.
    """
    from pannier.dto.files import ItemType
    from pannier.sdk.problems import Declined

    folder, name = selected.folder.folder, selected.folder.name
    with selected.server.manager() as manager:
        for inside, path in zip(selected.files, paths, strict=True):
            item = None if inside == "." else manager.files.find(folder, inside)
            if inside != "." and item is None:
                raise Failure(f"{path!r}: nothing is there; nothing was deleted")
            if (item is None or item.type is ItemType.DIRECTORY) and not recursive:
                raise Failure(f"{path!r} is a directory; --recursive deletes it with all that is in it", ExitCode.USAGE)
        try:
            plan = manager.plan(folder, selected.files, links="store")
        except Declined as error:  # too much to be counted, or in too long a time
            note(f"not counted: {error}")
            return f"{counted(len(paths), 'path')} of {name}", None, None
    entries = plan.entries + plan.offenders.total
    shown = paths[0] if len(paths) == 1 else f"{counted(len(paths), 'path')} of {name}"
    if entries == 1:
        return f"{shown} ({show_size(plan.bytes)})", entries, plan.bytes
    return f"{shown} ({counted(entries, 'entry', 'entries')}, {show_size(plan.bytes)})", entries, plan.bytes
