"""Content-Disposition of a download, in the form of the wire, and what a file name may be.

No I/O in this module. The form is fixed by the wire contract, blanks included: clients compare it.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from pannier.errors import InvalidRequest

_MOST_CHARACTERS = 255
_REFUSED_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ATTR_CHAR_MARKS = "!#$&+-.^_`|~"
"""attr-char of RFC 8187 section 3.2.1, next to letters and digits."""


def attachment(filename: str) -> str:
    """Return ``attachment;filename="<ascii>"; filename*=UTF-8''<pct>`` for a file name (RFC 6266, RFC 8187).

    Any text gives a header that is safe to send: control characters (C0, DEL, C1) are dropped, and what UTF-8 cannot
    hold (lone surrogates, as undecodable bytes of a name become in Python) is written as U+FFFD. The ASCII part may be
    empty; every browser reads the other one.
    """
    name = _CONTROLS.sub("", filename)
    plain = name.encode("ascii", "ignore").decode("ascii").replace("\\", r"\\").replace('"', r"\"")
    encoded = quote(_SURROGATES.sub("\ufffd", name), safe=_ATTR_CHAR_MARKS)
    return f"attachment;filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def plain_filename(name: str) -> str:
    """Return the name of a file as one that ``check_filename`` lets pass: what it would refuse is written otherwise."""
    name = _REFUSED_CONTROLS.sub("_", _SURROGATES.sub("\ufffd", name)).replace("/", "_").replace("\\", "_")
    return name[:_MOST_CHARACTERS] if name.strip() and name not in (".", "..") else "_"


def check_filename(name: str) -> None:
    """Refuse a file name for a download that the wire does not allow.

    Raises:
        InvalidRequest: when the name is blank, ``.`` or ``..``, longer than 255 characters, or holds a slash, a
            backslash or a control character (0x00 to 0x1F, 0x7F).
    """
    if len(name) > _MOST_CHARACTERS:
        raise InvalidRequest("filename", f"{len(name)} characters; at most {_MOST_CHARACTERS} are allowed")
    if not name.strip():
        raise InvalidRequest("filename", "blank; give a name or leave it out")
    if name in (".", ".."):
        raise InvalidRequest("filename", f"{name!r} is a directory, not a file name")
    if control := _REFUSED_CONTROLS.search(name):
        raise InvalidRequest(
            "filename", f"control character U+{ord(control[0]):04X} at position {control.start()}; remove it"
        )
    for separator in "/\\":
        if separator in name:
            raise InvalidRequest("filename", f"{separator!r} in {name!a}; give a name without a path")
