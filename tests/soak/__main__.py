"""`make soak`: everything at once, for as long as is said, and what has to hold while it lasts.

    python -m tests.soak --minutes 30 [--seed N]

People download from a folder that stays and from one that changes, in all formats, whole, in ranges and resumed; others
upload, rename, move, delete, clone and revoke; the server is killed (kill -9) or stopped again and again. What has to
hold stands with each of them (`downloads.py`, `changes.py`). While nobody asks, now and then, the server is counted:
memory, descriptors and threads must not grow over a life (`census.py`). At the end nothing of ours lies on the volume.

Exit code 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak import census
from tests.soak.census import Census
from tests.soak.changes import Clones, Revocations, Uploads
from tests.soak.downloads import Moving, Still
from tests.soak.world import Gone, Over, World, chance_of

MOST_VIOLATIONS = 20
_WARM = 6.0
"""Seconds of a life before it is counted for the first time."""


@dataclass
class Report:
    """What came of a soak."""

    world: World
    lives: list[list[Census]] = field(default_factory=list)
    kills: int = 0
    stops: int = 0
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        return not self.world.violations

    def lines(self) -> Iterator[str]:
        counted = sum(map(len, self.lives))
        ends = f"{self.kills} kills, {self.stops} stops"
        yield f"{self.seconds / 60:.1f} minutes; {ends}; counted {counted} times at rest"
        for number, life in enumerate(self.lives, 1):
            if len(life) >= 2:
                first, last = life[0], life[-1]
                yield (
                    f"  life {number}, {last.seconds / 60:.1f} min: memory {first.rss / census.MIB:.0f} to "
                    f"{last.rss / census.MIB:.0f} MiB (most {max(each.rss for each in life) / census.MIB:.0f}), "
                    f"descriptors {first.descriptors} to {last.descriptors}, threads {first.threads} to {last.threads}"
                )
                yield f"    MiB at each counting: {' '.join(f'{each.rss / census.MIB:.0f}' for each in life)}"
        for outcome, count in sorted(self.world.outcomes.items()):
            yield f"{count:>8,}  {outcome}"
        yield from self.world.violations
        yield "everything held" if self.sound else "SOMETHING DID NOT HOLD"


def soak(
    home: Path,
    seconds: float,
    seed: int,
    *,
    every: float = 20.0,
    ends: int = 0,
    first: float | None = None,
    told: Callable[[str], None] = print,
) -> Report:
    """Run it.

    Args:
        every: How many seconds lie between two countings.
        ends: How often the server is killed or stopped at least, however long that takes.
        first: Seconds of its first life, a third of all unless said: whether something grows shows in a long one.
    """
    world = World(home)
    report = Report(world)
    chance = chance_of(seed, "lives")
    still, moving = Still(world, seed), Moving(world)
    uploads = [Uploads(world) for _ in range(2)]
    clones, revocations = Clones(world, still), Revocations(world, still)
    acts: list[tuple[str, Callable[[random.Random], None]]] = [
        ("still 1", still.act),
        ("still 2", still.act),
        ("still 3", still.act),
        ("moving 1", moving.act),
        ("moving 2", moving.act),
        ("writer", moving.change),
        *((f"uploads {number}", each.act) for number, each in enumerate(uploads)),
        ("clones", clones.act),
        ("revocations", revocations.act),
    ]
    began = time.monotonic()
    threads = [threading.Thread(target=_loop, args=(world, name, act, seed)) for name, act in acts]
    try:
        world.start()
        began = time.monotonic()
        for thread in threads:
            thread.start()
        deadline = began + seconds
        while len(world.violations) < MOST_VIOLATIONS:
            life = _length(chance, deadline - time.monotonic(), seconds)
            if world.life == 1:
                life = seconds / 3 if first is None else first
            report.lives.append(_live(world, time.monotonic() + life, every))
            grown = census.growth(report.lives[-1])
            if grown:
                world.violated("growth", "; ".join(grown))
            if time.monotonic() >= deadline and report.kills + report.stops >= ends:
                break
            number = signal.SIGKILL if chance.random() < 0.75 else signal.SIGTERM
            told(f"{(time.monotonic() - began) / 60:5.1f} min: {signal.Signals(number).name}")
            world.end(number)
            report.kills += number == signal.SIGKILL
            report.stops += number == signal.SIGTERM
            world.start()
        world.over.set()
        for thread in threads:
            thread.join(180)
            if thread.is_alive():
                world.violated("hangs", f"{thread.name} did not come to its end")
        for each in uploads:
            each.check()
        world.end(signal.SIGTERM)
        left = world.leftovers()
        if len(left) > sum(each.lost for each in uploads):
            world.violated("left behind", ", ".join(left))
        if "Traceback" in world.log.read_text():
            world.violated("log", world.log.read_text().partition("Traceback")[2][:2_000])
    finally:
        world.over.set()
        report.seconds = time.monotonic() - began
        world.close()
    return report


def _length(chance: random.Random, left: float, whole: float) -> float:
    """Return how long a life of the server is, in seconds."""
    share = chance.choice([0.01, 0.01, 0.02, 0.03, 0.15])
    return max(1.0, min(left, share * max(whole, 120) + chance.uniform(0.3, 4)))


def _live(world: World, until: float, every: float) -> list[Census]:
    """Let it live, and count it now and then while nobody asks it anything."""
    taken: list[Census] = []
    usual: int | None = None
    next_one = time.monotonic() + min(_WARM, every)
    while (now := time.monotonic()) < until and len(world.violations) < MOST_VIOLATIONS:
        if now < next_one:
            time.sleep(min(0.1, until - now))
            continue
        if world.quiet(90):
            taken.append(census.take_when_settled(world.pid, world.began, usual, time.sleep))
            usual = min(each.descriptors for each in taken)
        else:
            world.violated("hangs", "somebody did not come to rest within 90 s")
        world.go_on()
        next_one = time.monotonic() + every
    return taken


def _loop(world: World, name: str, act: Callable[[random.Random], None], seed: int) -> None:
    chance = chance_of(seed, name)
    threading.current_thread().name = name
    while True:
        try:
            with world.working():
                act(chance)
        except Gone:
            world.ended(f"{name.partition(' ')[0]}: left over at an end of the server")
        except Over:
            return
        except Exception:  # noqa: BLE001 - whatever it is, it is told at the end
            world.violated(name, traceback.format_exc())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make soak", description="Soak a server, and see whether everything holds.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of what is done; not of when things meet")
    parser.add_argument("--first-life", type=float, metavar="MINUTES", help="without a kill (default: a third)")
    options = parser.parse_args(arguments)
    first = None if options.first_life is None else options.first_life * 60
    seed = options.seed if options.seed is not None else int(time.time())
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="pannier-soak-") as directory:
        report = soak(
            Path(directory) / "home", options.minutes * 60, seed, first=first, told=lambda line: print(line, flush=True)
        )
        print("\n".join(report.lines()))
    return int(not report.sound)


if __name__ == "__main__":
    sys.exit(main())
