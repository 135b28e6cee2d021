"""Which server a command speaks to: the one on this machine, one that is named, or one of a profile.

A secret comes from a file, the environment or stdin, never from an argument, which everybody sees in ``ps``.
"""

from __future__ import annotations

import functools
import inspect
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.runtime import Running, find_running
from pannier.cli.secret_files import read_secret
from pannier.cli.terminal import silence
from pannier.errors import ConfigInvalid
from pannier.homes import client_config_path, default_state_path

if TYPE_CHECKING:
    from pannier.cli.profiles import Profile
    from pannier.sdk.calls import Folder
    from pannier.sdk.manager import Manager

_CONNECT_TIMEOUT = 3.0

Silent = Annotated[
    bool, typer.Option("--silent", callback=lambda asked: silence(asked) or asked, help="No notes and no progress.")
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document, errors too.")]
"""What every command takes; ``main`` looks for it, too, since wrong usage is told in the same form."""


@dataclass(frozen=True)
class Choice:
    """Which server was asked for."""

    server: str | None = None
    profile: str | None = None
    secret_file: Path | None = None
    state: Path | None = None


@dataclass(frozen=True)
class NamedFolder:
    """A folder that a server knows by a name; ``path`` is its real path where it is on this machine."""

    name: str
    folder: Folder
    path: str | None = None


@dataclass(frozen=True)
class Server:
    """A server, and how to speak to it.

    Attributes:
        manager_url, secret: The manager-facing listener.
        client_url: Where clients reach it; None where the server itself is to say.
        folders: Those that have names.
        called: What messages call it.
    """

    manager_url: str
    secret: str = field(repr=False)
    client_url: str | None
    folders: tuple[NamedFolder, ...]
    called: str
    tls: ssl.SSLContext | None = None
    client_tls: ssl.SSLContext | None = None

    def manager(self) -> Manager:
        """Return what speaks to it; a context manager."""
        from pannier.sdk.manager import Manager
        from pannier.sdk.retries import Backoff

        soon = Backoff(tries=3, first=0.3, most=1.0)  # somebody waits at a terminal
        return Manager(self.manager_url, self.secret, client_url=self.client_url, tls=self.tls, backoff=soon)


_CHOICE: Mapping[str, Any] = {
    "server": Annotated[
        str | None,
        typer.Option("--server", metavar="URL", envvar="PANNIER_SERVER", help="Manager-facing URL of the server."),
    ],
    "profile": Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", envvar="PANNIER_PROFILE", help="A server of the file of profiles."),
    ],
    "secret_file": Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            metavar="FILE",
            envvar="PANNIER_SECRET_FILE",
            help="File of the manager's secret, - for stdin; or the secret itself in PANNIER_SECRET.",
        ),
    ],
    "state": Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="State folder of the server here, as given to 'pannier serve'."),
    ],
    "silent": Silent,
}


