"""Unfinished uploads of a folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pannier.volumes.staging import Staging

SESSION = b"0" * 32
DAY = 86_400.0


def test_looking_for_old_uploads_takes_no_young_one_from_its_client(tmp_path: Path) -> None:
    """Each upload that begins looks for old ones; the others go on meanwhile."""
    root = os.open(tmp_path, os.O_RDONLY)
    staging = Staging(root)
    staging.create(SESSION)
    over = threading.Event()

    def collect() -> None:
        while not over.is_set():
            staging.collect(DAY)

    collecting = threading.Thread(target=collect)
    collecting.start()
    try:
        for _ in range(3_000):
            with staging.open(SESSION, DAY):  # raises if somebody has it
                pass
    finally:
        over.set()
        collecting.join()
        os.close(root)


def test_old_uploads_are_removed(tmp_path: Path) -> None:
    """Nothing of them stays."""
    root = os.open(tmp_path, os.O_RDONLY)
    staging = Staging(root)
    staging.create(SESSION)
    (staged,) = (tmp_path / ".upload").iterdir()
    staging.collect(DAY)
    assert staged.exists()
    os.utime(staged, (0, 0))
    staging.collect(DAY)
    assert list(tmp_path.iterdir()) == []
    os.close(root)
