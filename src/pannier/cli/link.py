"""``pannier link``: ask the server that runs here for a download link."""

from __future__ import annotations

import asyncio
import json
import os
import posixpath
import shlex
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

import typer

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.runtime import Running, RunningFolder, find_running
from pannier.cli.terminal import counted, note, result
from pannier.errors import ConfigInvalid, OffenceCode
from pannier.quantities import parse_duration, parse_size, show_bytes, show_size

EXAMPLE = "\b\nExample:\n  pannier link trip/2026 trip/data --exclude '*.tmp' --filename trip.zip"

REFUSALS: Mapping[str, str] = {
    OffenceCode.OUTSIDE: "leads outside the folder",
    OffenceCode.UNSAFE_PATH: "unsafe name",
    OffenceCode.LINK_OUTSIDE: "link leads outside",
    OffenceCode.LINK_DANGLING: "link leads nowhere",
    OffenceCode.LINK_LOOP: "link goes in a circle",
    OffenceCode.LINK_REFUSED: "is a link, and --links refuse takes none",
    OffenceCode.SPECIAL: "not a file or folder",
    OffenceCode.NAME_TOO_LONG: "name too long",
    OffenceCode.MISSING: "no longer there",
    OffenceCode.UNREADABLE: "server may not read it",
}
"""The words for each reason, the same as on the page."""

_ROUTE = "/folder/file/archive-download-token"
_TIMEOUT, _CONNECT_TIMEOUT = 30.0, 3.0
_MOST_REFUSALS = 20

NumberT = TypeVar("NumberT", int, float)


def link(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="FOLDER/inside, or files and directories inside a served folder."),
    ],
    filename: Annotated[str | None, typer.Option(metavar="NAME", help="File name of the archive.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Leave out what matches; may be given again.")
    ] = None,
    except_: Annotated[
        list[str] | None, typer.Option("--except", metavar="PATH", help="Leave this out; may be given again.")
    ] = None,
    links: Annotated[
        Literal["follow", "omit", "store", "refuse"] | None,
        typer.Option(help="What becomes of symbolic links; follow unless given."),
    ] = None,
    format: Annotated[
        Literal["zip", "tar", "tar.gz", "tar.zst"] | None,
        typer.Option(help="Container of the archive; zip unless given. Only zip and tar can be resumed."),
    ] = None,
    compression: Annotated[
        Literal["none", "deflate"] | None,
        typer.Option(help="deflate packs each file of a zip; such a zip cannot be resumed."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar="TIME", help="How long the link lives, such as 30m, 2h or 7d.")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most bytes per second, all its connections together: 500k, 2m.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="For a single download, of a zip or tar; it can be resumed.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="State folder of the server, as given to 'pannier serve'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document, errors too.")] = False,
) -> int:
    """Make a link to an archive of PATHS, which the server on this machine serves."""
    name = ""
    try:
        terms = _terms(expires_in, rate, once=once)
        server, folder, files, exceptions = _locate(_servers(state), paths, except_ or [])
        name = folder.name
        request: dict[str, Any] = {"volume": folder.volume, "virtual_folder_id": folder.folder_id, "files": files}
        options = {"filename": filename, "links": links, "exclude": exclude, "except": exceptions}
        options |= {"format": format, "compression": compression, **terms}
        request |= {key: value for key, value in options.items() if value is not None and value != []}
        reply = _ask(server, request)
        url = f"{server.client_url}/download-archive?token={quote(str(reply['token']), safe='')}"
    except Refused as refusal:
        if as_json:
            return _json_failure(refusal.problem, ExitCode.REFUSED)
        for line in refused_lines(refusal.problem, name):
            note(line)
        return ExitCode.REFUSED
    except (Failure, ConfigInvalid) as failure:
        if not as_json:
            raise
        problem = failure.problem if isinstance(failure, Declined) else {"type": "failed", "title": str(failure)}
        return _json_failure(problem, failure.code if isinstance(failure, Failure) else ExitCode.FAILED)
    if as_json:
        told = {
            key: reply[key] for key in ("session", "plan", "entries", "length", "etag") if reply.get(key) is not None
        }
        result(json.dumps({"ok": True, "url": url, **told}))
        return ExitCode.DONE
    result(url)
    note(counted_line(reply))
    return ExitCode.DONE


