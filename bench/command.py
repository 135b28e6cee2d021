"""The command line: which scenarios, beside whom, how often, and where the results go."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from bench import report, results
from bench.clients import FetchFailed
from bench.complaints import Complaint, Unavailable
from bench.data import DataSet, ready, specs
from bench.measuring import machine
from bench.pairing import Contest, alone, compare
from bench.peers.base import Peer
from bench.peers.table import PEERS
from bench.processes import ServerFailed
from bench.results import Comparison, Observation, Result
from bench.scenarios import SCENARIOS, Scenario
from bench.verifying import Wrong

_T = TypeVar("_T")
_BROKEN = (FetchFailed, ServerFailed, Wrong)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; 0 if all that was measured was right, 1 if a server failed or sent something wrong."""
    options = _parser().parse_args(arguments)
    # a stop must end the servers too, so it passes through every `finally`
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.page:
            return _write_page(options.output or Path("docs/performance.md"), {})
        return _bench(options)
    except Complaint as complaint:
        print(f"bench: {complaint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: stopped; scenarios that had ended are kept", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pannier-bench")
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Pannier beside other servers.")
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"which to run (default: all): {', '.join(SCENARIOS)}"
    )
    parser.add_argument("--peers", metavar="A,B", help=f"whom to measure beside (default: all): {', '.join(PEERS)}")
    parser.add_argument("--pairs", type=int, default=9, metavar="N", help="paired runs of each comparison (default: 9)")
    parser.add_argument("--small", action="store_true", help="tiny data: shows that all is correct, measures nothing")
    parser.add_argument(
        "--data",
        type=Path,
        default=cache,
        metavar="DIR",
        help="where data, peers and results are kept (default: %(default)s); 16 GB for everything",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the page to write, such as docs/performance.md")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page again from its JSON file")
    return parser


def _bench(options: argparse.Namespace) -> int:
    chosen = _named(options.scenarios, SCENARIOS, "scenario")
    peers = _named(options.peers.split(",") if options.peers else [], PEERS, "peer")
    if options.pairs < 1:
        raise Complaint("--pairs must be at least 1")
    if options.small and options.output:
        raise Complaint("--small measures nothing, so there is no page to write; leave out --output")
    root: Path = options.data.absolute()
    root.mkdir(parents=True, exist_ok=True)
    every = specs(small=options.small)
    estimates = {
        one.name: one.seconds(every[one.data], options.pairs, list(peers), small=options.small)
        for one in chosen.values()
    }
    print("About " + ", ".join(f"{name} {_minutes(seconds)}" for name, seconds in estimates.items()), end="")
    print(f"; together {_minutes(sum(estimates.values()))}, once the data and the peers are made.", flush=True)
    kept = root / ("results-small.json" if options.small else "results.json")
    measured: dict[str, Result] = {}
    failed = False
    with _alone(root):
        available = _prepared(peers, chosen.values(), root / "peers")
        for scenario in chosen.values():
            print(f"\n{scenario.name}: {scenario.title}", flush=True)
            data = ready(every[scenario.data], root)
            with tempfile.TemporaryDirectory(prefix="run-", dir=root, ignore_cleanup_errors=True) as scratch:
                result, broken = _measured(scenario, data, available, Path(scratch), options)
            failed |= broken
            measured[scenario.name] = result
            results.write(kept, results.read(kept) | measured)
            print("\n" + "\n".join(report.scenario(result)), flush=True)
            if options.output and not broken:
                _write_page(options.output, {scenario.name: result})
    if not options.small:
        print("\n" + "\n".join(report.must_reach(measured)))
    return int(failed)


def _measured(
    scenario: Scenario, data: DataSet, peers: dict[str, Peer | str], scratch: Path, options: argparse.Namespace
) -> tuple[Result, bool]:
    """Run one scenario; what fails is said in its result, and told by the second value."""
    began, load = time.monotonic(), os.getloadavg()[0]
    comparisons: list[Comparison] = []
    observations: Sequence[Observation] = ()
    skipped, broken = "", False
    for contest in scenario.contests:
        if contest.peer not in peers:
            continue
        comparison, wrong = _compared(contest, peers[contest.peer], scenario, data, scratch, options.pairs)
        comparisons.append(comparison)
        broken |= wrong
    try:
        if scenario.extra is not None:
            observations = scenario.extra(data, scratch, options.pairs, options.small)
        if scenario.contests and not any(one.pairs or one.skipped for one in comparisons):
            observations = [*observations, _alone_observed(scenario.contests[0], data, scratch)]
    except Unavailable as reason:
        skipped = str(reason)
    except _BROKEN as failure:
        skipped, broken = f"{type(failure).__name__}: {failure}", True
    result = Result(
        scenario=scenario.name,
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        small=options.small,
        machine=machine(),
        client=scenario.client,
        comparisons=tuple(comparisons),
        observations=tuple(observations),
        skipped=skipped,
        load=(load, os.getloadavg()[0]),
        took=time.monotonic() - began,
    )
    return result, broken


def _compared(
    contest: Contest, peer: Peer | str, scenario: Scenario, data: DataSet, scratch: Path, pairs: int
) -> tuple[Comparison, bool]:
    title = PEERS[contest.peer].title
    if isinstance(peer, str):
        return Comparison(peer=contest.peer, title=title, skipped=peer), False
    try:
        return compare(contest, peer, data, scratch, pairs, scenario.client), False
    except Unavailable as reason:
        return Comparison(peer=contest.peer, title=title, skipped=str(reason)), False
    except _BROKEN as failure:
        return Comparison(peer=contest.peer, title=title, skipped=f"{type(failure).__name__}: {failure}"), True


def _alone_observed(contest: Contest, data: DataSet, scratch: Path) -> Observation:
    size = float(alone(contest, data, scratch).body_bytes)
    return Observation(name="ours alone, every byte verified", unit="B", values=(size,))


def _prepared(peers: dict[str, Peer], scenarios: Iterable[Scenario], rooms: Path) -> dict[str, Peer | str]:
    """Make the peers that are needed; those that cannot be had are replaced by the reason."""
    rooms.mkdir(exist_ok=True)
    needed = {contest.peer for one in scenarios for contest in one.contests}
    found: dict[str, Peer | str] = {}
    for name, peer in peers.items():
        if name not in needed:
            continue
        try:
            peer.prepare(rooms)
            found[name] = peer
        except Unavailable as reason:
            print(f"  {name}: not measured: {reason}", flush=True)
            found[name] = str(reason)
    return found


def _write_page(output: Path, fresh: dict[str, Result]) -> int:
    """Put results into the JSON file beside a page, and write the page from all that it then holds."""
    kept = output.with_suffix(".json")
    merged = results.read(kept) | fresh
    results.write(kept, merged)
    output.write_text(report.page(merged), encoding="utf-8")
    return 0


def _named(names: Sequence[str], known: Mapping[str, _T], what: str) -> dict[str, _T]:
    if unknown := [name for name in names if name not in known]:
        raise Complaint(f"there is no {what} {unknown[0]!r}; there are {', '.join(known)}")
    return {name: known[name] for name in known if name in names or not names}


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Complaint(f"another bench runs with {root}; two would disturb each other") from None
        yield
