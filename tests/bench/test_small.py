"""The small variant of every scenario: real servers, real clients, every byte verified; it asserts no time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import crowd, held, report, results
from bench.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(cache: Path) -> subprocess.CompletedProcess[str]:
    """Run everything once, beside the peers that need no installation."""
    return bench("--small", "--pairs", "1", "--peers", "nginx,tar", "--data", str(cache))


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the bench as `make bench` does."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )


def test_every_scenario_is_right(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    assert run.returncode == 0, run.stdout + run.stderr
    found = results.read(cache / "results-small.json")
    assert list(found) == list(SCENARIOS)
    for name, result in found.items():
        assert not result.skipped, (name, result.skipped)
        assert [one.skipped for one in result.comparisons if one.skipped] == [], name
        for one in result.comparisons:
            assert one.pairs, name
            assert one.ours is not None
            assert one.theirs is not None
            assert one.ours.length, name
            assert one.ours.ranges, name
            assert all(pair.ours.wire_bytes == one.ours.body_bytes for pair in one.pairs), name


def test_peers_are_what_they_are_known_for(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    """A probe that says yes, or no, to everyone would be found here."""
    found = results.read(cache / "results-small.json")
    traits = {one.peer: one.theirs for result in found.values() for one in result.comparisons}
    assert traits["nginx"] is not None
    assert traits["tar"] is not None
    assert (traits["nginx"].length, traits["nginx"].ranges) == (True, True)
    assert (traits["tar"].length, traits["tar"].ranges) == (False, False)


def test_all_slow_clients_are_served(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    seen = {one.name: one.values for one in results.read(cache / "results-small.json")["slow-clients"].observations}
    assert seen[crowd.SERVED] == (8.0,)


def test_all_clients_are_held(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    seen = {one.name: one.values for one in results.read(cache / "results-small.json")["held-clients"].observations}
    assert seen[held.HELD] == (40.0,)


def test_results_make_a_page(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    page = report.page(results.read(cache / "results-small.json"))
    assert all(f"(`{name}`)" in page for name in SCENARIOS)
    assert "| large-known | throughput, of nginx |" in page


def test_nothing_stays_behind(run: subprocess.CompletedProcess[str], cache: Path) -> None:
    """No process, and no scratch folder: both would carry the cache's path."""
    assert list(cache.glob("run-*")) == []
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
