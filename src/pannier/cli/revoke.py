"""``pannier revoke``: takes links back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pannier.cli.links import each_session
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import place
from pannier.cli.servers import Choice, Json, Server, servers, takes_server
from pannier.cli.terminal import counted, result, tell

if TYPE_CHECKING:
    from pannier.dto.sessions import SessionReply

EXAMPLE = "\b\nExample:\n  pannier revoke --folder trip"

_SHORTEST = 4
"""Characters of an id by which one is meant."""


@takes_server
def revoke(
    choice: Choice,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As 'pannier links' shows them, or how they begin.")
    ] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="All links of a folder, instead.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Take links back for good: downloads that run are cut at once."""
    if bool(ids) == bool(folder):
        raise Failure("name links by their ids, or all of a folder with --folder", ExitCode.USAGE)
    known = servers(choice)
    if folder is not None:
        where = place(known, folder)
        with where.server.manager() as manager:
            number = manager.sessions.revoke_all(where.folder.folder)
        if as_json:
            return tell({"revoked": number})
        result(f"revoked {counted(number, 'link')} of {where.folder.name}")
        return ExitCode.DONE
    found = [_find(known, id) for id in ids or []]
    revoked = []
    for server, session in found:
        with server.manager() as manager:
            revoked.append(manager.sessions.revoke(session.id))
    if as_json:
        return tell({"revoked": [each.id for each in revoked]})
    for each in revoked:
        result(f"revoked {each.id[:12]} · {each.filename}")
    return ExitCode.DONE


def _find(known: list[Server], id: str) -> tuple[Server, SessionReply]:
    """Return the one link whose id begins like this, and its server."""
    if len(id) < _SHORTEST:
        raise Failure(f"{id!r}: write at least {_SHORTEST} characters of an id", ExitCode.USAGE)
    found = [(server, each) for server in known for each in each_session(server, None) if each.id.startswith(id)]
    if not found:
        raise Failure(f"{id!r}: there is no such link; pannier links --all shows them")
    if len(found) > 1:
        raise Failure(f"{id!r}: {counted(len(found), 'link')} begin so; write more of the id", ExitCode.USAGE)
    return found[0]
