"""What is wrong with a setting, in words for the person who wrote it.

Keys are spelled as in the TOML file. A value is shown only where a field is known and holds no secret: what was written
under a misspelled key, a table's content and a backend's options are never shown.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from pannier.errors import ConfigInvalid
from pannier.quantities import Quantity

ENVIRONMENT_PREFIX = "PANNIER_"
NAMED: frozenset[tuple[str | int, ...]] = frozenset({("volume",), ("keys", "ring")})
"""The tables whose keys are names that people gave: they keep their spelling."""
_LONGEST_VALUE = 60
_RANGES = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}

Loc = tuple[str | int, ...]


def complaint(key: str, reason: str, way_out: str) -> PydanticCustomError:
    """Return the error a validator raises; ``key`` is relative to what it validates (``""`` for that itself)."""
    return PydanticCustomError("pannier", "{reason}", {"key": key, "reason": reason, "way_out": way_out})


def toml_key(loc: Sequence[str | int]) -> str:
    """Return the place of a setting as the file spells it: ``api.client.trusted-proxies[0]``."""
    text = ""
    for i, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        bare = part if tuple(loc[:i]) in NAMED else part.replace("_", "-")
        plain = bare.isascii() and bare.replace("-", "").replace("_", "").isalnum()
        text += ("." if text else "") + (bare if plain else json.dumps(bare, ensure_ascii=False))
    return text


def environment_name(loc: Sequence[str | int]) -> str:
    """Return the environment variable that sets the same."""
    return ENVIRONMENT_PREFIX + "__".join(str(part) for part in loc).upper().replace("-", "_")


def nearest(key: str, known: Sequence[str]) -> str | None:
    """Return the known key that was perhaps meant."""
    return next(iter(difflib.get_close_matches(key, known, 1, cutoff=0.7)), None)


def complaints_of(error: ValidationError, model: type[BaseModel], environ: Mapping[str, str]) -> list[ConfigInvalid]:
    """Return one complaint for each wrong setting, those about unknown keys first (they often explain the rest)."""
    found: dict[str, ConfigInvalid] = {}
    for details in sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden"):
        for each in _complaints(details, model, environ):
            found.setdefault(each.key, each)
    return list(found.values())


def _complaints(details: ErrorDetails, model: type[BaseModel], environ: Mapping[str, str]) -> Iterator[ConfigInvalid]:
    loc, field, owner = _find(model, details["loc"])
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            yield _unknown(details["loc"], owner, environ)
        case "missing":
            for leaf in _required(loc, field):
                reason, names = "is required and has no default", f"or as {environment_name(leaf)} in the environment"
                yield ConfigInvalid(toml_key(leaf), reason, f"set it in the file {names}")
        case "pannier":
            place = toml_key(loc) + ("." if context["key"] and loc else "") + context["key"]
            yield ConfigInvalid(place, context["reason"], context["way_out"])
        case kind:
            shown = _shown(details["input"], loc, field)
            reason = f"{shown} {_why(kind, details, field)}{_origin(loc, environ)}"
            way_out = _default(field)
            if kind in _RANGES and field and field.description:
                way_out += f" ({field.description.rstrip('.')})"
            yield ConfigInvalid(toml_key(loc), reason, way_out)


def _find(model: type[BaseModel], loc: Loc) -> tuple[Loc, FieldInfo | None, type[BaseModel]]:
    """Return the part of ``loc`` that names a setting (pydantic adds union tags), its field, and the model it is in."""
    owner, kept = model, list[str | int]()
    field: FieldInfo | None = None
    annotation: Any = model
    for part in loc:
        if part == "[key]":  # pydantic's word for: it is the name that is wrong
            break
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            owner = annotation
            field = annotation.model_fields.get(str(part))
            kept.append(part)
            if field is None:
                break
            annotation = field.annotation
        elif get_origin(annotation) is dict and isinstance(part, str):
            kept.append(part)
            annotation = get_args(annotation)[1]
        elif isinstance(part, int):
            kept.append(part)
        else:
            break
    return tuple(kept), field, owner


def _unknown(loc: Loc, owner: type[BaseModel], environ: Mapping[str, str]) -> ConfigInvalid:
    known = [name.replace("_", "-") for name in owner.model_fields]
    meant = nearest(str(loc[-1]).replace("_", "-"), known)
    way_out = f"did you mean {meant}?" if meant else f"known here: {', '.join(known)}"
    return ConfigInvalid(toml_key(loc), f"there is no such setting{_origin(loc, environ)}", way_out)


def _required(loc: Loc, field: FieldInfo | None) -> Iterator[Loc]:
    annotation = field.annotation if field else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, inner in annotation.model_fields.items():
            if inner.is_required():
                yield from _required((*loc, name), inner)
    else:
        yield loc


def _quantity(field: FieldInfo | None) -> Quantity | None:
    return next((each for each in field.metadata if isinstance(each, Quantity)), None) if field else None


def _shown(value: Any, loc: Loc, field: FieldInfo | None) -> str:
    secret = field is None or _holds_secret(field.annotation) or "options" in loc
    if secret or isinstance(value, dict):
        return "the value"
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_holds_secret, get_args(annotation)))


def _why(kind: str, details: ErrorDetails, field: FieldInfo | None) -> str:
    context, quantity = details.get("ctx", {}), _quantity(field)
    if kind in _RANGES:
        name, words = _RANGES[kind]
        return f"is out of range: {words} {quantity.text(context[name]) if quantity else context[name]}"
    if kind == "value_error":
        return f"cannot be used: {context['error']}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "should be a table"
    if kind == "literal_error":
        return f"is not known: it is one of {context['expected']}"
    return details["msg"].removeprefix("Input ")


def _origin(loc: Loc, environ: Mapping[str, str]) -> str:
    name = environment_name([part for part in loc if isinstance(part, str)])
    source = next((each for each in sorted(environ) if f"{each.upper()}__".startswith(f"{name}__")), None)
    return f" (from {source})" if source else ""


def _default(field: FieldInfo | None) -> str:
    if field is None or field.is_required():
        return "correct it"
    default, quantity = field.get_default(call_default_factory=False), _quantity(field)
    if default is None or default == "" or default == []:
        return "correct it or leave it out"
    shown = quantity.text(default) if quantity else default if isinstance(default, int) else repr(str(default))
    return f"correct it or leave it out for the default, {shown}"
