"""Ours: `pannier serve` of this tree, in its environment, as a real process."""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.clients import asked
from bench.complaints import Unavailable
from bench.processes import ServerProcess

_MINT, _PLAN = "/folder/file/archive-download-token", "/folder/file/archive-plan"
_COUNT_EACH_TIME = '[archive]\nplan-fresh-min = "0s"\nplan-fresh-max = "0s"\n'
_LIMIT = 300.0
"""Seconds."""


class Pannier:
    """A running server over one folder."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self._runtime: dict[str, Any] = json.loads(process.told)

    @property
    def client_url(self) -> str:
        return str(self._runtime["client_url"])

    def mint(self, *files: str, **more: Any) -> dict[str, Any]:
        """Ask for a token as a manager does, and return the answer.

        Raises:
            Unavailable: The server refuses the body.
        """
        return self._manage(_MINT, files, more)

    def url(self, *files: str, **more: Any) -> str:
        """Return a download URL, when the count that minting began has ended: each download then counts for itself."""
        minted = self.mint(*files, **more)
        url = self.url_of(minted["token"])
        if minted.get("plan") != "done":
            self.settle(url)
        return url

    def url_of(self, token: str) -> str:
        return f"{self.client_url}/download-archive?token={token}"

    def settle(self, url: str) -> None:
        """Wait until a selection has been counted."""
        with asked(url, method="HEAD") as response:
            if response.status != 200:
                raise Unavailable(f"HEAD was answered {response.status}")
        time.sleep(0.05)

    def _manage(self, path: str, files: tuple[str, ...], more: dict[str, Any]) -> dict[str, Any]:
        folder = self._runtime["folders"][0]
        body = {"volume": folder["volume"], "virtual_folder_id": folder["folder_id"], "files": files or ["."], **more}
        headers = {
            "X-BackendAI-Storage-Auth-Token": self._runtime["manager_secret"],
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(self._runtime["manager_url"] + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_LIMIT) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            asked_for = ", ".join(f"{key}={value}" for key, value in more.items()) or path
            raise Unavailable(f"not supported by this server: {asked_for} was answered {error.code}") from None


@contextmanager
def pannier(
    folder: Path, scratch: Path, *, name: str = "ours", count_each_time: bool = True, more: str = ""
) -> Iterator[Pannier]:
    """Run it with a new state folder until the block ends; one worker process, everything else as shipped.

    Args:
        scratch: Where its state, its log and its settings go; what is left there of an earlier one is removed.
        count_each_time: Each download walks the tree again, as the peers do; otherwise a plan is used again as shipped.
        more: Further settings, in TOML, where not all is to be as shipped.
    """
    state, log = scratch / f"{name}-state", scratch / f"{name}.log"
    shutil.rmtree(state, ignore_errors=True)
    command = [sys.executable, "-m", "pannier", "serve", str(folder), "--state", str(state)]
    command += ["--port", "0", "--manager-port", "0"]
    told = (_COUNT_EACH_TIME if count_each_time else "") + more
    if told:
        settings = scratch / f"{name}.toml"
        settings.touch(0o600)
        settings.write_text(told)
        command += ["--config", str(settings)]

    def ready() -> str | None:
        return next((text for file in state.glob("serve-*.json") if (text := file.read_text())), None)

    try:
        with ServerProcess(command, log, ready) as process:
            yield Pannier(process)
    finally:
        shutil.rmtree(state, ignore_errors=True)
