"""Uploads that nobody goes on with, in all folders of a real volume."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from pannier.dto.ids import FolderId, QuotaScope, ScopeKind
from pannier.services.collecting import Collecting
from pannier.services.places import Places
from pannier.streams.workers import Workers
from pannier.volumes.posix import PosixVolume, SingleFolderVolume

DAY = 24 * 3600.0


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    it = Workers("test", 2)
    yield it
    await it.close()


YOUNG, HELD, OLD, OLDER = (f"{number:032x}" for number in range(4))


def ids(count: int) -> list[FolderId]:
    """Folders of both layouts: in a quota scope, and right below the root."""
    scope = QuotaScope(ScopeKind.USER, uuid.uuid4())
    return [FolderId(scope if number % 2 else None, uuid.uuid4()) for number in range(count)]


def begin(volume: PosixVolume, folder: FolderId, name: str, age: float) -> None:
    with closing(volume.editor(folder)) as editor:
        editor.stage(name.encode())
        with editor.staged(name.encode(), DAY) as upload:
            upload.write(memoryview(b"data"), 0)
            upload.commit(4)
    (staged,) = Path(volume.path).rglob(f".upload/{name}")
    os.utime(staged, (time.time() - age, time.time() - age))


def left(root: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in root.rglob(pattern))


async def test_what_is_too_old_goes_from_every_folder_and_the_rest_stays(tmp_path: Path, workers: Workers) -> None:
    with closing(PosixVolume("m", tmp_path)) as volume:
        folders = ids(150)  # more than are looked at in one go
        for folder in folders:
            volume.make_folder(folder, 0o755, make_scope=True)
            begin(volume, folder, uuid.uuid4().hex, DAY + 60)
        begin(volume, folders[0], YOUNG, DAY - 60)
        begin(volume, folders[1], HELD, DAY + 60)
        (tmp_path / "not-a-folder" / ".upload").mkdir(parents=True)
        (tmp_path / "not-a-folder" / ".upload" / OLD).write_text("not ours")
        with closing(volume.editor(folders[1])) as editor, editor.staged(HELD.encode(), 2 * DAY):
            await Collecting(Places({"m": volume}), workers, lifetime=DAY).round()
        assert left(tmp_path, ".upload/*") == [YOUNG, HELD, OLD]
        assert len(left(tmp_path, ".upload")) == 3  # the empty ones went too


async def test_a_round_comes_by_itself_and_outlives_a_folder_that_vanished(tmp_path: Path, workers: Workers) -> None:
    folder = FolderId(None, uuid.uuid4())
    (tmp_path / "there").mkdir()
    (tmp_path / "gone").mkdir()
    with (
        closing(SingleFolderVolume("a", tmp_path / "gone", folder)) as gone,
        closing(SingleFolderVolume("b", tmp_path / "there", folder)) as there,
    ):
        begin(there, folder, OLD, DAY + 60)
        (tmp_path / "gone").rmdir()
        collecting = Collecting(Places({"a": gone, "b": there}), workers, lifetime=DAY, first=0.01, every=0.01)
        collecting.start()
        deadline = time.monotonic() + 20
        while list((tmp_path / "there").iterdir()):
            assert time.monotonic() < deadline
            await workers.run(time.sleep, 0.01)
        begin(there, folder, OLDER, DAY + 60)
        while list((tmp_path / "there").iterdir()):
            assert time.monotonic() < deadline
            await workers.run(time.sleep, 0.01)
        await collecting.close()
        await collecting.close()
