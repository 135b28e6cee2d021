"""Checksums as rows of a database: how they lie there, how many are found or written by one statement, which go.

Thousands of rows pass in one statement, as one run of bytes: SQLite takes it apart without holding the interpreter,
where a statement for each row would take and give back the interpreter's lock each time.

Rows belong to segments, numbered as they are begun. What is written goes to the latest one, out of an earlier one if it
stood there; what must make room goes from the earliest, so it is what was used longest ago. A segment is a run of the
file's pages: emptied, it gives them back, and the size of the file can be bounded in bytes.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from pannier.state.database import Schema

SLICE = 4_096
"""Rows that one statement finds or writes: some milliseconds."""
SEGMENTS = 4
"""Parts of the bound, about, in which rows age: what is used within the latest is not written again for that."""

CHECKSUMS = Schema(
    noun="checksum store",
    application=0x50414E43,  # "PANC"
    version=1,
    tables=(
        # 4 bytes of CRC-32, as its integer would take 6
        "CREATE TABLE checksums (segment INTEGER, volume INTEGER, identity BLOB, crc32 BLOB NOT NULL, "
        "PRIMARY KEY (segment, volume, identity)) WITHOUT ROWID",
        "CREATE TABLE volumes (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
        "CREATE TABLE segments (number INTEGER PRIMARY KEY, bytes INTEGER NOT NULL)",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO segments VALUES (1, 0)",
        "INSERT INTO counters VALUES ('mismatches', 0)",
    ),
    loss="content is then read once more for its checksums",
    most_aside=1,
    overwrites=True,
    checked=False,  # at worst a checksum is wrong, which the content that passes will show
    pragmas=("PRAGMA auto_vacuum=INCREMENTAL",),
)

_BATCH = "CREATE TEMP TABLE IF NOT EXISTS batch (identity BLOB PRIMARY KEY, crc32 BLOB NOT NULL) WITHOUT ROWID"
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 WHERE :count > 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count) "
_FILL = _NUMBERS + (  # noqa: S608 - constants alone
    "INSERT OR REPLACE INTO batch "
    "SELECT substr(:identities, i * :width + 1, :width), substr(:checksums, i * 4 + 1, 4) FROM n"
)
_VOLUME_AND_SEGMENTS = (  # the latter in no order
    "SELECT (SELECT number FROM volumes WHERE id = ?), (SELECT group_concat(number) FROM segments)"
)
_FIND = _NUMBERS + (  # noqa: S608 - constants alone
    "SELECT group_concat(printf('%08X', n.i) || hex(c.crc32), '') FROM n CROSS JOIN checksums AS c "
    "ON c.segment = :segment AND c.volume = :volume AND c.identity = substr(:identities, n.i * :width + 1, :width)"
)
_DIFFERENT = (
    "SELECT b.identity, c.crc32 FROM batch AS b CROSS JOIN checksums AS c "
    "ON c.segment = :segment AND c.volume = :volume AND c.identity = b.identity WHERE c.crc32 <> b.crc32"
)
_TAKE_OUT = (
    "DELETE FROM checksums WHERE segment = :segment AND volume = :volume AND identity IN (SELECT identity FROM batch)"
)
_PUT = (
    "INSERT INTO checksums SELECT :segment, :volume, identity, crc32 FROM batch WHERE true "
    "ON CONFLICT DO UPDATE SET crc32 = excluded.crc32 WHERE crc32 <> excluded.crc32"
)
_MOST_FREE = 1_024
"""Pages that stay in the file unused, for what comes next; more are given back to the file system."""
_CRC32 = struct.Struct(">I")
_ROW_OVERHEAD = 24
"""Bytes of a row beside its identity: 17 where rows come in order, about 35 where they come in none."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make what ``put`` and ``remove`` need on a new connection; not in a transaction."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(_BATCH)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds: rows by volume id, bytes of its file in use and in all, mismatches since it was made."""

    rows: dict[str, int] = field(default_factory=dict)
    bytes_used: int = 0
    bytes_on_disk: int = 0
    mismatches: int = 0


@dataclass(slots=True)
class Found:
    """What a search found: CRC-32 by position, and which of them have aged and should be put again."""

    checksums: list[int | None]
    aged: list[int] = field(default_factory=list)


def find(connection: sqlite3.Connection, volume_id: str, identities: Sequence[bytes], limit: int) -> Found:
    """Return what is known of at most ``SLICE`` identities; rows age where ``limit`` bytes are nearly used."""
    found = Found([None] * len(identities))
    volume, numbers = connection.execute(_VOLUME_AND_SEGMENTS, (volume_id,)).fetchone()
    if volume is None:
        return found
    segments = sorted(map(int, numbers.split(",")))
    for width in {len(identity) for identity in identities}:
        left = [i for i, identity in enumerate(identities) if len(identity) == width]
        for segment in reversed(segments):
            bound = {
                "segment": segment,
                "volume": volume,
                "identities": b"".join([identities[i] for i in left]),
                "width": width,
                "count": len(left),
            }
            (text,) = connection.execute(_FIND, bound).fetchone()
            if text is None:
                continue
            hits = list(struct.iter_unpack(">II", bytes.fromhex(text)))
            for at, crc32 in hits:
                found.checksums[left[at]] = crc32
            if segment != segments[-1] and _is_short(connection, limit):
                found.aged += (left[at] for at, _ in hits)
            if len(hits) == len(left):
                break
            gone = {at for at, _ in hits}
            left = [i for at, i in enumerate(left) if at not in gone]
    return found


def put(
    connection: sqlite3.Connection, volume_id: str, identities: Sequence[bytes], checksums: Sequence[int], limit: int
) -> list[tuple[bytes, int]]:
    """Write at most ``SLICE`` rows, in a transaction of the caller's; identities are distinct and of one length.

    Args:
        connection: Where to.
        volume_id: The volume of all of them.
        identities: What to write of.
        checksums: CRC-32, one for each.
        limit: Bytes the file may use; a part of it makes a segment.

    Returns:
        The identities for which another CRC-32 was kept until now, and that one.
    """
    volume = _volume(connection, volume_id)
    segments = _begun(connection, limit)
    _fill(connection, identities, checksums)
    different: list[tuple[bytes, int]] = []
    for segment in segments:
        bound = {"segment": segment, "volume": volume}
        different += ((i, _CRC32.unpack(crc)[0]) for i, crc in connection.execute(_DIFFERENT, bound))
        if segment != segments[-1]:
            connection.execute(_TAKE_OUT, bound)
    written = connection.execute(_PUT, {"segment": segments[-1], "volume": volume}).rowcount
    size = max(written, 0) * (len(identities[0]) + _ROW_OVERHEAD) if identities else 0
    connection.execute("UPDATE segments SET bytes = bytes + ? WHERE number = ?", (size, segments[-1]))
    return different


def remove(connection: sqlite3.Connection, volume_id: str, identities: Sequence[bytes]) -> None:
    """Drop rows, in a transaction of the caller's; at most ``SLICE`` identities of one length."""
    volume = _volume(connection, volume_id)
    _fill(connection, identities, [0] * len(identities))
    for segment in _segments(connection):
        connection.execute(_TAKE_OUT, {"segment": segment, "volume": volume})


