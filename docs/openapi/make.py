"""Writes the OpenAPI documents beside this file, as a server with its default settings serves them: `make openapi`."""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request
import uuid
from pathlib import Path

from pannier import logs
from pannier.config import load
from pannier.desk.door import Served
from pannier.dto.ids import FolderId
from pannier.parts import DeskSettings
from pannier.server import Server
from pannier.volumes.memory import MemoryVolume

HERE = Path(__file__).parent


async def main() -> None:
    free = {"host": "127.0.0.1", "port": 0}
    desk = DeskSettings([Served("trip", "m", FolderId(None, uuid.UUID(int=7)))])
    with tempfile.TemporaryDirectory() as state:
        settings = load(
            None,
            storage_proxy={"secret": "x" * 32, "session_expire": "1h"},
            api={
                "client": {"service_addr": free},
                "manager": {"service_addr": free, "internal_addr": free, "secret": "x" * 32},
            },
            state={"path": Path(state)},
        )
        for name, front in (("client", None), ("desk", desk)):
            server = Server(settings, {"m": MemoryVolume("m")}, desk=front)
            listening = await server.start()
            try:
                await asyncio.to_thread(fetch, name, listening.client_url, {})
                if front is None:
                    secret = {"X-BackendAI-Storage-Auth-Token": "x" * 32}
                    await asyncio.to_thread(fetch, "manager", listening.manager_url, secret)
            finally:
                await server.stop()


def fetch(name: str, url: str, headers: dict[str, str]) -> None:
    request = urllib.request.Request(f"{url}/openapi.json", headers=headers)  # noqa: S310 - of the server above
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        (HERE / f"{name}.json").write_bytes(answer.read())


logs.configure("error", "text")
asyncio.run(main())
