"""The durable checksum store: what it keeps, and that whatever happens to it only costs time."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pannier.state.checksum_rows import SLICE
from pannier.state.checksum_store import SqliteChecksums

MIB = 2**20
LIMIT = 64 * MIB


def identity(number: int, width: int = 32) -> bytes:
    return number.to_bytes(width, "big")


@contextlib.contextmanager
def opened(path: Path, limit: int = LIMIT, *, usable: bool = True, **options: object) -> Iterator[SqliteChecksums]:
    """A store for the time of a block."""
    store = SqliteChecksums(path, limit, **options)  # type: ignore[arg-type]
    assert store.open(30) is usable
    try:
        yield store
    finally:
        store.close()


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Python with our source."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_was_put_is_found_after_a_restart_by_volume_and_identity(path: Path) -> None:
    widths = (1, 16, 32, 40)
    with opened(path) as store:
        for width in widths:
            for number in range(100):
                store.put("v", identity(number, width), number * 1_000 + width)
        store.put("other", identity(7), 0xFFFFFFFF)
    with opened(path) as store:
        assert store.recall("v", identity(7)) is None  # which may not look at the disk
        asked = [identity(number, width) for number in range(150) for width in widths]
        random.Random(1).shuffle(asked)
        expected = [n * 1_000 + len(i) if (n := int.from_bytes(i, "big")) < 100 else None for i in asked]
        assert store.get_many("v", asked) == expected
        assert store.get("other", identity(7)) == 0xFFFFFFFF
        assert store.recall("other", identity(7)) == 0xFFFFFFFF
        assert store.get("other", identity(8)) is None
        assert store.get_many("nobody's", asked[:3]) == [None] * 3
        counts = store.counts()
    assert counts is not None
    assert counts.rows == {"v": 400, "other": 1}
    assert path.stat().st_mode & 0o777 == 0o600


def test_more_than_a_slice_is_written_and_found(path: Path) -> None:
    many = 3 * SLICE + 5
    with opened(path) as store:
        for number in range(many):
            store.put("v", identity(number), number)
        assert store.flush()
    with opened(path, remembered=10) as store:
        assert store.get_many("v", [identity(number) for number in range(many + 1)]) == [*range(many), None]


def test_what_waits_is_found_already_and_what_was_forgotten_is_not(path: Path) -> None:
    with opened(path, delay=60.0, remembered=1) as store:
        for number in range(3):
            store.put("v", identity(number), number)
        store.forget("v", identity(1))
        assert store.get_many("v", [identity(n) for n in range(3)]) == [0, None, 2]
        assert store.recall("v", identity(0)) == 0
        assert store.flush()
        assert store.get_many("v", [identity(n) for n in range(3)]) == [0, None, 2]
        store.forget("v", identity(2))
        assert store.get("v", identity(2)) is None
    with opened(path) as store:
        assert store.get_many("v", [identity(n) for n in range(3)]) == [0, None, None]


def test_what_was_flushed_survives_kill_9(path: Path) -> None:
    code = """
        import os, signal, sys
        from pathlib import Path
        from pannier.state.checksum_store import SqliteChecksums
        store = SqliteChecksums(Path(sys.argv[1]), 2**26)
        store.open(30)
        for number in range(10_000):
            store.put("v", number.to_bytes(32, "big"), number)
        assert store.flush()
        store.put("v", b"late", 1)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run(code, path).returncode == -signal.SIGKILL
    with opened(path) as store:
        assert store.get_many("v", [identity(number) for number in range(10_000)]) == list(range(10_000))


