"""What stands before entries, made from columns alone: by processes that have no plan. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pannier.archive.zip_records import plain_local_headers

Recipe = Callable[[Sequence[bytes], Sequence[int], Sequence[int], Sequence[int]], list[bytes]]
"""From names, sizes, times of modification (nanoseconds) and checksums to the bytes before each content."""

ZIP = "zip"
RECIPES: Mapping[str, Recipe] = {ZIP: plain_local_headers}
"""By the names that ``Layout.recipe`` gives."""
