"""A real server in this process: real listeners on free ports, over a memory volume."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pannier.config import Settings, load
from pannier.dto.ids import FolderId
from pannier.listeners import Listening
from pannier.server import Server
from pannier.volumes.base import Volume
from pannier.volumes.memory import MemoryVolume

FOLDER = FolderId(None, uuid.UUID(int=11))
KEY = "k" * 32
SECRET = "manager-secret-of-this-test-32-by"
MINT = "/folder/file/archive-download-token"
PLAN = "/folder/file/archive-plan"


@dataclass
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any


def gist(answer: Answer) -> str:
    """What an answer is, in a few words."""
    if answer.status in (200, 206):
        return str(answer.status)
    if answer.status == 304:
        return "304"
    return f"{answer.status} {answer.json['type'].rpartition(':')[2]}"


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what a thread or another task brings about."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a thread sets no asyncio.Event
            await asyncio.sleep(0.01)


@dataclass
class Live:
    """A running server and a client of it."""

    server: Server
    listening: Listening
    memory: MemoryVolume
    session: aiohttp.ClientSession
    settings: Settings

    async def ask(self, method: str, url: str, *, json: Any = None, data: Any = None, **headers: str) -> Answer:
        """Send a request; underscores in header names stand for hyphens."""
        wire = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, url, json=json, data=data, headers=wire) as response:
            body = await response.read()
            is_json = response.content_type in ("application/json", "application/problem+json")
            parsed = await response.json(content_type=None) if is_json and body else None
            return Answer(response.status, response.headers, body, parsed)

    async def manage(self, path: str, body: Any, **headers: str) -> Answer:
        """POST to the manager-facing listener, with the secret."""
        return await self.ask(
            "POST", self.listening.manager_url + path, json=body, X_BackendAI_Storage_Auth_Token=SECRET, **headers
        )

    def order(self, *files: str, **more: Any) -> dict[str, Any]:
        """A body that asks for a token or a plan."""
        return {"volume": "m", "virtual_folder_id": str(FOLDER), "files": list(files) or ["."], **more}

    async def mint(self, *files: str, **more: Any) -> str:
        """Return a token."""
        answer = await self.manage(MINT, self.order(*files, **more))
        assert answer.status == 200, answer.json
        return str(answer.json["token"])

    def url(self, token: str) -> str:
        return f"{self.listening.client_url}/download-archive?token={token}"

    async def get(self, token: str, **headers: str) -> Answer:
        """Spend a token."""
        return await self.ask("GET", self.url(token), **headers)

    def write(self, path: str, data: bytes, **more: Any) -> None:
        self.memory.write(FOLDER, path.encode(), data, **more)


@asynccontextmanager
async def live(state: Path, *, volume: Volume | None = None, **settings: Any) -> AsyncIterator[Live]:
    """Run a server; ``settings`` are those of the file, nested by field names."""
    memory = MemoryVolume("m")
    memory.make_folder(FOLDER)
    free = {"host": "127.0.0.1", "port": 0}
    api = settings.pop("api", {})
    loaded = load(
        None,
        storage_proxy={"secret": KEY, "session_expire": "1h", **settings.pop("storage_proxy", {})},
        api={
            "client": {"service_addr": free, **api.get("client", {})},
            "manager": {"service_addr": free, "internal_addr": free, "secret": SECRET},
        },
        state={"path": state},
        # helper processes are tested beside what they help: most tests are about other things
        archive={"helpers": 0, **settings.pop("archive", {"plan_fresh_min": 0, "plan_fresh_max": 0})},
        **settings,
    )
    server = Server(loaded, {"m": volume or memory})
    listening = await server.start()
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            yield Live(server, listening, memory, session, loaded)
    finally:
        await server.stop()
