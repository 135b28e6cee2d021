"""Checksums of content that were learnt, so that it need not be read again for them."""

from __future__ import annotations

import threading
from collections import OrderedDict


class ChecksumMemory:
    """CRC-32 values by volume and identity, the ``most`` latest used of them (about 300 bytes each).

    An identity names content, not a path, so hard links share an entry. It is not asked here whether an identity can be
    trusted: who puts a checksum in has seen that the file was quiet. Usable from several threads at once.

    It lives and dies with the process, until the durable store arrives: after a restart content is read once more.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"a memory for {most} checksums keeps nothing")
        self._most = most
        self._known: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._known)

    def get(self, volume_id: str, identity: bytes) -> int | None:
        """Return the CRC-32 of the content with this identity, or None if it is not known here."""
        key = (volume_id, identity)
        with self._lock:
            crc32 = self._known.get(key)
            if crc32 is not None:
                self._known.move_to_end(key)
            return crc32

    def put(self, volume_id: str, identity: bytes, crc32: int) -> None:
        """Remember the CRC-32 of the content with this identity; the one used longest ago makes room."""
        if not 0 <= crc32 <= 0xFFFFFFFF:
            raise ValueError(f"{crc32} is no CRC-32")
        with self._lock:
            self._known[volume_id, identity] = crc32
            self._known.move_to_end((volume_id, identity))
            if len(self._known) > self._most:
                self._known.popitem(last=False)

    def forget(self, volume_id: str, identity: bytes) -> None:
        """Drop a checksum that turned out wrong; nothing happens if it is not known."""
        with self._lock:
            self._known.pop((volume_id, identity), None)
