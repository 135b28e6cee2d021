"""``pannier link``: a link to an archive of what is selected, with a page for whoever gets it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pannier.cli import terminal
from pannier.cli.links import expiry
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.places import Selected, locate
from pannier.cli.refusals import refused
from pannier.cli.secret_files import read_secret
from pannier.cli.selections import Compression, Except, Exclude, Format, Links, Paths
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import counted, result, tell
from pannier.quantities import parse_duration, parse_size, show_bytes, show_size

if TYPE_CHECKING:
    from pannier.dto.links import LinkReply
    from pannier.sdk.manager_sessions import Link

EXAMPLE = "\b\nExample:\n  pannier link trip/2026 trip/data --exclude '*.tmp' --expires 7d --note 'Trip photos'"

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
    once: Annotated[
        bool, typer.Option("--once", help="For a single download, of a zip or tar; it can be resumed.")
    ] = False,
    deliveries: Annotated[
        int | None,
        typer.Option("--deliveries", "-n", min=1, metavar="N", help="For so many full downloads, of a zip or tar."),
    ] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password that the receiver has to know.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read that password from a file, - for stdin.")
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What the receiver reads.")] = None,
    token: Annotated[
        bool, typer.Option("--token", help="A URL of the archive itself, for curl and the like, without a page.")
    ] = False,
    rate: Annotated[
        str | None, typer.Option(metavar="SIZE", help="With --token: most bytes per second of all its connections.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a link to an archive of PATHS."""
    if once and deliveries not in (None, 1):
        raise Failure("--once and --deliveries: name one of them", ExitCode.USAGE)
    of_a_page = [name for name, asked in (("--deliveries", deliveries), ("--note", note)) if asked is not None]
    of_a_page += ["--password"] if password or password_file else []
    if token and of_a_page:
        raise Failure(f"{of_a_page[0]}: goes with a page, not with --token", ExitCode.USAGE)
    if rate is not None and not token:
        raise Failure("--rate: goes with --token", ExitCode.USAGE)
    seconds, speed = _seconds(expires), _speed(rate)
    selected = locate(servers(choice), paths, except_ or [])
    options: dict[str, Any] = {"filename": filename, "links": links, "format": format, "compression": compression}
    options |= {"exclude": exclude, "except_": selected.exceptions or None, "expires_in": seconds}
    if token:
        made = _token(selected, **options, rate=speed, one_time=once or None)
        told = made.model_dump(include={"session", "plan", "entries", "length", "etag"})
        told = {key: value for key, value in told.items() if value is not None}
        return _tell(made.url, told, counted_line(made.entries, made.length), as_json=as_json)
    secret = _password(password, password_file)
    page = _page(selected, **options, deliveries=1 if once else deliveries, password=secret, note=note)
    return _tell(page.url, page.model_dump(mode="json", exclude={"url"}), page_line(page), as_json=as_json)


def _tell(url: str, told: dict[str, Any], line: str, *, as_json: bool) -> int:
    if as_json:
        return tell({"url": url, **told})
    result(url)
    terminal.note(line)
    return ExitCode.DONE


def _token(selected: Selected, **options: Any) -> Link:
    from pannier.sdk.problems import SelectionRefused

    with selected.server.manager() as manager:
        try:
            return manager.sessions.create(selected.folder.folder, selected.files, **options)
        except SelectionRefused as error:
            raise refused(error, selected.folder.name) from None


def _page(selected: Selected, **options: Any) -> LinkReply:
    from pannier.sdk.problems import NotFound, SelectionRefused

    with selected.server.manager() as manager:
        try:
            return manager.links.create(selected.folder.folder, selected.files, **options)
        except SelectionRefused as error:
            raise refused(error, selected.folder.name) from None
        except NotFound as error:
            if error.kind != "not-found":
                raise
            raise Failure("this server has no pages for people; --token makes a URL of the archive itself") from None


def _password(asked: bool, file: Path | None) -> str | None:
    """Return the password of a link; it is never an argument, which others could see."""
    if file is not None:
        return read_secret(file)
    if not asked:
        return None
    if sys.stdin is None or not sys.stdin.isatty():
        raise Failure("--password: there is no terminal to ask on; use --password-file FILE", ExitCode.USAGE)
    return str(typer.prompt("password of the link", hide_input=True, confirmation_prompt=True, err=True))


def page_line(made: LinkReply) -> str:
    """Return what is told of a link with a page, beside its URL."""
    parts = [] if made.entries is None else [counted(made.entries, "entry", "entries")]
    parts += [] if made.length is None else [show_size(made.length)]
    if made.deliveries is not None:
        parts.append("one delivery" if made.deliveries == 1 else counted(made.deliveries, "delivery", "deliveries"))
    parts += ["with a password"] if made.password else []
    return " · ".join([*parts, f"until {expiry(made.expires_at)}", f"revoke: pannier revoke {made.code}"])


def counted_line(entries: int | None, length: int | None) -> str:
    """Return what is known of an archive when its link is made."""
    if entries is None:
        return "counting still runs"
    if length is None:
        return f"{counted(entries, 'entry', 'entries')} · packed while it is sent: no length in advance, no resuming"
    size = f"{show_bytes(length)} ({show_size(length)})" if length >= 1024 else show_bytes(length)
    return f"{counted(entries, 'entry', 'entries')} · archive {size}"


def _seconds(expires: str | None) -> int | None:
    """Return how long a link lives.

    Raises:
        Failure: It is no duration, or none that a link can have.
    """
    from pannier.dto.terms import LONGEST_TERM

    seconds = quantity("--expires", expires, parse_duration)
    if seconds is not None and not 1 <= seconds <= LONGEST_TERM:
        raise Failure(f"--expires: a link lives from 1s to {LONGEST_TERM // 86_400}d", ExitCode.USAGE)
    return None if seconds is None else int(seconds)


def _speed(rate: str | None) -> int | None:
    speed = quantity("--rate", rate, parse_size)
    if speed is not None and speed < 1:
        raise Failure("--rate: a link needs at least 1 byte per second; leave it out for no limit", ExitCode.USAGE)
    return speed


def quantity(option: str, text: str | None, parse: Callable[[object], NumberT]) -> NumberT | None:
    """Read what an option says.

    Raises:
        Failure: It is no such quantity.
    """
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}", ExitCode.USAGE) from None
