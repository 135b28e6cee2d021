"""A real server over a volume that is slow where names say so. A program: ``slow_server.py serve PATH --state DIR …``.

A name that holds ``list=0.2`` is a directory that takes 0.2 s to list; ``look=0.1`` takes that long to look up;
``read=0.5`` is a file of which each MiB takes that long to read, though not where its descriptor is read directly, as
senders do; ``piped`` has none.

At SIGUSR1 it writes what its event loop has to do to ``census.json`` in its state folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from pannier import logs
from pannier.config import Address, load
from pannier.dto.ids import FolderId
from pannier.listeners import Listening
from pannier.parts import ServedFolder, open_volumes
from pannier.server import Server
from pannier.volumes.base import Folder, Found, Listing, Source, Volume, WholeReader
from pannier.volumes.whole import OpeningReader

_SECRET = "a secret of tests, which open nothing that is not theirs"


def _wait(what: bytes, path: bytes, times: float = 1) -> None:
    for found in re.findall(what + rb"=(\d+(?:\.\d+)?)", path):
        time.sleep(float(found) * times)


class SlowSource:
    """A file that is slow to read."""

    def __init__(self, source: Source, path: bytes) -> None:
        self._source, self._path = source, path

    def read(self, offset: int, length: int) -> bytes:
        _wait(b"read", self._path, length / 2**20)
        return self._source.read(offset, length)

    def check(self) -> None:
        self._source.check()

    def changed_ns(self) -> int | None:
        return self._source.changed_ns()

    def fileno(self) -> int | None:
        return None if b"piped" in self._path else self._source.fileno()

    def close(self) -> None:
        self._source.close()


class SlowFolder:
    """A folder that is slow to walk."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        _wait(b"look", path)
        return self._folder.lookup(path, follow=follow)

    def scan(self, source: bytes) -> Listing:
        _wait(b"list", os.path.basename(source))
        return self._folder.scan(source)

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        return self._folder.identities(source, names)

    def open(self, source: bytes, identity: bytes, path: bytes) -> SlowSource:
        return SlowSource(self._folder.open(source, identity, path), source)

    def whole_reader(self) -> WholeReader:
        return OpeningReader(self)

    def close(self) -> None:
        self._folder.close()


class SlowVolume:
    """A volume whose names say how slow it is."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume

    @property
    def name(self) -> str:
        return self._volume.name

    @property
    def id(self) -> str:
        return self._volume.id

    @property
    def identity_scheme(self) -> str:
        return self._volume.identity_scheme

    @property
    def clock_granularity_ns(self) -> int:
        return self._volume.clock_granularity_ns

    def now_ns(self) -> int:
        return self._volume.now_ns()

    def folder(self, folder: FolderId) -> SlowFolder:
        return SlowFolder(self._volume.folder(folder))

    def close(self) -> None:
        self._volume.close()


def _census(path: Path) -> None:
    """Write the tasks of the running loop, by what they run."""
    names = sorted(str(getattr(task.get_coro(), "__qualname__", task)) for task in asyncio.all_tasks())
    new = path.with_suffix(".new")
    new.write_text(json.dumps(names))
    new.rename(path)


def _tell(path: Path, listening: Listening, folder: ServedFolder) -> None:
    told = {"client_url": listening.client_url, "manager_url": listening.manager_url, "manager_secret": _SECRET}
    folders = [{"volume": folder.name, "folder_id": str(folder.folder_id)}]
    new = path.with_name(".new")
    new.write_text(json.dumps({**told, "pid": os.getpid(), "folders": folders}))
    new.rename(path)


async def _serve(server: Server, state: Path, folder: ServedFolder) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, _census, state / "census.json")
    listening = await server.start()
    running = state / "serve-slow.json"
    try:
        _tell(running, listening, folder)
        await stop.wait()
        await server.drain(5)
    finally:
        running.unlink()
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--manager-port", type=int, required=True)
    parser.add_argument("--config", type=Path)
    given = parser.parse_args()
    given.state.mkdir(mode=0o700, exist_ok=True)
    settings = load(
        given.config,
        state={"path": given.state},
        storage_proxy={"secret": _SECRET, "session_expire": 3600},
        api={
            "client": {"service_addr": Address("127.0.0.1", given.port)},
            "manager": {"service_addr": Address("127.0.0.1", given.manager_port), "secret": _SECRET},
        },
    )
    logs.configure(settings.log.level, "json")
    folder = ServedFolder("slow", given.path, FolderId(None, uuid.uuid5(uuid.NAMESPACE_URL, str(given.path))))
    volumes = {name: SlowVolume(volume) for name, volume in open_volumes(settings, [folder]).items()}
    try:
        asyncio.run(_serve(Server(settings, volumes, internal=False), given.state, folder))
    finally:
        for volume in volumes.values():
            volume.close()


if __name__ == "__main__":
    main()
