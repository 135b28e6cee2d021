"""Where settings come from: the TOML file and the environment, as nested tables with underscored keys."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pannier.config.complaints import ENVIRONMENT_PREFIX, NAMED, nearest, toml_key
from pannier.errors import ConfigInvalid

_LARGEST_FILE = 2**20


def read_file(path: Path) -> dict[str, Any]:
    """Return the TOML file's tables; hyphens in keys become underscores, except in names of volumes and keys.

    Raises:
        ConfigInvalid: The file cannot be read, is no TOML, or gives one key in both spellings.
    """
    way_out = "name a readable TOML file"
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise ConfigInvalid(str(path), reason, way_out) from None
    if len(content) > _LARGEST_FILE:
        raise ConfigInvalid(str(path), f"is larger than {_LARGEST_FILE:,} bytes", way_out)
    try:
        tables = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigInvalid(str(path), f"is not UTF-8 (line {line})", "save it as UTF-8") from None
    except RecursionError:
        raise ConfigInvalid(str(path), "is nested too deep", way_out) from None
    except tomllib.TOMLDecodeError as error:
        reason = f"is no TOML: {error}"
        raise ConfigInvalid(str(path), reason, 'mend that line (text stands in quotes: "1d")') from None
    return _underscored(tables, ())


def _underscored(table: Mapping[str, Any], at: tuple[str, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in table.items():
        name = key if at in NAMED else key.replace("-", "_")
        place = (*at, name)
        if name in result:
            raise ConfigInvalid(toml_key(place), "is given twice, with hyphens and underscores", "keep one of them")
        result[name] = _underscored(value, place) if isinstance(value, dict) else value
    return result


def read_environment(
    environ: Mapping[str, str], file: Mapping[str, Any], known: Iterable[str], remarks: list[str]
) -> dict[str, Any]:
    """Return the tables that ``PANNIER_SECTION__KEY`` variables give.

    Every such name with two underscores is a setting, so a wrong one is an error later. One without is only remarked
    when it looks like one: orchestrators put names like ``PANNIER_SERVICE_HOST`` into the environment by themselves.
    A volume or a key is named as in the file whatever its case and hyphens (``my-data`` ← ``MY_DATA``), else in lower
    case.
    """
    known, result = list(known), dict[str, Any]()
    for variable, value in sorted(environ.items()):
        if not variable.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        first, *rest = variable[len(ENVIRONMENT_PREFIX) :].lower().split("__")
        if not rest:
            if first == "drain_seconds":
                result[first] = value
            elif meant := nearest(first, known):
                remarks.append(f"{variable}: is no setting and has no effect; did you mean {meant.upper()}?")
            continue
        if first == "volume":
            rest[0] = _as_named(rest[0], file.get("volume"))
        elif first == "keys" and rest[0] == "ring" and len(rest) > 1:
            keys = file.get("keys")
            rest[1] = _as_named(rest[1], keys.get("ring") if isinstance(keys, Mapping) else None)
        table = result
        for part in (first, *rest[:-1]):
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigInvalid(variable, "sets a key of what another variable sets whole", "unset one of the two")
            table = inner
        if isinstance(table.get(rest[-1]), dict):
            raise ConfigInvalid(variable, "sets whole what another variable sets a key of", "unset one of the two")
        table[rest[-1]] = value
    return result


def _as_named(name: str, table: object) -> str:
    names = list(table) if isinstance(table, Mapping) else []
    return next((each for each in names if each.lower().replace("-", "_") == name), name)
