"""What a conditional or ranged request gets: the rules of RFC 9110 section 13, and our promise about resuming.

No I/O in this module: header text, validators and a pin in, a :class:`Decision` out. The caller decides first and acts
after; before it sends a decision for which :func:`pins` holds, it must have the ETag pinned in the state store, or, if
another is pinned there, that pin withdrawn.

RFC 9110 lets a server answer a bare Range (one without If-Range) from whatever it has now. Clients that resume so
(``wget -c``, ``curl -C -``) would then join bytes of two archives. So a session remembers (*pins*) the first ETag it
gave out, and a bare range is served only from that archive, and only while the session has given out no other; where
this cannot be known, the answer is a 409, because on a 200 such clients append and report success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from pannier.protocol.ranges import FromTo, RangeSpec, Suffix, parse_range, resolve
from pannier.protocol.validators import (
    AnyTag,
    EntityTag,
    Validator,
    http_date,
    parse_etag,
    parse_etags,
    parse_http_date,
    strongly_equal,
    weakly_equal,
)
from pannier.window import Window

__all__ = [
    "AnyTag",
    "Conditions",
    "Conflict",
    "ConflictReason",
    "Decision",
    "EntityTag",
    "Failed",
    "Full",
    "NotModified",
    "NotPinned",
    "Partial",
    "Pin",
    "PinnedTo",
    "Unpinnable",
    "Unsatisfiable",
    "Validator",
    "decide",
    "http_date",
    "parse_etag",
    "parse_etags",
    "parse_http_date",
    "pins",
    "strongly_equal",
    "weakly_equal",
]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The raw text of the six headers that can change what a request gets; None for an absent one."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None
    range: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Conditions:
        """Take them from the headers of a request, whose names may be in any case.

        Header lines that repeat are joined by a comma (RFC 9110 5.3), which is a longer list for the entity tags and
        malformed, so ignored, for the others. Multi-dictionaries give repeated lines through ``items()``.
        """
        joined: dict[str, list[str]] = {}
        for name, value in headers.items():
            if (name := name.lower()) in _HEADERS:
                joined.setdefault(name, []).append(value)
        return cls(*(", ".join(joined[name]) if name in joined else None for name in _HEADERS))


_HEADERS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range")
"""In the order of the fields of :class:`Conditions`."""


@dataclass(frozen=True, slots=True)
class Unpinnable:
    """A resource without sessions, such as a single file: bare ranges follow RFC 9110 alone."""


@dataclass(frozen=True, slots=True)
class NotPinned:
    """A session that has not given out an ETag yet, as far as anything here remembers."""


@dataclass(frozen=True, slots=True)
class PinnedTo:
    """A session that began with ``etag`` (with its quotes), and gave out no other archive.

    A pin is never replaced, only withdrawn: ``etag`` is then one that no archive has.
    """

    etag: str


Pin = Unpinnable | NotPinned | PinnedTo


class ConflictReason(StrEnum):
    """Why a bare range cannot be served; the values are the problem types of the wire."""

    SELECTION_CHANGED = "selection-changed"
    """The session began with an archive that is no more, or has given out another one since."""
    RESUME_UNVERIFIED = "resume-unverified"
    """Nothing says which archive the client holds the beginning of."""


@dataclass(frozen=True, slots=True)
class Full:
    """200: the whole representation (for HEAD: its headers)."""


@dataclass(frozen=True, slots=True)
class Partial:
    """206: the bytes in ``window``, which is not empty and lies in the representation."""

    window: Window


@dataclass(frozen=True, slots=True)
class NotModified:
    """304."""


@dataclass(frozen=True, slots=True)
class Failed:
    """412: a precondition is false."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """409: serving this range could complete a file with bytes of another."""

    reason: ConflictReason


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """416: the range names no byte of a representation of ``length`` bytes."""

    length: int


Decision = Full | Partial | NotModified | Failed | Conflict | Unsatisfiable


def pins(decision: Decision) -> bool:
    """Whether a response to this decision gives out the ETag in the way that pins it to the session."""
    return isinstance(decision, Full | Partial)


def decide(method: str, conditions: Conditions, length: int | None, validator: Validator | None, pin: Pin) -> Decision:
    """Decide what a request gets, in the order of RFC 9110 13.2.2.

    Args:
        method: in capitals; If-Modified-Since counts for GET and HEAD only, Range for GET only.
        conditions: the headers; any text is allowed.
        length: of the representation in bytes; None for encoded output, which has no ranges.
        validator: of the representation as it is now; None where it has none.
        pin: what the session remembers.
    """
    dated = _dated(validator, pin)
    if _precondition_fails(conditions, validator, dated):
        return Failed()
    if _is_unchanged(method, conditions, validator, dated):
        return NotModified() if method in ("GET", "HEAD") else Failed()  # 13.1.2, last paragraph
    if method != "GET" or length is None:
        return Full()  # Range is defined for GET only, 14.2
    specs = parse_range(conditions.range)
    if specs is None:
        return Full()  # and without Range, If-Range is to be ignored, 13.1.5
    if conditions.if_range is not None:
        if not _if_range_holds(conditions.if_range, validator, dated):
            return Full()
    elif reason := _conflict(specs, validator, pin):
        return Conflict(reason)
    if len(specs) > 1:
        return Full()  # a server may ignore Range (14.2); that is kinder to clients than multipart/byteranges
    return _of_one_range(specs[0], length)


def _dated(validator: Validator | None, pin: Pin) -> Validator | None:
    """Return the validator where its date counts.

    The date of an archive is that of its youngest file, so another selection can have it too: it counts only while the
    session's pin says that this is the archive the client knows.
    """
    match pin:
        case Unpinnable():
            return validator
        case NotPinned():
            return None
        case PinnedTo(etag):
            return validator if validator is not None and validator.etag == etag else None
        case _:
            assert_never(pin)


def _precondition_fails(conditions: Conditions, validator: Validator | None, dated: Validator | None) -> bool:
    """Steps 1 and 2 of RFC 9110 13.2.2."""
    if conditions.if_match is not None:
        match parse_etags(conditions.if_match):
            case AnyTag():
                return False
            case tags:
                # Strong comparison, 13.1.1.
                return validator is None or not any(strongly_equal(EntityTag(validator.etag), tag) for tag in tags)
    if conditions.if_unmodified_since is not None and dated is not None:
        date = parse_http_date(conditions.if_unmodified_since)
        return date is not None and dated.last_modified > date  # an invalid date is ignored, 13.1.4
    return False


def _is_unchanged(method: str, conditions: Conditions, validator: Validator | None, dated: Validator | None) -> bool:
    """Steps 3 and 4 of RFC 9110 13.2.2: whether If-None-Match or If-Modified-Since is false."""
    if conditions.if_none_match is not None:
        match parse_etags(conditions.if_none_match):
            case AnyTag():
                return True
            case tags:
                # Weak comparison, 13.1.2: a client may hold a copy that a cache on the way marked as weak.
                return validator is not None and any(weakly_equal(EntityTag(validator.etag), tag) for tag in tags)
    if conditions.if_modified_since is not None and dated is not None and method in ("GET", "HEAD"):
        date = parse_http_date(conditions.if_modified_since)
        return date is not None and dated.last_modified <= date  # an invalid date is ignored, 13.1.3
    return False


def _if_range_holds(text: str, validator: Validator | None, dated: Validator | None) -> bool:
    """Step 5 of RFC 9110 13.2.2; what is neither an entity tag nor a date holds for nothing."""
    tag = parse_etag(text)
    if tag is not None:
        return validator is not None and strongly_equal(tag, EntityTag(validator.etag))
    # A date must be strong (8.8.2.2) and must match exactly, not merely be late enough (13.1.5).
    return dated is not None and dated.dates_are_strong and parse_http_date(text) == dated.last_modified


def _conflict(specs: tuple[RangeSpec, ...], validator: Validator | None, pin: Pin) -> ConflictReason | None:
    """Why these ranges, without If-Range, cannot be served; comes before 416 and before several ranges are counted."""
    match pin:
        case Unpinnable():
            return None
        case PinnedTo(etag):
            held = validator is not None and validator.etag == etag
            return None if held else ConflictReason.SELECTION_CHANGED
        case NotPinned():
            return None if all(map(_begins, specs)) else ConflictReason.RESUME_UNVERIFIED
        case _:
            assert_never(pin)


def _begins(spec: RangeSpec) -> bool:
    """Whether a client that asks for this range need not hold earlier bytes already."""
    match spec:
        case FromTo(first, _):
            return first == 0
        case Suffix():
            return True
        case _:
            assert_never(spec)


def _of_one_range(spec: RangeSpec, length: int) -> Decision:
    window = resolve(spec, length)
    if window is None:
        return Unsatisfiable(length)
    # The suffix of an empty representation is satisfiable, but no Content-Range can name its bytes.
    return Partial(window) if window else Full()
