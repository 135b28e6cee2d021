"""The durable checksum store: a memory, a file of this host behind it, and a thread that writes behind.

Strategy: what is put is remembered and put in line; the thread takes the line about once a second, or when it has grown
long, and writes it in slices, one transaction each, with a pause between them. Look-ups of threads that wait for an
answer use a connection of their own. Whatever happens to the file only costs time: then there is the memory alone,
which is said once, and the file is tried again from time to time.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import TypeVar

from pannier import metrics
from pannier.errors import ConfigInvalid, PannierError, show
from pannier.state import checksum_rows as rows
from pannier.state.checksum_rows import CHECKSUMS, SLICE, Counts
from pannier.state.checksums import ChecksumMemory
from pannier.state.database import MOUNTS, PATIENCE, Database

CHECKSUM_FILE = "checksums.db"
"""Its name, in the folder of the state."""
REMEMBERED = 65_536
"""Checksums in memory, about 10 MiB of them."""

_MOST_WAITING = 20_480
"""Rows in line and being written, about 4 MiB of them; more are not kept."""
_HEADROOM = 256 * 1024
"""Bytes kept free below the limit: what one slice may bring."""
_DELAY = 1.0
"""Seconds that rows may wait for more of them: what ``kill -9`` takes at most."""
_PAUSE = 0.002
"""Seconds between two slices, in which other threads and processes have their turn."""
_RETRY_LEAST, _RETRY_MOST = 5.0, 300.0
"""Seconds until a file that could not be used is tried again; doubled each time."""
_MOST_TOLD = 100
"""Mismatches that one process logs; all are counted."""

_log = logging.getLogger(__name__)

_Row = tuple[int, bytes, bool]
"""CRC-32, path, and whether a mismatch with what is in the file is none, or known already."""
_Waiting = dict[str, dict[bytes, _Row | None]]
"""What is to be written, by volume id and identity; None to drop it."""
ResultT = TypeVar("ResultT")


class SqliteChecksums:
    """A ``ChecksumStore`` in one SQLite file, which several processes may share and anybody may delete.

    A checksum that was written survives ``kill -9``. The file uses at most ``limit`` bytes, and a few of its slices
    more for a moment; what was used longest ago makes room.

    Args:
        path: The file; its directory is made (0700) if need be, the file is 0600.
        limit: Bytes, at least 1 MiB.
        names: What volumes are called in the log, by id.
        remembered: Checksums in memory.
        delay: Seconds that rows may wait to be written.
        mounts: The kernel's table of what is mounted where.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        names: Mapping[str, str] | None = None,
        remembered: int = REMEMBERED,
        delay: float = _DELAY,
        mounts: Path = MOUNTS,
    ) -> None:
        self._path, self._limit, self._names, self._delay = path, limit, names or {}, delay
        self._memory = ChecksumMemory(remembered)
        self._waiting: _Waiting = {}
        self._in_flight: _Waiting = {}
        self._number_waiting = 0
        self._writing = False
        self._urgent = False
        self._closing = False
        self._tried = threading.Event()
        self._changed = threading.Condition()
        self._usable = False
        self._mismatches = self._dropped = self._unsaved = 0
        self._away = ""
        self._retry = _RETRY_LEAST
        self._database = Database(path, CHECKSUMS, mounts=mounts)
        self._generation = 0
        self._reading = threading.Lock()
        self._reader = Database(path, CHECKSUMS, mounts=mounts)
        # a daemon: a disk that never answers must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name="pannier-checksums", daemon=True)

    def open(self, seconds: float = PATIENCE) -> bool:
        """Begin, and return whether the file can be used; it is waited for so long. Once."""
        self._thread.start()
        self._tried.wait(seconds)
        return self._usable

    def close(self, seconds: float = 5.0) -> None:
        """Write what waits, if that can be done in time, and let go of the file. Idempotent."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
            if self._thread.is_alive():
                _log.warning("the checksum store did not close within %g s; its thread is left behind", seconds)
        with self._reading:
            self._usable = False
            self._reader.close()

    def flush(self, seconds: float = 60.0) -> bool:
        """Wait until everything put so far is written, and return whether it is; not while the file is away."""

        def written() -> bool:
            return not self._number_waiting and not self._writing

        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: written() or bool(self._away), seconds)
            return written()

    # -- a ChecksumStore

    def recall(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.recall``."""
        crc32 = self._memory.recall(volume_id, identity)
        if crc32 is None:
            for line in (self._waiting, self._in_flight):
                if identity in (waiting := line.get(volume_id, {})):
                    row = waiting.get(identity)
                    return row[0] if row is not None else None
        return crc32

    def get(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.get``."""
        (crc32,) = self.get_many(volume_id, (identity,))
        if crc32 is not None:
            self._memory.put(volume_id, identity, crc32)
        return crc32

    def get_many(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        """See ``ChecksumStore.get_many``."""
        found = self._memory.get_many(volume_id, identities)
        asked = [i for i, crc32 in enumerate(found) if crc32 is None]
        for line in (self._waiting, self._in_flight):  # in this order, as rows go from one to the next
            if waiting := line.get(volume_id):
                for i in asked:
                    if (row := waiting.get(identities[i])) is not None:
                        found[i] = row[0]
                asked = [i for i in asked if identities[i] not in waiting]
        for at in range(0, len(asked), SLICE):
            part = asked[at : at + SLICE]
            for i, crc32 in zip(part, self._find(volume_id, [identities[i] for i in part]), strict=True):
                found[i] = crc32
        return found

    def put(self, volume_id: str, identity: bytes, crc32: int, path: bytes = b"") -> None:
        """See ``ChecksumStore.put``."""
        self.put_many(volume_id, (identity,), (crc32,), (path,))

    def put_many(
        self, volume_id: str, identities: Sequence[bytes], checksums: Sequence[int], paths: Sequence[bytes]
    ) -> None:
        """See ``ChecksumStore.put_many``."""
        kept = self._memory.exchange(volume_id, identities, checksums)
        rows: dict[bytes, _Row | None]
        if not any(before is not None for before in kept):  # most often: all are new
            self._line(volume_id, dict(zip(identities, zip(checksums, paths, repeat(False)), strict=True)))
            return
        rows = {}
        for identity, crc32, path, before in zip(identities, checksums, paths, kept, strict=True):
            if before != crc32:
                rows[identity] = (crc32, path, before is not None)
                if before is not None:
                    self._mismatch(volume_id, path, before, crc32)
        if rows:
            self._line(volume_id, rows)

    def forget(self, volume_id: str, identity: bytes) -> None:
        """See ``ChecksumStore.forget``."""
        self._memory.forget(volume_id, identity)
        self._line(volume_id, {identity: None})

    # -- what is known of it

    @property
    def mismatches(self) -> int:
        """How often content contradicted what was kept, in this process."""
        return self._mismatches

    @property
    def dropped(self) -> int:
        """Rows that were not written, because too many waited."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """Rows that wait to be written."""
        return self._number_waiting

    @property
    def reason(self) -> str:
        """Why the file cannot be used now; empty if it can."""
        return self._away

    def counts(self) -> Counts | None:
        """Return what the file holds, None if it cannot be used; reads all of it."""
        return self._look(rows.counts)

    # -- reading

    def _find(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        found = self._look(lambda connection: rows.find(connection, volume_id, identities, self._limit))
        if found is None:
            return [None] * len(identities)
        for i in found.aged:  # so that it stays
            crc32 = found.checksums[i]
            assert crc32 is not None
            self._line(volume_id, {identities[i]: (crc32, b"", True)})
        return found.checksums

    def _look(self, work: Callable[[sqlite3.Connection], ResultT]) -> ResultT | None:
        with self._reading:
            if not self._usable:
                return None
            try:
                return work(self._reader.connection())
            except (sqlite3.Error, OSError, PannierError) as error:
                self._reader.failed(error)
                self._reader.close()
                self._usable = False
        with self._changed:  # the writer sees to the file
            self._changed.notify_all()
        return None

    # -- writing

    def _line(self, volume_id: str, rows: Mapping[bytes, _Row | None]) -> None:
        with self._changed:
            in_flight = sum(map(len, self._in_flight.values()))
            if self._number_waiting + in_flight >= _MOST_WAITING or self._closing:
                self._dropped += len(rows)
                return
            waiting = self._waiting.setdefault(volume_id, {})
            before, were = len(waiting), self._number_waiting
            waiting.update(rows)
            self._number_waiting += len(waiting) - before
            if not were or were < SLICE <= self._number_waiting:
                self._changed.notify_all()

    def _run(self) -> None:
        self._attempt({})
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._number_waiting or self._closing or not self._usable)
                patience = self._delay if self._usable else self._retry
                self._changed.wait_for(
                    lambda: self._closing or (self._usable and (self._urgent or self._number_waiting >= SLICE)),
                    patience,
                )
                line = self._in_flight = self._waiting
                self._waiting, self._number_waiting = {}, 0
                self._writing, closing = True, self._closing
            self._attempt(line)
            with self._changed:
                self._writing = False
                self._urgent = self._urgent and bool(self._number_waiting) and self._usable
                self._changed.notify_all()
            if closing:
                break
        self._database.close()

    def _attempt(self, line: _Waiting) -> None:
        """Write a line, or put back what could not be written."""
        try:
            connection = self._connection()
            for volume_id, part in _slices(line):
                self._write(connection, volume_id, part)
                for identity in part:
                    del line[volume_id][identity]
                if not self._closing:
                    time.sleep(_PAUSE)
            self._make_room(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread lives
            self._database.failed(error)
            self._failed(error)
            self._put_back(line)
        else:
            self._works()
        self._tried.set()

    def _connection(self) -> sqlite3.Connection:
        connection = self._database.connection()
        if self._database.generation != self._generation:
            rows.prepare(connection)
            self._generation = self._database.generation
        return connection

    def _write(self, connection: sqlite3.Connection, volume_id: str, part: Mapping[bytes, _Row | None]) -> None:
        kept = {identity: row for identity, row in part.items() if row is not None}
        unsaved = self._unsaved
        connection.execute("BEGIN IMMEDIATE")
        if len(kept) < len(part):
            rows.remove(connection, volume_id, [identity for identity in part if identity not in kept])
        checksums = [row[0] for row in kept.values()]
        different = rows.put(connection, volume_id, list(kept), checksums, self._limit) if kept else []
        untold = [(identity, before) for identity, before in different if not kept[identity][2]]
        if unsaved + len(untold):
            rows.count_mismatches(connection, unsaved + len(untold))
        while rows.make_room(connection, self._limit - _HEADROOM):
            pass  # what one slice brought is gone after two of these
        connection.execute("COMMIT")
        for identity, before in untold:
            self._mismatch(volume_id, kept[identity][1], before, kept[identity][0])
        with self._changed:
            self._unsaved -= unsaved + len(untold)

    def _put_back(self, line: _Waiting) -> None:
        for volume_id, rest in line.items():
            while rest:  # each goes from one to the other: in both it would count twice
                identity, row = rest.popitem()
                with self._changed:
                    newer = identity in self._waiting.get(volume_id, ())
                if not newer:
                    self._line(volume_id, {identity: row})

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Come below the limit, which may be lower than at the last start, in small slices."""
        more = True
        while more and not self._closing:
            connection.execute("BEGIN IMMEDIATE")
            more = rows.make_room(connection, self._limit)
            connection.execute("COMMIT")
            time.sleep(_PAUSE)

    # -- what went wrong

    def _mismatch(self, volume_id: str, path: bytes, before: int, after: int) -> None:
        with self._changed:
            self._mismatches += 1
            metrics.CHECKSUM_MISMATCHES.inc()
            self._unsaved += 1
            told = self._mismatches
        if told <= _MOST_TOLD:
            what, volume = show(path) if path else "a file", self._names.get(volume_id, volume_id)
            _log.warning(
                "the CRC-32 kept for %s on volume %r was %08x, its content has %08x, which is kept now",
                what,
                volume,
                before,
                after,
            )
        if told == _MOST_TOLD:
            _log.warning("further mismatches of checksums are counted only")

    def _failed(self, error: Exception) -> None:
        self._usable = False
        self._retry = _RETRY_MOST if isinstance(error, ConfigInvalid) else min(2 * self._retry, _RETRY_MOST)
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        if not isinstance(error, (sqlite3.Error, OSError, PannierError)):
            _log.error("the checksum store failed", exc_info=error)
        if not self._away:
            _log.warning(
                "the checksum store at %s cannot be used (%s); checksums are kept in memory only, and content is read "
                "once more after a restart",
                self._path,
                reason,
            )
        self._away = reason

    def _works(self) -> None:
        if self._away:
            _log.warning("the checksum store at %s can be used again", self._path)
        self._usable, self._away, self._retry = True, "", _RETRY_LEAST


def _slices(line: _Waiting) -> Iterator[tuple[str, dict[bytes, _Row | None]]]:
    """Cut a line in slices of one volume and one length of identities."""
    for volume_id in list(line):
        by_width: dict[int, list[bytes]] = {}
        for identity in line[volume_id]:
            by_width.setdefault(len(identity), []).append(identity)
        for identities in by_width.values():
            for at in range(0, len(identities), SLICE):
                yield volume_id, {identity: line[volume_id][identity] for identity in identities[at : at + SLICE]}
