"""Every setting as tables in Markdown, made from the settings themselves: the middle of ``docs/configuration.md``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from pannier.config.addresses import Address
from pannier.config.complaints import toml_key
from pannier.config.foreign import why_not_used
from pannier.config.settings import Settings, octal
from pannier.quantities import Quantity

_VOLUME = "NAME"
"""What stands for the name of a volume."""


def settings_reference() -> str:
    """Return a section a table of the file, and in it a line a setting: key, kind, default, meaning."""
    own = [_row((name,), field) for name, field in Settings.model_fields.items() if not _tables_in(field, (name,))]
    return "\n".join([*_head("Above all tables", "", own), *_sections(Settings, ())])


def _sections(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        for place, inner in _tables_in(field, (*above, name)):
            rows = [
                _row((*place, key), each)
                for key, each in inner.model_fields.items()
                if not _tables_in(each, (*place, key))
            ]
            if rows:
                yield from _head(f"`[{toml_key(place)}]`", field.description or "", rows)
            yield from _sections(inner, place)


def _tables_in(field: FieldInfo, place: tuple[str, ...]) -> list[tuple[tuple[str, ...], type[BaseModel]]]:
    """Return the table that a field is, or that each of its members is."""
    annotation, at = field.annotation, place
    if get_origin(annotation) is dict:
        annotation, at = get_args(annotation)[1], (*place, _VOLUME)
    return [(at, annotation)] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _head(title: str, about: str, rows: list[str]) -> list[str]:
    told = [about, ""] if about else []
    return [f"### {title}", "", *told, "| Key | Kind | Default | Meaning |", "|---|---|---|---|", *rows, ""]


def _row(place: tuple[str, ...], field: FieldInfo) -> str:
    why = why_not_used(field)
    meaning = f"{field.description} *Without effect: {why}.*" if why else str(field.description)
    cells = (f"`{toml_key(place[-1:])}`", _kind(field), _default(field), meaning)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        return "none" if field.default_factory is dict else "as told"
    quantity = _quantity(field)
    match field.default:
        case None | "" | []:
            return "none"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case value if quantity is not None:
            return f'`"{quantity.text(value)}"`'
        case int() as value if _is_octal(field):
            return f'`"{value:03o}"`'
        case int() as value:
            return f"`{value}`"
        case value:
            return f'`"{value}"`'


def _kind(field: FieldInfo) -> str:
    if _is_octal(field):
        return "octal digits"
    quantity = _quantity(field)
    words = quantity.noun if quantity else _word(field.annotation)
    bounds = [
        f"{word} {_number(limit, quantity)}"
        for each in field.metadata
        for name, word in _BOUNDS.items()
        if (limit := getattr(each, name, None)) is not None
    ]
    return ", ".join([words, *bounds])


_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most"}


def _is_octal(field: FieldInfo) -> bool:
    return any(isinstance(each, BeforeValidator) and each.func is octal for each in field.metadata)


def _number(limit: Any, quantity: Quantity | None) -> str:
    return quantity.text(limit) if quantity else str(limit)


def _quantity(field: FieldInfo) -> Quantity | None:
    return next((each for each in field.metadata if isinstance(each, Quantity)), None)


def _word(annotation: Any) -> str:
    """Return a kind in the words of whoever writes the file."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _word(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return " or ".join(_word(each) for each in get_args(annotation) if each is not type(None))
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in get_args(annotation))
    if origin is list:
        return "list of text"
    if origin is dict:
        return "table"
    return _WORDS[annotation]


_WORDS: dict[Any, str] = {
    bool: "`true` or `false`",
    int: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret text",
    Address: "address",
}
