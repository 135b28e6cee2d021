"""What surrounds a measurement: the machine, who else used it, and how fast it was just then."""

from __future__ import annotations

import os
import platform
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pannier
from bench.results import Machine

_TICK = os.sysconf("SC_CLK_TCK")
_CALIBRATION = bytes(range(256)) * 4096


@dataclass(frozen=True)
class Usage:
    """CPU time of the whole machine since it started, in seconds."""

    when: float
    busy: float
    steal: float


def usage() -> Usage:
    """Return what the machine's cores have done so far."""
    user, nice, system, _, _, irq, softirq, steal = _cpu_ticks()
    return Usage(time.monotonic(), (user + nice + system + irq + softirq) / _TICK, steal / _TICK)


def disturbance(before: Usage, after: Usage, known: float) -> tuple[float, float]:
    """Return the cores that others used between two looks, and the share of all cores that was stolen.

    Args:
        known: Seconds of CPU time that the measured processes used.
    """
    seconds = max(after.when - before.when, 1e-6)
    others = max(0.0, after.busy - before.busy - known) / seconds
    return others, (after.steal - before.steal) / seconds / (os.cpu_count() or 1)


def calibrate() -> float:
    """Return the seconds of a fixed piece of work: its spread over a scenario is the machine's own."""
    began = time.perf_counter()
    crc = 0
    for _ in range(64):
        crc = zlib.crc32(_CALIBRATION, crc)
    total = 0
    for number in range(300_000):
        total += number
    return time.perf_counter() - began


def machine() -> Machine:
    """Describe this machine."""
    processor = next((line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    memory = next((int(line.split()[1]) * 1024 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        system = platform.system()
    congestion = ""
    with suppress(OSError):  # another system
        congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text()
    return Machine(
        cores=os.cpu_count() or 1,
        processor=processor or platform.machine(),
        memory=memory,
        kernel=f"{platform.system()} {platform.release()}",
        system=system,
        python=platform.python_version(),
        pannier=pannier.__version__,
        congestion=congestion.strip(),
    )


def _cpu_ticks() -> list[int]:
    return [int(field) for field in _lines("/proc/stat")[0].split()[1:9]]


def _lines(path: str) -> list[str]:
    return Path(path).read_text(errors="replace").splitlines()
