"""``pannier check-config``: take the settings as a start would, and say what is in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.servers import Json
from pannier.cli.terminal import counted, note, result, tell
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
    as_json: Json = False,
) -> int:
    """Check the settings and show what is in force, without secrets."""
    from pannier.config import load

    settings = load(config)
    rehearse(settings)
    warnings = settings.warnings()
    if as_json:
        told = [{"key": each.key, "value": each.value, "default": each.default} for each in in_force(settings)]
        return tell({"settings": told, "warnings": list(warnings)})
    for each in in_force(settings):
        result(f"{each.key} = {each.text}{'  (default)' if each.default else ''}")
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


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting as it is in force.

    Attributes:
        key: As in the file, such as ``api.client.service-addr``.
        value: For JSON: sizes and durations as the file takes them; what is secret is only described.
        text: The same as the file writes it.
        default: Whether nobody has set it.
    """

    key: str
    value: Any
    text: str
    default: bool


def in_force(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Yield each setting; secrets and options of backends are not shown."""
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
            shown, text = _shown(value, field.metadata, hidden=not field.repr)
            yield Setting(toml_key(place), shown, text, name not in model.model_fields_set)


def _shown(value: Any, metadata: list[Any], *, hidden: bool) -> tuple[Any, str]:
    """Return a value as JSON has it, and as the file writes it."""
    from pydantic import SecretStr

    from pannier.quantities import Quantity

    if isinstance(value, SecretStr):
        told = f"(secret, {len(value.get_secret_value().encode())} bytes)"
        return told, told
    if hidden:
        told = f"(not shown: {', '.join(sorted(value)) or 'none'})"
        return told, told
    for each in metadata:
        if isinstance(each, Quantity):
            value = each.text(value)
    match value:
        case None:
            return None, "(none)"
        case bool():
            return value, str(value).lower()
        case int():
            return value, str(value)
        case list():
            shown = [_shown(each, [], hidden=False) for each in value]
            return [each for each, _ in shown], f"[{', '.join(text for _, text in shown)}]"
    return str(value), f'"{value}"'
