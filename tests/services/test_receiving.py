"""Bytes of an upload that a disk does not keep."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from pannier.dto.uploads import Conflict
from pannier.errors import StorageFull, VolumeFailed
from pannier.services.receiving import Reception
from pannier.streams.workers import Workers
from pannier.volumes.base import Published, StagedUpload
from pannier.volumes.posix import SingleFolderVolume
from tests.dto.examples import FOLDER

MIB = 1024 * 1024
SESSION = b"0123456789abcdef" * 2


class Failing:
    """An upload on a disk where one call fails, once: an fsync of which the next finds all well, say; or a slow one."""

    def __init__(self, staged: StagedUpload, *, call: str, error: Exception, at: int = 0, takes: float = 0) -> None:
        self._staged, self._call, self._error, self._left, self._takes = staged, call, error, at, takes
        self.failed = False

    def _try(self, call: str) -> None:
        if call == self._call and not self.failed:
            self._left -= 1
            if self._left < 0:
                self.failed = True
                raise self._error

    @property
    def offset(self) -> int:
        return self._staged.offset

    def cut(self) -> None:
        self._staged.cut()

    def write(self, data: memoryview, at: int) -> None:
        self._try("write")
        time.sleep(self._takes)
        self._staged.write(data, at)

    def sync(self) -> None:
        self._try("sync")
        self._staged.sync()

    def commit(self, offset: int) -> None:
        self._try("commit")
        self._staged.commit(offset)

    def note(self) -> bytes:
        return self._staged.note()

    def publish(self, path: bytes, conflict: Conflict) -> Published:
        return self._staged.publish(path, conflict)

    def discard(self) -> None:
        self._staged.discard()


@contextmanager
def staging(root: Path) -> Iterator[Callable[[], AbstractContextManager[StagedUpload]]]:
    with closing(SingleFolderVolume("v", root, FOLDER)) as volume, closing(volume.editor(FOLDER)) as editor:
        editor.stage(SESSION)
        yield lambda: editor.staged(SESSION, 60)


async def pieces(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * MIB
        await asyncio.sleep(0.001)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    workers = Workers("edit", 3)
    yield workers
    await workers.close()


@pytest.mark.parametrize("call", ["commit", "sync"])
async def test_what_could_not_be_synced_does_not_count_though_the_next_sync_works(
    tmp_path: Path, workers: Workers, call: str
) -> None:
    """fsync(2), NOTES: an error is told once, and the pages that it is about are taken for clean."""
    with staging(tmp_path) as taken:
        with taken() as staged:
            failing = Failing(staged, call=call, error=VolumeFailed("Input/output error"))
            with pytest.raises(VolumeFailed):
                await Reception(workers, failing, crc=0).take(pieces(70), 100 * MIB)
            assert failing.failed
            assert staged.offset == 0
        assert os.stat(tmp_path / ".upload" / SESSION.decode()).st_size == 0, "nor where its length is all that tells"
        with taken() as staged:
            assert staged.offset == 0
            assert await Reception(workers, staged, crc=0).take(pieces(3), 3 * MIB) == 3 * MIB


@pytest.mark.parametrize("at", [0, 1, 5])
async def test_what_comes_behind_a_write_that_failed_takes_no_place_of_it(
    tmp_path: Path, workers: Workers, at: int
) -> None:
    """More comes while a piece is written: none of that is kept where the piece is not."""

    async def ending() -> AsyncIterator[bytes]:
        async for piece in pieces(at + 1):
            yield piece
        yield b"the end"

    with staging(tmp_path) as taken, taken() as staged:
        failing = Failing(staged, call="write", error=StorageFull(), at=at)
        with pytest.raises(StorageFull):
            await Reception(workers, failing, crc=0).take(ending(), 100 * MIB)
        assert staged.offset == at * MIB
        expected = b"".join([piece async for piece in pieces(at)])
        assert (tmp_path / ".upload" / SESSION.decode()).read_bytes() == expected


async def test_whoever_leaves_is_waited_for_and_all_that_came_is_kept(tmp_path: Path, workers: Workers) -> None:
    """A thread that still wrote would do so to a descriptor that is another's by then."""
    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while True:
            async for piece in pieces(10):
                given += 1
                yield piece

    with staging(tmp_path) as taken, taken() as staged:
        slow = Failing(staged, call="write", error=VolumeFailed("never"), at=10**9, takes=0.02)
        going = asyncio.create_task(Reception(workers, slow, crc=0).take(endless(), 10**12))
        while given < 20:  # noqa: ASYNC110 - most of the time it waits for a write
            await asyncio.sleep(0.001)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert staged.offset == given * MIB
        kept = (tmp_path / ".upload" / SESSION.decode()).read_bytes()
        assert len(kept) == staged.offset
        assert all(kept[at] == at // MIB % 10 for at in range(0, len(kept), MIB // 2))
