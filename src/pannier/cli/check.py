"""``pannier check-config``: take the settings as a start would, and say what is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.terminal import counted, note, result
from pannier.errors import ConfigInvalid

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pannier.config import Settings

EXAMPLE = "\b\nExample:\n  pannier check-config --config storage-proxy.toml"


def check_config(
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="PANNIER_CONFIG", help="TOML file; without it, the environment alone."),
    ] = None,
) -> int:
    """Check the settings and show what is in force, without secrets."""
    from pannier.config import load

    settings = load(config)
    rehearse(settings)
    for line in in_force(settings):
        result(line)
    warnings = settings.warnings()
    for warning in warnings:
        note(f"warning: {warning}")
    note(f"settings are valid, {counted(len(warnings), 'warning')}")
    return ExitCode.DONE


def rehearse(settings: Settings) -> None:
    """Do what a start does with the settings beyond reading them: open the volumes, take the keys of the tokens.

    A volume whose directory is not there now may be mounted later, and somewhere else: that is only warned about.

    Raises:
        ConfigInvalid: A start would fail.
    """
    from pannier.parts import tokens_of
    from pannier.volumes.registry import VolumeSpec, open_volume

    tokens_of(settings)
    for name, volume in settings.volume.items():
        try:
            open_volume(VolumeSpec(name, volume.backend, volume.path, volume.options)).close()
        except ConfigInvalid as error:
            if error.key != f"volume.{name}.path" or volume.path.is_dir():
                raise


def in_force(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield ``key = value`` for each setting; defaults say so, secrets and options of backends are not shown."""
    from pydantic import BaseModel

    from pannier.config.complaints import NAMED, toml_key

    for name, field in type(model).model_fields.items():
        value, place = getattr(model, name), (*above, name)
        if isinstance(value, BaseModel):
            yield from in_force(value, place)
        elif place in NAMED:
            for each, inner in value.items():
                yield from in_force(inner, (*place, each))
        else:
            default = "" if name in model.model_fields_set else "  (default)"
            yield f"{toml_key(place)} = {_shown(value, field.metadata, hidden=not field.repr)}{default}"


def _shown(value: Any, metadata: list[Any], *, hidden: bool) -> str:
    from pydantic import SecretStr

    from pannier.quantities import Quantity

    if isinstance(value, SecretStr):
        return f"(secret, {len(value.get_secret_value().encode())} bytes)"
    if hidden:
        return f"(not shown: {', '.join(sorted(value)) or 'none'})"
    for each in metadata:
        if isinstance(each, Quantity):
            return f'"{each.text(value)}"'
    match value:
        case None:
            return "(none)"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case list():
            return f"[{', '.join(_shown(each, [], hidden=False) for each in value)}]"
    return f'"{value}"'
