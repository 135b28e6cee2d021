"""``pannier mkdir``: new directories in a folder."""

from __future__ import annotations

from typing import Annotated

import typer

from pannier.cli.completing import complete_path
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Place, place
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import result, tell

EXAMPLE = "\b\nExample:\n  pannier mkdir --parents trip/2027/photos"


@takes_server
def mkdir(
    choice: Choice,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="FOLDER/inside.", autocompletion=complete_path)],
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make those above it too; one that is there is no error.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Make directories."""
    known = servers(choice)
    made, failed = _make([place(known, path) for path in paths], parents=parents)
    if failed:
        text = "; ".join(f"{path!r}: {why}" for path, why in failed)
        problem = {"type": "failed", "title": text, "made": made}
        if not as_json:
            for path in made:
                result(f"made {path}")
        raise Failure(text, problem=problem)
    if as_json:
        return tell({"made": made})
    for path in made:
        result(f"made {path}")
    return ExitCode.DONE


def _make(places: list[Place], *, parents: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what was made, and what was not with the reason."""
    made: list[str] = []
    failed: list[tuple[str, str]] = []
    for each in places:
        with each.server.manager() as manager:
            told = manager.files.make_directories(each.folder.folder, [each.inside], parents=parents, exist_ok=parents)
        made += [each.shown for _ in told.success]
        failed += [(each.shown, outcome.msg or "no reason given") for outcome in told.failed]
    return made, failed
