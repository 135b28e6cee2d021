"""Who may use the front desk: sign-in keys, the password, sign-ins. No HTTP.

A key is made in the terminal, lives a quarter of an hour and is spent once; of a sign-in the server keeps a digest. The
token that a page has to send with what it changes follows from the sign-in alone, so nothing is kept of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from pannier.denials import KeyUsed, PasswordWrong, SignedOut
from pannier.services.passwords import Doors, digest, matches
from pannier.state.sign_ins import SqliteSignIns
from pannier.streams.workers import Workers

KEY_SECONDS = 15 * 60.0
SIGN_IN_SECONDS = 30 * 24 * 3600
OWNER = "owner"
"""Whose the downloads are of everybody who signed in: one person, on one or more devices."""
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Characters that are not taken for one another; twelve of them hold 58 bits."""
_KEY_LENGTH, _GROUP = 12, 4
_MOST_KEYS = 20
"""Keys that are good at the same time."""
_LONGEST_COOKIE = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose browser holds a cookie.

    Attributes:
        owner: Whose the downloads are that are made now.
        signed_in: Whether that was with a key or the password; others may look, where everybody may.
        csrf: What a page of ours knows, and a page of others does not.
    """

    owner: str
    signed_in: bool
    csrf: str


class SigningIn:
    """Lets people in at the front desk.

    Args:
        sign_ins: Where they are kept.
        workers: Threads that compute digests of passwords.
        password: A digest, where one is set.
        public: Whether who did not sign in may look.
        clock, monotonic: Seconds since the epoch, and such that only grow.
    """

    def __init__(
        self,
        sign_ins: SqliteSignIns,
        workers: Workers,
        *,
        password: str | None,
        public: bool,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sign_ins, self._workers, self._password, self.public = sign_ins, workers, password, public
        self._clock, self._monotonic = clock, monotonic
        self._keys: dict[str, float] = {}
        self.doors = Doors(monotonic)

    @property
    def has_password(self) -> bool:
        return self._password is not None

    def new_key(self) -> str:
        """Return a key that signs in once, within ``KEY_SECONDS``."""
        text = "".join(secrets.choice(_ALPHABET) for _ in range(_KEY_LENGTH))
        self._keys[text] = self._monotonic() + KEY_SECONDS
        for old in list(self._keys)[:-_MOST_KEYS]:
            del self._keys[old]
        return "-".join(text[at : at + _GROUP] for at in range(0, _KEY_LENGTH, _GROUP))

    async def by_key(self, key: str, address: str) -> str:
        """Spend a key, and return what the browser is to hold.

        Raises:
            KeyUsed: It opens nothing.
            PasswordLocked: Too many were wrong that came from this address.
            StateUnavailable: The sign-in cannot be kept; the key is good for another try.
        """
        self.doors.knock(address)
        plain = key.replace("-", "").replace(" ", "").upper()
        until = self._keys.pop(plain, None)  # before anything is waited for: two that come at once are not both let in
        if until is None or until < self._monotonic():
            raise KeyUsed
        self.doors.open(address)
        try:
            return await self._begin()
        except BaseException:
            self._keys[plain] = until
            raise

    async def by_password(self, password: str, address: str) -> str:
        """Return what the browser is to hold of who knows the password.

        Raises:
            PasswordWrong, PasswordLocked: As they say.
            StateUnavailable: The sign-in cannot be kept.
        """
        self.doors.knock(address)
        if self._password is None or not await self._workers.run(matches, password, self._password):
            raise PasswordWrong
        self.doors.open(address)
        return await self._begin()

    async def person(self, cookie: str | None) -> Person | None:
        """Return whose a browser's cookie is; where everybody may look, anybody's that is none of ours.

        Raises:
            StateUnavailable: It cannot be told now.
        """
        if not cookie or len(cookie) > _LONGEST_COOKIE:
            return None
        key = _key(cookie)
        if await self._sign_ins.stands(key, self._clock()):
            return Person(OWNER, signed_in=True, csrf=_csrf(cookie))
        return Person(f"guest:{key.hex()}", signed_in=False, csrf=_csrf(cookie)) if self.public else None

    async def demand(self, cookie: str | None) -> Person:
        """Return the same.

        Raises:
            SignedOut: It is nobody's.
        """
        person = await self.person(cookie)
        if person is None:
            raise SignedOut
        return person

    async def leave(self, cookie: str) -> None:
        """Forget a sign-in."""
        await self._sign_ins.end(_key(cookie))

    async def _begin(self) -> str:
        cookie, now = new_cookie(), self._clock()
        await self._sign_ins.begin(_key(cookie), now, int(now) + SIGN_IN_SECONDS)
        return cookie


def new_cookie() -> str:
    """Return what a browser is to hold that nobody has signed in with yet."""
    return secrets.token_urlsafe(32)


def is_token_of(person: Person, given: str | None) -> bool:
    """Whether what a request says is the token of a person's pages."""
    return given is not None and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), person.csrf.encode())


def password_digest(password: str) -> str:
    """See ``passwords.digest``."""
    return digest(password)


def _key(cookie: str) -> bytes:
    return hashlib.sha256(b"pannier sign-in:" + cookie.encode("utf-8", "surrogatepass")).digest()


def _csrf(cookie: str) -> str:
    return hmac.digest(cookie.encode("utf-8", "surrogatepass"), b"pannier csrf", "sha256").hex()
