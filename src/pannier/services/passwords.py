"""Passwords: digests that cost time to try, and doors that are slow to who was often wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pannier.denials import PasswordLocked

_COST, _BLOCK, _LANES = 2**15, 8, 1
"""scrypt (RFC 7914): 32 MiB and some 0.1 s for each try."""
_FREE_TRIES = 5
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 300.0
_FORGOTTEN = 3_600.0
_MOST_KNOWN = 10_000


def digest(password: str) -> str:
    """Return what is kept of a password; blocks for a tenth of a second."""
    salt = os.urandom(16)
    return f"scrypt:{_text(salt)}:{_text(_scrypt(password, salt))}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that a digest was made of; blocks as ``digest``."""
    _, salt, expected = kept.split(":")
    return hmac.compare_digest(_scrypt(password, base64.b64decode(salt)), base64.b64decode(expected))


def _scrypt(password: str, salt: bytes) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=2**26, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    until: float = 0.0
    last: float = 0.0


class Doors:
    """Counts what was wrong, by where: an address, a link. All methods belong to the event loop.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Tries] = OrderedDict()

    def knock(self, *doors: str) -> None:
        """Begin a try at some doors. It counts as wrong until ``open``, so that many at once are no way around.

        Raises:
            PasswordLocked: One of them is locked now; this try does not count.
        """
        now = self._clock()
        tried = [self._tries(door, now) for door in doors]
        if (wait := max(tries.until for tries in tried) - now) > 0:
            raise PasswordLocked(math.ceil(wait))
        for tries in tried:
            tries.wrong += 1
            tries.last = now
            if tries.wrong >= _FREE_TRIES:
                tries.until = now + min(_FIRST_WAIT * 2 ** min(tries.wrong - _FREE_TRIES, 20), _LONGEST_WAIT)

    def open(self, *doors: str) -> None:
        """Take note that the try was right: what was wrong before is forgotten."""
        for door in doors:
            self._known.pop(door, None)

    def _tries(self, door: str, now: float) -> _Tries:
        tries = self._known.get(door)
        if tries is None or now - tries.last > _FORGOTTEN:
            tries = self._known[door] = _Tries()
        self._known.move_to_end(door)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return tries