def counted_line(reply: Mapping[str, Any]) -> str:
    """Return what is known of an archive when its link is made."""
    entries, length = reply.get("entries"), reply.get("length")
    if not isinstance(entries, int):
        return "counting still runs"
    if not isinstance(length, int):
        return f"{counted(entries, 'entry', 'entries')} · packed while it is sent: no length in advance, no resuming"
    size = f"{show_bytes(length)} ({show_size(length)})" if length >= 1024 else show_bytes(length)
    return f"{counted(entries, 'entry', 'entries')} · archive {size}"


def _terms(expires_in: str | None, rate: str | None, *, once: bool) -> dict[str, Any]:
    """Return what the request says of how the link may be used.

    Raises:
        Failure: A duration or a size is none, or nothing that a link can have.
    """
    from pannier.dto.terms import LONGEST_TERM

    seconds = _quantity("--expires-in", expires_in, parse_duration)
    if seconds is not None and not 1 <= seconds <= LONGEST_TERM:
        raise Failure(f"--expires-in: a link lives from 1s to {LONGEST_TERM // 86_400}d", ExitCode.USAGE)
    speed = _quantity("--rate", rate, parse_size)
    if speed is not None and speed < 1:
        raise Failure("--rate: a link needs at least 1 byte per second; leave it out for no limit", ExitCode.USAGE)
    whole = None if seconds is None else int(seconds)
    return {"expires_in": whole, "rate": speed, "one_time": True if once else None}


def _quantity(option: str, text: str | None, parse: Callable[[object], NumberT]) -> NumberT | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise Failure(f"{option}: {error}", ExitCode.USAGE) from None


class Declined(Failure):
    """The server answered with a problem document."""

    def __init__(self, problem: Mapping[str, Any], status: int) -> None:
        said = problem.get("detail") or problem.get("msg") or problem.get("title") or "no reason given"
        super().__init__(f"the server declined with {status}: {said}")
        self.problem = problem


class Refused(Declined):
    """The problem is that the plan refuses the selection."""


@dataclass(frozen=True)
class _Place:
    """A path inside a served folder; the folder itself is ``"."``."""

    server: Running
    folder: RunningFolder
    inside: str


def _servers(state: Path | None) -> list[Running]:
    from pannier.config.settings import default_state_path

    named = state or os.environ.get("PANNIER_STATE__PATH")
    folder = Path(named).expanduser() if named else default_state_path()
    known = find_running(folder)
    servers = [server for server in known if _answers(server)]
    if not servers:
        what = f"the server of process {known[0].pid} does not answer" if known else "no server is known"
        way_out = "start one with: pannier serve PATH (or name its state folder with --state DIR)"
        raise Failure(f"{what} (looked in {str(folder)!r}); {way_out}")
    return servers


def _answers(server: Running) -> bool:
    # a process id is used again: the one in a stale file may be anybody's
    parts = urlsplit(server.manager_url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECT_TIMEOUT):
            return True
    except OSError:
        return False


def _locate(
    servers: Sequence[Running], paths: Sequence[str], exceptions: Sequence[str]
) -> tuple[Running, RunningFolder, list[str], list[str]]:
    """Return the one folder that all paths are in, and the paths inside it.

    Raises:
        Failure: A path is in no served folder, or there is no folder that all are in.
    """
    candidates = [_places(servers, path) for path in (*paths, *exceptions)]
    for first in candidates[0]:
        found = [next((p for p in places if p.folder == first.folder), None) for places in candidates]
        inside = [place.inside for place in found if place is not None]
        if len(inside) == len(candidates):
            return first.server, first.folder, inside[: len(paths)], inside[len(paths) :]
    names = ", ".join(sorted({places[0].folder.name for places in candidates}))
    raise Failure(f"the paths are in several folders ({names}); make one link for each", ExitCode.USAGE)


