"""What a peer is. Standard library only: a peer's module is also its program, and runs in the peer's own Python."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bench.complaints import Unavailable
from bench.processes import ServerProcess

ROOT = Path(__file__).parents[2]
AIOHTTP = "aiohttp==3.14.5"
"""What carries the peers that are libraries."""
_INSTALL_LIMIT = 900.0
"""Seconds."""


@dataclass(frozen=True)
class Serving:
    """A running server and where it gives the archive of a part of its folder ("." is the whole folder)."""

    process: ServerProcess
    url: Callable[[str], str]


class Peer:
    """A server to be measured beside.

    Attributes:
        name: As options and results call it.
        title: As the page calls it.
        deflates: It can compress.
        kind: What it sends: "zip", "tar", or "file" as it is.
        large_rate, small_rate, deflate_rate: MB/s of input to expect (large files, small files, compressed), only to
            say beforehand how long a run takes.
    """

    name: str
    title: str
    deflates = False
    kind = "zip"
    large_rate, small_rate, deflate_rate = 1000.0, 100.0, 40.0

    def prepare(self, rooms: Path) -> None:
        """Make what it needs below a folder that is kept.

        Raises:
            Unavailable: It cannot be had on this machine.
        """

    def version(self) -> str:
        """Return its version, once it is prepared."""
        raise NotImplementedError

    @contextmanager
    def serve(self, folder: Path, scratch: Path, *, deflate: bool) -> Iterator[Serving]:
        """Run it over a folder until the block ends; what it writes goes below ``scratch``."""
        raise NotImplementedError
        yield


class LibraryPeer(Peer):
    """A library behind aiohttp, in a virtual environment of its own; the module that defines it is also its program.

    Attributes:
        requirement: What pip installs, with its version.
        others: What it needs besides.
        module: The module to run, with the arguments FOLDER and ``stored`` or ``deflate``.
        python: Version of Python that it needs, such as "3.13"; "": the one that runs the bench.
    """

    requirement: str
    others: tuple[str, ...] = (AIOHTTP,)
    module: str
    python = ""

    def prepare(self, rooms: Path) -> None:
        self._python = environment(rooms, self.name, (self.requirement, *self.others), self.python)

    def version(self) -> str:
        carrier = next((other.replace("==", " ") for other in self.others if other == AIOHTTP), "")
        return self.requirement.partition("==")[2] + (f" behind {carrier}" if carrier else "")

    @contextmanager
    def serve(self, folder: Path, scratch: Path, *, deflate: bool) -> Iterator[Serving]:
        command = [str(self._python), "-m", self.module, str(folder), "deflate" if deflate else "stored"]
        with program(command, scratch / f"{self.name}.log") as serving:
            yield serving


@contextmanager
def program(command: list[str], log: Path) -> Iterator[Serving]:
    """Run a program of this package (see :mod:`bench.peers.serving`), which says its port when it is ready."""

    def ready() -> str | None:
        said = log.read_text(errors="replace") if log.exists() else ""
        return next((line.split()[1] for line in said.splitlines() if line.startswith("listening ")), None)

    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with ServerProcess(command, log, ready, environment=clean, cwd=ROOT) as process:
        port = process.told
        yield Serving(process, lambda part: f"http://127.0.0.1:{port}/archive?part={quote(part)}")


def environment(rooms: Path, name: str, requirements: tuple[str, ...], version: str = "") -> Path:
    """Return the Python of a virtual environment that has these packages; made if it is not there.

    Raises:
        Unavailable: There is no such Python, or the packages cannot be installed.
    """
    base = find_python(version) if version else sys.executable
    key = hashlib.sha256(repr((requirements, base)).encode()).hexdigest()[:8]
    room = rooms / f"{name}-{key}"
    python = room / "bin" / "python"
    if (room / "complete").exists():
        return python
    print(f"  making an environment for {name}: {' '.join(requirements)}", flush=True)
    install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *requirements]
    for command in ([base, "-m", "venv", room], install):
        try:
            done = subprocess.run(
                [str(word) for word in command], capture_output=True, text=True, timeout=_INSTALL_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unavailable("its installation took too long") from None
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
            raise Unavailable(f"it cannot be installed here ({errors[-1][:200]})")
    (room / "complete").touch()
    return python


def find_python(version: str) -> str:
    """Return an interpreter of a version: from the path, or among pyenv's.

    Raises:
        Unavailable: There is none.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}") or "", *map(str, sorted(pyenv.glob(f"{version}*/bin/python3")))]
    for candidate in filter(None, candidates):
        try:
            # pyenv's own commands exist without an interpreter behind them, so each is tried
            asked = [candidate, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
            said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.returncode == 0 and said.stdout.strip() == version:
            return candidate
    raise Unavailable(f"there is no Python {version} here")


def free_port() -> int:
    """Return a port that is free now, for servers that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> Callable[[], str | None]:
    """Return a check that a server is ready: it answers at a URL, whatever it answers."""

    def ready() -> str | None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return url
        except OSError:
            time.sleep(0.05)
            return None
        return url

    return ready
