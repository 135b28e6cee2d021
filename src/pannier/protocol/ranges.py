"""Byte ranges as header text and as windows (RFC 9110 section 14).

No I/O in this module. Inclusive positions exist only in the specs and in header text; a window is half-open. Every
function takes time linear in its input: splitting is one pass, and digits are counted before they become a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import assert_never

from pannier.window import Window

BEYOND = 10**20
"""What a number of more than 20 digits is read as: no representation is that long, so it lies past the end of each."""

_OWS = " \t"
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")


@dataclass(frozen=True, slots=True)
class FromTo:
    """``first-last``, both inclusive; ``last`` is None for "to the end" (int-range, RFC 9110 14.1.1)."""

    first: int
    last: int | None = None

    def __post_init__(self) -> None:
        if self.first < 0 or (self.last is not None and self.last < self.first):
            raise ValueError(f"not a range: {self.first}-{self.last}")


@dataclass(frozen=True, slots=True)
class Suffix:
    """``-length``: the last ``length`` bytes (suffix-range, RFC 9110 14.1.1)."""

    length: int

    def __post_init__(self) -> None:
        if self.length < 0:
            raise ValueError(f"not a suffix length: {self.length}")


RangeSpec = FromTo | Suffix


def parse_range(header: str | None) -> tuple[RangeSpec, ...] | None:
    """Read a Range header; None where it is absent or to be ignored (unknown unit, any malformed spec).

    A server may ignore an invalid ranges-specifier and an unknown unit (RFC 9110 14.2), so there is no third outcome.
    The number of specs has no limit: several are answered whole, whoever asks, and so cost nothing but this pass.
    """
    if header is None:
        return None
    unit, equals, text = header.strip(_OWS).partition("=")
    if not equals or unit.lower() != "bytes":  # units are case-insensitive, RFC 9110 14.1
        return None
    specs = []
    for element in text.split(","):
        if not (element := element.strip(_OWS)):
            continue  # empty list elements are allowed, RFC 9110 5.6.1.2
        spec = _parse_spec(element)
        if spec is None:
            return None
        specs.append(spec)
    return tuple(specs) or None


def format_range(*specs: RangeSpec) -> str:
    """Write a Range header; the inverse of :func:`parse_range` for numbers up to ``BEYOND``."""
    if not specs:
        raise ValueError("a Range header needs at least one range")
    return "bytes=" + ",".join(map(_format_spec, specs))


def resolve(spec: RangeSpec, length: int) -> Window | None:
    """Return the bytes of a representation of ``length`` bytes that ``spec`` names; None if it is unsatisfiable.

    The window lies in ``[0, length)``. It is empty in one case only: a suffix of an empty representation, which
    RFC 9110 14.1.2 calls satisfiable although no Content-Range can say so.
    """
    match spec:
        case FromTo(first, last):
            if first >= length:
                return None
            return Window(first, length if last is None else min(last + 1, length))
        case Suffix(wanted):
            if wanted == 0:
                return None  # "-0" asks for no byte at all, RFC 9110 14.1.2
            return Window(max(0, length - wanted), length)
        case _:
            assert_never(spec)


def content_range(window: Window, length: int) -> str:
    """Write the Content-Range of a 206 (RFC 9110 14.4); an empty window has none."""
    if not window or window.stop > length:
        raise ValueError(f"no Content-Range for [{window.start}, {window.stop}) of {length}")
    return f"bytes {window.start}-{window.stop - 1}/{length}"


def unsatisfied_range(length: int) -> str:
    """Write the Content-Range of a 416 (RFC 9110 15.5.17)."""
    return f"bytes */{length}"


def _format_spec(spec: RangeSpec) -> str:
    match spec:
        case FromTo(first, last):
            return f"{first}-{'' if last is None else last}"
        case Suffix(length):
            return f"-{length}"
        case _:
            assert_never(spec)


def _parse_spec(text: str) -> RangeSpec | None:
    found = _SPEC.fullmatch(text)
    if found is None:
        return None
    first, last = found.groups()
    match bool(first), bool(last):
        case True, False:
            return FromTo(_number(first))
        case False, True:
            return Suffix(_number(last))
        case True, True if not _less(last, first):  # a last before the first is invalid, RFC 9110 14.1.1
            return FromTo(_number(first), _number(last))
    return None


def _number(digits: str) -> int:
    # int() takes quadratic time and refuses more than 4,300 digits, so the digits are counted first.
    significant = digits.lstrip("0")
    return BEYOND if len(significant) > 20 else int(significant or "0")


def _less(digits: str, than: str) -> bool:
    """Compare as numbers without converting, so that numbers past ``BEYOND`` still differ."""
    left, right = digits.lstrip("0"), than.lstrip("0")
    return (len(left), left) < (len(right), right)
