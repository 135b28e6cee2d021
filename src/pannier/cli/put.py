"""``pannier put``: uploads files and directories, and goes on where it was cut off."""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pannier.cli.completing import complete_path
from pannier.cli.outcomes import ExitCode, Failure, Interrupted, Refused
from pannier.cli.places import place
from pannier.cli.progress import Meter
from pannier.cli.refusals import REFUSALS, refused_lines
from pannier.cli.servers import Choice, Json, drop_place, servers, takes_server
from pannier.cli.terminal import complain, counted, note, result, tell
from pannier.errors import OffenceCode
from pannier.homes import default_state_path
from pannier.quantities import show_size

if TYPE_CHECKING:
    import ssl

    from pannier.sdk.manager import Manager
    from pannier.sdk.manager_uploads import ConflictName
    from pannier.sdk.sources import Source, Survey
    from pannier.sdk.uploads import Uploaded, Uploader

EXAMPLE = "\b\nExample:\n  pannier put video.mov Fotos trip/2026"

_STDIN = "-"
_MOST_SHOWN = 20
_MADE_AT_ONCE = 50
_WORDS: Mapping[str, str] = {
    **REFUSALS,
    OffenceCode.MISSING: "nothing is there",
    OffenceCode.UNREADABLE: "may not be read",
    OffenceCode.NAME_TOO_LONG: "nested too deep",
}


@takes_server
def put(
    choice: Choice,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE... TARGET",
            help="Files and directories of this machine, - for stdin; then FOLDER/inside.",
            autocompletion=complete_path,
        ),
    ],
    replace_: Annotated[
        bool, typer.Option("--replace", help="Replace a file whose name is taken; else the new one gets another name.")
    ] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out what has a name that is taken.")] = False,
    except_: Annotated[
        list[str] | None, typer.Option("--except", metavar="PATH", help="Leave this out; may be given again.")
    ] = None,
    links: Annotated[
        Literal["follow", "omit"], typer.Option(help="What becomes of symbolic links below what is named.")
    ] = "follow",
    parallel: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="So many files at the same time.")] = 4,
    tries: Annotated[
        int, typer.Option(min=1, metavar="N", help="Give up after so many tries in a row that bring nothing.")
    ] = 10,
    as_json: Json = False,
) -> int:
    """Upload files and directories into a folder. The same line again goes on where it was cut off."""
    if len(paths) < 2:
        raise Failure("name what is to be sent, and where to; see pannier put --help", ExitCode.USAGE)
    if replace_ and skip:
        raise Failure("--replace and --skip: name one of them", ExitCode.USAGE)
    *named, target = paths
    with ExitStack() as opened:
        found = _survey(named, target, links, except_ or [], opened)
        conflict: ConflictName = "replace" if replace_ else "refuse" if skip else "rename"
        destination = _destination(choice, target, found, conflict, single=_is_single(named))
        what = [destination.identity, conflict, *(os.path.abspath(path) for path in named)]
        sent = _send(destination, what, parallel, tries, resumable=_STDIN not in named)
    return _report(sent, conflict, as_json=as_json)


@dataclass(frozen=True)
class _Destination:
    """Where files go: the URL at which uploads are begun, and the name of what they go into."""

    url: str
    identity: str
    conflict: ConflictName
    files: Sequence[Source]
    tls: ssl.SSLContext | None


def _survey(
    named: list[str], target: str, links: Literal["follow", "omit"], except_: list[str], opened: ExitStack
) -> Survey:
    """Look at what is to be sent.

    Raises:
        Refused: Some of it cannot be.
    """
    from pannier.sdk.sources import Source, Survey, survey

    if _STDIN in named:
        if len(named) > 1:
            raise Failure("- is sent alone; use another line for the rest", ExitCode.USAGE)
        name = posixpath.basename(target)
        if not name or "/" not in target:
            raise Failure("stdin needs a name: pannier put - FOLDER/inside/NAME", ExitCode.USAGE)
        return Survey([Source.open_file(_spooled(opened), "stdin", name)], entries=1)
    found = survey(named, links=links, except_=except_)
    if found.refused:
        offenders = [{"path": each.path, "code": each.code, "detail": each.detail} for each in found.refused]
        problem: dict[str, Any] = {"type": "selection-refused", "title": "some of it cannot be sent"}
        problem |= {"total": len(offenders), "entries": found.entries, "offenders": offenders}
        lines = [each.replace("be included", "be sent") for each in refused_lines(problem, "", _WORDS)]
        raise Refused(lines, problem)
    if found.omitted:
        note(f"left out {counted(found.omitted, 'link')}, by --links omit")
    return found


def _spooled(opened: ExitStack) -> int:
    """Return a file that holds all of stdin: the size of an upload is told before its first byte."""
    if sys.stdin is None:
        raise Failure("stdin is closed; there is nothing to send")
    try:
        from pannier.sdk.sources import is_regular

        if is_regular(sys.stdin.fileno()) and os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR) == 0:
            return sys.stdin.fileno()
        kept = tempfile.TemporaryFile(prefix="pannier-")  # noqa: SIM115 - closed with what was opened
        opened.enter_context(kept)
        shutil.copyfileobj(sys.stdin.buffer, kept, 2**20)
        kept.flush()
    except OSError as error:
        way_out = "make room, or name another place in TMPDIR"
        raise Failure(f"stdin cannot be kept until it is sent ({error.strerror}); {way_out}") from None
    return kept.fileno()


def _is_single(named: list[str]) -> bool:
    return len(named) == 1 and (named[0] == _STDIN or not os.path.isdir(named[0]))


