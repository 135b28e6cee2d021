"""A real server in this process over a folder on this machine's disk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import FOLDER, Answer, Live, live


@dataclass
class Disk:
    """The server and the directory of its folder; ``outside`` lies beside it, where nothing may ever happen."""

    it: Live
    root: Path
    outside: Path

    async def ask(self, operation: str, **body: Any) -> Answer:
        """Ask for a file operation as the manager does."""
        wanted = {"volume": "m", "vfid": str(FOLDER), **body}
        return await self.it.manage(f"/folder/file/{operation}", wanted)

    def tree(self) -> dict[str, str]:
        """Everything in the folder: a file's content, a link's target, and what directories are."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = os.fsencode(path.relative_to(self.root)).decode("utf-8", "backslashreplace")
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            else:
                found[name] = "directory" if path.is_dir() else path.read_text()
        return found


@asynccontextmanager
async def disk(tmp_path: Path, **settings: Any) -> AsyncIterator[Disk]:
    """Run a server over ``tmp_path/folder``."""
    root, outside = tmp_path / "folder", tmp_path / "outside"
    root.mkdir(exist_ok=True)  # where a server was before
    outside.mkdir(exist_ok=True)
    (outside / "kept").write_text("kept")
    volume = SingleFolderVolume("m", root, FOLDER)
    try:
        async with live(tmp_path / "state", volume=volume, **settings) as it:
            yield Disk(it, root, outside)
    finally:
        volume.close()
    assert {path.name for path in outside.iterdir()} == {"kept"}
    assert (outside / "kept").read_text() == "kept"
