"""The server that is soaked: it dies and comes back while others ask it, and what they saw of it is written down."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pannier.dto.ids import FolderId
from pannier.volumes.folders import folder_path
from tests.e2e.running import HeldPort

SECRET, MANAGER = "secret-of-the-soaked-server-" + "s" * 16, "manager-of-the-soaked-server-" + "m" * 16
LIMIT = 60.0
"""Seconds without a byte after which a server hangs."""
OWNER = "5e67aac8-ba94-470e-a117-2f603ea62b3a"
_SETTINGS = """
drain-seconds = "5s"
[storage-proxy]
secret = "{secret}"
session-expire = "1d"
[api.client]
service-addr = "127.0.0.1:{client}"
[api.manager]
service-addr = "127.0.0.1:{manager}"
internal-addr = "127.0.0.1:{internal}"
secret = "{manager_secret}"
[volume.local]
backend = "vfs"
path = "{volume}"
[volume.local.options]
clock-granularity = 0.02
[state]
path = "{state}"
[limits]
idle-timeout = "5s"
[archive]
helpers = 1
zero-copy-min-age = "3s"
plan-fresh-min = "1s"
plan-fresh-max = "2s"
background-hash-linger = "3s"
"""


class Gone(Exception):
    """The server was killed or stopped while it was asked: what came of that is not known."""


class Over(Exception):
    """The soak is at its end."""


@dataclass(frozen=True)
class Reply:
    """What came of a request; a body that is not ``complete`` ended before all of it had come, or was left."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    @property
    def document(self) -> dict[str, Any]:
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document

    @property
    def problem(self) -> str:
        try:
            return str(json.loads(self.body).get("type", "")).rpartition("/")[2].rpartition(":")[2]
        except ValueError:
            return ""


