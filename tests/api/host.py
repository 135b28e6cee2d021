"""A real server in this process over a volume in upstream's layout on this machine's disk."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pannier.dto.ids import FolderId
from pannier.volumes.folders import folder_path
from pannier.volumes.posix import PosixVolume
from tests.api.live import SECRET, Answer, Live, live

OWNER = "5e67aac8-ba94-470e-a117-2f603ea62b3a"


@dataclass
class Host:
    """A server over a volume in upstream's layout."""

    it: Live
    root: Path

    async def ask(self, method: str, path: str, **body: Any) -> Answer:
        url = self.it.listening.manager_url + path
        return await self.it.ask(method, url, json={"volume": "m", **body}, X_BackendAI_Storage_Auth_Token=SECRET)

    async def ask_for(self, path: str) -> Answer:
        """GET without a body."""
        return await self.it.ask("GET", self.it.listening.manager_url + path, X_BackendAI_Storage_Auth_Token=SECRET)

    def where(self, folder: str) -> Path:
        return self.root / os.fsdecode(folder_path(FolderId.parse(folder)))


@asynccontextmanager
async def served(tmp_path: Path, **settings: Any) -> AsyncIterator[Host]:
    """Run a server over the volume ``tmp_path/volume``."""
    root = tmp_path / "volume"
    root.mkdir()
    volume = PosixVolume("m", root)
    try:
        async with live(tmp_path / "state", volume=volume, **settings) as it:
            yield Host(it, root)
    finally:
        volume.close()


def new_id(scope: str = "user") -> str:
    return f"{scope}:{OWNER}/{uuid.uuid4().hex}"


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("probs/")[2].rpartition("problem:")[2]
