"""Numbers, verdicts and the page."""

from __future__ import annotations

from itertools import product
from math import comb
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report, results
from bench.requirements import REQUIREMENTS, Judgement, judge
from bench.results import Comparison, Machine, Pair, Result, Run
from bench.scenarios import SCENARIOS
from bench.statistics import estimate

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = Machine(cores=2, processor="p", memory=2**30, kernel="k", system="s", python="3.11", pannier="0")


def run(seconds: float, cpu: float) -> Run:
    """Return a download of a GiB."""
    return Run(
        seconds=seconds,
        first_byte=0.01,
        input_bytes=2**30,
        wire_bytes=2**30,
        server_cpu=cpu,
        client_cpu=0,
        peak_rss=2**20,
        rss_growth=0,
        other_cores=0,
        steal=0,
    )


def result(ratios: list[float], cpu: float = 1.0) -> Result:
    """Return a run beside nginx in which ours was so many times as fast."""
    pairs = [Pair(ours=run(1 / ratio, cpu), peer=run(1, 1), ours_first=True, calibration=1) for ratio in ratios]
    compared = Comparison(peer="nginx", title="nginx", version="1", pairs=tuple(pairs))
    return Result(
        scenario="large-known",
        when="2026-01-01 00:00",
        small=False,
        machine=MACHINE,
        client="copying",
        comparisons=(compared,),
    )


@pytest.mark.parametrize(
    ("count", "low", "coverage"),
    # from tables of the sign test
    [(1, 1, 0.0), (3, 1, 0.75), (5, 1, 0.9375), (6, 1, 0.96875), (9, 2, 0.9609), (15, 4, 0.9648), (20, 6, 0.9586)],
)
def test_intervals_are_those_of_the_sign_test(count: int, low: int, coverage: float) -> None:
    found = estimate(list(range(1, count + 1)))
    assert (found.low, found.high) == (low, count + 1 - low)
    assert found.coverage == pytest.approx(coverage, abs=5e-5)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40))
def test_an_interval_holds_its_median(values: list[float]) -> None:
    found = estimate(values)
    assert found.low <= found.median == median(values) <= found.high
    # counted from its definition: what a fair coin does as often as the interval says
    inside = sum(found.low <= value <= found.high for value in values)
    outside_each_side = (len(values) - inside) // 2 + 1
    if len(set(values)) == len(values):
        tail = sum(comb(len(values), k) for k in range(outside_each_side)) / 2 ** len(values)
        assert found.coverage == pytest.approx(max(0.0, 1 - 2 * tail))


@pytest.mark.parametrize(
    ("ratios", "cpu", "met"),
    [([0.9, 0.95, 2.0], 1.1, {"throughput": True, "server CPU": True}), ([0.5, 0.89, 2], 1.2, {"throughput": False})],
)
def test_verdicts_follow_the_median_ratio(ratios: list[float], cpu: float, met: dict[str, bool]) -> None:
    found = {
        requirement.words.partition(",")[0].partition(" per")[0]: outcome.met
        for requirement, outcome in judge({"large-known": result(ratios, cpu)})
        if isinstance(outcome, Judgement)
    }
    assert found | met == found


def test_what_was_not_measured_is_not_on_the_page() -> None:
    assert "##" not in report.page({}).partition("## Method")[2]
    page = report.page({"large-known": result([1, 2, 3])})
    assert "2.00 × | 1.00–3.00 (75%)" in page
    assert [name for name in SCENARIOS if f"`{name}`" in page.partition("## Machine")[2]] == ["large-known"]


def test_a_missing_peer_leaves_its_reason() -> None:
    skipped = result([1]).model_copy(update={"comparisons": (Comparison(peer="nginx", title="n", skipped="no room"),)})
    page = report.page({"large-known": skipped})
    assert "not measured: no room" in page
    assert page.count("**not met**") == 0


def test_requirements_name_scenarios_and_their_peers() -> None:
    assert {one.scenario for one in REQUIREMENTS} == set(SCENARIOS)


def test_results_survive_the_file(tmp_path: Path) -> None:
    kept = {"large-known": result([1.5, 2.5])}
    results.write(tmp_path / "r.json", kept)
    assert results.read(tmp_path / "r.json") == kept
    assert results.read(tmp_path / "none.json") == {}


def test_the_page_is_made_of_its_results() -> None:
    """`make bench BENCH=--page` writes it again."""
    assert (DOCS / "performance.md").read_text() == report.page(results.read(DOCS / "performance.json"))


@pytest.mark.parametrize(("value", "unit"), list(product([0.0, 0.004, 0.4, 40.0], ["x", "s", "B", "cores", "clients"])))
def test_every_quantity_has_words(value: float, unit: str) -> None:
    assert any(figure.isdigit() for figure in report.quantity(value, unit))
