"""How many examples a property draws: a quick run (``make test``) needs fewer than a whole one."""

from __future__ import annotations

from hypothesis import settings

WHOLE, QUICK = 100, 40
"""Of a property that does not say how many; others keep to this proportion."""


def examples(whole: int) -> int:
    """Return how many examples a property draws in this run that draws so many in a whole one."""
    most = settings().max_examples
    return max(1, whole * most // WHOLE)
