"""``pannier check-config``: read the settings as a start would, and say what is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pannier.cli.outcomes import ExitCode
from pannier.cli.terminal import counted, note, result

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    for line in in_force(settings):
        result(line)
    warnings = settings.warnings()
    for warning in warnings:
        note(f"warning: {warning}")
    note(f"settings are valid, {counted(len(warnings), 'warning')}")
    return ExitCode.DONE


def in_force(model: BaseModel, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield ``key = value`` for each setting; defaults say so, secrets and options of backends are not shown."""
    from pydantic import BaseModel

    from pannier.config.complaints import toml_key

    for name, field in type(model).model_fields.items():
        value, place = getattr(model, name), (*above, name)
        if isinstance(value, BaseModel):
            yield from in_force(value, place)
        elif place == ("volume",):
            for volume, inner in value.items():
                yield from in_force(inner, (*place, volume))
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
