"""``pannier serve``: serve directories of this machine, with nothing to set up."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from pannier import __version__
from pannier.cli import hosting
from pannier.cli.hosting import JsonLines, announce_event, listener_rows, ready_document, volume_rows
from pannier.cli.outcomes import ExitCode, Failure
from pannier.cli.runtime import (
    Running,
    RunningFolder,
    Secrets,
    first_certificate,
    keep_secrets,
    prepare_state,
    remove_running,
    write_running,
)
from pannier.cli.sign_in_keys import new_address, show_keys
from pannier.cli.terminal import announce, counted, tilde
from pannier.dto.ids import FolderId
from pannier.errors import ConfigInvalid

if TYPE_CHECKING:
    from pannier.config import Address, Settings
    from pannier.listeners import Listening
    from pannier.parts import DeskSettings, ServedFolder
    from pannier.services.signing_in import SigningIn

EXAMPLE = "\b\nExample:\n  pannier serve ~/trip ~/music --port 8080"

_FLAGS = {"api.client.service-addr": "--host, --port", "api.manager.service-addr": "--manager-port"}
_PLACEHOLDER = "x" * 43
_LONGEST_NAME = 64
"""Characters; as for the volumes of the settings."""
_LONGEST_PASSWORD = 256
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
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password now that signs in, beside the sign-in address.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="The same, read from the first line of a file.")
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="The page changes nothing.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Anyone who can reach the address can read these files.")
    ] = False,
    no_desk: Annotated[bool, typer.Option("--no-desk", help="No page: only links to archives open anything.")] = False,
    as_json: JsonLines = False,
) -> int:
    """Serve directories of this machine, each as one folder, with a page to browse them."""
    kept_password = _password(password, password_file)
    if no_desk and (kept_password or read_only or public):
        raise Failure("--no-desk: without the page, --password, --read-only and --public mean nothing", ExitCode.USAGE)
    flags: dict[str, Any] = {"state": {"path": state}} if state else {}
    configured = load_settings(
        config, Secrets(_PLACEHOLDER, _PLACEHOLDER), flags
    )  # where secrets are kept is a setting
    folders = served_folders(paths, configured.volume)
    flags["api"] = _listeners(configured, host, port, manager_port)
    runtime_files: list[Path] = []
    try:
        prepare_state(configured.state.path)
        settings = load_settings(config, keep_secrets(configured.state.path), flags)

        desk = None if no_desk else _desk(folders, kept_password, public=public, read_only=read_only)

        def ready(listening: Listening, signing_in: SigningIn | None) -> None:
            runtime_files.append(write_running(settings.state.path, _running(settings, folders, listening)))
            if as_json:
                announce_event("ready", _document(settings, folders, listening, desk, signing_in))
                return
            for line in in_force(settings, folders, listening, desk):
                announce(line)
            if signing_in is not None:
                show_keys(signing_in, listening.desk_url)

        return hosting.host(settings, ready, folders=folders, internal=False, desk=desk, as_json=as_json)
    except ConfigInvalid as error:
        if error.key not in _FLAGS:
            raise
        raise Failure(f"{error} ({_FLAGS[error.key]})") from None
    finally:
        for each in runtime_files:
            remove_running(each)


def served_folders(paths: Sequence[Path], taken: Collection[str] = ()) -> list[ServedFolder]:
    """Return one folder for each directory: named by its base name, identified by its real path.

    A name that is among those taken, or was given to an earlier folder, gets a number.

    Raises:
        Failure: Two of the paths are the same directory.
    """
    from pannier.parts import ServedFolder

    folders: list[ServedFolder] = []
    names = set(taken)
    seen: dict[str, Path] = {}
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise Failure(f"{str(path)!r} and {str(seen[real])!r} are one directory; name it once", ExitCode.USAGE)
        seen[real] = path
        base = os.fsencode(os.path.basename(os.path.abspath(path)) or "root").decode("utf-8", "backslashreplace")
        base = base[:_LONGEST_NAME]
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


def load_settings(config: Path | None, kept: Secrets, flags: dict[str, Any]) -> Settings:
    """Return the settings, with secrets and the lifetime of links where none are configured.

    Raises:
        ConfigInvalid: Something is wrong with them.
    """
    from pannier.config import load

    proxy = {"secret": kept.token, "session_expire": _LIFETIME}
    return load(config, fallbacks={"storage_proxy": proxy, "api": {"manager": {"secret": kept.manager}}}, **flags)


def _listeners(configured: Settings, host: str | None, port: int | None, manager_port: int | None) -> dict[str, Any]:
    client, manager = configured.api.client.service_addr, configured.api.manager.service_addr
    # the internal listener is not opened here, so its address must not clash with one that is
    internal = _replaced(manager, "127.0.0.1", 0)
    return {
        "client": {"service_addr": _replaced(client, host, port)},
        "manager": {"service_addr": _replaced(manager, None, manager_port), "internal_addr": internal},
    }


def _replaced(address: Address, host: str | None, port: int | None) -> Address:
    given = {"host": address.host if host is None else host, "port": address.port if port is None else port}
    try:
        return type(address).parse(given)
    except ValueError:  # typer has judged the port
        way_out = "write it like 127.0.0.1, ::1 or desk.example"
        raise Failure(f"--host: {host!r} is no name or address of a host; {way_out}", ExitCode.USAGE) from None


def _running(settings: Settings, folders: Sequence[ServedFolder], listening: Listening) -> Running:
    served = (RunningFolder(each.name, str(each.path), each.name, str(each.folder_id)) for each in folders)
    client, manager = settings.api.client, settings.api.manager
    return Running(
        os.getpid(),
        __version__,
        listening.client_url,
        listening.manager_url,
        manager.secret.get_secret_value(),
        tuple(served),
        _certificate(manager.ssl_cert if manager.ssl_enabled else None),
        _certificate(client.ssl_cert if client.ssl_enabled and not client.public_url else None),
    )


def _password(ask: bool, file: Path | None) -> str | None:
    """Return the password that signs in, None if none is wanted; it is never an argument, which others could see.

    Raises:
        Failure: There is no terminal to ask on, the file cannot be read, or it is empty.
    """
    if ask and file is not None:
        raise Failure("--password: it is asked for or read from --password-file, not both", ExitCode.USAGE)
    if ask:
        if not sys.stdin.isatty():
            raise Failure("--password: there is no terminal to ask on; use --password-file FILE", ExitCode.USAGE)
        text = getpass.getpass("password for the page: ")
    elif file is not None:
        try:
            with file.open(encoding="utf-8") as lines:
                text = lines.readline(_LONGEST_PASSWORD + 2).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise Failure(f"--password-file: {str(file)!r} cannot be read ({reason})", ExitCode.USAGE) from None
    else:
        return None
    if not 1 <= len(text) <= _LONGEST_PASSWORD:
        raise Failure(f"--password: it has 1 to {_LONGEST_PASSWORD} characters", ExitCode.USAGE)
    return text


def _desk(folders: Sequence[ServedFolder], password: str | None, *, public: bool, read_only: bool) -> DeskSettings:
    from pannier.desk.door import Served
    from pannier.parts import DeskSettings
    from pannier.services.passwords import digest

    return DeskSettings(
        folders=[Served(each.name, each.name, each.folder_id) for each in folders],
        password=None if password is None else digest(password),
        public=public,
        read_only=read_only,
    )


def _certificate(path: Path | None) -> str:
    return "" if path is None else first_certificate(path.read_text("latin-1"))


def _document(
    settings: Settings,
    folders: Sequence[ServedFolder],
    listening: Listening,
    desk: DeskSettings | None,
    signing_in: SigningIn | None,
) -> dict[str, Any]:
    return {
        **ready_document(settings, listening),
        "folders": [{"name": each.name, "path": str(each.path), "id": str(each.folder_id)} for each in folders],
        "page": None if desk is None else f"{listening.desk_url}/",
        "sign_in": None if signing_in is None else new_address(signing_in, listening.desk_url),
        "read_only": desk is not None and desk.read_only,
        "public": desk is not None and desk.public,
    }


def in_force(
    settings: Settings, folders: Sequence[ServedFolder], listening: Listening, desk: DeskSettings | None = None
) -> list[str]:
    """Return what a start says: every line is true of this process."""
    width = max(8, *(len(folder.name) for folder in folders)) + 2
    state = settings.state.path
    elsewhere = f"--state {shlex.quote(str(state))} " if "path" in settings.state.model_fields_set else ""
    rows = [
        *((folder.name, tilde(folder.path)) for folder in folders),
        *volume_rows(settings),
        *listener_rows(settings, listening),
        *([("page", listening.desk_url + "/")] if desk is not None else []),
        ("link", f"pannier link {elsewhere}{shlex.quote(folders[0].name)}    (or paths inside it)"),
        ("state", tilde(state)),
        ("reach", _reach(settings, public=desk is not None and desk.public)),
        *(("warning", warning) for warning in settings.warnings()),
    ]
    told = [counted(len(folders), "folder")]
    if desk is not None:
        told += ["read only" if desk.read_only else "read and write"]
        told += ["public: anyone who can reach this address can read" if desk.public else "sign-in required"]
    return [
        f"pannier {__version__}: {', '.join(told)}",
        *(f"  {name:<{width}}{value}" for name, value in rows),
    ]


def _reach(settings: Settings, *, public: bool = False) -> str:
    client, own = settings.api.client, settings.api.desk
    apart = own.service_addr
    address, listener, key = (client.service_addr, client, "client") if apart is None else (apart, own, "desk")
    if address.is_loopback and not client.service_addr.is_loopback:  # of the two, the one that more can reach
        address, listener, key, public = client.service_addr, client, "client", False
    if address.is_loopback:
        opened = "--host 0.0.0.0 opens" if apart is None else "api.desk.service-addr and api.client.service-addr open"
        return f"this machine only; {opened} it to the network"
    host = address.host
    opens = "all may read, only who signed in may change" if public else "only who signed in, or a link, opens anything"
    where = "every machine that reaches " + ("this one" if address.is_wildcard else host)
    reach = f"{where}{'' if listener.ssl_enabled else ', without TLS'}; {opens}"
    if address.is_wildcard and not listener.public_url:
        reach += f"; links name 127.0.0.1 until api.{key}.public-url says how others reach it"
    return reach
