"""A volume on this machine's disk that breaks by a schedule: a ``Volume`` in front of the real one.

What fails raises what the real one raises for that error number; what changes is changed on the disk, at that moment.
System calls that fail are another matter: `tests/faults/tracing.py`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pannier.dto.ids import FolderId
from pannier.errors import Offence, OffenceCode, SourceUnreadable, VolumeFailed
from pannier.volumes.base import Batch, Folder, Found, Listing, Refused, Source, Volume, WholeReader
from pannier.volumes.sources import not_opened
from pannier.volumes.whole import OpeningReader

OPERATIONS = ("folder", "lookup", "scan", "listing", "identities", "open", "read", "check", "whole")
"""What a schedule can name: ``listing`` is each step through a directory, ``whole`` each run of small files."""
SHORT = "short"
"""What a read may do beside failing: give less than there is."""

Change = Callable[[], None]
"""Changes something on the disk."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a call of an operation, counted from 1 on: an error number, a short read, or a change."""

    operation: str
    call: int
    what: int | str | Change
    forever: bool = False
    """Whether each later call meets it, too."""


@dataclass
class Schedule:
    """What is to go wrong, and what did; from any thread."""

    faults: list[Fault] = field(default_factory=list)
    met: list[Fault] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, *faults: Fault) -> None:
        """Count from here on, and have these go wrong."""
        with self._lock:
            self.faults, self.met = list(faults), []
            self.calls.clear()

    def call(self, operation: str) -> int | str | None:
        """Count a call; change what is to be changed; return the error number it fails with, or ``SHORT``."""
        with self._lock:
            self.calls[operation] += 1
            count = self.calls[operation]
            due = [each for each in self.faults if each.operation == operation]
            due = [each for each in due if count == each.call or (each.forever and count > each.call)]
            self.met += due
        outcome: int | str | None = None
        for fault in due:
            if callable(fault.what):
                fault.what()
            else:
                outcome = fault.what
        return outcome


class FaultyVolume:
    """A volume that breaks. ``held`` counts folders, listings, sources and readers that were not given back.

    With ``descriptors`` what is opened may be read past the schedule, as the real volume's is.
    """

    def __init__(self, inner: Volume, schedule: Schedule) -> None:
        self._inner, self.schedule = inner, schedule
        self.clock_granularity_ns = inner.clock_granularity_ns
        self.descriptors = True
        self.held: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def id(self) -> str:
        return self._inner.id

    @property
    def identity_scheme(self) -> str:
        return self._inner.identity_scheme

    def now_ns(self) -> int:
        return self._inner.now_ns()

    def folder(self, folder: FolderId) -> Folder:
        self.fail("folder", b".")
        return FaultyFolder(self, self._inner.folder(folder))

    def close(self) -> None:
        self._inner.close()

    def fail(self, operation: str, path: bytes) -> None:
        """Meet what is due at a call that does not read a file."""
        number = self.schedule.call(operation)
        if isinstance(number, int):
            if number == errno.EACCES:
                raise Refused(Offence(path, OffenceCode.UNREADABLE, "this server may not look there"))
            raise VolumeFailed(f"{path!r} failed: {os.strerror(number)}")


class FaultyFolder:
    """A folder of a faulty volume."""

    def __init__(self, volume: FaultyVolume, inner: Folder) -> None:
        self._volume, self._inner, self._open = volume, inner, True
        volume.held["folder"] += 1

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        self._volume.fail("lookup", path)
        return self._inner.lookup(path, follow=follow)

    def scan(self, source: bytes) -> Listing:
        self._volume.fail("scan", source)
        return Listing(source, self._batches(self._inner.scan(source), source))

    def _batches(self, listing: Listing, source: bytes) -> Iterable[Batch]:
        try:
            for batch in listing.batches():
                self._volume.fail("listing", source)
                yield batch
        finally:
            listing.close()

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        self._volume.fail("identities", source)
        return self._inner.identities(source, names)

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        number = self._volume.schedule.call("open")
        if isinstance(number, int):
            raise not_opened(path, OSError(number, os.strerror(number)))
        return FaultySource(self._volume, self._inner.open(source, identity, path), path)

    def whole_reader(self) -> WholeReader:
        if not self._volume.descriptors:
            return OpeningReader(self)
        return FaultyWholeReader(self._volume, self._inner.whole_reader())

    def close(self) -> None:
        self._inner.close()
        self._volume.held["folder"] -= self._open
        self._open = False


class FaultySource:
    """A file of a faulty volume."""

    def __init__(self, volume: FaultyVolume, inner: Source, path: bytes) -> None:
        self._volume, self._inner, self._path, self._open = volume, inner, path, True
        volume.held["source"] += 1

    def read(self, offset: int, length: int) -> bytes:
        what = self._volume.schedule.call("read")
        if isinstance(what, int):
            raise SourceUnreadable(self._path, os.strerror(what))
        if what == SHORT and length > 1:
            length //= 2
        return self._inner.read(offset, length)

    def check(self) -> None:
        number = self._volume.schedule.call("check")
        if isinstance(number, int):
            raise SourceUnreadable(self._path, os.strerror(number))
        self._inner.check()

    def changed_ns(self) -> int | None:
        return self._inner.changed_ns()

    def fileno(self) -> int | None:
        return self._inner.fileno() if self._volume.descriptors else None

    def close(self) -> None:
        self._inner.close()
        self._volume.held["source"] -= self._open
        self._open = False


class FaultyWholeReader:
    """The real reader of small files; what changes does so before a run of them is read."""

    def __init__(self, volume: FaultyVolume, inner: WholeReader) -> None:
        self._volume, self._inner, self._open = volume, inner, True
        volume.held["whole reader"] += 1

    def read(self, files: Iterable[tuple[bytes, bytes, int, bytes]]) -> list[bytes]:
        wanted = list(files)
        number = self._volume.schedule.call("whole")
        if isinstance(number, int):
            raise SourceUnreadable(wanted[0][3], os.strerror(number))
        return self._inner.read(wanted)

    def root(self) -> None:
        """No other process reads here: it would meet no fault."""
        return

    def close(self) -> None:
        self._inner.close()
        self._volume.held["whole reader"] -= self._open
        self._open = False
