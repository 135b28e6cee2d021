"""A `pannier proxy` whose system calls can be made to fail, and what is looked at after each failure."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.proxying import FOLDER, FOLDER_PATH, Proxy, proxying, toml
from tests.faults.tracing import failed, failing

LIMIT = 30.0
"""Seconds after which an answer is taken never to come."""
LARGE = 700_000
NEVER_FRESH = """
[archive]
helpers = 0
plan-fresh-min = 0
plan-fresh-max = 0
background-hash-linger = 0
"""


@dataclass(frozen=True)
class Answer:
    """What came of a request: a status of 0 says that the connection broke, and ``body`` is what came before."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool = False

    @property
    def problem(self) -> str:
        """The end of a problem's type."""
        try:
            told = str(json.loads(self.body).get("type", ""))
        except ValueError:
            return ""
        return told.rpartition("/")[2].rpartition(":")[2]


class Served:
    """The server, its volume, and one folder in it."""

    def __init__(self, proxy: Proxy, root: Path) -> None:
        self.proxy, self.root, self.folder = proxy, root, root / FOLDER_PATH
        self.sessions: dict[str, str] = {}
        """Of links that were made here, by their URLs."""

    def ask(self, url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Ask, and take what comes of an answer that breaks off."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Answer(response.status, told, response.read())
            except http.client.IncompleteRead as error:
                return Answer(response.status, told, error.partial, broken=True)
            except ConnectionResetError:
                return Answer(response.status, told, b"", broken=True)
        except (ConnectionError, http.client.BadStatusLine):
            return Answer(0, {}, b"", broken=True)
        finally:
            connection.close()

    def manage(self, path: str, method: str = "POST", **body: Any) -> Answer:
        answer = self.proxy.manage(path, {"volume": "local", **body}, method=method)
        return Answer(answer.status, answer.headers, answer.body)

    def at(self, operation: str, **body: Any) -> Answer:
        """Ask for an operation on the folder's files."""
        return self.manage(f"/folder/file/{operation}", vfid=FOLDER, **body)

    def archive(self, *files: str, **more: Any) -> str:
        """Return the URL of an archive."""
        minted = self.proxy.mint(*(files or (".",)), **more)
        url = self.proxy.archive(minted["token"])
        self.sessions[url] = minted["session"]
        return url

    def session(self, url: str) -> Answer:
        """Ask the manager's side for a link's session."""
        answer = self.proxy.manage(f"/sessions/{self.sessions[url]}", method="GET")
        return Answer(answer.status, answer.headers, answer.body)

    def told(self, url: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until what is told of a link's session is so: what happened last is written about once a second."""
        deadline = time.monotonic() + LIMIT
        while not condition(told := self.proxy.manage(f"/sessions/{self.sessions[url]}", method="GET").document):
            assert time.monotonic() < deadline, told
            time.sleep(0.02)
        return told

    def told_well(self, url: str, state: str) -> dict[str, Any]:
        """Wait until a link's session is in this state; that nothing has failed is part of it."""
        told = self.told(url, lambda told: told["state"] == state)
        assert told["failure"] is None, told
        return told

    def upload(self, relpath: str, size: int) -> str:
        """Begin an upload and return its URL."""
        token = json.loads(self.at("upload", relpath=relpath, size=size).body)["token"]
        return f"{self.proxy.said('client')}/upload?token={token}"

    def patch(self, url: str, offset: int, data: bytes) -> Answer:
        kind = "application/offset+octet-stream"
        return self.ask(url, "PATCH", data, Upload_Offset=str(offset), Tus_Resumable="1.0.0", Content_Type=kind)

    def offset(self, url: str) -> int:
        answer = self.ask(url, "HEAD")
        assert answer.status == 200, answer
        return int(answer.headers["upload-offset"])

    @contextmanager
    def failing(self, calls: str, error: str, *paths: Path, first: int = 1) -> Iterator[list[str]]:
        """Have system calls fail; the list is filled with those that did, at the end of the block."""
        log = self.proxy.home / "strace"
        met: list[str] = []
        with failing(self.proxy.process.pid, calls, error, paths=paths, log=log, first=first):
            yield met
        met += failed(log)

    def wait_for_task(self, task: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until what is told of a background task is so."""
        deadline = time.monotonic() + LIMIT
        while not condition(told := self.proxy.manage(f"/tasks/{task}", method="GET").document):
            assert time.monotonic() < deadline, told
            time.sleep(0.02)
        return told

    def wait_until_clear(self) -> None:
        """Wait until nothing stands aside in the folder's scope."""
        aside = self.root / FOLDER_PATH.partition("/")[0] / ".pannier"
        deadline = time.monotonic() + LIMIT
        while aside.exists():
            assert time.monotonic() < deadline, list(aside.rglob("*"))
            time.sleep(0.02)

    def log_since(self, before: int) -> str:
        return self.proxy.err[before:]

    def descriptors(self) -> int:
        """How many descriptors the server has beside connections that are about to go."""
        return sum(not link.startswith("socket:") for link in self._opened())

    def sockets(self) -> int:
        """How many sockets the server has, connections that are about to go among them."""
        return sum(link.startswith("socket:") for link in self._opened())

    def _opened(self) -> list[str]:
        return [_target(link) for link in Path(f"/proc/{self.proxy.process.pid}/fd").iterdir()]

    def rests(self, descriptors: int) -> None:
        """Wait until it holds no more than it did; nothing that is only ours is left in the folder."""
        deadline = time.monotonic() + LIMIT
        while self.descriptors() > descriptors or (self.folder / ".upload").exists():
            assert time.monotonic() < deadline, sorted(
                map(_target, Path(f"/proc/{self.proxy.process.pid}/fd").iterdir())
            )
            time.sleep(0.02)
        assert not (self.folder / ".upload").exists(), os.listdir(self.folder / ".upload")

    def plant(self) -> None:
        """Have the folder hold what it is to hold."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "dir").mkdir(parents=True)
        (self.folder / "dir" / "below.txt").write_bytes(b"below")
        (self.folder / "small.txt").write_bytes(b"small" * 1_000)
        (self.folder / "large.bin").write_bytes(os.urandom(LARGE))
        (self.folder / "link").symlink_to("dir/below.txt")


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return "socket: gone"


@contextmanager
def served(home: Path, more: str = "", *, volume: Path | None = None) -> Iterator[Served]:
    """Run a proxy over one folder."""
    root = volume or home / "volume"
    root.mkdir(exist_ok=True)
    with proxying(home, toml(root) + NEVER_FRESH + more) as proxy:
        it = Served(proxy, root)
        it.plant()
        yield it
        said = proxy.err
    assert "Traceback" not in said, said
