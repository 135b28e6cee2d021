"""The small variant of every scenario: real servers, real clients, every byte verified; it asserts no time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import crowd, held, report, results
from bench.peers.pacing import unpace
from bench.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@dataclass(frozen=True)
class Run:
    """What was run once, beside the peers that need no installation: of a kind of measurement one scenario, or all."""

    scenarios: Sequence[str]
    done: subprocess.CompletedProcess[str]
    found: Mapping[str, results.Result]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("large-known", "small-files", "slow-clients", "held-clients"), id="some"),
        pytest.param(tuple(SCENARIOS), id="all", marks=pytest.mark.slow),
    ],
)
def run(cache: Path, request: pytest.FixtureRequest) -> Run:
    scenarios: tuple[str, ...] = request.param
    data = cache / str(len(scenarios))
    with socket.socket() as probe:
        peers = "nginx,nginx-push,tar" + (",nginx-reno" if unpace(probe) else "")
    done = bench(*scenarios, "--small", "--pairs", "1", "--peers", peers, "--data", str(data))
    return Run(scenarios, done, results.read(data / "results-small.json"))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the bench as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )


def test_every_scenario_is_right(run: Run) -> None:
    assert run.done.returncode == 0, run.done.stdout + run.done.stderr
    assert list(run.found) == list(run.scenarios)
    for name, result in run.found.items():
        assert not result.skipped, (name, result.skipped)
        assert [one.skipped for one in result.comparisons if one.skipped] == [], name
        for one in result.comparisons:
            assert one.pairs, name
            assert one.ours is not None
            assert one.theirs is not None
            assert one.ours.length, name
            assert one.ours.ranges, name
            assert all(pair.ours.wire_bytes == one.ours.body_bytes for pair in one.pairs), name


def test_peers_are_what_they_are_known_for(run: Run) -> None:
    """A probe that says yes, or no, to everyone would be found here."""
    traits = {one.peer: one.theirs for result in run.found.values() for one in result.comparisons}
    assert traits["nginx"] is not None
    assert traits["tar"] is not None
    assert (traits["nginx"].length, traits["nginx"].ranges) == (True, True)
    assert (traits["tar"].length, traits["tar"].ranges) == (False, False)


def test_all_slow_clients_are_served(run: Run) -> None:
    seen = {one.name: one.values for one in run.found["slow-clients"].observations}
    assert seen[crowd.SERVED] == (8.0,)


def test_all_clients_are_held(run: Run) -> None:
    seen = {one.name: one.values for one in run.found["held-clients"].observations}
    assert seen[held.HELD] == (40.0,)


def test_results_make_a_page(run: Run) -> None:
    page = report.page(dict(run.found))
    assert all(f"(`{name}`)" in page for name in run.scenarios)
    assert "| large-known | throughput, of nginx, TCP as the system has it |" in page


def test_nothing_stays_behind(run: Run, cache: Path) -> None:
    """No process, and no scratch folder: both would carry the cache's path."""
    assert list(cache.glob("*/run-*")) == []
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes())
        except OSError:
            pass
    assert [line for line in lines if os.fsencode(cache) in line] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "there is no scenario 'no-such'; there are large-known"),
        (["--peers", "apache"], "there is no peer 'apache'; there are nginx"),
        (["--pairs", "0"], "--pairs must be at least 1"),
        (["--small", "--output", "page.md"], "--small measures nothing"),
    ],
    ids=["scenario", "peer", "pairs", "output"],
)
def test_a_wrong_wish_is_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = bench(*arguments, "--data", str(tmp_path / "cache"))
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
