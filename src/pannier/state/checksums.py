"""Checksums of content that were learnt, kept in memory, so that it need not be read again for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import repeat


class ChecksumMemory:
    """CRC-32 values by volume and identity, the ``most`` latest used of them (about 300 bytes each).

    A ``ChecksumStore`` that lives and dies with the process; the durable one has it in front.
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

    def recall(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.recall``."""
        key = (volume_id, identity)
        with self._lock:
            crc32 = self._known.get(key)
            if crc32 is not None:
                self._known.move_to_end(key)
            return crc32

    def get(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.get``."""
        return self.recall(volume_id, identity)

    def get_many(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        """See ``ChecksumStore.get_many``."""
        with self._lock:
            return [self._known.get((volume_id, identity)) for identity in identities]

    def put(self, volume_id: str, identity: bytes, crc32: int, path: bytes = b"") -> None:
        """See ``ChecksumStore.put``; the one used longest ago makes room."""
        self.exchange(volume_id, (identity,), (crc32,))

    def put_many(
        self, volume_id: str, identities: Sequence[bytes], checksums: Sequence[int], paths: Sequence[bytes]
    ) -> None:
        """See ``ChecksumStore.put_many``."""
        self.exchange(volume_id, identities, checksums)

    def exchange(self, volume_id: str, identities: Sequence[bytes], checksums: Sequence[int]) -> list[int | None]:
        """Put checksums in, and return those that were kept until now."""
        if checksums and (min(checksums) < 0 or max(checksums) > 0xFFFFFFFF):
            raise ValueError("that is no CRC-32")
        keys = list(zip(repeat(volume_id), identities))
        with self._lock:
            known = self._known
            before = list(map(known.get, keys))
            known.update(zip(keys, checksums, strict=True))
            if any(crc32 is not None for crc32 in before):
                for key, crc32 in zip(keys, before, strict=True):
                    if crc32 is not None:
                        known.move_to_end(key)
            while len(known) > self._most:
                known.popitem(last=False)
        return before

    def forget(self, volume_id: str, identity: bytes) -> None:
        """See ``ChecksumStore.forget``."""
        with self._lock:
            self._known.pop((volume_id, identity), None)
