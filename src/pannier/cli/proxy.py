"""``pannier proxy``: the bare storage proxy, for a manager."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pannier import __version__
from pannier.cli.serve import drain_note
from pannier.cli.terminal import counted, note

if TYPE_CHECKING:
    from pannier.config import Settings
    from pannier.server import Listening

EXAMPLE = "\b\nExample:\n  pannier proxy --config storage-proxy.toml"


def proxy(
    config: Annotated[Path, typer.Option(metavar="FILE", envvar="PANNIER_CONFIG", help="TOML file with the settings.")],
) -> int:
    """Run the storage proxy that a manager talks to."""
    from pannier import server
    from pannier.config import load

    settings = load(config)

    def ready(listening: Listening) -> None:
        for line in in_force(settings, listening):
            note(line)

    return server.run(settings, on_ready=ready, on_drain=drain_note(settings.drain_seconds))


def in_force(settings: Settings, listening: Listening) -> list[str]:
    """Return what a start says: listeners, volumes, warnings."""
    rows = [("client", listening.client_url), ("manager", listening.manager_url)]
    rows += [("internal", listening.internal_url)] if listening.internal_url else []
    rows += [("volume", f"{name}: {volume.backend} {volume.path}") for name, volume in settings.volume.items()]
    rows += [("state", str(settings.state.path))]
    rows += [("warning", warning) for warning in settings.warnings()]
    rows += [] if settings.volume else [("warning", "volume: none is configured, so there is nothing to serve")]
    lines = [f"pannier {__version__}: {counted(len(settings.volume), 'volume')}"]
    return [*lines, *(f"  {name:<10}{value}" for name, value in rows)]
