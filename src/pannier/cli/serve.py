"""``pannier serve``: serve directories of this machine, with nothing to set up."""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from pannier import __version__
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.runtime import Running, RunningFolder, keep_secrets, prepare_state, remove_running, write_running
from pannier.cli.terminal import counted, note, result, tilde
from pannier.dto.ids import FolderId
from pannier.errors import ConfigInvalid

if TYPE_CHECKING:
    from pannier.config import Address, Settings
    from pannier.server import Listening, ServedFolder

EXAMPLE = "\b\nExample:\n  pannier serve ~/trip ~/music --port 8080"

_FLAGS = {"api.client.service-addr": "--port", "api.manager.service-addr": "--manager-port"}
_PLACEHOLDER = "x" * 43
_LIFETIME = "1d"


def serve(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH", exists=True, file_okay=False, readable=True, help="Directories to serve."),
    ],
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address that clients reach; 127.0.0.1 unless configured.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65_535, help="Port for clients, 6021 unless configured; 0 = any free."),
    ] = None,
    manager_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65_535, help="Port for 'pannier link' and managers, else 6022."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Folder of secrets and state, else ~/.local/state/pannier."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="PANNIER_CONFIG", help="TOML file for everything else.")
    ] = None,
) -> int:
    """Serve directories of this machine, each as one folder."""
    from pannier import server

    folders = served_folders(paths)
    try:
        settings = _settings(config, host, port, manager_port, state)
        runtime_files: list[Path] = []

        def ready(listening: Listening) -> None:
            runtime_files.append(write_running(settings.state.path, _running(settings, folders, listening)))
            for line in in_force(settings, folders, listening):
                result(line)

        try:
            return server.run(
                settings, folders=folders, internal=False, on_ready=ready, on_drain=drain_note(settings.drain_seconds)
            )
        finally:
            for each in runtime_files:
                remove_running(each)
    except ConfigInvalid as error:
        flag = _FLAGS.get(error.key)
        if flag is None:
            raise
        raise Failure(f"{error.key}: {error.reason}; choose another one with {flag}") from None


def served_folders(paths: Sequence[Path]) -> list[ServedFolder]:
    """Return one folder for each directory: named by its base name, identified by its real path.

    Raises:
        Failure: Two of the paths are the same directory.
    """
    from pannier.server import ServedFolder

    folders: list[ServedFolder] = []
    names: set[str] = set()
    seen: dict[str, Path] = {}
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise Failure(f"{str(path)!r} and {str(seen[real])!r} are one directory; name it once", ExitCode.USAGE)
        seen[real] = path
        base = os.fsencode(os.path.basename(os.path.abspath(path)) or "root").decode("utf-8", "backslashreplace")
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base} ({number})"
        names.add(name)
        folders.append(ServedFolder(name=name, path=Path(real), folder_id=folder_id(real)))
    return folders


def folder_id(real_path: str) -> FolderId:
    """Return the id of the directory at a real path: the same at every start, the UUIDv5 of its file URL."""
    return FolderId(None, uuid.uuid5(uuid.NAMESPACE_URL, f"file://{quote(os.fsencode(real_path))}"))


def _settings(
    config: Path | None, host: str | None, port: int | None, manager_port: int | None, state: Path | None
) -> Settings:
    """Load twice: where the secrets are kept is itself a setting."""
    from pannier.config import Address, load

    def fallbacks(token: str, manager: str) -> dict[str, Any]:
        proxy = {"secret": token, "session_expire": _LIFETIME}
        return {"storage_proxy": proxy, "api": {"manager": {"secret": manager}}}

    flags: dict[str, Any] = {"state": {"path": state}} if state else {}
    base = load(config, fallbacks=fallbacks(_PLACEHOLDER, _PLACEHOLDER), **flags)
    client, manager = base.api.client.service_addr, base.api.manager.service_addr
    flags["api"] = {
        "client": {"service_addr": _replaced(client, host, port)},
        # the internal listener is not opened here, so its address must not clash with one that is
        "manager": {"service_addr": _replaced(manager, None, manager_port), "internal_addr": Address("127.0.0.1", 0)},
    }
    prepare_state(base.state.path)
    kept = keep_secrets(base.state.path)
    return load(config, fallbacks=fallbacks(kept.token, kept.manager), **flags)


def _replaced(address: Address, host: str | None, port: int | None) -> dict[str, Any]:
    return {"host": address.host if host is None else host, "port": address.port if port is None else port}


def _running(settings: Settings, folders: Sequence[ServedFolder], listening: Listening) -> Running:
    served = (RunningFolder(each.name, str(each.path), each.name, str(each.folder_id)) for each in folders)
    secret = settings.api.manager.secret.get_secret_value()
    return Running(os.getpid(), __version__, listening.client_url, listening.manager_url, secret, tuple(served))


def in_force(settings: Settings, folders: Sequence[ServedFolder], listening: Listening) -> list[str]:
    """Return what a start says: every line is true of this process."""
    from pannier.config.settings import default_state_path

    width = max(8, *(len(folder.name) for folder in folders)) + 2
    host = settings.api.client.service_addr
    reach = "this machine only; --host 0.0.0.0 opens it to the network"
    if not host.is_loopback:
        where = "every machine that reaches this one" if host.is_wildcard else f"every machine that reaches {host.host}"
        reach = f"{where}{'' if settings.api.client.ssl_enabled else ', without TLS'}; only a link opens anything"
    state = settings.state.path
    elsewhere = "" if state == default_state_path() else f"--state {shlex.quote(str(state))} "
    rows = [
        *((folder.name, tilde(folder.path)) for folder in folders),
        ("client", listening.client_url),
        ("manager", listening.manager_url),
        ("link", f"pannier link {elsewhere}{shlex.quote(folders[0].name)}    (or paths inside it)"),
        ("state", tilde(state)),
        ("reach", reach),
    ]
    lines = [f"pannier {__version__}: {counted(len(folders), 'folder')}"]
    lines += [f"  {name:<{width}}{value}" for name, value in rows]
    return [*lines, *(f"  {'warning':<{width}}{warning}" for warning in settings.warnings())]


def drain_note(seconds: float) -> Callable[[int], None]:
    """Return what says, at a stop signal, how many downloads it waits for, and for how long."""

    def say(downloads: int) -> None:
        if downloads:
            verb, them = ("has", "it") if downloads == 1 else ("have", "them")
            limit = f"up to {seconds:g} s to finish; press again to cut {them}"
            note(f"stopping: {counted(downloads, 'download')} {verb} {limit}")
        else:
            note("stopping: no download runs")

    return say
