"""``pannier get``: takes what a link gives, to a file, a directory or stdout, and goes on where it was cut off."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from pannier.cli.outcomes import ExitCode, Failure, Interrupted, Refused
from pannier.cli.progress import Meter
from pannier.cli.terminal import counted, note, result, silence, tell
from pannier.errors import PannierError
from pannier.quantities import show_bytes, show_size

if TYPE_CHECKING:
    from pannier.sdk import AsyncClient, Checked, Progress, Version
    from pannier.sdk.intake import Intake

EXAMPLE = (
    "\b\nExamples:\n"
    "  pannier get http://127.0.0.1:6021/s/K7fQ2m\n"
    "  pannier link trip | pannier get - --parallel 8 --output trip.zip\n"
    "  pannier get --url-file link.txt --extract trip"
)
_VARIABLE = "PANNIER_URL"
_LARGEST_URL = 2**16
_STDOUT = "-"


def get(
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL",
            help=f"Of an archive or a file; - reads it from stdin. Without it, {_VARIABLE} of the environment.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where it goes, - for stdout; else as the server says."),
    ] = None,
    parallel: Annotated[
        int, typer.Option("--parallel", "-j", min=1, max=64, metavar="N", help="So many ranges at the same time.")
    ] = 1,
    extract: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Unpack it while it comes, into a new directory.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over, and replace what is there of it.")] = False,
    server_url: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Another server over the same data: https://b.example. Again for more."),
    ] = None,
    url_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Read the URL from a file: what is typed here, others on this machine see."),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read the link's password from a file; - is stdin.")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Trust what these certificates vouch for, and nothing else.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document, errors too.")] = False,
    silent: Annotated[bool, typer.Option("--silent", help="No notes and no progress.")] = False,
) -> int:
    """Download an archive or a file, and check it. The same line again goes on where it was cut off."""
    if extract is not None and output is not None:
        raise Failure("--extract and --output: name one of them", ExitCode.USAGE)
    if as_json and output == _STDOUT:
        raise Failure("--json: the archive goes to stdout; name another --output", ExitCode.USAGE)
    silence(silent or as_json)
    where = _url(url, url_file)
    work = _Get(where, restart, tuple(server_url or ()), parallel, as_json)
    if extract is not None:
        told = work.run(lambda client: work.extract(client, extract), password_file, ca_file)
    elif output is not None and _is_stream(output):
        told = work.run(lambda client: work.copy(client, output), password_file, ca_file)
    else:
        target = None if output is None else Path(output)
        is_directory = target is not None and target.is_dir()
        told = work.run(lambda client: work.save(client, target, is_directory=is_directory), password_file, ca_file)
    return tell(told) if as_json else ExitCode.DONE


@dataclass
class _Get:
    """One run of the command."""

    url: str
    restart: bool
    servers: tuple[str, ...]
    parallel: int
    as_json: bool
    meter: Meter = field(default_factory=Meter)
    done: int = 0
    target: Path | None = None
    """Where a part would be."""

    def run(self, work: Any, password_file: Path | None, ca_file: Path | None) -> dict[str, Any]:
        """Do the work with a client, and return what ``--json`` tells.

        Raises:
            Failure: It cannot be done.
        """
        try:
            return asyncio.run(self._with_client(work, password_file, ca_file))
        except PannierError as error:
            raise self._failure(error) from None
        except KeyboardInterrupt:
            raise self._interrupted() from None
        finally:
            self.meter.close()

    async def _with_client(self, work: Any, password_file: Path | None, ca_file: Path | None) -> dict[str, Any]:
        from pannier.sdk import AsyncClient

        told: Coroutine[Any, Any, dict[str, Any]]
        async with AsyncClient(tls=_trusted(ca_file), password=_password(password_file)) as client:
            told = work(client)
            return await told

    # -- the three things that can be done with it

    async def save(self, client: AsyncClient, target: Path | None, *, is_directory: bool) -> dict[str, Any]:
        """Save it to a file, or in a directory as the server calls it."""
        archive = await client.archive_of(self.url)
        if target is None or is_directory:
            version = await client.look(archive)
            target = (target or Path()) / version.filename
            self._introduce(version)
        self.target = target
        got = await client.download(
            archive,
            target,
            servers=self.servers,
            restart=self.restart,
            parallel=self.parallel,
            progress=self.progress,
        )
        self.meter.close()
        note(f"  100 %  {show_size(got.length)} in {got.seconds:.1f} s{_times(got.resumed)}")
        self._say(f"saved {got.path}{_checked(got.checked)}")
        told = {"path": str(got.path), "etag": got.version.etag, "length": got.length, "received": got.came}
        return told | _told(got.seconds, got.resumed, got.checked)

    async def extract(self, client: AsyncClient, directory: Path) -> dict[str, Any]:
        """Unpack it into a directory."""
        got = await client.extract(
            self.url, directory, servers=self.servers, restart=self.restart, progress=self.progress
        )
        self.meter.close()
        note(f"  100 %  {show_size(got.length)} in {got.seconds:.1f} s{_times(got.resumed)}")
        entries = counted(got.entries, "entry", "entries")
        self._say(f"unpacked {entries} to {got.path}, {show_size(got.written)}; {got.checked.how}")
        told = {"path": str(got.path), "etag": got.version.etag, "length": got.length, "written": got.written}
        return {**told, **_told(got.seconds, got.resumed, got.checked), "entries": got.entries}

    async def copy(self, client: AsyncClient, output: str) -> dict[str, Any]:
        """Hand it on, to stdout or to something that is no regular file."""
        from pannier.sdk.remote import is_archive, read_url
        from pannier.sdk.verification import check_of

        stream = await client.stream(self.url, servers=self.servers, progress=self.progress)
        version = await stream.look()
        archive = is_archive(read_url(self.url))
        check = check_of(version.media_type, archive=archive)
        with _opened(output) as out:
            checked = await stream.feed(version, lambda intake: check(_Copied(intake, out)))
        self.meter.close()
        size, seconds = show_size(stream.came), self.meter.seconds
        note(f"  100 %  {size} in {seconds:.1f} s{_times(stream.resumed)}{_checked(checked)}")
        told = {"path": output, "etag": version.etag, "length": stream.came}
        return told | _told(self.meter.seconds, stream.resumed, checked)

    # -- what is told

    def progress(self, progress: Progress) -> None:
        """Show how far it is."""
        self.done = progress.done
        self.meter(progress)

    def _say(self, text: str) -> None:
        if not self.as_json:
            result(text)

    def _introduce(self, version: Version) -> None:
        size = "length not known in advance" if version.length is None else show_size(version.length)
        note(f"{version.filename} · {size} · {'can be resumed' if version.resumable else 'cannot be resumed'}")

    def _failure(self, error: PannierError) -> Failure:
        """Return an error as a failure of the command, with the way out."""
        from pannier import sdk
        from pannier.cli.failures import as_failure
        from pannier.cli.refusals import refused

        again = f"start over with: pannier get --restart {shlex.quote(_without_token(self.url))}"
        match error:
            case sdk.SelectionRefused():
                return refused(error, "")
            case sdk.ArchiveChanged():
                lines = [f"stopped: {error}"]
                if (part := self._part()) is not None:
                    lines.append(f"the old part is kept as {part}; {again}")
                return _Stopped(lines, {"type": "archive-changed", "title": str(error), "entry": error.entry})
            case sdk.EntriesDamaged() if self._part() is not None:
                return Interrupted(f"{error}; what was damaged is fetched once more")
            case sdk.Unreachable() | sdk.Busy() if self._part() is not None:
                return Interrupted(f"stopped at {show_bytes(self.done)}: {error}")
            case sdk.PartUnusable():
                return Failure(f"{error}; {again}")
            case sdk.TargetUnusable() if "already" in str(error):
                return Failure(f"{error}; name another place, or replace it: --restart")
            case sdk.ConnectionLost():
                return Failure(str(error), ExitCode.FAILED, {"type": "connection-lost", "title": str(error)})
            case sdk.Unreachable():
                problem = {"type": "unreachable", "title": str(error)}
                return Failure(f"{error}; see that the server runs and the URL is right", ExitCode.FAILED, problem)
        return as_failure(error)

    def _interrupted(self) -> Failure:
        if self._part() is not None:
            stopped = Interrupted(f"interrupted at {show_bytes(self.done)}")
            stopped.code = ExitCode.CTRL_C
            return stopped
        return Failure("interrupted", ExitCode.CTRL_C)

    def _part(self) -> Path | None:
        """Return the part that is there to be gone on with."""
        from pannier.sdk.parts import ledger_path, part_path

        if self.target is None or not ledger_path(self.target).exists():
            return None
        return part_path(self.target)


class _Stopped(Refused):
    """It cannot go on; the lines are shown as they are."""

    def __init__(self, lines: list[str], problem: dict[str, Any]) -> None:
        super().__init__(lines, problem)
        self.code = ExitCode.FAILED


class _Copied:
    """An intake of which all that is read is written elsewhere, too."""

    def __init__(self, intake: Intake, out: BinaryIO) -> None:
        self._intake, self._out = intake, out

    def read(self, most: int) -> bytes | memoryview:
        piece = self._intake.read(most)
        try:
            self._out.write(piece)
            if not piece:
                self._out.flush()
        except OSError as error:
            raise Failure(f"{self._out.name}: cannot be written ({error.strerror})") from None
        return piece


def _url(url: str | None, file: Path | None) -> str:
    """Return the URL that was given, in whatever way."""
    if url is not None and file is not None:
        raise Failure("URL and --url-file: give one of them", ExitCode.USAGE)
    if url == "-":
        text = sys.stdin.readline(_LARGEST_URL) if sys.stdin is not None else ""
    elif file is not None:
        text = _first_line(file)
    else:
        text = url or os.environ.get(_VARIABLE, "")
    if not text.strip():
        raise Failure(f"no URL: name one, - for stdin, --url-file, or set {_VARIABLE}", ExitCode.USAGE)
    return text.strip()


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    text = sys.stdin.readline(_LARGEST_URL) if str(file) == "-" and sys.stdin is not None else _first_line(file)
    return text.rstrip("\r\n")


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.readline(_LARGEST_URL)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise Failure(f"{str(file)!r} cannot be read ({reason}); name a readable file", ExitCode.USAGE) from None


def _trusted(file: Path | None) -> Any:
    from pannier.sdk import trust

    if file is None:
        return None
    try:
        return trust.authorities(file)
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or "holds no certificate"
        raise Failure(f"--ca-file: {str(file)!r} cannot be used ({reason})", ExitCode.USAGE) from None


def _is_stream(output: str) -> bool:
    """Whether it is to be handed on, not kept: stdout, a pipe, a device."""
    return output == _STDOUT or (os.path.exists(output) and not os.path.isfile(output) and not os.path.isdir(output))


def _opened(output: str) -> BinaryIO:
    if output != _STDOUT:
        return open(output, "wb")
    if sys.stdout is None:
        raise Failure("stdout is closed; name another --output")
    return os.fdopen(os.dup(sys.stdout.fileno()), "wb")


def _without_token(url: str) -> str:
    return url.partition("?")[0] + ("?token=…" if "?" in url else "")


def _times(resumed: int) -> str:
    return {0: "", 1: ", resumed once"}.get(resumed, f", resumed {resumed:,} times")


def _checked(checked: Checked) -> str:
    if checked.entries is None:
        return f"; {checked.how}" if checked.how else ""
    return f"; checked {checked.entries:,} of {counted(checked.entries, 'entry', 'entries')}, {checked.how}"


def _told(seconds: float, resumed: int, checked: Checked) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 3),
        "resumed": resumed,
        "entries": checked.entries,
        "checked": checked.how or None,
    }
