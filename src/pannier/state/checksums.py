"""Checksums of content that were learnt, kept in memory, so that it need not be read again for them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

_Known = dict[str, dict[bytes, int]]
"""CRC-32 by volume id and identity."""


class ChecksumMemory:
    """CRC-32 values by volume and identity, ``most`` of them at most (about 150 bytes each).

    They come in two generations: when the later one has half of them, the earlier one goes. So the latest half of what
    was put or recalled is known, and often more. A ``ChecksumStore`` that lives and dies with the process; the durable
    one has it in front.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"a memory for {most} checksums keeps nothing")
        self._each = max(1, most // 2)
        self._generations = min(most, 2)
        self._later: _Known = {}
        self._earlier: _Known = {}
        self._number = 0
        """How many the later generation has."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are kept; one that is in both generations counts twice."""
        with self._lock:
            return self._number + sum(map(len, self._earlier.values()))

    def recall(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.recall``."""
        with self._lock:
            crc32 = self._later.get(volume_id, _NONE).get(identity)
            if crc32 is None:
                crc32 = self._earlier.get(volume_id, _NONE).get(identity)
                if crc32 is not None:
                    self._keep(volume_id, {identity: crc32})
            return crc32

    def get(self, volume_id: str, identity: bytes) -> int | None:
        """See ``ChecksumStore.get``."""
        return self.recall(volume_id, identity)

    def get_many(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        """See ``ChecksumStore.get_many``."""
        with self._lock:
            return self._look_up(volume_id, identities)

    def put(self, volume_id: str, identity: bytes, crc32: int, path: bytes = b"") -> None:
        """See ``ChecksumStore.put``."""
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
        with self._lock:
            before = self._look_up(volume_id, identities)
            pairs = zip(identities, checksums, strict=True)
            if before.count(None) == len(before):  # most often
                self._keep(volume_id, dict(pairs))
            elif before != list(checksums):
                # what is known already stays where it is: whoever goes through more than a generation would push it out
                kept = zip(pairs, before, strict=True)
                self._keep(volume_id, {identity: crc32 for (identity, crc32), was in kept if was != crc32})
        return before

    def forget(self, volume_id: str, identity: bytes) -> None:
        """See ``ChecksumStore.forget``."""
        with self._lock:
            if self._later.get(volume_id, {}).pop(identity, None) is not None:
                self._number -= 1
            self._earlier.get(volume_id, {}).pop(identity, None)

    def _look_up(self, volume_id: str, identities: Sequence[bytes]) -> list[int | None]:
        found = list(map(self._later.get(volume_id, _NONE).get, identities))
        if (earlier := self._earlier.get(volume_id)) and None in found:
            return [
                earlier.get(identity) if crc32 is None else crc32
                for identity, crc32 in zip(identities, found, strict=True)
            ]
        return found

    def _keep(self, volume_id: str, new: dict[bytes, int]) -> None:
        if len(new) > self._each:
            new = dict(list(new.items())[-self._each :])
        if self._number + len(new) > self._each:
            self._earlier = self._later if self._generations == 2 else {}
            self._later, self._number = {}, 0
        known = self._later.setdefault(volume_id, {})
        before = len(known)
        known.update(new)
        self._number += len(known) - before


_NONE: dict[bytes, int] = {}
