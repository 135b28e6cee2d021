"""Many downloads from a volume that breaks by seeded schedules: how many ended how, by cause. None may be wrong.

Run it from the project's folder: ``python -m tests.faults.many [DOWNLOADS] [SEED] 2>/dev/null``; downloads that meet
none of their faults come beside those. It prints a table, and exits with 1 if a complete answer held wrong or too few
bytes, or if anything came but a right answer, a refusal that tells why, or a connection that broke.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pannier import logs
from tests.faults.trials import Outcome, by_chance, said, trials

_CHUNK = 500
"""Downloads from one server; the next begins anew, with its plans taken for fresh or not in turns."""


def gist(outcome: Outcome) -> str:
    match outcome.kind:
        case "right":
            return f"complete and right ({outcome.status})"
        case "refused":
            return f"refused: {outcome.status} {outcome.problem}"
        case "broken":
            return f"broken off: {outcome.cause or 'cause unknown'}"
    return f"WRONG: {outcome.why or outcome.status}"


async def run(downloads: int, seed: int) -> bool:
    """Run so many that meet a fault, print what came of all, and return whether all were sound."""
    gists: Counter[str] = Counter()
    causes: dict[str, Counter[str]] = {}
    unsound: list[str] = []
    met = chunk = 0
    began = time.monotonic()
    while met < downloads:
        chance = random.Random(f"{seed} {chunk}")
        with tempfile.TemporaryDirectory() as directory:
            async with trials(Path(directory), seed + chunk, fresh=chunk % 2 == 0) as them:
                for number in range(_CHUNK):
                    them.volume.descriptors = chance.random() < 0.5
                    asked, faults = by_chance(chance, them.yard)
                    outcome = await them.run(asked, faults)
                    met += bool(them.met)
                    gists[gist(outcome)] += 1
                    for fault in {f"{each.operation}: {said(each)}" for each in them.met} or {"none"}:
                        causes.setdefault(fault, Counter())[outcome.kind] += 1
                    if not outcome.is_sound:
                        planned = [(each.operation, each.call, said(each)) for each in faults]
                        unsound.append(f"{chunk}.{number}: {asked}, {planned}: {outcome}")
                    if met == downloads:
                        break
        chunk += 1
    print(f"{gists.total():,} downloads, seed {seed}; {met:,} of them met a fault; {time.monotonic() - began:.0f} s\n")
    for what, count in gists.most_common():
        print(f"{count:>7,}  {what}")
    print(f"\n{'fault met':<24}{'right':>8}{'refused':>9}{'broken':>8}{'wrong':>7}")
    for fault, kinds in sorted(causes.items()):
        print(f"{fault:<24}{kinds['right']:>8,}{kinds['refused']:>9,}{kinds['broken']:>8,}{kinds['wrong']:>7,}")
    for line in unsound:
        print(f"\nUNSOUND {line}")
    return not unsound


if __name__ == "__main__":
    logs.configure("error", "json")
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sys.exit(not asyncio.run(run(wanted, int(sys.argv[2]) if len(sys.argv) > 2 else 1)))
