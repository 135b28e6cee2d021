"""What must outlive a process, as small protocols; ``sqlite`` keeps both for one host."""

from __future__ import annotations

from typing import Protocol

WITHDRAWN = ""
"""Stands for the ETag of a session that has given out more than one archive: that of no archive."""


class SessionStore(Protocol):
    """Which archive each session began with (design, promise 2). A pin is never replaced, only withdrawn."""

    async def pinned(self, session: str, *, certain: bool = False) -> str | None:
        """Return the ETag that a session is pinned to, ``WITHDRAWN``, or None.

        From memory it may be a pin that another process has withdrawn; where ``certain``, it is what stands now.

        Raises:
            StateUnavailable: It cannot be told now; nothing may be served that depends on it.
        """

    async def pin(self, session: str, etag: str, expires: int) -> str:
        """Pin a session unless it is, and return what it is pinned to: this ETag, an earlier one, or ``WITHDRAWN``.

        Once this returns, the pin survives the death of the process. It is kept at least until ``expires`` (seconds
        since the epoch), or until the latest such time of several calls.

        Raises:
            StateUnavailable: It is not known whether the pin stands; asking again is safe.
        """

    async def withdraw(self, session: str, expires: int) -> None:
        """Have a session pinned to no archive, for good: it is about to give out another than it is pinned to.

        As durable as a pin, and kept as long.

        Raises:
            StateUnavailable: It is not known whether the pin was withdrawn; asking again is safe.
        """


class SelectionStore(Protocol):
    """Selections too large for a token, by their digest."""

    async def keep(self, digest: str, body: bytes, expires: int) -> None:
        """Keep a selection's document until ``expires`` at least (seconds since the epoch).

        Kept again it lives until the later of the times; its content stays the first, which the digest makes the same.

        Raises:
            StateUnavailable: It is not known whether it is kept; asking again is safe.
        """

    async def selection(self, digest: str) -> bytes | None:
        """Return a selection's document, or None if it was never kept or is kept no longer.

        Raises:
            StateUnavailable: It cannot be told now.
        """
