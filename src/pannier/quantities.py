"""Sizes and durations as people write them in settings, and as they are shown.

In settings a size is a number of bytes or a number with a binary unit (``"100g"``, ``"8GiB"``); a duration is a number
of seconds or a number with a unit (``"30s"``, ``"1d"``; a month has 30 days, a year 365). Two families of text go out:
``size_text`` and ``duration_text`` are exact and read back to the same value, ``show_size`` is for reading only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:  # the client shows sizes, and needs no model for that
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800
MONTH, YEAR = 30 * DAY, 365 * DAY

_BYTES = {"t": TIB, "g": GIB, "m": MIB, "k": KIB, "": 1}
_SECONDS = {"yr": YEAR, "mo": MONTH, "w": WEEK, "d": DAY, "h": HOUR, "m": MINUTE, "s": 1}
_WRITTEN = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[a-z]*)", re.ASCII)
_LONGEST = 40
_NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def parse_size(value: object) -> int:
    """Return the bytes meant by ``value``: ``"8GiB"``, ``"8g"``, ``"1.5k"`` (rounded down) or a whole number.

    Raises:
        ValueError: It is no size; the text says what one looks like.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("a size is not negative")
        return value
    number, unit = _written(value, "a size reads 512, 100k, 64m, 8g or 2t (also 8GiB)")
    if len(unit) == 2 and unit[0] in "kmgt" and unit[1] == "b":
        raise ValueError(f"{unit!r} may mean powers of 1000 or of 1024; write {unit[0]} or {unit[0].upper()}iB")
    short = {"b": "", "byte": "", "bytes": ""}.get(unit, unit[:1] if unit[1:] in ("", "i", "ib") else unit)
    if short not in _BYTES:
        raise ValueError(f"{unit!r} is no unit of size; the units are k, m, g and t (powers of 1024)")
    return int(number * _BYTES[short])


def parse_duration(value: object) -> float:
    """Return the seconds meant by ``value``: ``"1d"``, ``"1.5h"``, ``"90"`` or a number.

    Raises:
        ValueError: It is no duration; the text says what one looks like.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < math.inf:
            raise ValueError("a duration is neither negative nor endless")
        return float(value)
    number, unit = _written(value, "a duration reads 90, 30s, 5m, 1.5h, 7d, 2w, 1mo or 1yr")
    if (unit or "s") not in _SECONDS:
        raise ValueError(f"{unit!r} is no unit of time; the units are s, m, h, d, w, mo (30 d) and yr (365 d)")
    return float(number * _SECONDS[unit or "s"])


def _written(value: object, form: str) -> tuple[Decimal, str]:
    if not isinstance(value, str):
        raise ValueError(form)
    found = _WRITTEN.fullmatch(value.replace(_NO_BREAK_SPACE, " ").strip().lower()) if len(value) <= _LONGEST else None
    if found is None:
        raise ValueError(form)
    return Decimal(found["number"]), found["unit"]


def size_text(size: int) -> str:
    """Return a size as settings take it, exactly: ``"8g"``, ``"1536m"``, ``"1000"``."""
    unit = next(unit for unit, factor in _BYTES.items() if (size and size % factor == 0) or factor == 1)
    return f"{size // _BYTES[unit]}{unit}"


def duration_text(seconds: float) -> str:
    """Return a duration as settings take it, exactly: ``"1d"``, ``"90s"``, ``"2.5s"``."""
    units = {unit: factor for unit, factor in _SECONDS.items() if unit not in ("mo", "yr", "w")}
    unit = next(unit for unit, factor in units.items() if (seconds and seconds % factor == 0) or factor == 1)
    number = seconds / units[unit]
    return f"{int(number) if number == int(number) else format(Decimal(repr(number)), 'f')}{unit}"


def show_size(size: int) -> str:
    """Return a size for people: ``911 bytes``, then three significant digits with a no-break space: ``2.16 KiB``.

    What would round to 1,000 of a unit or more is shown in the next one (``0.977 MiB``), so that it is always three.
    """
    if size < KIB:
        return f"{size}{_NO_BREAK_SPACE}{'byte' if size == 1 else 'bytes'}"
    number, unit = Decimal(size), "bytes"
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        number /= 1024
        if number < Decimal("999.5") or unit == "PiB":
            break
    places = 0 if number >= Decimal("99.95") else 1 if number >= Decimal("9.995") else 2
    if number < Decimal("0.9995"):
        places = 3
    rounded = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN)
    return f"{rounded:,f}{_NO_BREAK_SPACE}{unit}"


def show_bytes(size: int) -> str:
    """Return an exact size for people: ``3,116,457,222 bytes``."""
    return f"{size:,}{_NO_BREAK_SPACE}{'byte' if size == 1 else 'bytes'}"


@dataclass(frozen=True)
class Quantity:
    """What makes an annotated number a size or a duration: how it is read, and how it is written back."""

    noun: str
    parse: Callable[[object], float]
    text: Callable[[Any], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.parse, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "string"}, handler(schema)], "format": self.noun}


SIZE = Quantity("size", parse_size, size_text)
DURATION = Quantity("duration", parse_duration, duration_text)

Size = Annotated[int, SIZE]
"""Bytes; read from a whole number or from text with a binary unit."""
Duration = Annotated[float, DURATION]
"""Seconds; read from a number or from text with a unit."""
