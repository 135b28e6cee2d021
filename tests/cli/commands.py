"""Commands as a person runs them: real processes, real pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent.parent
LIMIT = 30.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment with a home of its own and no setting of the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PANNIER_", "XDG_"))}
    paths = os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])
    return {**kept, "HOME": str(home), "PYTHONPATH": paths, "PYTHONUTF8": "1", "COLUMNS": "100", **more}


def pannier(
    *arguments: str | Path,
    home: Path,
    module: str = "pannier",
    cwd: Path | None = None,
    encoding: str = "utf-8",
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; no outcome may be a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=environment(home, **more),
        cwd=cwd or home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding=encoding,
        errors="surrogateescape",
        timeout=LIMIT,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@dataclass
class Server:
    """A ``pannier serve`` that runs, before the stand-in."""

    process: subprocess.Popen[str]
    home: Path
    state: Path

    def runtime_file(self) -> Path | None:
        """Return the runtime file, if there is one."""
        return next(iter(self.state.glob("serve-*.json")), None)

    def runtime(self) -> dict[str, Any]:
        """Return what the runtime file says."""
        path = self.runtime_file()
        assert path is not None
        document = json.loads(path.read_text())
        assert isinstance(document, dict)
        return document

    def link(self, *arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Run ``pannier link`` against it."""
        return pannier("link", *arguments, home=self.home, cwd=cwd, **more)

    def stop(self) -> tuple[str, str]:
        """Stop it by a signal and return what it wrote."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=LIMIT)


@contextmanager
def serving(home: Path, *arguments: str | Path, state: Path | None = None) -> Iterator[Server]:
    """Run ``pannier serve`` on free ports until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.fake_server", "serve", "--port", "0", "--manager-port", "0"]
        + [str(argument) for argument in arguments],
        env=environment(home),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    server = Server(process, home, state or home / ".local" / "state" / "pannier")
    try:
        until = time.monotonic() + LIMIT
        while server.runtime_file() is None and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        assert server.runtime_file() is not None, process.communicate(timeout=LIMIT)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT)
