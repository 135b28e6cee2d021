"""What a million files do besides being downloaded: the first byte, and how long others wait meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import clients
from bench.data import DataSet
from bench.pairing import progress
from bench.results import Observation
from bench.servers import pannier

COLD, PLANNED = "first byte, counted at the download", "first byte, counted at minting"
BLOCKED, BLOCKED_IDLE = "longest wait of others", "longest wait of others, idle server beside it"
GROWTH = "memory, growth from idle over minting and a download"


def observe(data: DataSet, scratch: Path, runs: int, small: bool) -> Sequence[Observation]:
    """Measure in separate runs, so that asking others' requests does not disturb the downloads beside peers."""
    runs = min(runs, 5)
    cold, planned, blocked, idle, growth = [], [], [], [], []
    for number in range(runs):
        with (
            pannier(data.folder, scratch) as loaded,
            pannier(data.folder, scratch, name="beside") as beside,
        ):
            process = loaded.process
            process.reset_peak()
            url = loaded.url(".")
            cold.append(clients.first_byte(url))
            with clients.pinging(f"{loaded.client_url}/") as pings, clients.pinging(f"{beside.client_url}/") as quiet:
                clients.discard(url)
            blocked.append(pings.worst())
            idle.append(quiet.worst())
            growth.append(float(process.peak_rss() - process.idle_rss))
        with pannier(data.folder, scratch, count_each_time=False) as shipped:
            planned.append(clients.first_byte(shipped.url(".")))
        progress(f"first byte {cold[-1]:.2f} s, planned {planned[-1]:.3f} s; {number + 1}/{runs}")
    return [
        Observation(name=COLD, unit="s", values=tuple(cold)),
        Observation(name=PLANNED, unit="s", values=tuple(planned)),
        Observation(name=BLOCKED, unit="s", values=tuple(blocked)),
        Observation(name=BLOCKED_IDLE, unit="s", values=tuple(idle)),
        Observation(name=GROWTH, unit="B", values=tuple(growth)),
    ]
