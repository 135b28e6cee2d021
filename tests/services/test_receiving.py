"""Bytes of an upload that a disk does not keep."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from pannier.dto.uploads import Conflict
from pannier.errors import VolumeFailed
from pannier.services.receiving import Reception
from pannier.streams.workers import Workers
from pannier.volumes.base import Published, StagedUpload
from pannier.volumes.posix import SingleFolderVolume
from tests.dto.examples import FOLDER

MIB = 1024 * 1024
SESSION = b"0123456789abcdef" * 2


class FailingOnce:
    """An upload on a disk that loses pages once: the system tells that to one fsync, and the next finds all well."""

    def __init__(self, staged: StagedUpload) -> None:
        self._staged, self.failed = staged, 0

    @property
    def offset(self) -> int:
        return self._staged.offset

    def cut(self) -> None:
        self._staged.cut()

    def write(self, data: memoryview, at: int) -> None:
        self._staged.write(data, at)

    def commit(self, offset: int) -> None:
        if not self.failed:
            self.failed += 1
            raise VolumeFailed("Input/output error")
        self._staged.commit(offset)

    def note(self) -> bytes:
        return self._staged.note()

    def publish(self, path: bytes, conflict: Conflict) -> Published:
        return self._staged.publish(path, conflict)

    def discard(self) -> None:
        self._staged.discard()


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(MIB)


async def test_what_could_not_be_synced_does_not_count_though_the_next_sync_works(tmp_path: Path) -> None:
    """fsync(2), NOTES: an error is told once, and the pages that it is about are taken for clean."""
    workers = Workers("edit", 2)
    try:
        with closing(SingleFolderVolume("v", tmp_path, FOLDER)) as volume, closing(volume.editor(FOLDER)) as editor:
            editor.stage(SESSION)
            with editor.staged(SESSION, 60) as staged:
                failing = FailingOnce(staged)
                with pytest.raises(VolumeFailed):
                    await Reception(workers, failing, crc=0).take(pieces(70), 100 * MIB)
                assert failing.failed
                assert staged.offset == 0
            assert os.stat(tmp_path / ".upload" / SESSION.decode()).st_size == 0, (
                "nor where its length is all that tells"
            )
            with editor.staged(SESSION, 60) as staged:
                assert staged.offset == 0
                assert await Reception(workers, staged, crc=0).take(pieces(3), 3 * MIB) == 3 * MIB
    finally:
        await workers.close()
