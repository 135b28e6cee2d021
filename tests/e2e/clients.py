"""The clients that people resume with, run as they run them: curl, wget and aria2c."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LIMIT = 60.0
"""Seconds after which a client is taken to hang."""


@dataclass(frozen=True)
class Client:
    """One of them; ``command`` goes on with what is there of ``out``.

    Attributes:
        name: The program.
        trusts: The only certificate that it trusts, where it is to speak TLS.
    """

    name: str
    trusts: Path | None = None

    def command(self, url: str, out: Path, rate: str | None = None) -> list[str]:
        match self.name:
            case "curl":
                limit = ["--limit-rate", rate] if rate else []
                limit += ["--cacert", str(self.trusts)] if self.trusts else []
                return ["curl", "-q", "-sS", "--fail", "-C", "-", *limit, "-o", str(out), url]
            case "wget":
                limit = [f"--limit-rate={rate}"] if rate else []
                limit += [f"--ca-certificate={self.trusts}"] if self.trusts else []
                return ["wget", "--no-config", "-nv", "-c", "--tries=1", *limit, "-O", str(out), url]
            case "aria2c":
                limit = [f"--max-download-limit={rate}"] if rate else []
                limit += [f"--ca-certificate={self.trusts}"] if self.trusts else []
                options = "--no-conf -x4 -s4 -k1M -c --file-allocation=none --disk-cache=0 --auto-save-interval=1"
                tries = ["--max-tries=2", "--retry-wait=0", "--auto-file-renaming=false"]
                return ["aria2c", *options.split(), *tries, *limit, "-d", str(out.parent), "-o", out.name, url]
            case _:
                raise ValueError(self.name)

    def run(self, url: str, out: Path) -> Ended:
        """Run it to its end."""
        return run(self.command(url, out))

    @contextmanager
    def running(self, url: str, out: Path, rate: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run it in the background, slowly; what still runs at the end is killed."""
        command = self.command(url, out, rate)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Ended:
    """How a client ended."""

    code: int
    said: str


CURL, WGET, ARIA2C = Client("curl"), Client("wget"), Client("aria2c")
CLIENTS = (CURL, WGET, ARIA2C)


def run(command: list[str]) -> Ended:
    """Run a client to its end, and return its exit code and all that it said."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        timeout=LIMIT,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(errors="replace"))


def environment() -> dict[str, str]:
    """Return the environment without the proxies of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def have(out: Path) -> int:
    """Return how many bytes of a download are there, holes not counted."""
    try:
        status = out.stat()
    except FileNotFoundError:
        return 0
    return min(status.st_size, status.st_blocks * 512)


def wait_for(out: Path, size: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a download has come so far; False if its client ended before."""
    deadline = time.monotonic() + LIMIT
    while have(out) < size:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline, f"{have(out)} of {size} bytes have come in {LIMIT} s"
        time.sleep(0.005)
    return True
