"""Moments as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = -62_135_596_800  # 0001-01-01T00:00:00Z
_LAST = 253_402_300_799  # 9999-12-31T23:59:59Z


def instant(seconds: int) -> str:
    """Return whole seconds since the epoch as ISO 8601 in UTC, ``2026-11-22T09:00:00Z``.

    What a file system says may lie beyond the years that the form can hold; it is clamped to 0001 and 9999.
    """
    moment = _EPOCH + timedelta(seconds=min(max(seconds, _FIRST), _LAST))
    return moment.replace(tzinfo=None).isoformat() + "Z"
