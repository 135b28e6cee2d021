"""Looking again at what was planned: whether every entry still is what it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from pannier.archive.entries import Entries
from pannier.archive.plan import Plan
from pannier.errors import LimitExceeded
from pannier.services.progress import WalkCancelled
from pannier.streams.hashing import Place
from pannier.volumes.base import Refused

_LOOKED_AT_ONCE = 1000


def agrees_with(place: Place, plan: Plan, seconds: float, cancelled: threading.Event) -> bool:
    """Return whether every entry of a plan still has its identity; blocks.

    Raises:
        FolderMissing, VolumeFailed: It cannot be told.
        LimitExceeded: It takes longer than ``seconds``.
        WalkCancelled: ``cancelled`` was set.
    """
    began = time.monotonic()
    folder = place.open()
    try:
        for directory, names, expected in _by_directory(plan.entries):
            if folder.identities(directory, names) != expected:
                return False
            if cancelled.is_set():
                raise WalkCancelled
            if (measured := time.monotonic() - began) > seconds:
                raise LimitExceeded(
                    "seconds of planning", measured=round(measured, 1), limit=seconds, setting="limits.plan-seconds"
                )
        return True
    except Refused:
        return False
    finally:
        folder.close()


def _by_directory(entries: Entries) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
    """Give the entries by the directories in which they really are: the names and identities of some at a time."""
    directory, names, expected = b"", list[bytes](), list[bytes]()
    for number in range(len(entries)):
        parent, _, name = entries.source(number).rpartition(b"/")
        if names and (parent != directory or len(names) >= _LOOKED_AT_ONCE):
            yield directory, names, expected
            names, expected = [], []
        directory = parent
        names.append(name)
        expected.append(entries.identity(number))
    if names:
        yield directory, names, expected
