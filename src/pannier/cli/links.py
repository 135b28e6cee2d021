"""``pannier links``: the links that were given out, and what became of them."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.places import place
from pannier.cli.servers import Choice, Json, Server, servers, takes_server
from pannier.cli.terminal import counted, note, result, tell
from pannier.quantities import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pannier.dto.links import LinkReply
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
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Sessions of download URLs, those of links with a page among them.")
    ] = False,
    most: Annotated[int, typer.Option("--most", min=1, metavar="N", help="At most so many, the newest.")] = 100,
    as_json: Json = False,
) -> int:
    """List links, the newest first: what each gave out, and until when it can."""
    known = servers(choice)
    where = None if folder is None else place(known, folder)
    asked = known if where is None else [where.server]
    of = None if where is None else where.folder.folder
    every = (each for server in asked for each in (each_session(server, of) if tokens else each_link(server, of)))
    found = list(islice((each for each in every if all_ or each.state not in _OVER), most))
    if as_json:
        return tell({"links": [each.model_dump(mode="json") for each in found]})
    for each in found:
        result(line(each))
    if not found:
        note("no links" if all_ else "no links that open anything; --all shows the others")
    return ExitCode.DONE


def each_link(server: Server, folder: Folder | None) -> Iterator[LinkReply]:
    """Yield the links of a server that have pages, the newest first; of one folder, if that is named."""
    from pannier.sdk.problems import NotFound

    with server.manager() as manager:
        try:
            found = manager.links.list()
        except NotFound:  # it has no front desk
            return
    yield from (each for each in found if folder is None or each.folder == folder.volume)


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


def line(each: SessionReply | LinkReply) -> str:
    """Return what is said of one link."""
    from pannier.dto.links import LinkReply

    if not isinstance(each, LinkReply):
        return _session_line(each)
    parts = [each.code[:_ID_SHOWN], each.filename, str(each.state)]
    parts += [] if each.entries is None else [counted(each.entries, "entry", "entries")]
    limit = "" if each.deliveries is None else f" of {each.deliveries:,}"
    if each.bytes_sent:
        parts += [f"sent {show_size(each.bytes_sent)}", f"delivered {each.delivered:,}{limit}"]
    elif each.deliveries is not None:
        parts.append(counted(each.deliveries, "delivery", "deliveries"))
    parts += [f"{each.running:,} running"] if each.running else []
    parts += ["password"] if each.password else []
    return " · ".join([*parts, _until(each.state, each.expires_at, each.revoked_at)])


def _session_line(session: SessionReply) -> str:
    parts = [session.id[:_ID_SHOWN], session.filename, str(session.state)]
    if session.length is not None:
        parts.append(f"sent {show_size(session.delivered.bytes)} of {show_size(session.length)}")
    elif session.delivered.total:
        parts.append(f"sent {show_size(session.delivered.total)}")
    if session.one_time:
        parts.append("one delivery")
    if session.failure is not None:
        parts.append(f"broke off at {session.failure.entry or 'no entry'}: {session.failure.cause}")
    return " · ".join([*parts, _until(session.state, session.expires_at, session.revoked_at or session.spent_at)])


def _until(state: str, expires_at: str, ended_at: str | None) -> str:
    return f"since {expiry(ended_at or expires_at)}" if state in _OVER else f"until {expiry(expires_at)}"


def expiry(text: str) -> str:
    """Return an instant of the server in this machine's zone: ``2026-11-29 14:05 +09:00``."""
    at = datetime.fromisoformat(text).astimezone()
    zone = at.strftime("%z")
    return f"{at.strftime('%Y-%m-%d %H:%M')} {zone[:3]}:{zone[3:5]}"
