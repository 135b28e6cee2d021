"""Clients that hold their connections and do little: what each costs, and what the others feel of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench import clients
from bench.data import DataSet
from bench.pairing import progress
from bench.results import Observation
from bench.servers import pannier

HELD, EACH, STALL, STALL_IDLE = (
    "clients held to the end",
    "memory for each client",
    "stall while they are held",
    "stall meanwhile, idle server beside it",
)
_START = "stall while they all begin"
_TINY, _TINY_HELD = "tiny request, median, before", "tiny request, median, while they are held"
_SMALL, _SMALL_HELD = (
    "download of one small file, median, before",
    "download of one small file, median, while they are held",
)
_A_TOKEN = 40
"""Clients of one link; fewer than a token may have streams."""
_HELD = '[limits]\nidle-timeout = "15m"\n'
"""As shipped, those that ask nothing are let go after 75 s, which is less than a slow machine takes for all this."""
_RATE = 2_000.0
"""Bytes a second of the slow ones: far above what counts as none."""


def observe(data: DataSet, scratch: Path, runs: int, small: bool) -> Sequence[Observation]:
    """Hold them up to three times."""
    number, seconds = (40, 2.0) if small else (1_000, 60.0)
    seen: list[dict[str, float]] = []
    for _ in range(min(runs, 3)):
        seen.append(_once(data, scratch, number, seconds))
        one = seen[-1]
        progress(f"{one[HELD]:.0f} of {number} held, {one[EACH]:.1f} KiB each, stall {one[STALL] * 1e3:.0f} ms")
    units = {HELD: f"of {number}", EACH: "KiB"}
    return [
        Observation(name=name, unit=units.get(name, "s"), values=tuple(one[name] for one in seen)) for name in seen[0]
    ]


def _once(data: DataSet, scratch: Path, number: int, seconds: float) -> dict[str, float]:
    files = data.files()
    largest = max(files, key=lambda file: file.size).path
    with (
        pannier(data.folder, scratch, count_each_time=False, more=_HELD) as ours,
        pannier(data.folder, scratch, name="beside", count_each_time=False) as beside,
    ):
        links = [ours.url(largest) for _ in range(-(-number // _A_TOKEN))]
        urls = [links[at // _A_TOKEN] for at in range(number)]
        small = ours.url(min(files, key=lambda file: file.size).path)
        with clients.pinging(f"{ours.client_url}/") as pings, clients.pinging(f"{beside.client_url}/") as quiet:
            began = time.monotonic()
            small_before = _downloads(small, min(seconds, 10.0))
            before = ours.process.rss()
            starting = time.monotonic()
            with clients.held(urls, _RATE) as crowd:
                holding = time.monotonic()
                small_held = _downloads(small, seconds)
                memory = ours.process.rss()
                ended = time.monotonic()
    return {
        HELD: float(sum(one["open"] for one in crowd.seen)),
        EACH: round((memory - before) / number / 1024, 1),
        _START: pings.worst(starting, holding),
        STALL: pings.worst(holding, ended),
        STALL_IDLE: quiet.worst(holding, ended),
        _TINY: pings.usual(began, starting),
        _TINY_HELD: pings.usual(holding, ended),
        _SMALL: small_before,
        _SMALL_HELD: small_held,
    }


def _downloads(url: str, seconds: float) -> float:
    """Download again and again for some time, and return the median of what one took."""
    took, until = [clients.discard(url).seconds], time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.2)
        took.append(clients.discard(url).seconds)
    return median(took)
