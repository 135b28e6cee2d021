"""How many entries a layout looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pannier.archive.entries import Entries


class Looks:
    """Counts the entries that were made, or whose names were taken, one by one or in runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        for name in ("_entry", "name"):
            monkeypatch.setattr(Entries, name, self._counting(getattr(Entries, name), lambda number: 1))
        for name in ("names", "name_lengths", "joined_names"):
            monkeypatch.setattr(Entries, name, self._counting(getattr(Entries, name), lambda start, stop: stop - start))

    def _counting(self, method: Callable[..., Any], looks: Callable[..., int]) -> Callable[..., Any]:
        def counted(entries: Entries, *args: Any) -> Any:
            self.number += looks(*args)
            return method(entries, *args)

        return counted
