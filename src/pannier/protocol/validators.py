"""What a representation is known by: entity tags and dates (RFC 9110 sections 8.8 and 5.6.7).

No I/O in this module, and no clock. Dates are whole Unix seconds; an entity tag keeps its quotes.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from dataclasses import dataclass
from email.utils import formatdate

_OWS = " \t"

# etagc (RFC 9110 8.8.3): no control character, no space, no quote. Text above 0x7F is obs-text, however it was decoded.
_OPAQUE = r'"[\x21\x23-\x7e\x80-\U0010ffff]*"'
_ENTITY_TAG = re.compile(rf"(W/)?({_OPAQUE})")
_LIST_ITEM = re.compile(rf"[ \t,]*(W/)?({_OPAQUE})[ \t]*(?=,|\Z)")
_STRONG_TAG = re.compile(_OPAQUE)


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An entity tag: ``opaque`` with its quotes, and whether ``W/`` stands before it."""

    opaque: str
    weak: bool = False


@dataclass(frozen=True, slots=True)
class AnyTag:
    """``*``: whatever the current tag is, as long as there is a representation."""


@dataclass(frozen=True, slots=True)
class Validator:
    """The validators of one representation.

    ``etag`` is a strong entity tag with its quotes; ``last_modified`` is in Unix seconds; ``dates_are_strong`` says
    that the date was at least a second old when it was read, so that equal dates mean equal bytes (RFC 9110 8.8.2.2).
    """

    etag: str
    last_modified: int
    dates_are_strong: bool

    def __post_init__(self) -> None:
        if not _STRONG_TAG.fullmatch(self.etag):
            raise ValueError(f"not a strong entity tag: {self.etag!r}")


def parse_etag(text: str) -> EntityTag | None:
    """Read exactly one entity tag; None where the text is anything else."""
    found = _ENTITY_TAG.fullmatch(text.strip(_OWS))
    return EntityTag(found[2], weak=found[1] is not None) if found else None


def parse_etags(text: str) -> AnyTag | tuple[EntityTag, ...]:
    """Read the value of If-Match or If-None-Match (RFC 9110 13.1.1, 13.1.2).

    A list with anything malformed in it is read as the empty list, which matches nothing: If-Match then fails and
    If-None-Match then asks for the whole, and both are the careful answer.
    """
    text = text.strip(_OWS)
    if text == "*":
        return AnyTag()
    tags = []
    at, end = 0, len(text.rstrip(_OWS + ","))
    while at < end:
        found = _LIST_ITEM.match(text, at)
        if found is None:
            return ()
        tags.append(EntityTag(found[2], weak=found[1] is not None))
        at = found.end()
    return tuple(tags)


def strongly_equal(one: EntityTag, other: EntityTag) -> bool:
    """Compare strongly: both strong, and the same characters (RFC 9110 8.8.3.2)."""
    return one == other and not one.weak


def weakly_equal(one: EntityTag, other: EntityTag) -> bool:
    """Compare weakly: the same characters, whether weak or strong (RFC 9110 8.8.3.2)."""
    return one.opaque == other.opaque


_EARLIEST = timegm((1, 1, 1, 0, 0, 0))
_LATEST = timegm((9999, 12, 31, 23, 59, 59))

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAME = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_DAY_NAME_LONG = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATE_FORMS = (
    re.compile(rf"{_DAY_NAME}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),  # IMF-fixdate
    re.compile(rf"{_DAY_NAME_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),  # RFC 850
    re.compile(rf"{_DAY_NAME} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),  # asctime
)


def http_date(seconds: int) -> str:
    """Write Unix seconds as an IMF-fixdate (RFC 9110 5.6.7).

    A file system can hold times outside the years 1 to 9999; they are written as the nearest date that can be, so that
    a strange file can still be downloaded. Such a date never equals its file's time again, so it verifies nothing.
    """
    return formatdate(min(max(seconds, _EARLIEST), _LATEST), usegmt=True)


def parse_http_date(text: str) -> int | None:
    """Read an HTTP-date in any of its three forms as Unix seconds; None where it is not one (RFC 9110 5.6.7).

    The day name is not compared with the date. A year of two digits lies in 1970 to 2069: the RFC's rule depends on the
    present, which this module does not know, and differs only for dates that nobody who sends that form can mean.
    """
    text = text.strip(_OWS)
    found = next((found for form in _DATE_FORMS if (found := form.fullmatch(text))), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 2000 if year < 70 else 1900
    month, day = _MONTHS.index(found["month"]) + 1, int(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if hour > 23 or minute > 59 or second > 60:  # 60 is a leap second
        return None
    if year < 1 or not 1 <= day <= monthrange(year, month)[1]:  # the calendar knows no year 0
        return None
    return timegm((year, month, day, hour, minute, second))
