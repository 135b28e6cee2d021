"""How a volume is asked for: what the settings say of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pannier.errors import ConfigInvalid
from pannier.volumes.ownership import OURS, Ownership


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """One ``[volume.<name>]`` of the settings; ``options`` are the backend's own keys, ``ownership`` what is
    given to everything that is written."""

    name: str
    backend: str
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ownership: Ownership = OURS

    def invalid(self, key: str, reason: str, way_out: str) -> ConfigInvalid:
        """Return the error that one of this volume's keys calls for."""
        return ConfigInvalid(f"volume.{self.name}.{key}", reason, way_out)

    def only(self, known: Collection[str]) -> None:
        """Refuse options that the backend does not know: a typing error must not pass in silence.

        Raises:
            ConfigInvalid: There is one.
        """
        for key in sorted(self.options):
            if key not in known:
                takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
                value = self.options[key]
                raise self.invalid(key, f"{value!r}: backend {self.backend} has no such option", takes)

    def text(self, key: str) -> str | None:
        """Return an option that is a text, None if it is not given.

        Raises:
            ConfigInvalid: It is something else, or empty.
        """
        value = self.options.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        raise self.invalid(key, f"{value!r} is not a text", "give a text that is not empty, or leave it out")

    def seconds(self, key: str, default: float) -> float:
        """Return an option that is a time in seconds.

        Raises:
            ConfigInvalid: It is no number, negative or not finite.
        """
        value = self.options.get(key, default)
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if 0 <= number < math.inf:
            return number
        raise self.invalid(key, f"{value!r} is not a time", f"give seconds, such as {default}")
