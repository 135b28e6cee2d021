"""``pannier ls``: what is in a folder."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier.cli.completing import complete_path
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Place, place
from pannier.cli.servers import Choice, Json, Server, servers, takes_server
from pannier.cli.terminal import result, tell
from pannier.quantities import show_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pannier.dto.files import Item

EXAMPLE = "\b\nExample:\n  pannier ls trip/2026"

_KINDS = {"DIRECTORY": "d", "SYMLINK": "l", "FILE": "-"}
_SIZE_WIDTH = 9
_PAGE = 1_000


@takes_server
def ls(
    choice: Choice,
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help="FOLDER or FOLDER/inside.", autocompletion=complete_path),
    ] = None,
    as_json: Json = False,
) -> int:
    """List what is in a directory, or which folders there are."""
    known = servers(choice)
    if path is None:
        return _folders(known, as_json=as_json)
    where = place(known, path)
    found: list[Any] = []
    for items in _pages(where):
        if as_json:
            found.extend(_document(item) for item in items)
        else:
            for item in items:
                result(line(item))
    return tell({"path": where.shown, "items": found}) if as_json else ExitCode.DONE


def _folders(known: list[Server], *, as_json: bool) -> int:
    folders = [folder for server in known for folder in server.folders]
    if as_json:
        told = [{"name": each.name, "volume": each.folder.volume, "id": each.folder.id} for each in folders]
        return tell({"folders": told})
    if not folders:
        raise Failure("no folder here has a name; write VOLUME/FOLDER_ID, or name one in the profile")
    for each in folders:
        result(f"d {'-':>{_SIZE_WIDTH}}  {'-':<16}  {each.name}/")
    return ExitCode.DONE


def _pages(where: Place) -> Iterable[Iterable[Item]]:
    """Yield what is in a directory, as it comes; what is no directory is told of itself."""
    import errno

    from pannier.sdk.problems import Declined

    with where.server.manager() as manager:
        cursor: str | None = None
        while True:
            try:
                page = manager.files.list(where.folder.folder, where.inside, limit=_PAGE, cursor=cursor)
            except Declined as error:
                if error.problem.errno == errno.ENOTDIR and where.inside != ".":
                    item = manager.files.find(where.folder.folder, where.inside)
                    if item is not None:
                        yield [item]
                        return
                raise Failure(f"{where.shown!r}: {error.problem.msg or error}") from None
            yield page.items
            if not page.truncated:
                return
            cursor = page.cursor


def line(item: Item) -> str:
    """Return the line of one thing: its kind, size, time and name."""
    kind = _KINDS.get(item.type, "-")
    size = show_size(item.stat.size) if kind == "-" else "-"
    at = item.stat.modified.astimezone()
    name = item.name + ("/" if kind == "d" else "")
    if kind == "l":
        name += f" -> {item.symlink_target or '(outside)'}"
    return f"{kind} {size:>{_SIZE_WIDTH}}  {_minute(at)}  {name}"


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")


def _document(item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {"name": item.name, "type": item.type.lower(), "size": item.stat.size}
    told |= {"modified": item.stat.modified.isoformat(), "mode": item.stat.mode}
    return {**told, "target": item.symlink_target} if item.type == "SYMLINK" else told