def count_mismatches(connection: sqlite3.Connection, number: int) -> None:
    """Add to the number of mismatches since the store was made, in a transaction of the caller's."""
    connection.execute("UPDATE counters SET value = value + ? WHERE name = 'mismatches'", (number,))


def make_room(connection: sqlite3.Connection, limit: int) -> bool:
    """Drop a slice of what was used longest ago if the file uses more than ``limit`` bytes; return whether it did.

    In a transaction of the caller's.
    """
    used, free, page = _pages(connection)
    if used * page <= limit:
        if free > _MOST_FREE:
            # a pragma that gives a row for each step, and steps only as they are fetched
            connection.execute(f"PRAGMA incremental_vacuum({_MOST_FREE})").fetchall()
        return False
    segments = _segments(connection)
    oldest = segments[0]
    if len(segments) == 1:
        _begin(connection, oldest + 1)
    after = connection.execute(
        "SELECT volume, identity FROM checksums WHERE segment = ? ORDER BY volume, identity LIMIT 1 OFFSET ?",
        (oldest, SLICE),
    ).fetchone()
    if after is None:
        connection.execute("DELETE FROM checksums WHERE segment = ?", (oldest,))
        connection.execute("DELETE FROM segments WHERE number = ?", (oldest,))
    else:
        connection.execute("DELETE FROM checksums WHERE segment = ? AND (volume, identity) < (?, ?)", (oldest, *after))
    return True


def counts(connection: sqlite3.Connection) -> Counts:
    """Return what the store holds; it reads the whole file."""
    rows = connection.execute(
        "SELECT v.id, count(*) FROM checksums AS c JOIN volumes AS v ON v.number = c.volume GROUP BY v.id ORDER BY v.id"
    ).fetchall()
    (mismatches,) = connection.execute("SELECT value FROM counters WHERE name = 'mismatches'").fetchone()
    used, free, page = _pages(connection)
    return Counts(dict(rows), used * page, (used + free) * page, mismatches)


def _pages(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Pages in use, pages free, bytes of a page."""
    (pages,), (free,), (size,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
    )
    return pages - free, free, size


def _is_short(connection: sqlite3.Connection, limit: int) -> bool:
    used, _, page = _pages(connection)
    return used * page * SEGMENTS > limit * (SEGMENTS - 1)


def _segments(connection: sqlite3.Connection) -> list[int]:
    return [number for (number,) in connection.execute("SELECT number FROM segments ORDER BY number")]


def _begun(connection: sqlite3.Connection, limit: int) -> list[int]:
    """Return the segments, the last with room for more."""
    segments = _segments(connection)
    (size,) = connection.execute("SELECT bytes FROM segments WHERE number = ?", (segments[-1],)).fetchone()
    if size * SEGMENTS >= limit:
        segments.append(segments[-1] + 1)
        _begin(connection, segments[-1])
    return segments


def _begin(connection: sqlite3.Connection, segment: int) -> None:
    connection.execute("INSERT INTO segments VALUES (?, 0)", (segment,))


def _volume(connection: sqlite3.Connection, volume_id: str) -> int:
    connection.execute("INSERT OR IGNORE INTO volumes (id) VALUES (?)", (volume_id,))
    (number,) = connection.execute("SELECT number FROM volumes WHERE id = ?", (volume_id,)).fetchone()
    return int(number)


def _fill(connection: sqlite3.Connection, identities: Sequence[bytes], checksums: Sequence[int]) -> None:
    connection.execute("DELETE FROM temp.batch")
    bound = {
        "count": len(identities),
        "width": len(identities[0]) if identities else 0,
        "identities": b"".join(identities),
        "checksums": struct.pack(f">{len(checksums)}I", *checksums),
    }
    connection.execute(_FILL, bound)
