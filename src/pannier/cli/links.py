"""``pannier links``: the links that were given out, and what became of them."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.places import place
from pannier.cli.servers import Choice, Json, Server, servers, takes_server
from pannier.cli.terminal import note, result, tell
from pannier.quantities import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pannier.dto.sessions import SessionReply
    from pannier.sdk.calls import Folder

EXAMPLE = "\b\nExample:\n  pannier links trip"

_OVER = frozenset({"revoked", "expired", "spent"})
_ID_SHOWN = 12
"""Characters of an id that are shown, and enough to name it by."""


@takes_server
def links(
    choice: Choice,
    folder: Annotated[str | None, typer.Argument(metavar="FOLDER", help="Those of one folder only.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that open nothing any more.")] = False,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> int:
    """List links, the newest first: what each gave out, and until when it can."""
    known = servers(choice)
    where = None if folder is None else place(known, folder)
    asked = known if where is None else [where.server]
    of = None if where is None else where.folder.folder
    found = list(islice((each for server in asked for each in each_session(server, of) if all_ or _open(each)), most))
    if as_json:
        return tell({"links": [each.model_dump(mode="json") for each in found]})
    for each in found:
        result(line(each))
    if not found:
        note("no links" if all_ else "no links that open anything; --all shows the others")
    return ExitCode.DONE


def each_session(server: Server, folder: Folder | None) -> Iterator[SessionReply]:
    """Yield the sessions of a server, the newest first; of one folder, if that is named."""
    with server.manager() as manager:
        cursor: str | None = None
        while True:
            page = manager.sessions.list(folder, cursor=cursor)
            yield from page.items
            if page.cursor is None:
                return
            cursor = page.cursor


def _open(session: SessionReply) -> bool:
    return session.state not in _OVER


def line(session: SessionReply) -> str:
    """Return what is said of one link."""
    parts = [session.id[:_ID_SHOWN], session.filename, str(session.state)]
    if session.length is not None:
        parts.append(f"sent {show_size(session.delivered.bytes)} of {show_size(session.length)}")
    elif session.delivered.total:
        parts.append(f"sent {show_size(session.delivered.total)}")
    if session.one_time:
        parts.append("one delivery")
    if session.failure is not None:
        parts.append(f"broke off at {session.failure.entry or 'no entry'}: {session.failure.cause}")
    if session.state in _OVER:
        ended = session.revoked_at or session.spent_at or session.expires_at
        return " · ".join([*parts, f"since {moment(ended)}"])
    return " · ".join([*parts, f"until {moment(session.expires_at)}"])


def moment(text: str) -> str:
    """Return an instant of the server in this machine's zone: ``2026-11-29 14:05 +09:00``."""
    at = datetime.fromisoformat(text).astimezone()
    zone = at.strftime("%z")
    return f"{at.strftime('%Y-%m-%d %H:%M')} {zone[:3]}:{zone[3:5]}"
