"""``pannier link``: a download link to an archive of what is selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Selected, locate
from pannier.cli.refusals import refused
from pannier.cli.selections import Compression, Except, Exclude, Format, Links, Paths
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import counted, note, result, tell
from pannier.quantities import parse_duration, parse_size, show_bytes, show_size

if TYPE_CHECKING:
    from pannier.sdk.manager_sessions import Link

EXAMPLE = "\b\nExample:\n  pannier link trip/2026 trip/data --exclude '*.tmp' --filename trip.zip"

NumberT = TypeVar("NumberT", int, float)


@takes_server
def link(
    choice: Choice,
    paths: Paths,
    filename: Annotated[str | None, typer.Option(metavar="NAME", help="File name of the archive.")] = None,
    exclude: Exclude = None,
    except_: Except = None,
    links: Links = None,
    format: Format = None,
    compression: Compression = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", "--expires-in", metavar="TIME", help="How long the link lives, such as 30m, 2h or 7d."
        ),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most bytes per second, all its connections together: 500k, 2m.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="For a single download, of a zip or tar; it can be resumed.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Make a link to an archive of PATHS."""
    terms = _terms(expires, rate, once=once)
    selected = locate(servers(choice), paths, except_ or [])
    options = {"filename": filename, "links": links, "format": format, "compression": compression, **terms}
    made = _make(selected, exclude=exclude, except_=selected.exceptions or None, **options)
    if as_json:
        told = made.model_dump(include={"session", "plan", "entries", "length", "etag"})
        return tell({"url": made.url, **{key: value for key, value in told.items() if value is not None}})
    result(made.url)
    note(counted_line(made.entries, made.length))
    return ExitCode.DONE


def _make(selected: Selected, **options: Any) -> Link:
    from pannier.sdk.problems import SelectionRefused

    with selected.server.manager() as manager:
        try:
            return manager.sessions.create(selected.folder.folder, selected.files, **options)
        except SelectionRefused as error:
            raise refused(error, selected.folder.name) from None


def counted_line(entries: int | None, length: int | None) -> str:
    """Return what is known of an archive when its link is made."""
    if entries is None:
        return "counting still runs"
    if length is None:
        return f"{counted(entries, 'entry', 'entries')} · packed while it is sent: no length in advance, no resuming"
    size = f"{show_bytes(length)} ({show_size(length)})" if length >= 1024 else show_bytes(length)
    return f"{counted(entries, 'entry', 'entries')} · archive {size}"


def _terms(expires: str | None, rate: str | None, *, once: bool) -> dict[str, Any]:
    """Return what the request says of how the link may be used.

    Raises:
        Failure: A duration or a size is none, or nothing that a link can have.
    """
    from pannier.dto.terms import LONGEST_TERM

    seconds = quantity("--expires", expires, parse_duration)
    if seconds is not None and not 1 <= seconds <= LONGEST_TERM:
        raise Failure(f"--expires: a link lives from 1s to {LONGEST_TERM // 86_400}d", ExitCode.USAGE)
    speed = quantity("--rate", rate, parse_size)
    if speed is not None and speed < 1:
        raise Failure("--rate: a link needs at least 1 byte per second; leave it out for no limit", ExitCode.USAGE)
    whole = None if seconds is None else int(seconds)
    return {"expires_in": whole, "rate": speed, "one_time": True if once else None}


def quantity(option: str, text: str | None, parse: Callable[[object], NumberT]) -> NumberT | None:
    """Read what an option says.

    Raises:
        Failure: It is no such quantity.
    """
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}", ExitCode.USAGE) from None