def test_two_processes_see_each_others_rows(path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from pannier.state.checksum_store import SqliteChecksums
        store = SqliteChecksums(Path(sys.argv[1]), 2**26)
        store.open(30)
        first = int(sys.argv[2])
        for number in range(first, first + 20_000):
            store.put("v", number.to_bytes(32, "big"), number)
        store.close(60)
    """
    with opened(path) as store:
        store.put("v", identity(999_999), 1)
        command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
        writers = [subprocess.Popen([*command, str(first)]) for first in (0, 20_000)]
        for writer in writers:
            assert writer.wait(60) == 0
        assert store.flush()
        assert store.get_many("v", [identity(n) for n in range(40_000)]) == list(range(40_000))
        store.put("w", identity(1), 5)
        assert store.flush()
        with opened(path) as other:
            assert other.get("w", identity(1)) == 5
            assert other.get("v", identity(999_999)) == 1


def test_many_threads_put_and_ask_at_once(path: Path) -> None:
    wrong: list[tuple[int, int | None]] = []

    def work(first: int) -> None:
        for number in range(first, first + 3_000):
            store.put("v", identity(number), number)
            if (crc32 := store.get("v", identity(number))) != number:
                wrong.append((number, crc32))

    with opened(path, remembered=16, delay=0.0) as store:
        threads = [threading.Thread(target=work, args=(first * 10_000,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert store.flush()
        numbers = [first * 10_000 + n for first in range(4) for n in range(3_000)]
        assert store.get_many("v", [identity(number) for number in numbers]) == numbers


# -- what is bounded


def test_the_file_keeps_to_its_bound_and_the_latest_stay(path: Path) -> None:
    limit, many = 2 * MIB, 120_000
    with opened(path, limit, remembered=10) as store:
        for first in range(0, many, 5_000):
            for number in range(first, first + 5_000):
                store.put("v", struct.pack(">QQQQ", number * 2_654_435_761 % 2**40, number, 0, 0), number)
            store.get_many("v", [struct.pack(">QQQQ", n * 2_654_435_761 % 2**40, n, 0, 0) for n in range(100)])
            assert store.flush()
            assert path.stat().st_size <= limit + MIB // 2
        counts = store.counts()
        assert counts is not None
        assert counts.bytes_used <= limit
        assert counts.rows["v"] > 15_000
        latest = range(many - 5_000, many)
        asked = [struct.pack(">QQQQ", n * 2_654_435_761 % 2**40, n, 0, 0) for n in latest]
        assert store.get_many("v", asked) == list(latest)
        # asked for again and again, these were used lately
        asked = [struct.pack(">QQQQ", n * 2_654_435_761 % 2**40, n, 0, 0) for n in range(100)]
        assert store.get_many("v", asked) == list(range(100))


def test_a_lower_bound_shrinks_the_file(path: Path) -> None:
    with opened(path) as store:
        for first in range(0, 60_000, 10_000):  # more than may wait at once is not kept
            for number in range(first, first + 10_000):
                store.put("v", identity(number), number)
            assert store.flush()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size > 2 * MIB
    with opened(path, MIB) as store:
        for _ in range(20):  # each round gives a part of it back
            store.forget("v", b"x")
            assert store.flush()
        counts = store.counts()
    assert counts is not None
    assert counts.bytes_used <= MIB
    assert counts.bytes_on_disk <= 6 * MIB


def test_the_line_is_bounded(path: Path) -> None:
    path.parent.mkdir()
    path.mkdir()  # nothing can be written
    with opened(path, usable=False) as store:
        for number in range(70_000):
            store.put("v", identity(number), number)
        assert store.waiting <= 20_480
        assert store.dropped >= 70_000 - 20_480
        assert store.recall("v", identity(69_999)) == 69_999


# -- what contradicts


@pytest.mark.parametrize("restarted", [False, True], ids=["in memory", "in the file"])
def test_a_mismatch_is_told_counted_and_heals(path: Path, caplog: pytest.LogCaptureFixture, restarted: bool) -> None:
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(opened(path, names={"v": "photos"}))
        store.put("v", identity(1), 0xAAAAAAAA, b"a.jpg")
        store.put("v", identity(2), 2)
        if restarted:
            stack.close()
            store = stack.enter_context(opened(path, names={"v": "photos"}))
        with caplog.at_level(logging.WARNING):
            store.put("v", identity(1), 0xBBBBBBBB, b"dir/a\n.jpg")
            store.put("v", identity(2), 2)
            assert store.flush()
        assert store.mismatches == 1
    (told,) = [record.getMessage() for record in caplog.records]
    assert r"'dir/a\n.jpg' on volume 'photos'" in told
    assert "aaaaaaaa" in told
    assert "bbbbbbbb" in told
    with opened(path) as store:
        assert store.mismatches == 0
        assert store.get("v", identity(1)) == 0xBBBBBBBB
        counts = store.counts()
    assert counts is not None
    assert counts.mismatches == 1
    assert counts.rows == {"v": 2}


# -- what happens to the file


def _random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(200_000))


def _truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)


@pytest.mark.parametrize("harm", [_random_bytes, _truncated, _overwritten], ids=lambda harm: harm.__name__)
def test_a_broken_file_only_costs_time(path: Path, harm: Callable[[Path], None]) -> None:
    with opened(path) as store:
        for number in range(5_000):
            store.put("v", identity(number), number)
    harm(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    asked = [identity(number) for number in range(5_000)]
    for _ in range(2):  # whoever meets the harm first; the next one finds a sound file
        store = SqliteChecksums(path, LIMIT)
        store.open(30)
        found = store.get_many("v", asked)
        assert all(crc32 in (None, number) for number, crc32 in enumerate(found))
        for number in range(5_000):
            store.put("v", identity(number), number)
        store.flush(20)
        assert store.get_many("v", asked) == list(range(5_000))
        store.close(30)
    with opened(path) as store:
        assert store.flush()
    assert path.with_name(f"{path.name}.corrupt-1").exists()
    assert not path.with_name(f"{path.name}.corrupt-2").exists()


def _directory(path: Path) -> None:
    path.mkdir()


def _anothers(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def _later(path: Path) -> None:
    with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=2")


@pytest.mark.parametrize(
    ("stage", "reason"),
    [(_directory, "not a regular file"), (_anothers, "another program"), (_later, "schema 2")],
    ids=["directory", "another program's", "later version's"],
)
def test_where_no_file_can_be_the_memory_serves_and_it_is_said_once(
    path: Path, caplog: pytest.LogCaptureFixture, stage: Callable[[Path], None], reason: str
) -> None:
    path.parent.mkdir()
    stage(path)
    with caplog.at_level(logging.WARNING), opened(path, usable=False) as store:
        store.put("v", identity(1), 1)
        store.flush(1)
        assert store.get_many("v", [identity(1), identity(2)]) == [1, None]
        assert store.counts() is None
        assert reason in store.reason
    (told,) = [record.getMessage() for record in caplog.records]
    assert "checksums are kept in memory only" in told
    assert path.exists()


def test_a_network_file_system_is_not_used(path: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(b"27 1 0:30 / / rw - nfs4 server:/ rw\n")
    with opened(path, usable=False, mounts=mounts) as store:
        store.put("v", identity(1), 1)
        assert store.get("v", identity(1)) == 1
    assert not path.exists()


def test_a_directory_that_may_not_be_written_leaves_the_memory(tmp_path: Path) -> None:
    # /proc refuses new files to root too
    with opened(Path("/proc/self/checksums.db"), usable=False) as store:
        store.put("v", identity(1), 1)
        assert store.get("v", identity(1)) == 1
        assert store.reason


def test_a_file_that_is_deleted_while_in_use_is_made_again(path: Path) -> None:
    with opened(path, remembered=1) as store:
        store.put("v", identity(1), 1)
        assert store.flush()
        for found in path.parent.glob("*"):
            found.unlink()
        store.put("v", identity(2), 2)
        assert store.flush()
        assert store.get_many("v", [identity(1), identity(2)]) == [None, 2]
    assert path.exists()


def test_a_full_disk_stops_no_one(path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        from pannier.state.checksum_store import SqliteChecksums
        store = SqliteChecksums(Path(sys.argv[1]), 2**26)
        assert store.open(30)
        store.put("v", b"early", 1)
        assert store.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        for number in range(30_000):
            store.put("v", number.to_bytes(32, "big"), number)
        assert not store.flush(20)
        assert store.reason, "nothing was said"
        assert store.get("v", (29_999).to_bytes(32, "big")) == 29_999
        store.close()
    """
    done = run(code, path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("checksums are kept in memory only") == 1
    with opened(path) as store:
        assert store.get("v", b"early") == 1
