"""What must or may outlive a process, as small protocols; ``sqlite`` and ``checksum_store`` keep it for one host."""

from __future__ import annotations

from collections.abc import Sequence
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


class ChecksumStore(Protocol):
    """CRC-32 of content, by volume id and identity. To forget anything is safe: content is read once more.

    An identity names content, not a path, so hard links share an entry. It is not asked here whether an identity can be
    trusted: who puts a checksum in has seen that the file was quiet. Usable from any thread; nothing here raises for
    what happens to a disk.
    """

    def recall(self, volume_id: str, identity: bytes) -> int | None:
        """Return a checksum if it is at hand. Touches no disk: the event loop may call it."""

    def get(self, volume_id: str, identity: bytes) -> int | None:
        """Return a checksum, None if it is not known; may read a disk."""

    def get_many(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        """Return many at once, as ``get``: some microseconds for each."""

    def put(self, volume_id: str, identity: bytes, crc32: int, path: bytes = b"") -> None:
        """Keep a checksum; touches no disk. If another was kept, that is logged and counted, and the new one stays.

        ``path`` is where the content was found in its folder, for the log.
        """

    def put_many(
        self, volume_id: str, identities: Sequence[bytes], checksums: Sequence[int], paths: Sequence[bytes]
    ) -> None:
        """Keep many at once, as ``put``: about a microsecond for each."""

    def forget(self, volume_id: str, identity: bytes) -> None:
        """Drop a checksum; nothing happens if it is not known. Touches no disk."""
