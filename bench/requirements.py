"""What has to be reached: each line is a number of a scenario and its bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench import crowd, held, million, sizes
from bench.results import Comparison, Result
from bench.statistics import Estimate, estimate

MIB = 2**20
Values = Callable[[Result], Sequence[float]]


@dataclass(frozen=True)
class Requirement:
    """One bound.

    Attributes:
        at_least: The number must not be below the bound; otherwise not above it.
        worst: The worst value counts, not the median: for limits that must never be passed.
        unit: "x" for ratios; "s", "B", "cores", or a text.
    """

    scenario: str
    words: str
    values: Values
    bound: float
    at_least: bool = False
    worst: bool = False
    unit: str = "x"


@dataclass(frozen=True)
class Judgement:
    """A requirement and what was measured; ``value`` is what counts."""

    requirement: Requirement
    value: float
    estimate: Estimate
    met: bool


def judge(results: dict[str, Result]) -> Iterator[tuple[Requirement, Judgement | str]]:
    """Yield each requirement of the scenarios that were measured, with what came out or why nothing did."""
    for requirement in REQUIREMENTS:
        result = results.get(requirement.scenario)
        if result is None:
            continue
        values = requirement.values(result)
        if not values:
            yield requirement, _reason(result)
            continue
        found = estimate(values)
        value = found.median
        if requirement.worst:
            value = min(values) if requirement.at_least else max(values)
        met = value >= requirement.bound if requirement.at_least else value <= requirement.bound
        yield requirement, Judgement(requirement, value, found, met)


def speed_ratios(comparison: Comparison) -> list[float]:
    """Return how many times as fast ours was, pair by pair."""
    return [pair.ours.throughput / pair.peer.throughput for pair in comparison.pairs]


def cpu_ratios(comparison: Comparison) -> list[float]:
    """Return how many times the peer's CPU time ours took, pair by pair."""
    return [pair.ours.server_cpu / pair.peer.server_cpu for pair in comparison.pairs if pair.peer.server_cpu]


def size_ratio(comparison: Comparison) -> list[float]:
    """Return how many times as long our archive was, as a list of one; empty if nothing was measured."""
    if comparison.ours is None or comparison.theirs is None:
        return []
    return [comparison.ours.body_bytes / comparison.theirs.body_bytes]


def _reason(result: Result) -> str:
    reasons = [result.skipped, *(one.skipped for one in result.comparisons)]
    return next(filter(None, reasons), "its peer was not chosen")


def _beside(peer: str, values: Callable[[Comparison], Sequence[float]]) -> Values:
    return lambda result: [value for one in result.comparisons if one.peer == peer for value in values(one)]


def _first_byte(result: Result) -> Sequence[float]:
    return [pair.ours.first_byte for one in result.comparisons for pair in one.pairs]


def _memory(result: Result) -> Sequence[float]:
    return [float(pair.ours.peak_rss) for one in result.comparisons for pair in one.pairs]


def _growth(result: Result) -> Sequence[float]:
    return [float(pair.ours.rss_growth) for one in result.comparisons for pair in one.pairs]


def _seen(name: str) -> Values:
    return lambda result: [value for one in result.observations if one.name == name for value in one.values]


def _speed(scenario: str, peer: str, words: str, bound: float) -> Requirement:
    return Requirement(scenario, f"throughput, of {words}", _beside(peer, speed_ratios), bound, at_least=True)


def _cpu(scenario: str, peer: str, words: str, bound: float) -> Requirement:
    return Requirement(scenario, f"server CPU per GiB, of {words}", _beside(peer, cpu_ratios), bound)


def _stall(name: str, bound: float) -> tuple[Requirement, Requirement]:
    """The median run, as for all figures, and the longest stall of all runs, which a pause of the machine decides."""
    longest = Requirement("slow-clients", f"{name}, longest of all runs", _seen(name), bound, worst=True, unit="s")
    return Requirement("slow-clients", name, _seen(name), bound, unit="s"), longest


def _nginx(scenario: str, *, speed: float, cpu: float) -> Iterator[Requirement]:
    """nginx as Debian configures it, and in two more ways, which are held to the same bounds."""
    for peer, words in (
        ("nginx", "nginx, TCP as the system has it"),
        ("nginx-push", "nginx, tcp_nopush off, TCP as the system has it"),
        ("nginx-reno", "nginx, tcp_nopush off, TCP as ours"),
    ):
        yield _speed(scenario, peer, words, speed)
        yield _cpu(scenario, peer, words, cpu)


REQUIREMENTS = (
    *_nginx("large-known", speed=0.9, cpu=1.1),
    Requirement("large-known", "first byte", _first_byte, 0.020, unit="s"),
    *_nginx("large-unknown", speed=0.85, cpu=1.2),
    _speed("files", "zipstream-ng", "zipstream-ng", 2.0),
    _speed("files", "copyparty", "copyparty, TCP as the system has it", 1.4),
    _speed("files", "backend.ai", "Backend.AI's reader", 50.0),
    _cpu("files", "zipstream-ng", "zipstream-ng", 0.5),
    _cpu("files", "copyparty", "copyparty, TCP as the system has it", 0.7),
    _cpu("files", "backend.ai", "Backend.AI's reader", 0.02),
    Requirement("files", "first byte", _first_byte, 0.020, unit="s"),
    Requirement("files", "memory, most", _memory, 100 * MIB, worst=True, unit="B"),
    _speed("small-files", "tar", "tar through a pipe", 0.9),
    _speed("small-files", "zipstream-ng", "zipstream-ng", 4.0),
    _speed("small-files", "backend.ai", "Backend.AI's reader", 20.0),
    _cpu("small-files", "tar", "tar through a pipe", 1.0),
    Requirement("small-files", "first byte", _first_byte, 0.3, unit="s"),
    _speed("million", "tar", "tar through a pipe", 0.8),
    Requirement("million", million.COLD, _seen(million.COLD), 5.0, unit="s"),
    Requirement("million", million.PLANNED, _seen(million.PLANNED), 0.1, unit="s"),
    Requirement("million", "memory, growth over downloads", _growth, 160 * MIB, worst=True, unit="B"),
    Requirement("million", million.GROWTH, _seen(million.GROWTH), 160 * MIB, worst=True, unit="B"),
    Requirement("million", million.BLOCKED, _seen(million.BLOCKED), 0.050, worst=True, unit="s"),
    _speed("deflate", "backend.ai", "Backend.AI's reader", 16.0),
    _speed("deflate", "zipstream-ng", "zipstream-ng deflate", 14.0),
    _cpu("deflate", "backend.ai", "Backend.AI's reader", 0.08),
    _cpu("deflate", "zipstream-ng", "zipstream-ng deflate", 0.08),
    Requirement("deflate", sizes.SIZE, _seen(sizes.SIZE), 1.04),
    _speed("deflate-small", "backend.ai", "Backend.AI's reader", 8.0),
    _speed("deflate-small", "zipstream-ng", "zipstream-ng deflate", 6.0),
    Requirement("slow-clients", crowd.SERVED, _seen(crowd.SERVED), 300, at_least=True, worst=True, unit="clients"),
    Requirement("slow-clients", crowd.CORES, _seen(crowd.CORES), 0.3, unit="cores"),
    *_stall(crowd.STEADY, 0.020),
    *_stall(crowd.START, 0.050),
    Requirement("slow-clients", crowd.MEMORY, _seen(crowd.MEMORY), 120 * MIB, worst=True, unit="B"),
    Requirement("held-clients", held.HELD, _seen(held.HELD), 1_000, at_least=True, worst=True, unit="clients"),
)
