"""Tokens: signed claims in, models out (WIRE section 5). The only module that knows of ``jwt``.

Under one shared key all kinds of token verify alike; what tells them apart is the model they are read into, which has
to refuse the claims of the others. No message here holds any part of a token or of the secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jwt
from pydantic import BaseModel, ValidationError

from pannier.dto.instants import instant
from pannier.errors import ConfigInvalid, TokenClaimsInvalid, TokenExpired, TokenForged, TokenUndecodable

LONGEST_TOKEN = 131_072
"""Most characters that are looked at: far above any request line, and what bounds the work before the signature."""

_SHORTEST_SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes; a key is at least as long as the hash (RFC 7518 section 3.2). Only algorithms that use a shared secret."""
_SETTING = "storage-proxy.secret"
_MOST_REASONS = 10
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)

# exp and nbf are checked here (PyJWT's own checks let some values escape as OverflowError); the others are tolerated
_SIGNATURE_ONLY: dict[str, Any] = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False),
    **dict.fromkeys(("verify_sub", "verify_jti"), False),
}

ModelT = TypeVar("ModelT", bound=BaseModel)


class PydanticJWT:
    """Issues and validates tokens under one shared secret.

    Args:
        secret: The key; text stands for its UTF-8 bytes.
        algorithms: Those that are accepted; the first one signs.
        clock: Seconds since the epoch.

    Raises:
        ConfigInvalid: The secret is too short or is a key of another kind, or an algorithm uses no shared secret.
    """

    def __init__(
        self,
        secret: str | bytes,
        algorithms: Sequence[str] = ("HS256",),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret, self._algorithms, self._clock = _checked_secret(secret, algorithms), tuple(algorithms), clock

    def issue(self, model: BaseModel) -> str:
        """Sign a model's claims, under their wire names."""
        return jwt.encode(model.model_dump(by_alias=True), self._secret, algorithm=self._algorithms[0])

    def validate(
        self, token: str | bytes, model: type[ModelT], *, grace: Callable[[ModelT], float] | None = None
    ) -> ModelT:
        """Return a token's claims as a model.

        ``grace`` says for how many seconds claims hold beyond their ``exp``; none do unless it is given.

        Raises:
            TokenUndecodable: It is no JWT, or not written as exactly one (RFC 7515 section 2 knows one spelling).
            TokenForged: It is signed with another key or algorithm, or with none, or was altered.
            TokenExpired: Its ``exp`` has passed.
            TokenClaimsInvalid: ``exp`` is missing or no number, ``nbf`` lies ahead, or the model refuses the claims.
        """
        claims = self._verified(_compact(token))
        try:
            self._check_times(claims)
        except TokenExpired as expired:
            held = self._held_beyond(claims, model, grace)
            if held is None:
                raise expired from None
            return held
        try:
            return model.model_validate(claims)
        except ValidationError as error:
            raise TokenClaimsInvalid(_reasons(error)) from None

    def _held_beyond(
        self, claims: dict[str, Any], model: type[ModelT], grace: Callable[[ModelT], float] | None
    ) -> ModelT | None:
        """Return claims that have expired and hold all the same, for a while; None where they do not."""
        if grace is None:
            return None
        try:
            held = model.model_validate(claims)
        except ValidationError:
            return None
        self._check_times({**claims, "exp": claims["exp"] + grace(held)})
        return held

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(token, self._secret, algorithms=list(self._algorithms), options=_SIGNATURE_ONLY)  # type: ignore[arg-type]
        except jwt.InvalidSignatureError:
            raise TokenForged("the token was altered, or signed with another key") from None
        except jwt.InvalidAlgorithmError:
            raise TokenForged(f"the token is not signed with {' or '.join(self._algorithms)}") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            # the last two: a header that nests too deeply or holds too long a number, in some versions of PyJWT
            raise TokenUndecodable("the token's header or payload is not what a JWT has there") from None

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        expires = _numeric_date(claims, "exp")
        if expires is None:
            raise TokenClaimsInvalid("the token's claims are not what this route takes: exp: is missing")
        if expires <= now:
            expired = math.floor(max(expires, 0))  # a number below may be too long to print
            raise TokenExpired(
                f"the token expired {math.floor(now) - expired} s ago (exp {instant(expired)}); "
                "ask the manager for a new one"
            )
        begins = _numeric_date(claims, "nbf")
        if begins is not None and begins > now:
            raise TokenClaimsInvalid(
                "the token's claims are not what this route takes: "
                f"nbf: it begins to hold at {instant(math.floor(begins))}, and it is {instant(math.floor(now))}"
            )


def session_of(token: str, jti: str | None) -> str:
    """Return what a token's session is remembered by: its ``jti``, or the SHA-256 of its text where it has none.

    The two carry different prefixes, so that no ``jti`` can be chosen to pose as the digest of another's token.
    """
    if jti is not None:
        return f"jti:{jti}"
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _checked_secret(secret: str | bytes, algorithms: Sequence[str]) -> bytes:
    way_out = "set it to at least 32 random bytes, such as 64 random hex digits, the same as the manager's"
    try:
        key = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise ConfigInvalid(_SETTING, "it is no valid text", way_out) from None
    if not algorithms or not set(algorithms) <= _SHORTEST_SECRETS.keys():
        known = ", ".join(_SHORTEST_SECRETS)
        raise ConfigInvalid(_SETTING, f"{algorithms!r} cannot be used with a shared secret", f"choose among {known}")
    shortest = max(_SHORTEST_SECRETS[algorithm] for algorithm in algorithms)
    if len(key) < shortest:
        raise ConfigInvalid(_SETTING, f"{len(key)} bytes are too short a key; at least {shortest} are needed", way_out)
    try:
        jwt.encode({}, key, algorithm=algorithms[0])
    except jwt.InvalidKeyError:
        raise ConfigInvalid(_SETTING, "it is a public key or certificate, which is no secret", way_out) from None
    return key


def _compact(token: str | bytes) -> str:
    """Return a token's text if it is spelled as a compact JWS has to be.

    Decoders forgive: padding, foreign characters, loose bits in the last character. Each of these would give one token
    many spellings, and a session that is remembered by the token's text could be shed by respelling it.
    """
    if len(token) > LONGEST_TOKEN:
        raise TokenUndecodable(f"the token is longer than {LONGEST_TOKEN:,} characters")
    text = token.decode("latin-1") if isinstance(token, bytes) else token
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenUndecodable("a token has three parts with a dot between them")
    if not all(map(_is_canonical, parts)):
        raise TokenUndecodable("a part of the token is not base64url as a JWT writes it")
    return text


def _is_canonical(part: str) -> bool:
    if not _BASE64URL.fullmatch(part):
        return False
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        return False
    return base64.urlsafe_b64encode(content).rstrip(b"=") == part.encode("ascii")


def _numeric_date(claims: dict[str, Any], name: str) -> int | float | None:
    """Return a claim that says when (RFC 7519 section 2, NumericDate), or None where it is absent."""
    value = claims.get(name)
    if name not in claims:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value
        or value in (math.inf, -math.inf)
    ):
        raise TokenClaimsInvalid(f"the token's claims are not what this route takes: {name}: is no number of seconds")
    return value


def _reasons(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    reasons = [f"{_field(reason['loc'])}: {_shown(reason['msg'])}" for reason in found[:_MOST_REASONS]]
    more = f"; and {len(found) - _MOST_REASONS} more" if len(found) > _MOST_REASONS else ""
    return f"the token's claims are not what this route takes: {'; '.join(reasons)}{more}"


def _field(location: tuple[int | str, ...]) -> str:
    return _shown(".".join(str(step) for step in location) or "claims")


def _shown(text: str) -> str:
    # what the claims hold may be quoted here; it is kept short, and free of controls
    short = text if len(text) <= 200 else f"{text[:200]}…"
    return short if short.isprintable() else ascii(short)[1:-1]