class World:
    """A server's home, and what goes on there."""

    def __init__(self, home: Path) -> None:
        self.home, self.volume, self.state = home, home / "volume", home / "state"
        self.volume.mkdir(parents=True)
        self._ports = [HeldPort() for _ in range(3)]
        self.client, self.manager, self.internal = (f"http://127.0.0.1:{port.number}" for port in self._ports)
        self._config = home / "pannier.toml"
        self._config.touch(0o600)
        ports = {"client": self.client, "manager": self.manager, "internal": self.internal}
        self._config.write_text(
            _SETTINGS.format(
                secret=SECRET,
                manager_secret=MANAGER,
                volume=self.volume,
                state=self.state,
                **{name: url.rpartition(":")[2] for name, url in ports.items()},
            )
        )
        self.log = home / "log"
        self.outcomes: Counter[str] = Counter()
        self.violations: list[str] = []
        self.over = threading.Event()
        self.life = 0
        self.began = 0.0
        self._up, self._open = threading.Event(), threading.Event()
        self._open.set()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self.busy = 0
        """Actors that are in the middle of something."""

    # -- the server

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and let everybody ask it once it answers."""
        self.life += 1
        self.began = time.monotonic()
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "pannier", "proxy", "--config", str(self._config)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + LIMIT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start: {self.log.read_text()[-3_000:]}")
            time.sleep(0.05)
        self._up.set()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(urlsplit(self.client).netloc, timeout=LIMIT)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def end(self, number: int) -> None:
        """End it by a signal; from now on nobody is told that it broke off."""
        assert self._process is not None
        self._up.clear()
        self._process.send_signal(number)
        code = self._process.wait(LIMIT)
        if number == signal.SIGTERM and code != 0:
            self.violated("stop", f"it ended with {code}")

    # -- those who ask it

    @contextmanager
    def working(self) -> Iterator[None]:
        """Wait until there is a server to ask, and nobody wants quiet; then do something, and end it.

        Raises:
            Over: The soak ends.
        """
        while True:
            if self.over.is_set():
                raise Over
            self._count(1)
            if self._up.is_set() and self._open.is_set():
                break
            self._count(-1)
            self.over.wait(0.02)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, difference: int) -> None:
        with self._lock:
            self.busy += difference

    def wait_up(self) -> None:
        """Wait until there is a server again, in the middle of something; the soak's end waits for it, too."""
        assert self._up.wait(LIMIT), "the server did not come back"

    def quiet(self, seconds: float) -> bool:
        """Have everybody finish what they are at and wait; whether they did in time."""
        self._open.clear()
        deadline = time.monotonic() + seconds
        while self.busy and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.busy

    def go_on(self) -> None:
        self._open.set()

    def ended(self, outcome: str) -> None:
        """Count how something ended."""
        with self._lock:
            self.outcomes[outcome] += 1

    def violated(self, what: str, why: str) -> None:
        """Write down that something was not as it has to be."""
        with self._lock:
            self.outcomes[f"VIOLATED: {what}"] += 1
            self.violations.append(f"life {self.life}, {time.monotonic() - self.began:.1f} s: {what}: {why}")

    def ask(
        self,
        url: str,
        method: str = "GET",
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        leave_after: int | None = None,
        send_only: int | None = None,
    ) -> Reply:
        """Ask; may leave after so many bytes of the answer, or of its own body.

        Raises:
            Gone: The connection broke because the server was ended.
        """
        life, parts = self.life, urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        named = dict(headers or {})
        connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT)
        try:
            if send_only is not None and body is not None:
                connection.putrequest(method, target)
                for name, value in {**named, "Content-Length": str(len(body))}.items():
                    connection.putheader(name, value)
                connection.endheaders()
                connection.send(body[:send_only])
                return Reply(0, {}, b"", complete=False)
            connection.request(method, target, body, named)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            if leave_after is not None:
                data = b""
                while len(data) < leave_after and (more := response.read(min(65_536, leave_after - len(data)))):
                    data += more
                return Reply(response.status, told, data, complete=False)
            try:
                body = response.read()
                if response.status == 503 and not self._lives(life):
                    raise Gone
                return Reply(response.status, told, body, complete=True)
            except http.client.IncompleteRead as error:
                if not self._lives(life):
                    raise Gone from None
                return Reply(response.status, told, error.partial, complete=False)
            except ConnectionResetError:
                if not self._lives(life):
                    raise Gone from None
                return Reply(response.status, told, b"", complete=False)
        except TimeoutError:
            self.violated("hangs", f"{method} {parts.path}: no byte for {LIMIT:.0f} s")
            raise Gone from None
        except (OSError, http.client.HTTPException) as error:
            if not self._lives(life):
                raise Gone from None
            self.violated("connection", f"{method} {parts.path}: {type(error).__name__}: {error}")
            raise Gone from None
        finally:
            connection.close()

    def _lives(self, life: int) -> bool:
        """Whether the server of a life is still there; waits a moment, as a reset may be seen before its cause."""
        time.sleep(0.05)
        return self.life == life and self._up.is_set()

    def manage(self, path: str, method: str = "POST", **body: Any) -> Reply:
        data = json.dumps({"volume": "local", **body}).encode() if method == "POST" else None
        headers = {"X-BackendAI-Storage-Auth-Token": MANAGER, "Content-Type": "application/json"}
        return self.ask(self.manager + path, method, body=data, headers=headers)

    def mint(self, folder: str, *files: str, **more: Any) -> dict[str, Any] | None:
        """Return the answer to a request for an archive's token; None if its selection is refused."""
        reply = self.manage("/folder/file/archive-download-token", virtual_folder_id=folder, files=files, **more)
        return reply.document if reply.status == 200 else None

    def archive(self, token: str) -> str:
        return f"{self.client}/download-archive?token={token}"

    def new_folder(self) -> tuple[str, Path]:
        """Return the id of a folder that is not there, and where it would be."""
        folder = f"user:{OWNER}/{uuid.uuid4().hex}"
        return folder, self.volume / os.fsdecode(folder_path(FolderId.parse(folder)))

    def slow_socket(self, url: str) -> socket.socket:
        """Ask for something on a socket that takes little, and leave its answer to the caller.

        Raises:
            Gone: There is no server now.
        """
        parts = urlsplit(url)
        client = socket.socket()
        client.settimeout(LIMIT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        try:
            client.connect((parts.hostname, parts.port))
            client.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        except OSError:
            client.close()
            raise Gone from None
        return client

    def leftovers(self) -> list[str]:
        """Return what is only ours and still lies on the volume: unfinished uploads, and what stands aside."""
        staged = [each for each in self.volume.rglob(".upload") for each in each.iterdir()]
        return [str(each.relative_to(self.volume)) for each in (*staged, *self.volume.rglob(".pannier"))]

    def close(self) -> None:
        self.over.set()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for port in self._ports:
            port.close()
        shutil.rmtree(self.home, ignore_errors=True)


def chance_of(seed: int, name: str) -> random.Random:
    return random.Random(f"{seed} {name}")
