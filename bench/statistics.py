"""Medians, and how sure one can be of them, without assuming how the values are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

_WANTED = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median with an interval that holds the true one with at least the probability given by ``coverage``."""

    median: float
    low: float
    high: float
    coverage: float
    count: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median and its narrowest interval of order statistics that covers 95 %.

    Few values cannot cover that much: their interval is the whole range, and says what it covers (3 values: 75 %).

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    count = len(ordered)
    # the true median lies below the k-th smallest value with the probability of fewer than k heads in n tosses
    below = 0.0
    low = 0
    for k in range(count // 2):
        tail = below + comb(count, k) / 2**count
        if 1 - 2 * tail < _WANTED:
            break
        low, below = k, tail
    outside = below if below else 1 / 2**count
    return Estimate(median(ordered), ordered[low], ordered[-1 - low], max(0.0, 1 - 2 * outside), count)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