def _places(servers: Sequence[Running], path: str) -> list[_Place]:
    """Return where a path may be: the deepest folder first; a folder's name counts only where no such path exists."""
    found = [
        _Place(server, folder, inside)
        for server in servers
        for folder in server.folders
        if (inside := _inside(path, folder.path)) is not None
    ]
    if found:
        return sorted(found, key=lambda place: len(place.folder.path), reverse=True)
    name, _, rest = path.partition("/")
    inside = posixpath.normpath(rest) if rest else "."
    named = [_Place(server, folder, inside) for server in servers for folder in server.folders if folder.name == name]
    if not named:
        known = ", ".join(sorted({folder.name for server in servers for folder in server.folders}))
        raise Failure(f"{path!r} is in no served folder; served here: {known}", ExitCode.USAGE)
    if inside == ".." or inside.startswith(("../", "/")):
        raise Failure(f"{path!r} leads outside the folder {name!r}; name something inside it", ExitCode.USAGE)
    return named


def _inside(path: str, root: str) -> str | None:
    """Return an existing path relative to a served directory, or None; a link at its end is not followed."""
    whole = os.path.abspath(path)
    if not os.path.lexists(whole):
        return None
    parent, base = os.path.split(whole)
    for real in (os.path.join(os.path.realpath(parent), base), os.path.realpath(whole)):
        if real == root:
            return "."
        if real.startswith(root.rstrip("/") + "/"):
            return os.path.relpath(real, root)
    return None


def _ask(server: Running, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the server's answer.

    Raises:
        Refused: The plan refuses the selection.
        Declined: The server says no for another reason.
        Failure: No answer, or one that is none of ours.
    """
    from pannier import sdk

    async def ask() -> Any:
        certificate = server.manager_certificate
        async with sdk.Transport(
            server.manager_url,
            credential=sdk.Credential.manager(server.manager_secret),
            tls=sdk.trust.only(certificate) if certificate else None,
            timeouts=sdk.Timeouts(connect=_CONNECT_TIMEOUT, silence=_TIMEOUT),
            backoff=sdk.ONCE,
            proxies=False,  # one that is named in the environment is for elsewhere: the server is on this machine
        ) as transport:
            return (await transport.ask("POST", _ROUTE, body=request)).json()

    try:
        reply = asyncio.run(ask())
    except sdk.Declined as error:
        kind = Refused if isinstance(error, sdk.SelectionRefused) else Declined
        raise kind(error.problem.model_dump(), error.status) from None
    except sdk.Unreachable as error:
        way_out = "stop and start it again if that stays so"
        raise Failure(f"the server of process {server.pid} does not answer ({error.reason}); {way_out}") from None
    except sdk.Unexpected:
        reply = None
    if not isinstance(reply, dict) or not isinstance(reply.get("token"), str):
        raise Failure(f"what listens at {server.manager_url} is no Pannier; start it again: pannier serve PATH")
    return reply


def _json_failure(problem: Mapping[str, Any], code: ExitCode) -> int:
    result(json.dumps({"ok": False, "problem": problem}))
    return code


def refused_lines(problem: Mapping[str, Any], folder: str) -> list[str]:
    """Return a refusal for people: how many, each with its reason, and the options that leave them out."""
    offenders = [each for each in problem.get("offenders", ()) if isinstance(each, dict) and "path" in each]
    total, entries = problem.get("total", len(offenders)), problem.get("entries")
    among = f" of {counted(entries, 'entry', 'entries')}" if isinstance(entries, int) else ""
    what = f"{total:,}{among}" if among else counted(total, "entry", "entries")
    lines = [f"refused: {what} cannot be included; nothing was sent"]
    shown = offenders[:_MOST_REFUSALS]
    for each in shown:
        code = str(each.get("code", ""))
        lines.append(f"  {each['path']}: {REFUSALS.get(code) or each.get('detail') or code or 'no reason given'}")
    if total > len(shown):
        lines.append(f"  and {total - len(shown):,} more")
    # what a path says about itself, not about what stands there, is mended by naming another path
    options = [
        f"--except {shlex.quote(posixpath.join(folder, str(each['path'])))}"
        for each in shown
        if each.get("code") not in (OffenceCode.OUTSIDE, OffenceCode.UNSAFE_PATH)
    ]
    if options:
        lines.append(f"leave them out with: {' '.join(options)}{' …' if total > len(shown) else ''}")
    return lines