def _destination(choice: Choice, target: str, found: Survey, conflict: ConflictName, *, single: bool) -> _Destination:
    """Find out where the files go, and make the directories that no file makes."""
    if (drop := drop_place(choice)) is not None:
        if conflict != "rename":
            raise Failure("who gave the token says what becomes of names that are taken", ExitCode.USAGE)
        if found.empty:
            note(f"left out {counted(len(found.empty), 'empty directory', 'empty directories')}: a token makes none")
        files = [replace(each, name=posixpath.normpath(posixpath.join(target, each.name))) for each in found.files]
        return _Destination(drop[0], f"{choice.profile} {target}", "rename", files, drop[1])
    where = place(servers(choice), target)
    folder, directory, files = where.folder.folder, where.inside, list(found.files)
    with where.server.manager() as manager:
        if single and not target.endswith("/"):
            named = files[0].descriptor is not None or not manager.files.is_directory(folder, directory)
            if named and directory == ".":
                raise Failure(f"{target!r} is no name of a file; name one in it", ExitCode.USAGE)
            if named:
                directory, name = posixpath.split(directory)
                files, directory = [replace(files[0], name=name)], directory or "."
        largest = max((each.size for each in files), default=0)
        url = manager.uploads.create(folder, directory, conflict=conflict, largest=largest)
        _make_empty(manager, where.shown, [posixpath.join(directory, each) for each in found.empty], folder)
    called = "" if where.folder.path is not None else where.server.manager_url
    identity = f"{called} {folder.volume} {folder.id} {directory}"
    return _Destination(url, identity, conflict, files, where.server.client_tls)


def _make_empty(manager: Manager, shown: str, empty: list[str], folder: Any) -> None:
    for first in range(0, len(empty), _MADE_AT_ONCE):
        told = manager.files.make_directories(folder, empty[first : first + _MADE_AT_ONCE], exist_ok=True)
        if told.failed:
            raise Failure(f"{told.failed[0].item!r} cannot be made in {shown!r}: {told.failed[0].msg}")


def _send(destination: _Destination, what: list[str], parallel: int, tries: int, *, resumable: bool) -> Uploaded:
    from pannier.sdk.journals import Journal
    from pannier.sdk.problems import Busy, LinkOver, Unreachable
    from pannier.sdk.retries import Backoff
    from pannier.sdk.uploads import Uploader

    with ExitStack() as parts:
        client = parts.enter_context(Uploader(tls=destination.tls, backoff=Backoff(tries=tries)))
        _check_sizes(client, destination)
        journal = parts.enter_context(Journal(default_state_path() / "uploads", what)) if resumable else None
        meter = Meter()
        parts.callback(meter.close)
        try:
            sent = client.upload(
                destination.files,
                destination.url,
                conflict=destination.conflict,
                parallel=parallel,
                journal=journal,
                progress=meter,
            )
        except (Unreachable, Busy, LinkOver) as error:
            if journal is None:
                raise
            raise Interrupted(str(error)) from None
        except KeyboardInterrupt:
            if journal is None:
                raise
            raise Interrupted("stopped", ExitCode.CTRL_C) from None
        if journal is not None and not sent.failed:
            journal.forget()
        return sent


def _check_sizes(client: Uploader, destination: _Destination) -> None:
    """Refuse files that the server would not take, before any byte is sent."""
    largest = client.largest(destination.url)
    over = [each for each in destination.files if largest is not None and each.size > largest]
    if not over or largest is None:
        return
    offenders = [{"path": each.path, "code": "too-large", "detail": show_size(each.size)} for each in over]
    limit = f"the server's limit of {show_size(largest)} (storage-proxy.max-upload-size)"
    title = f"{counted(len(over), 'file')} over {limit}"
    problem = {"type": "limit-exceeded", "title": title, "limit": largest, "total": len(over), "offenders": offenders}
    _, *rest = refused_lines(problem, "")
    raise Refused([f"refused: {title}; nothing was sent", *rest], problem)


def _report(sent: Uploaded, conflict: ConflictName, *, as_json: bool) -> int:
    renamed = [each for each in sent.arrived if each.renamed]
    failures = [{"path": each.path, "reason": str(error)} for each, error in sent.failed]
    told = {
        "files": len(sent.arrived),
        "bytes": sent.size,
        "skipped": [each.path for each in sent.skipped],
        "renamed": [{"path": each.source.path, "name": each.name} for each in renamed],
    }
    text = f"{counted(len(failures), 'file')} could not be sent"
    if as_json:
        if failures:
            raise Failure(text, problem={"type": "failed", "title": text, "failed": failures, **told})
        return tell(told)
    result(summary(sent, len(renamed), conflict))
    for each in renamed[:_MOST_SHOWN]:
        note(f"  {each.source.name} -> {posixpath.basename(each.name)}, name taken")
    if len(renamed) > _MOST_SHOWN:
        note(f"  and {len(renamed) - _MOST_SHOWN:,} more")
    for failure in failures[:_MOST_SHOWN]:
        complain(f"  {failure['path']}: {failure['reason']}")
    if failures:
        raise Failure(f"{text}; the same line again tries only those")
    return ExitCode.DONE


def summary(sent: Uploaded, renamed: int, conflict: ConflictName) -> str:
    """Return what was done, in one line."""
    parts = [f"{counted(len(sent.arrived), 'file')}, {show_size(sent.size)} sent", f"{len(sent.skipped):,} skipped"]
    if conflict == "rename":
        parts.append(f"{renamed:,} renamed" + (" (--replace, --skip)" if renamed else ""))
    return " · ".join(parts)
