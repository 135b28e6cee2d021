"""Looking at directories ahead of a walk: it comes to a directory and finds it looked at, mostly by helper processes.

The walk looks ahead itself rather than wait for a helper's answer, so that whoever is faster at the moment does more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pannier.streams.helpers import Helpers, Ticket
from pannier.streams.helping import MOST_LOOKED_AT, request_to_look
from pannier.volumes.base import Folder, Listing
from pannier.volumes.looking import Looked, SharedFolder, look_beneath

_EACH = 3
"""Directories that one helper is asked for at a time."""
_KEPT = 8
"""Directories that were asked for and not come to yet: a helper's answer may be half a megabyte."""
_LIKE_FILES = 4
"""Small files that are as much work to read as it is to look at a directory."""


class Scout:
    """What one walk, in one thread, lists directories by. Close it."""

    def __init__(self, folder: Folder, helpers: Helpers, now_ns: Callable[[], int]) -> None:
        """``now_ns``: the clock of the volume."""
        self._folder, self._helpers, self._now_ns = folder, helpers, now_ns
        self._shared = folder if helpers and isinstance(folder, SharedFolder) else None
        self._expected: list[bytes] = []
        """Directories that will be entered and that nobody was asked for, the next one last."""
        self._asked: dict[bytes, tuple[Ticket, int]] = {}
        """What helpers were asked for; and when."""
        self._looked: dict[bytes, tuple[Looked | None, int]] = {}
        """What they answered, or what was seen here; and when they were asked. None: nothing of use."""

    def expect(self, sources: Sequence[bytes]) -> None:
        """Say which directories will be entered next, in order, and before all that were expected until now."""
        if self._shared is not None:
            self._expected.extend(reversed(sources))
            self._ask()

    def scan(self, source: bytes) -> Listing:
        """List a directory; see ``Folder.scan``."""
        if self._shared is None:
            return self._folder.scan(source)
        if self._expected and self._expected[-1] == source:
            self._expected.pop()
        while source in self._asked and not self._asked[source][0].is_told() and self._look_ahead():
            self._ask()
        if source in self._asked:
            self._take(source)
        looked, asked_ns = self._looked.pop(source, (None, 0))
        self._ask()
        return self._folder.scan(source) if looked is None else self._shared.listing(source, looked, asked_ns)

    def close(self) -> None:
        """Wait for nobody any more."""
        for ticket, _ in self._asked.values():
            ticket.release()
        self._asked.clear()

    def _take(self, source: bytes) -> None:
        ticket, asked_ns = self._asked.pop(source)
        try:
            self._looked[source] = ticket.looked(), asked_ns
        finally:
            ticket.release()

    def _ask(self) -> None:
        """Have helpers look at what comes next; what they have answered is taken first, so that they are free."""
        assert self._shared is not None
        for source in [source for source, (ticket, _) in self._asked.items() if ticket.is_told()]:
            self._take(source)
        if not self._expected or not self._helpers.ready(_LIKE_FILES):
            return
        while len(self._expected) > 1 and len(self._asked) + len(self._looked) < _KEPT:
            source = self._expected[-2]  # the next one is left to the walk
            if source not in self._asked and source not in self._looked:  # links lead to a directory once more
                asked_ns = self._now_ns()
                ticket = self._helpers.ask(self._shared.root(), request_to_look(source), waiting=_EACH)
                if ticket is None:
                    return
                self._asked[source] = ticket, asked_ns
            del self._expected[-2]

    def _look_ahead(self) -> bool:
        """Look at the next directory that nobody was asked for; return whether there was one."""
        assert self._shared is not None
        if not self._expected or len(self._looked) >= _KEPT:
            return False
        source = self._expected.pop()
        if source not in self._asked and source not in self._looked:
            asked_ns = self._now_ns()
            try:
                self._looked[source] = look_beneath(self._shared.root(), source, MOST_LOOKED_AT), asked_ns
            except (OSError, OverflowError):  # what is wrong is found when the walk comes to it
                self._looked[source] = None, asked_ns
        return True
