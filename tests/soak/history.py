"""Content that tells what it is, and which of it was where at which time: what downloads are judged by.

A file's content follows from its name, a version and a size, which stand in its first line. So of any bytes that came
it can be told whether they are a version of a file, whole; and when that version was there.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


def content(name: str, version: int, size: int) -> bytes:
    """Return a version of a file: at least its first line, of ``size`` bytes if that is longer."""
    line = f"{name}\t{version}\t{size}\n".encode()
    return line + random.Random(line).randbytes(max(0, size - len(line)))


def version_of(name: str, data: bytes) -> int | None:
    """Return which version of a file some bytes are; None if they are none, or not all of one."""
    line = data.partition(b"\n")[0].decode("utf-8", "replace").split("\t")
    if len(line) != 3 or line[0] != name or not (line[1].isdigit() and line[2].isdigit()):
        return None
    version = int(line[1])
    return version if data == content(name, version, int(line[2])) else None


ABSENT, EMPTY = -1, -2
"""The versions of a file that is not there, and of one that is being written over, which begins with nothing."""
EARLIER = 6.0
"""Seconds before a request at which its plan may have been made: ``plan-fresh-max`` of a soak, and a walk."""


@dataclass(slots=True)
class _Lived:
    """When a version was there: at the earliest from, and at the latest until."""

    version: int
    begin: float
    end: float = float("inf")


@dataclass
class History:
    """Which version of which file was there when; threads share it."""

    _lived: dict[str, list[_Lived]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, name: str, version: int) -> None:
        """Say that a version is about to be put in its place."""
        with self._lock:
            self._lived.setdefault(name, []).append(_Lived(version, time.monotonic()))

    def ended(self, name: str, version: int) -> None:
        """Say that a version is no longer there."""
        with self._lock:
            for lived in self._lived.get(name, ()):
                if lived.version == version and lived.end == float("inf"):
                    lived.end = time.monotonic()

    def wrong_with(self, found: Mapping[str, bytes], begin: float, end: float, *, alone: bool = False) -> str:
        """Say why some files, by name, were not there at one instant between two; empty if they were.

        A plan may be older than its request, by ``EARLIER`` at most. Unless they are looked at ``alone``, files that
        are not among them have to have been absent at some time in between. That is less than at the same instant: what
        is made after its directory was listed is not in the archive, what is written over meanwhile is, as it is then.
        """
        latest, earliest = begin - EARLIER, end
        for name, data in found.items():
            version = version_of(name, data) if data else EMPTY
            if version is None:
                return f"{name} ({len(data):,} bytes) is no version of it"
            times = self._times(name, version)
            if not times:
                return f"{name} has version {version}, which never was"
            fitting = [(since, until) for since, until in times if since <= earliest and until >= latest]
            if not fitting:
                return "its files were never there at the same time"
            latest, earliest = max(latest, fitting[0][0]), min(earliest, fitting[-1][1])
        for name in () if alone else self._lived.keys() - found.keys():
            if not any(since <= earliest and until >= begin - EARLIER for since, until in self._times(name, ABSENT)):
                return f"{name} is missing, and was there"
        return ""

    def _times(self, name: str, version: int) -> list[tuple[float, float]]:
        with self._lock:
            return [(each.begin, each.end) for each in self._lived.get(name, ()) if each.version == version]
