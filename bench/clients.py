"""Those who fetch, each in a process of its own, every wait bounded."""

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from bench.complaints import Unavailable

_PROGRAMS = Path(__file__).parent / "programs"
_PIECE = 2**20
LIMIT = 1800.0
"""Seconds that one download may take."""


class FetchFailed(Exception):
    """A download did not end as it should have."""


@dataclass(frozen=True)
class Fetched:
    """A download as its client saw it; times from the request, in seconds."""

    seconds: float
    first_byte: float
    wire_bytes: int
    cpu_seconds: float


def discard(url: str) -> Fetched:
    """Fetch with the client that costs least: the kernel drops what comes."""
    return _fetch("discard", url)


def first_byte(url: str) -> float:
    """Return the seconds to the first byte of a body, and fetch no more than that."""
    return _fetch("first", url).first_byte


def copy(url: str) -> Fetched:
    """Fetch with curl, which copies each byte out of the kernel, as real clients do."""
    wanted = "%{json}"
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "--max-time",
        str(LIMIT),
        "-o",
        "/dev/null",
        "-w",
        wanted,
        url,
    ]
    before = _children_cpu()
    done = _run(command)
    seen = json.loads(done)
    # what comes before the request, and its connection, is not the server's
    began = float(seen["time_pretransfer"])
    return Fetched(
        seconds=float(seen["time_total"]) - began,
        first_byte=float(seen["time_starttransfer"]) - began,
        wire_bytes=int(seen["size_download"]),
        cpu_seconds=_children_cpu() - before,
    )


def save(url: str, path: Path) -> int:
    """Fetch into a file, judging the framing strictly, and return the bytes of the body.

    Raises:
        FetchFailed: The body ended early, or the answer was no 200.
    """
    try:
        with asked(url) as response, path.open("wb") as file:
            if response.status != 200:
                raise FetchFailed(f"{response.status} {response.read(500)!r}")
            while piece := response.read(_PIECE):
                file.write(piece)
            return file.tell()
    except http.client.HTTPException as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True)
class Probe:
    """What the answers of a URL promise."""

    length: bool
    ranges: bool


def probe(url: str) -> Probe:
    """Ask for all and read nothing; then for ten bytes in the middle, as a client would that goes on."""
    with asked(url) as whole:
        etag = whole.headers.get("ETag")
        length = whole.headers.get("Content-Length")
    wanted = {"Range": "bytes=100-109"} | ({"If-Range": etag} if etag and not etag.startswith("W/") else {})
    with asked(url, wanted) as part:
        right = (part.headers.get("Content-Range") or "").startswith("bytes 100-109/")
        ranges = part.status == 206 and right and len(part.read(11)) == 10
    return Probe(length is not None, ranges)


@contextmanager
def asked(
    url: str, headers: dict[str, str] | None = None, *, method: str = "GET"
) -> Iterator[http.client.HTTPResponse]:
    """Give an answer, its body unread."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, headers=headers or {})
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


@dataclass
class Pings:
    """Round trips of a tiny request on an idle connection: when each began (CLOCK_MONOTONIC) and how long it took."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def worst(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the longest one that overlapped a time; 0 if there was none."""
        return max((took for when, took in self.samples if when + took >= begin and when <= end), default=0.0)

    def worst_beyond(self, other: Pings, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the most by which one that overlapped a time took longer than all of ``other`` that overlapped it.

        What holds up both is no matter of either.
        """
        return max(
            (
                took - other.worst(when, when + took)
                for when, took in self.samples
                if when + took >= begin and when <= end
            ),
            default=0.0,
        )

    def usual(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Return the median of those that lie in a time; 0 if there are none."""
        inside = [took for when, took in self.samples if when >= begin and when + took <= end]
        return median(inside) if inside else 0.0


@contextmanager
def pinging(url: str, every: float = 0.005) -> Iterator[Pings]:
    """Ask a URL again and again while the block runs; the samples are there when it has ended."""
    pings = Pings()
    command = [sys.executable, "-I", "-S", str(_PROGRAMS / "ping.py"), url, str(every)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise FetchFailed(f"{url} cannot be asked: {process.communicate(timeout=30)[1]}")
            yield pings
            said, complaint = process.communicate(timeout=90)
            if process.returncode:
                raise FetchFailed(f"{url} was asked again and again: {complaint.strip()[-300:]}")
            pings.samples = [(when, took) for when, took in json.loads(said)]
        finally:
            process.kill()


def slowly(urls: Sequence[str], rate: float, limit: float) -> list[dict[str, Any]]:
    """Fetch many URLs at once, each at a number of bytes a second; return what each client saw, in their order."""
    command = [sys.executable, "-I", "-S", str(_PROGRAMS / "slow.py"), str(rate), str(limit)]
    seen: list[dict[str, Any]] = json.loads(_run(command, json.dumps(list(urls)), limit + 60))
    return seen


@dataclass
class Crowd:
    """Clients that are held: what each kept and took is there when the block has ended."""

    seen: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def held(urls: Sequence[str], rate: float) -> Iterator[Crowd]:
    """Hold a client for each URL while the block runs: some silent, some slow (see ``programs/hold.py``)."""
    crowd = Crowd()
    command = [sys.executable, "-I", "-S", str(_PROGRAMS / "hold.py"), str(rate)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(list(urls)) + "\n")
            process.stdin.flush()
            if process.stdout.readline() != "held\n":
                raise FetchFailed(f"not all clients could be held: {process.communicate(timeout=30)[1].strip()[-500:]}")
            yield crowd
            said, complaint = process.communicate("\n", timeout=90)
            if process.returncode:
                raise FetchFailed(f"clients were not held: {complaint.strip()[-500:]}")
            crowd.seen = json.loads(said)
        finally:
            process.kill()


def _fetch(mode: str, url: str) -> Fetched:
    command = [sys.executable, "-I", "-S", str(_PROGRAMS / "fetch.py"), mode, url, str(LIMIT)]
    seen = json.loads(_run(command))
    if seen["status"] != 200 or (mode == "discard" and not seen["complete"]):
        raise FetchFailed(f"status {seen['status']}, {seen['wire_bytes']} bytes, headers {seen['headers']}")
    return Fetched(seen["seconds"], seen["first_byte"], seen["wire_bytes"], seen["cpu_seconds"])


def _run(command: list[str], stdin: str = "", limit: float = LIMIT + 60) -> str:
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=limit, check=False)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"{os.path.basename(command[0])} took longer than {limit:.0f} s") from None
    if done.returncode:
        raise FetchFailed(done.stderr.strip()[-500:])
    return done.stdout


def _children_cpu() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
