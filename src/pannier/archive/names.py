r"""Entry names: which bytes of a path stay, which are replaced, and what is worth a warning. No I/O.

Bytes are kept. Replaced, visibly and never silently, are only those that could climb out or confuse on some platform:
a backslash (a separator on Windows), control characters, a leading drive letter's colon, and bytes that are not UTF-8.
The replacement is an inert character; it can therefore never *make* a separator or a ``..``. Names that become equal by
that get a visible ``(2)``; those that become longer than a file system takes are shortened.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

LONGEST = 0xFFFF
"""Bytes an entry name may have in a ZIP record (APPNOTE 4.4.10)."""

LONGEST_COMPONENT = 255
"""Bytes of a name between two slashes that most file systems take; what is renamed here is never longer."""

_LONGEST_SUFFIX = 32


class Rename(StrEnum):
    """Why an entry's name differs from its path."""

    BACKSLASH = "backslash"
    CONTROL = "control-character"
    DRIVE = "drive-letter"
    NOT_UTF8 = "not-utf-8"
    SHORTENED = "shortened"
    CLASH = "same-name"


class Clash(StrEnum):
    """Why some platform may have trouble with a name that is kept."""

    CASE = "differs-in-case-only"
    NORMAL_FORM = "differs-in-unicode-form-only"
    WINDOWS = "not-a-windows-name"


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNDECODABLE = re.compile(r"[\udc80-\udcff]")
_DRIVE = re.compile(r"^([A-Za-z]):")
_WINDOWS_TROUBLE = re.compile(
    r'[<>:"|?*]|[. ]$|^(con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\.|$)',
    re.IGNORECASE,
)
_UNUSUAL = bytes([*range(0x20), 0x7F]) + b"\\:"
"""Bytes that may not stay in every place, and NUL, which here separates names; what is not ASCII has a closer look."""
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_TROUBLE = r"\0(?:con|prn|aux|nul|conin\$|conout\$|%s)[.\0]"
_WINDOWS_BYTES = re.compile((_TROUBLE % "com[0-9]|lpt[0-9]").encode())
_WINDOWS_TEXT = re.compile(_TROUBLE % "com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE)
"""`_WINDOWS_TROUBLE` in names between NULs; the first in names in lower case."""
_AT_ONCE = 8192
_PLAIN = re.compile(rb"[^\x00-\x1f\x7f-\xff\\:]*")
"""What needs no closer look; most names."""


def safe_component(component: bytes, *, first: bool) -> tuple[bytes, tuple[Rename, ...]]:
    """Return a path component as it may stand in an entry name, and why it differs.

    ``first``: it begins the name, where ``C:`` would be a drive.
    """
    if _PLAIN.fullmatch(component):
        return component, ()
    reasons = []
    text = component.decode("utf-8", "surrogateescape")
    if _UNDECODABLE.search(text):
        reasons.append(Rename.NOT_UTF8)
        text = _UNDECODABLE.sub(lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)
    if "\\" in text:
        reasons.append(Rename.BACKSLASH)
        text = text.replace("\\", "_")
    if _CONTROLS.search(text):
        reasons.append(Rename.CONTROL)
        text = _CONTROLS.sub("_", text)
    if first and _DRIVE.match(text):
        reasons.append(Rename.DRIVE)
        text = _DRIVE.sub(r"\1_", text)
    return text.encode(), tuple(reasons)


def entry_names(paths: Sequence[bytes]) -> dict[int, tuple[bytes, tuple[Rename, ...]]]:
    """Return new names for those of ``paths`` that cannot be kept, by position: ``(name, reasons)``.

    ``paths`` are distinct, relative and normalised, and none lies below another that is a file. Afterwards all names
    are distinct, and none stands where another one has a directory. Independent of the order of ``paths``.
    """
    unsafe = [i for i, path in enumerate(paths) if not _PLAIN.fullmatch(path) and _changes(path)]
    if not unsafe:
        return {}
    # Two components can only come to clash below a directory where one of them is renamed: look at the siblings there.
    renamed: dict[bytes, dict[bytes, tuple[bytes, tuple[Rename, ...]]]] = {}
    for i in unsafe:
        for parent, component in _steps(paths[i]):
            safe, reasons = safe_component(component, first=not parent)
            if reasons:
                renamed.setdefault(parent, {})[component] = (safe, reasons)
    taken: dict[bytes, set[bytes]] = {parent: set() for parent in renamed}
    for path in paths:
        for parent, component in _steps(path):
            if parent in renamed and component not in renamed[parent]:
                taken[parent].add(component)
    for parent, components in renamed.items():
        numbers: dict[bytes, int] = {}  # where the search for a free one goes on: a crowd of equal names stays cheap
        for component in sorted(components):
            safe, reasons = components[component]
            fitting = _fit(*_split_suffix(safe))
            if fitting != safe:
                reasons = (*reasons, Rename.SHORTENED)
            free, numbers[fitting] = _free_name(fitting, taken[parent], numbers.get(fitting, 2))
            taken[parent].add(free)
            if free != fitting:
                reasons = (*reasons, Rename.CLASH)
            components[component] = (free, reasons)
    return {i: _rename(paths[i], renamed) for i in unsafe}


def is_safe(name: bytes) -> bool:
    """Whether an entry name can be unpacked below a directory on any platform without leaving it."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return False
    components = text.removesuffix("/").split("/")
    return (
        all(component not in ("", ".", "..") for component in components)
        and "\\" not in text
        and not _CONTROLS.search(text)
        and not _DRIVE.match(text)
        and len(name) <= LONGEST
    )


def clashes(siblings: Iterable[bytes]) -> Iterator[tuple[bytes, Clash]]:
    """Find names of one directory that some platform cannot hold, or not beside each other.

    Reported is each name that equals an *earlier* one (in byte order) under folding, and each that Windows refuses.
    """
    folded: dict[str, bytes] = {}
    for name in sorted(siblings):
        text = name.decode("utf-8", "surrogateescape")
        if _WINDOWS_TROUBLE.search(text):
            yield name, Clash.WINDOWS
        key = text.lower() if name.isascii() else _folded(text)
        other = folded.setdefault(key, name)
        if other is not name:
            same_form = unicodedata.normalize("NFC", other.decode("utf-8", "surrogateescape"))
            yield name, Clash.NORMAL_FORM if same_form == unicodedata.normalize("NFC", text) else Clash.CASE


class Siblings:
    """The names of one directory, looked at many at a time: almost always there is nothing to say of them.

    Attributes:
        to_rename: Some of them may need another name: ask ``entry_names``.
        to_warn: ``clashes`` may have something to report of them; after ``end`` never false if it has.
    """

    def __init__(self) -> None:
        self.to_rename = self.to_warn = False
        self._names: list[Sequence[bytes]] = []
        self._folds = False
        """Whether a name is another one on a platform that folds: then two may be one there."""

    def add(self, names: Sequence[bytes]) -> None:
        """Look at some names, all distinct from each other and from those before."""
        if not names:
            return
        self._names.append(names)
        joined = b"\0%b\0" % b"\0".join(names)
        if len(joined.translate(None, _UNUSUAL)) + len(names) + 1 != len(joined):
            self.to_rename = True
        if b".\0" in joined or b" \0" in joined or len(joined.translate(None, b'<>:"|?*')) != len(joined):
            self.to_warn = True
        if joined.isascii():
            lower = joined.lower()
            self._folds = self._folds or lower != joined
            self.to_warn = self.to_warn or _WINDOWS_BYTES.search(lower) is not None
            return
        try:
            text = joined.decode()
        except UnicodeDecodeError:
            self.to_rename = self.to_warn = True
            return
        self.to_rename = self.to_rename or _C1_CONTROLS.search(text) is not None
        self._folds = self._folds or _folded(text) != text
        self.to_warn = self.to_warn or _WINDOWS_TEXT.search(text) is not None

    def end(self) -> None:
        """Say that these were all."""
        if self._folds and not self.to_warn:
            self.to_warn = _has_twins(self._names)
        self._names = []


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _has_twins(parts: Sequence[Sequence[bytes]]) -> bool:
    """Whether two names may be one when folded. Their hashes are compared, some thousand at a time."""
    hashes = array("q")
    for names in parts:
        # NUL combines with nothing: folding the names joined is folding each
        hashes.extend(map(hash, _folded(b"\0".join(names).decode()).split("\0")))
    if len(hashes) <= _AT_ONCE:
        return len(set(hashes)) < len(hashes)
    dealt: list[array[int]] = [array("q") for _ in range(len(hashes) // _AT_ONCE * 2)]
    for number in hashes:
        dealt[number % len(dealt)].append(number)
    return any(len(set(part)) < len(part) for part in dealt)


def _changes(path: bytes) -> bool:
    return any(safe_component(component, first=not parent)[1] for parent, component in _steps(path))


def _steps(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The components of a path, each with the path of its parent."""
    start = 0
    while (slash := path.find(b"/", start)) >= 0:
        yield path[: max(start - 1, 0)], path[start:slash]
        start = slash + 1
    yield path[: max(start - 1, 0)], path[start:]


def _rename(
    path: bytes, renamed: dict[bytes, dict[bytes, tuple[bytes, tuple[Rename, ...]]]]
) -> tuple[bytes, tuple[Rename, ...]]:
    components, reasons = [], []
    for parent, component in _steps(path):
        name, why = renamed.get(parent, {}).get(component, (component, ()))
        components.append(name)
        reasons += [reason for reason in why if reason not in reasons]
    return b"/".join(components), tuple(reasons)


def _free_name(name: bytes, taken: set[bytes], number: int) -> tuple[bytes, int]:
    """Return the name, numbered from ``number`` on if it is taken, and the number to go on with."""
    if name not in taken:
        return name, number
    stem, suffix = _split_suffix(name)
    while (candidate := _fit(stem, b" (%d)%s" % (number, suffix))) in taken:
        number += 1
    return candidate, number + 1


def _split_suffix(name: bytes) -> tuple[bytes, bytes]:
    stem, dot, suffix = name.rpartition(b".")
    return (stem, dot + suffix) if stem and len(suffix) <= _LONGEST_SUFFIX else (name, b"")


def _fit(stem: bytes, ending: bytes) -> bytes:
    """Join both, the stem cut between characters where they are too long."""
    if len(stem) + len(ending) <= LONGEST_COMPONENT:
        return stem + ending
    return stem[: LONGEST_COMPONENT - len(ending)].decode("utf-8", "ignore").encode() + ending
