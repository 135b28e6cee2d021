"""A database file of this host: made, checked, moved aside when broken, opened again when it went away.

Everything here blocks and belongs to one thread at a time. Several processes may share the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pannier.errors import ConfigInvalid, StateUnavailable
from pannier.state.mounts import file_system, is_network

PATIENCE = 2.0
"""Seconds to wait for another process's lock before giving up."""

_SETTING = "state.path"
MOUNTS = Path("/proc/self/mountinfo")
_LARGE = 256 * 2**20
"""Bytes of a file that is not read whole to see if it is sound, unless SQLite complained: it would take seconds."""
_BROKEN = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_PASSING = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL))

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schema:
    """What a database file is to hold.

    Attributes:
        noun: What it is called in messages, such as ``state database``.
        application: SQLite's application id, which tells the file from another program's.
        version: Of the tables; a file of another one is refused, unless ``upgrades`` leads from it to this one.
        tables: The statements that make them.
        loss: What moving the file away costs, for messages.
        most_aside: Broken files that are kept; a disk that breaks every file must not be filled with them.
        overwrites: Whether the last of these makes room for the next; else no more is moved aside, nor made anew.
        checked: Whether the file is read whole when it is opened, if it is not too large for that.
        pragmas: Statements that come before the first table is made.
        upgrades: The statements that make a version the next one, by the version they begin with.
    """

    noun: str
    application: int
    version: int
    tables: tuple[str, ...]
    loss: str
    most_aside: int = 20
    overwrites: bool = False
    checked: bool = True
    pragmas: tuple[str, ...] = ()
    upgrades: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class _Broken(Exception):
    """The file is no sound database."""


class Database:
    """A connection that is there when it can be.

    ``generation`` counts the times it was opened: what was read before the last may have been from another file.
    What is committed survives the death of the process; with ``synced`` a power cut, too, for a few milliseconds each.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        *,
        patience: float = PATIENCE,
        mounts: Path = MOUNTS,
        synced: bool = False,
    ) -> None:
        self._path, self._schema, self._patience, self._mounts = path, schema, patience, mounts
        self._synced = synced
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._suspect = False
        self.generation = 0

    def connection(self) -> sqlite3.Connection:
        """Return the connection to the file that is at the path now.

        Raises:
            sqlite3.Error, OSError, StateUnavailable: There is none to be had now.
            ConfigInvalid: The file is another program's, or a later version's, or hosts share its file system.
        """
        if self._connection is not None:
            # what is written into a file that was removed or replaced is lost, and SQLite does not look
            if self._identity() == self._opened:
                return self._connection
            _log.warning(
                "the %s at %s was removed or replaced; what it held is forgotten", self._schema.noun, self._path
            )
            self.close()
        self._connection, self._opened = self._open()
        self._suspect = False
        self.generation += 1
        return self._connection

    def failed(self, error: BaseException) -> None:
        """Take note of what a statement raised: the connection is left as before it, or closed to be made anew."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code
        if code in _BROKEN:
            self._suspect = True
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.rollback()
        except sqlite3.Error:
            self.close()
        else:
            if code not in _PASSING:
                self.close()

    def close(self) -> None:
        """Give the connection back. Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                _log.warning("the %s did not close cleanly: %s", self._schema.noun, error)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _refuse_network(self) -> None:
        """Refuse a path on a file system that hosts share: SQLite's locks and shared memory do not hold there."""
        place = os.fsencode(os.path.realpath(self._path))  # first, as looking there mounts what is mounted on demand
        try:
            mountinfo = self._mounts.read_bytes()
        except OSError:
            return  # no Linux; nothing can be said
        kind = file_system(mountinfo, place)
        if is_network(kind):
            raise ConfigInvalid(
                _SETTING,
                f"{str(self._path)!r} is on a network file system ({kind}), where SQLite's write-ahead log is not safe",
                "choose a directory on a local disk, or keep the state of several hosts in Valkey",
            )

    def _open(self) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        self._refuse_network()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            try:
                return self._connect()
            except _Broken as error:
                self._move_aside(str(error))
                return self._connect()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from opening meanwhile: two that find a broken file must not move two files aside."""
        # a file of its own: closing a descriptor of the database would drop the locks SQLite has on it
        descriptor = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + self._patience
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)

    def _connect(self) -> tuple[sqlite3.Connection, tuple[int, int] | None]:
        self._make_private()
        found = self._identity()  # first: a file exchanged from here on is seen at the next use
        # mode=rw: should the file vanish now, SQLite must not make one that others can read
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self._patience, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
                raise _Broken(str(error)) from error
            raise
        except BaseException:
            connection.close()
            raise
        return connection, found

    def _make_private(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            os.close(os.open(self._path, flags, 0o600))
        except FileExistsError:
            found = os.stat(self._path)
            if not stat.S_ISREG(found.st_mode):
                raise ConfigInvalid(
                    _SETTING, f"{str(self._path)!r} is not a regular file", "name a file that may be made"
                ) from None
            if stat.S_IMODE(found.st_mode) & 0o077:
                os.chmod(self._path, 0o600)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        schema = self._schema
        for pragma in schema.pragmas:
            connection.execute(pragma)
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise ConfigInvalid(
                _SETTING,
                f"the file system of {str(self._path)!r} has no shared memory, which SQLite's write-ahead log needs",
                "choose a directory on a local disk",
            )
        connection.execute(f"PRAGMA synchronous={'FULL' if self._synced else 'NORMAL'}")
        connection.execute("PRAGMA journal_size_limit=16777216")
        if self._suspect or (schema.checked and os.stat(self._path).st_size <= _LARGE):
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise _Broken(verdict)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application == schema.application and version == schema.version:
            return
        if application == schema.application:
            if version < schema.version and all(step in schema.upgrades for step in range(version, schema.version)):
                self._change(
                    connection, [each for step in range(version, schema.version) for each in schema.upgrades[step]]
                )
                return
            raise ConfigInvalid(
                _SETTING,
                f"{str(self._path)!r} has schema {version}; this version of Pannier knows {schema.version}",
                f"run the version that wrote it, or move the file away ({schema.loss})",
            )
        if tables:
            raise ConfigInvalid(
                _SETTING, f"{str(self._path)!r} is a database of another program", "name a file of Pannier's own"
            )
        self._change(connection, schema.tables)

    def _change(self, connection: sqlite3.Connection, statements: Iterable[str]) -> None:
        """Make the tables what they are to be, all or nothing; other processes wait meanwhile (``_alone``)."""
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={self._schema.application}")
        connection.execute(f"PRAGMA user_version={self._schema.version}")
        connection.execute("COMMIT")

    def _move_aside(self, reason: str) -> None:
        """Keep a broken file under another name. That its pins are lost is safe: bare ranges are refused then."""
        schema, number = self._schema, 1
        while os.path.lexists(aside := f"{self._path}.corrupt-{number}"):
            if number == schema.most_aside:
                if schema.overwrites:
                    break
                raise StateUnavailable(
                    f"the {schema.noun} is broken ({reason}), as were {schema.most_aside} before it, which still lie "
                    "beside it; see to the disk and remove them"
                )
            number += 1
        os.rename(self._path, aside)
        # the log belongs to the broken file: beside a fresh one it would be taken for that one's
        for suffix in ("-wal", "-shm"):
            try:
                os.rename(f"{self._path}{suffix}", f"{aside}{suffix}")
            except FileNotFoundError:
                pass
        _log.warning("the %s is broken (%s); it was moved to %s and a fresh one is made", schema.noun, reason, aside)
