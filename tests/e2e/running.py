"""A real `pannier` for tests: a process of its own, a folder of its own, real sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self


class HeldPort:
    """A port that the system gives to nobody else until the block ends, whether a server listens there or not.

    A free port that is only looked up may be taken by another test before the server is there, or while it is down.
    And whoever tries a port of this host again and again while nobody listens may be given it for his own end, be
    connected to himself, and keep the server away. Of a socket that is bound and does not listen, Linux lets others
    listen beside it if both have SO_REUSEADDR, which servers have: nginx, Caddy and asyncio.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, 0))
        self.number = int(self._socket.getsockname()[1])

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()


class Pannier:
    """A running ``pannier serve`` over one folder; a context manager that ends it.

    Args:
        folder: The directory it serves.
        state: Its state folder: the same one again is a restart.
        toml: Further settings, as the text of a TOML file (``[archive]``, ``[limits]``, …).
        program: What is run instead of ``python -m pannier`` (tests that slow a volume down start a script of theirs).
    """

    def __init__(
        self,
        folder: Path,
        state: Path,
        *,
        toml: str = "",
        program: Sequence[str] = ("-m", "pannier"),
    ) -> None:
        self.folder, self.state, self._toml, self._program = folder, state, toml, program
        self.log = state.parent / f"{state.name}.log"
        self._held: HeldPort | None = None  # from its first start on it listens at one port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            if self._held is not None:
                self._held.close()

    def start(self) -> None:
        """Start it and wait until it is ready; after a stop, at the same port as before."""
        self._held = self._held or HeldPort()
        command = [sys.executable, *self._program, "serve", str(self.folder), "--state", str(self.state)]
        command += ["--port", str(self.client_port), "--manager-port", "0"]
        if self._toml:
            config = self.state.parent / f"{self.state.name}.toml"
            config.write_text(self._toml)
            command += ["--config", str(config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 90
        while (found := self._find_runtime()) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server did not start: {self.log.read_text()}")
            time.sleep(0.02)
        self._runtime: dict[str, Any] = found

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _find_runtime(self) -> dict[str, Any] | None:
        """Return what this process, of those that share the state folder, says of itself once it is ready."""
        said = [json.loads(path.read_text() or "{}") for path in self.state.glob("serve-*.json")]
        return next((each for each in said if each.get("pid") == self.pid), None)

    @property
    def runtime(self) -> dict[str, Any]:
        """What it says of itself to commands of its user."""
        return self._runtime

    @property
    def client_url(self) -> str:
        return str(self._runtime["client_url"])

    @property
    def client_port(self) -> int:
        assert self._held is not None
        return self._held.number

    def mint(self, *files: str, **more: Any) -> dict[str, Any]:
        """Ask for a token, and return the manager's answer."""
        folder = self._runtime["folders"][0]
        body = {"volume": folder["volume"], "virtual_folder_id": folder["folder_id"], "files": files or ["."], **more}
        return self.manage("/folder/file/archive-download-token", body)

    def at_folder(self, operation: str, **body: Any) -> dict[str, Any]:
        """Ask for an operation on the folder's files, and return the manager's answer."""
        folder = self._runtime["folders"][0]
        wanted = {"volume": folder["volume"], "vfid": folder["folder_id"], **body}
        return self.manage(f"/folder/file/{operation}", wanted)

    def manage(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to the manager API; raises ``urllib.error.HTTPError`` for what is refused."""
        request = urllib.request.Request(
            self._runtime["manager_url"] + path,
            json.dumps(body).encode(),
            {"X-BackendAI-Storage-Auth-Token": self._runtime["manager_secret"], "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answered: dict[str, Any] = json.load(response)
            return answered

    def session(self, id: str, method: str = "GET") -> dict[str, Any]:
        """Ask for a session, or revoke it with DELETE."""
        url = f"{self._runtime['manager_url']}/sessions/{id}"
        headers = {"X-BackendAI-Storage-Auth-Token": self._runtime["manager_secret"]}
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method), timeout=60) as told:
            answered: dict[str, Any] = json.load(told)
            return answered

    def url(self, *files: str, **more: Any) -> str:
        """Return a download URL for a selection."""
        return f"{self.client_url}/download-archive?token={self.mint(*files, **more)['token']}"

    def fetch(self, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET, and return status, headers (lower-case names) and body; refusals too."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        for stale in self.state.glob("serve-*.json"):
            if json.loads(stale.read_text() or "{}").get("pid") == self.pid:
                stale.unlink()

    def stop(self) -> None:
        """End it as an operator would; what it logged must hold no traceback."""
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
            self._process.wait(60)
        assert "Traceback" not in self.log.read_text(), self.log.read_text()
