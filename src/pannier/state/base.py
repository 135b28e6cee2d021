"""What must outlive a process, as small protocols; ``sqlite`` keeps both for one host."""

from __future__ import annotations

from typing import Protocol


class SessionStore(Protocol):
    """Which archive each session began with (design, promise 2). A pin is never replaced."""

    async def pinned(self, session: str) -> str | None:
        """Return the ETag that a session is pinned to, or None.

        Raises:
            StateUnavailable: It cannot be told now; nothing may be served that depends on it.
        """

    async def pin(self, session: str, etag: str, expires: int) -> str:
        """Pin a session unless it is, and return the ETag it is pinned to: this one or an earlier one.

        Once this returns, the pin survives the death of the process. It is kept at least until ``expires`` (seconds
        since the epoch), or until the latest such time of several calls.

        Raises:
            StateUnavailable: It is not known whether the pin stands; asking again is safe.
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
