"""``pannier proxy``: the bare storage proxy, for a manager."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pannier import __version__
from pannier.cli.hosting import JsonLines, announce_event, host, listener_rows, ready_document, volume_rows
from pannier.cli.terminal import announce, counted

if TYPE_CHECKING:
    from pannier.config import Settings
    from pannier.listeners import Listening

EXAMPLE = "\b\nExample:\n  pannier proxy --config storage-proxy.toml"


def proxy(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="PANNIER_CONFIG", help="TOML file; without it, the environment alone."),
    ] = None,
    as_json: JsonLines = False,
) -> int:
    """Run the storage proxy that a manager talks to."""
    from pannier.config import load

    settings = load(config)

    def ready(listening: Listening, signing_in: object) -> None:
        if as_json:
            announce_event("ready", ready_document(settings, listening))
            return
        for line in in_force(settings, listening):
            announce(line)

    return host(settings, ready, as_json=as_json)


def in_force(settings: Settings, listening: Listening) -> list[str]:
    """Return what a start says: listeners, volumes, warnings."""
    rows = [*listener_rows(settings, listening), *volume_rows(settings), ("state", str(settings.state.path))]
    rows += [("warning", warning) for warning in settings.warnings()]
    rows += [] if settings.volume else [("warning", "volume: none is configured, so there is nothing to serve")]
    lines = [f"pannier {__version__}: {counted(len(settings.volume), 'volume')}"]
    return [*lines, *(f"  {name:<10}{value}" for name, value in rows)]
