"""What ``serve`` and ``proxy`` have in common: a server in this process, and what is said of it.

All of it goes to stdout, since stderr is the log's, and a line between its JSON would break it. With ``--json`` it is a
JSON object a line, each with its ``event``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier import __version__
from pannier.cli.terminal import announce, counted
from pannier.errors import ConfigInvalid, StateUnavailable

if TYPE_CHECKING:
    from pannier.config import Settings
    from pannier.listeners import Listening
    from pannier.parts import DeskSettings, ServedFolder
    from pannier.services.signing_in import SigningIn


JsonLines = Annotated[
    bool, typer.Option("--json", help="Say what happens as JSON, an object a line: ready, and stopping.")
]


def host(
    settings: Settings,
    on_ready: Callable[[Listening, SigningIn | None], None],
    *,
    folders: Sequence[ServedFolder] = (),
    internal: bool = True,
    desk: DeskSettings | None = None,
    as_json: bool = False,
) -> int:
    """Run a server until it was told to stop, and return the exit code. ``as_json`` is how it says that it stops.

    Raises:
        ConfigInvalid: It cannot start.
    """
    from pannier import server

    def drains(requests: int) -> None:
        if as_json:
            announce_event("stopping", {"requests": requests, "seconds": settings.drain_seconds})
        else:
            announce(drain_line(requests, settings.drain_seconds))

    try:
        return server.run(settings, folders=folders, internal=internal, desk=desk, on_ready=on_ready, on_drain=drains)
    except StateUnavailable as error:
        reason, way_out = f"{str(settings.state.path)!r}: {error}", "name a folder that this user may write in"
        raise ConfigInvalid("state.path", reason, way_out) from error


def drain_line(requests: int, seconds: float) -> str:
    """Return what is said at a stop signal: how many requests it waits for, transfers mostly, and for how long."""
    if not requests:
        return "stopping: no request runs"
    verb, them = ("has", "it") if requests == 1 else ("have", "them")
    return f"stopping: {counted(requests, 'request')} {verb} up to {seconds:g} s to finish; press again to cut {them}"


def announce_event(event: str, told: Mapping[str, Any]) -> None:
    """Write a line of JSON to stdout for whoever still reads it."""
    announce(json.dumps({"event": event, **told}))


def ready_document(settings: Settings, listening: Listening) -> dict[str, Any]:
    """Return what ``--json`` tells of a server that is ready."""
    volumes = [{"name": n, "backend": v.backend, "path": str(v.path)} for n, v in settings.volume.items()]
    return {
        "version": __version__,
        "pid": os.getpid(),
        "client_url": listening.client_url,
        "manager_url": listening.manager_url,
        "internal_url": listening.internal_url,
        "state": str(settings.state.path),
        "volumes": volumes,
        "warnings": list(settings.warnings()),
    }


def listener_rows(settings: Settings, listening: Listening) -> list[tuple[str, str]]:
    """Return the listeners; where clients reach theirs under another address, also where it listens."""
    client = settings.api.client
    behind = f"    (listens at {client.service_addr})" if client.public_url else ""
    rows = [("client", listening.client_url + behind), ("manager", listening.manager_url)]
    return [*rows, ("internal", listening.internal_url)] if listening.internal_url else rows


def volume_rows(settings: Settings) -> list[tuple[str, str]]:
    """Return the volumes of the settings."""
    return [("volume", f"{name}: {volume.backend} {volume.path}") for name, volume in settings.volume.items()]