def takes_server(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name a server, in the place of its parameter ``choice``, and ``--silent``."""
    hints = inspect.signature(command, eval_str=True)
    own = [each for each in hints.parameters.values() if each.name != "choice"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(name, keyword, default=False if name == "silent" else None, annotation=annotation)
        for name, annotation in _CHOICE.items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> int:
        given.pop("silent")
        chosen = {name: given.pop(name) for name in ("server", "profile", "secret_file", "state")}
        return command(**given, choice=Choice(**chosen))

    parameters = [each.replace(kind=keyword) for each in own] + added
    run.__dict__["__signature__"] = hints.replace(parameters=parameters)
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": int}
    return run


def servers(choice: Choice) -> list[Server]:
    """Return the servers that a path may be of: the one that was named, or all that run here, the latest first.

    Raises:
        Failure, ConfigInvalid: None is known, or something about it is missing or wrong.
    """
    if choice.server is not None:
        if choice.profile is not None and "PANNIER_SERVER" not in os.environ:
            raise Failure("--server and --profile: name one of them", ExitCode.USAGE)
        return [_named(choice)]
    from pannier.cli.profiles import load_profiles

    file = client_config_path()
    profiles = load_profiles(file)
    name = choice.profile or (None if choice.state else profiles.default)
    if name is None:
        return _running(choice.state)
    if name not in profiles.profile:
        known = ", ".join(sorted(profiles.profile)) or "none"
        raise Failure(f"{str(file)!r} has no profile {name!r}; there are: {known}", ExitCode.USAGE)
    return [_of_profile(name, profiles.profile[name], file, choice)]


def drop_place(choice: Choice) -> tuple[str, ssl.SSLContext | None] | None:
    """Return where a profile that can only be uploaded to begins uploads, and whom to trust; None for any other."""
    if choice.server is not None or choice.state is not None:
        return None
    from pannier.cli.profiles import load_profiles

    file = client_config_path()
    profiles = load_profiles(file)
    profile = profiles.profile.get(choice.profile or profiles.default or "")
    if profile is None or profile.token_file is None:
        return None
    if profile.url is None:
        raise ConfigInvalid(str(file), "a profile with token-file needs url", "add where clients reach the server")
    from urllib.parse import quote

    token = read_secret(file.parent / profile.token_file.expanduser())
    return f"{profile.url}/uploads?token={quote(token, safe='')}", _trusted(profile, file)


def _named(choice: Choice) -> Server:
    assert choice.server is not None
    url = choice.server.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise Failure(f"--server: {url!r} is no URL; it begins with http:// or https://", ExitCode.USAGE)
    return _told(Server(url, _secret(choice, None), None, (), url))


def _of_profile(name: str, profile: Profile, file: Path, choice: Choice) -> Server:
    if profile.manager is None:
        raise ConfigInvalid(f"{file}: profile.{name}", "names no manager", "add where the manager-facing listener is")
    from pannier.sdk.calls import Folder

    own = None if profile.secret_file is None else file.parent / profile.secret_file.expanduser()
    folders = []
    for called, where in profile.folder.items():
        volume, slash, id = where.partition("/")
        if not slash:
            raise ConfigInvalid(f"{file}: profile.{name}.folder.{called}", f"is {where!r}", "write VOLUME/FOLDER_ID")
        folders.append(NamedFolder(called, Folder(volume, id)))
    tls = _trusted(profile, file)
    found = Server(profile.manager, _secret(choice, own), profile.url, tuple(folders), name, tls, tls)
    return found if folders and profile.url else _told(found)


def _trusted(profile: Profile, file: Path) -> ssl.SSLContext | None:
    if profile.certificate is None:
        return None
    from pannier.sdk.trust import authorities

    path = file.parent / profile.certificate.expanduser()
    try:
        return authorities(path)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or "no certificate"
        raise ConfigInvalid(str(path), f"cannot be used ({reason})", "name a PEM file of certificates") from None


def _secret(choice: Choice, own: Path | None) -> str:
    """Return the manager's secret: of the option, the environment, or the profile's own file."""
    if choice.secret_file is not None:
        return read_secret(choice.secret_file)
    if secret := os.environ.get("PANNIER_SECRET"):
        return secret
    if own is not None:
        return read_secret(own)
    raise Failure("the manager's secret is needed; give it with --secret-file FILE, or in PANNIER_SECRET")


def _told(server: Server) -> Server:
    """Return a server with the folders, and the address for clients, that it tells itself."""
    from pannier.sdk.calls import Folder

    with server.manager() as manager:
        served = manager.folders.served()
    named = [NamedFolder(each.name, Folder(each.volume, str(each.vfid))) for each in served.folders]
    folders = (*server.folders, *named)
    client_url = server.client_url or served.client_url
    return Server(server.manager_url, server.secret, client_url, folders, server.called, server.tls, server.client_tls)


def _running(state: Path | None) -> list[Server]:
    named = state or os.environ.get("PANNIER_STATE__PATH")
    folder = Path(named).expanduser() if named else default_state_path()
    known = find_running(folder)
    found = [_here(running) for running in known if _answers(running)]
    if not found:
        what = f"the server of process {known[0].pid} does not answer" if known else "no server is known"
        way_out = "start one with: pannier serve PATH (or name its state folder with --state DIR)"
        raise Failure(f"{what} (looked in {str(folder)!r}); {way_out}")
    return found


def _here(running: Running) -> Server:
    from pannier.sdk.calls import Folder
    from pannier.sdk.trust import only

    return Server(
        running.manager_url,
        running.manager_secret,
        running.client_url,
        tuple(NamedFolder(each.name, Folder(each.volume, each.folder_id), each.path) for each in running.folders),
        f"the server of process {running.pid}",
        only(running.manager_certificate) if running.manager_certificate else None,
        only(running.client_certificate) if running.client_certificate else None,
    )


def _answers(server: Running) -> bool:
    # a process id is used again: the one in a stale file may be anybody's
    parts = urlsplit(server.manager_url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECT_TIMEOUT):
            return True
    except OSError:
        return False
