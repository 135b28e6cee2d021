"""Many slow clients on cold data: whether all are served byte for byte, at what cost, and how long the loop stalls."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import clients
from bench.data import DataSet, File
from bench.pairing import progress
from bench.results import Observation
from bench.servers import Pannier, pannier
from bench.verifying import check_zip, crc_of

SERVED, CORES, MEMORY = "clients served byte for byte", "server CPU", "memory, most"
START, START_IDLE = "stall while all start", "stall while all start, idle server beside it"
STEADY, STEADY_IDLE = "stall when steady", "stall when steady, idle server beside it"
START_BEYOND = "stall while all start, beyond the idle server's at the moment"
STEADY_BEYOND = "stall when steady, beyond the idle server's at the moment"
FIRST = "first byte, slowest client"
_FILES_EACH = 4
"""About 28 MB: a minute at 500 KB/s. Neighbours share files, so the disk is read once for four of them."""
_SETTLES = 10.0
"""Seconds between a run and what came before it: gigabytes were written and removed to compare what clients received,
and where that was still to be done, runs on a virtual machine had a pause of a tenth of a second two seconds after they
began: in five of nine runs, of the idle server as well; in none of nine since (2026-11-30)."""


@dataclass(frozen=True)
class _Crowd:
    clients: int
    rate: float
    limit: float


def observe(data: DataSet, scratch: Path, runs: int, small: bool) -> Sequence[Observation]:
    """Run the crowd as often as others are paired."""
    crowd = _Crowd(8, 500e3, 60.0) if small else _Crowd(300, 500e3, 300.0)
    seen: list[dict[str, float]] = []
    for number in range(runs):
        if not small:
            os.sync()
            time.sleep(_SETTLES)
        seen.append(_once(data, scratch, crowd))
        stalls = f"stall {seen[-1][START] * 1e3:.0f} ms starting, {seen[-1][STEADY] * 1e3:.0f} ms steady"
        progress(f"{seen[-1][SERVED]:.0f} of {crowd.clients} served; {stalls}; {number + 1}/{runs}")
    units = {SERVED: f"of {crowd.clients}", CORES: "cores", MEMORY: "B"}
    return [
        Observation(name=name, unit=units.get(name, "s"), values=tuple(one[name] for one in seen)) for name in seen[0]
    ]


def _once(data: DataSet, scratch: Path, crowd: _Crowd) -> dict[str, float]:
    files = data.files()
    chosen = [[files[(one + n) % len(files)] for n in range(_FILES_EACH)] for one in range(crowd.clients)]
    with (
        pannier(data.folder, scratch, count_each_time=False) as loaded,
        pannier(data.folder, scratch, name="beside", count_each_time=False) as beside,
    ):
        urls = [_url(loaded, selection) for selection in chosen]
        data.forget_pages()
        process = loaded.process
        process.reset_peak()
        with clients.pinging(f"{loaded.client_url}/") as pings, clients.pinging(f"{beside.client_url}/") as quiet:
            cpu, began = process.cpu_seconds(), time.monotonic()
            got = clients.slowly(urls, crowd.rate, crowd.limit)
            cpu, ended = process.cpu_seconds() - cpu, time.monotonic()
        memory = process.peak_rss()
        served = sum(_is_right(beside, selection, one, scratch) for selection, one in zip(chosen, got, strict=True))
    # all have started when the last one has its first byte; it is steady until the first one ends
    all_started = max((one["first"] or one["ended"] for one in got), default=began)
    first_ended = max(all_started, min((one["ended"] for one in got), default=ended))
    return {
        SERVED: float(served),
        CORES: cpu / (ended - began),
        START: pings.worst(began, all_started),
        START_IDLE: quiet.worst(began, all_started),
        START_BEYOND: pings.worst_beyond(quiet, began, all_started),
        STEADY: pings.worst(all_started, first_ended),
        STEADY_IDLE: quiet.worst(all_started, first_ended),
        STEADY_BEYOND: pings.worst_beyond(quiet, all_started, first_ended),
        MEMORY: float(memory),
        FIRST: max(one["first"] - one["began"] for one in got),
    }


def _url(server: Pannier, selection: list[File]) -> str:
    return server.url(*(file.path for file in selection))


def _is_right(reference: Pannier, selection: list[File], got: dict[str, Any], scratch: Path) -> bool:
    """Compare what a client received with the same archive from a server without load, whose content is checked.

    Raises:
        Wrong: The reference itself is no archive of the files.
    """
    if got["status"] != 200 or not got["complete"]:
        progress(f"not served: status {got['status']}, {got['received']} of {got['length']} bytes {got['failure']}")
        return False
    download = scratch / "download"
    try:
        size = clients.save(_url(reference, selection), download)
        check_zip(download, selection)
        if (size, crc_of(download)) != (got["received"], got["crc"]):
            progress(f"a slow client received other bytes ({got['received']}) than a fast one ({size})")
            return False
    finally:
        download.unlink(missing_ok=True)
    return True
