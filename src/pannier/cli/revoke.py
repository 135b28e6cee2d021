"""``pannier revoke``: takes links back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pannier.cli.links import each_link, each_session
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import place
from pannier.cli.servers import Choice, Json, Server, servers, takes_server
from pannier.cli.terminal import counted, result, tell

if TYPE_CHECKING:
    from pannier.dto.links import LinkReply
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
    from pannier.dto.sessions import SessionReply

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
    for server, each in found:
        with server.manager() as manager:
            if isinstance(each, SessionReply):
                manager.sessions.revoke(each.id)
            else:
                manager.links.revoke(each.code)
    if as_json:
        return tell({"revoked": [_id(each) for _, each in found]})
    for _, each in found:
        result(f"revoked {_id(each)[:12]} · {each.filename}")
    return ExitCode.DONE


def _find(known: list[Server], id: str) -> tuple[Server, LinkReply | SessionReply]:
    """Return the one link, or session, that is called so or whose name begins so, and its server."""
    if len(id) < _SHORTEST:
        raise Failure(f"{id!r}: write at least {_SHORTEST} characters of an id", ExitCode.USAGE)
    for kind in (each_link, each_session):
        found = [(server, each) for server in known for each in kind(server, None) if _id(each).startswith(id)]
        if len(found) > 1:
            raise Failure(f"{id!r}: {counted(len(found), 'link')} begin so; write more of the id", ExitCode.USAGE)
        if found:
            return found[0]
    raise Failure(f"{id!r}: there is no such link; pannier links --all shows them")


def _id(each: LinkReply | SessionReply) -> str:
    from pannier.dto.sessions import SessionReply

    return each.id if isinstance(each, SessionReply) else each.code
