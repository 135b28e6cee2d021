"""What a process holds while it has nothing to do, and whether that grows. From /proc; Linux alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

MIB = 1024 * 1024
SETTLING = 10.0
"""Seconds in which connections that were left may go."""


@dataclass(frozen=True)
class Census:
    """What a server and its helper processes hold; descriptors and threads are the server's own."""

    seconds: float
    """Since its start."""
    rss: int
    descriptors: int
    threads: int


def take(pid: int, began: float) -> Census:
    """Count what a process holds now."""
    rss = sum(map(_rss, [pid, *_children(pid)]))
    held = len(os.listdir(f"/proc/{pid}/fd"))
    return Census(time.monotonic() - began, rss, held, len(os.listdir(f"/proc/{pid}/task")))


def take_when_settled(pid: int, began: float, usual: int | None, sleep: Callable[[float], None]) -> Census:
    """Count what a process holds when nobody asks it any more, once its descriptors are as ``usual`` or stay."""
    deadline = time.monotonic() + SETTLING
    while True:
        now = take(pid, began)
        if time.monotonic() > deadline or (usual is not None and now.descriptors <= usual):
            return now
        sleep(0.2)


def growth(taken: Sequence[Census]) -> list[str]:
    """Say what has grown over the second half of a server's life: its last quarter beside the one before.

    The first half is for what has to be learnt: pools of threads fill when they are first needed, caches up to their
    limits, and the heap up to what the most of them have needed at the same time. A little more is no growth, so a life
    of twenty minutes shows what grows by more than about 2 MiB a minute. Fewer than twelve countings tell nothing.
    """
    if len(taken) < 12:
        return []
    late = taken[len(taken) // 2 :]
    before, last = late[: len(late) // 2], late[len(late) // 2 :]
    found = []
    rss = [median(each.rss for each in part) for part in (before, last)]
    if rss[1] > rss[0] * 1.05 + 4 * MIB:
        found.append(f"memory from {rss[0] / MIB:.0f} to {rss[1] / MIB:.0f} MiB")
    for name in ("descriptors", "threads"):
        counts = [median(getattr(each, name) for each in part) for part in (before, last)]
        if counts[1] > counts[0] + 3:
            found.append(f"{name} from {counts[0]:.0f} to {counts[1]:.0f}")
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        found = [Path(f"/proc/{pid}/task/{task}/children").read_text().split() for task in tasks]
    except OSError:
        return []
    return [int(child) for children in found for child in children]


def _rss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
