"""``pannier mv``: other names and places within a folder."""

from __future__ import annotations

import posixpath
from typing import Annotated

import typer

from pannier.cli.completing import complete_path
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Place, locate
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import result, tell

EXAMPLE = "\b\nExample:\n  pannier mv trip/notes/todo.txt trip/notes/done.txt"


@takes_server
def mv(
    choice: Choice,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE... TARGET", help="Paths of one folder.", autocompletion=complete_path),
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> int:
    """Move or rename things of one folder; a directory that is there is moved into."""
    if len(paths) < 2:
        raise Failure("name what is to be moved, and where to; see pannier mv --help", ExitCode.USAGE)
    selected = locate(servers(choice), paths)
    *sources, target = [Place(selected.server, selected.folder, inside) for inside in selected.files]
    moved = _move(sources, target, into=len(sources) > 1 or paths[-1].endswith("/"), replace=replace)
    if as_json:
        return tell({"moved": [{"from": source, "to": to} for source, to in moved]})
    for source, to in moved:
        result(f"moved {source} -> {to}")
    return ExitCode.DONE


def _move(sources: list[Place], target: Place, *, into: bool, replace: bool) -> list[tuple[str, str]]:
    """Return what was moved where; ``into`` is whether the target has to be a directory."""
    from pannier.sdk.problems import Conflict

    folder = target.folder.folder
    with target.server.manager() as manager:
        there = manager.files.is_directory(folder, target.inside)
        if into and not there:
            why = "is no directory" if there is False else "is not there; make it with: pannier mkdir"
            raise Failure(f"{target.shown!r} {why}")
        moves = [(each, _target(each, target, into=bool(there))) for each in sources]
        for source, to in moves:
            if manager.files.find(folder, source.inside) is None:
                raise Failure(f"{source.shown!r}: nothing is there")
            if not replace and manager.files.find(folder, to.inside) is not None:
                raise Failure(f"{to.shown!r} exists; nothing was moved; --replace replaces a file")
        for source, to in moves:
            above, name = posixpath.split(to.inside)
            try:
                if not replace and above == posixpath.dirname(source.inside):
                    manager.files.rename(folder, source.inside, name)  # replaces nothing, whatever comes between
                else:
                    manager.files.move(folder, source.inside, to.inside)
            except Conflict:
                raise Failure(f"{to.shown!r} exists; it was not replaced") from None
    return [(source.shown, to.shown) for source, to in moves]


def _target(source: Place, target: Place, *, into: bool) -> Place:
    if not into or source.inside == target.inside:
        return target
    inside = posixpath.normpath(posixpath.join(target.inside, posixpath.basename(source.inside)))
    return Place(target.server, target.folder, inside)
