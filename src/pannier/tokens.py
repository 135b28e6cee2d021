"""Tokens: signed claims in, models out (WIRE section 5). The only module that knows of ``jwt``.

There are two ways to sign. Tokens of the wire carry no ``kid``: HS256 under the shared secret, as upstream's validators
want them. Native tokens name their key in the header, are meant for an audience, and have a type of their own; a key is
good for one algorithm. A token that names a key is judged by that key alone, one that names none never by the ring.

Under one key all kinds of token verify alike; what tells them apart is the model they are read into, which has
to refuse the claims of the others. No message here holds any part of a token or of a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jwt
from pydantic import BaseModel, ValidationError

from pannier.dto.instants import instant
from pannier.errors import (
    ConfigInvalid,
    MintingUnavailable,
    TokenClaimsInvalid,
    TokenExpired,
    TokenForged,
    TokenUndecodable,
)
from pannier.keys import Algorithm, KeyRing, is_public

LONGEST_TOKEN = 131_072
"""Most characters that are looked at: far above any request line, and what bounds the work before the signature."""

NATIVE_TYPE = "pannier+jwt"
"""``typ`` of native tokens (RFC 8725 section 3.11): no other JWT under the same key is one."""

_SHORTEST_SECRETS = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes; a key is at least as long as the hash (RFC 7518 section 3.2). Only algorithms that use a shared secret."""
_SETTING, _FORMER = "storage-proxy.secret", "keys.former-secrets"
_MOST_REASONS = 10
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)

_JWS = jwt.PyJWS(algorithms=[*_SHORTEST_SECRETS, *Algorithm])
"""Signatures only. Headers, claims and times are judged here: versions of PyJWT differ in what they refuse."""
_NEVER_IN_A_HEADER = frozenset({"crit", "b64"})
"""Extensions that change how a token is to be read (RFC 7515 section 4.1.11, RFC 7797): none is understood here."""
_NO_KEYS = KeyRing()
_NOT_A_JWT = "the token's header or payload is not what a JWT has there"
_REFUSED = "the token's claims are not what this route takes: "

ModelT = TypeVar("ModelT", bound=BaseModel)


class PydanticJWT:
    """Issues and validates tokens.

    Args:
        secret: The shared key of the wire's tokens; text stands for its UTF-8 bytes. None: such tokens are neither
            issued nor accepted.
        algorithms: Those that are accepted under the shared key; the first one signs.
        former: Secrets that the shared key was before: they verify, and sign nothing.
        ring: The keys of native tokens; where one is active, it signs.
        clock: Seconds since the epoch.

    Raises:
        ConfigInvalid: A secret is too short or is a key of another kind, or an algorithm uses no shared secret.
    """

    def __init__(
        self,
        secret: str | bytes | None,
        algorithms: Sequence[str] = ("HS256",),
        *,
        former: Sequence[str | bytes] = (),
        ring: KeyRing = _NO_KEYS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given = () if secret is None else ((_SETTING, secret), *((f"{_FORMER}[{i}]", s) for i, s in enumerate(former)))
        self._shared = tuple(_checked_secret(setting, each, algorithms) for setting, each in given)
        self._algorithms, self._ring, self._clock = tuple(algorithms), ring, clock

    def issue(self, model: BaseModel) -> str:
        """Sign a model's claims, under their wire names.

        Raises:
            MintingUnavailable: There is no key to sign with.
        """
        claims, ring = model.model_dump(by_alias=True), self._ring
        if (key := ring.active) is not None and key.signing is not None:
            headers = {"kid": key.kid, "typ": NATIVE_TYPE}
            native = {**claims, "iss": ring.issuer, "aud": ring.audience}
            return jwt.encode(native, key.signing, algorithm=key.algorithm, headers=headers)
        if not self._shared:
            raise MintingUnavailable
        return jwt.encode(claims, self._shared[0], algorithm=self._algorithms[0])

    def validate(
        self, token: str | bytes, model: type[ModelT], *, grace: Callable[[ModelT], float] | None = None
    ) -> ModelT:
        """Return a token's claims as a model.

        ``grace`` says for how many seconds claims hold beyond their ``exp``; none do unless it is given.

        Raises:
            TokenUndecodable: It is no JWT, or not written as exactly one (RFC 7515 section 2 knows one spelling).
            TokenForged: It is signed with another key or algorithm, or with none, or was altered.
            TokenExpired: Its ``exp`` has passed.
            TokenClaimsInvalid: ``exp`` is missing or no number, ``nbf`` lies ahead, it is native and for others, or the
                model refuses the claims.
        """
        text = _compact(token)
        header = _header(text)
        claims = _object(self._verified(text, header))
        held = None
        try:
            self._check_times(claims)
        except TokenExpired:
            held = self._held_beyond(claims, model, grace)
            if held is None:
                raise
        if "kid" in header:
            self._check_origin(claims)
        if held is not None:
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

    def _verified(self, token: str, header: dict[str, Any]) -> bytes:
        """Return the payload of a token whose signature holds."""
        if "kid" not in header:
            if not self._shared:
                raise TokenForged("the token names no key, and this server takes none without")
            return _verified(token, header, self._shared, self._algorithms)
        kid = header["kid"]
        if not isinstance(kid, str) or header.get("typ") != NATIVE_TYPE:
            raise TokenUndecodable(f"a token that names its key has the type {NATIVE_TYPE}, and the name is a text")
        key = self._ring.find(kid)
        if key is None:
            raise TokenForged("the token's key is not known here, or no longer; ask the manager for a new token")
        return _verified(token, header, (key.verifying,), (key.algorithm,))

    def _check_origin(self, claims: dict[str, Any]) -> None:
        """See that a native token was made by the issuer whose keys these are, and for this server."""
        audience = claims.get("aud")
        if self._ring.audience not in (audience if isinstance(audience, list) else [audience]):
            raise TokenClaimsInvalid(f"{_REFUSED}aud: does not name this server")
        if claims.get("iss") != self._ring.issuer:
            raise TokenClaimsInvalid(f"{_REFUSED}iss: is not who issues tokens for this server")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock()
        expires = _numeric_date(claims, "exp")
        if expires is None:
            raise TokenClaimsInvalid(f"{_REFUSED}exp: is missing")
        if expires <= now:
            expired = math.floor(max(expires, 0))  # a number below may be too long to print
            raise TokenExpired(
                f"the token expired {math.floor(now) - expired} s ago (exp {instant(expired)}); "
                "ask the manager for a new one"
            )
        begins = _numeric_date(claims, "nbf")
        if begins is not None and begins > now:
            then, today = instant(math.floor(begins)), instant(math.floor(now))
            raise TokenClaimsInvalid(f"{_REFUSED}nbf: it begins to hold at {then}, and it is {today}")


def session_of(token: str, jti: str | None) -> str:
    """Return what a token's session is remembered by: its ``jti``, or the SHA-256 of its text where it has none.

    The two carry different prefixes, so that no ``jti`` can be chosen to pose as the digest of another's token.
    """
    if jti is not None:
        return f"jti:{jti}"
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _checked_secret(setting: str, secret: str | bytes, algorithms: Sequence[str]) -> bytes:
    way_out = "set it to at least 32 random bytes, such as 64 random hex digits, the same as the manager's"
    try:
        key = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise ConfigInvalid(setting, "it is no valid text", way_out) from None
    if not algorithms or not set(algorithms) <= _SHORTEST_SECRETS.keys():
        known = ", ".join(_SHORTEST_SECRETS)
        raise ConfigInvalid(setting, f"{algorithms!r} cannot be used with a shared secret", f"choose among {known}")
    shortest = max(_SHORTEST_SECRETS[algorithm] for algorithm in algorithms)
    if len(key) < shortest:
        raise ConfigInvalid(setting, f"{len(key)} bytes are too short a key; at least {shortest} are needed", way_out)
    if is_public(key):
        raise ConfigInvalid(setting, "it is a public key or certificate, which is no secret", way_out)
    return key


def _header(token: str) -> dict[str, Any]:
    """Return a token's header, as far as it can be told before its signature."""
    part = token.partition(".")[0]
    header = _object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not _NEVER_IN_A_HEADER.isdisjoint(header):
        raise TokenUndecodable("the token's header asks for an extension that is not understood here")
    return header


def _verified(token: str, header: dict[str, Any], keys: Sequence[Any], algorithms: Sequence[str]) -> bytes:
    """Return the payload of a token that one of the keys has signed, each with one of their algorithms alone."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenForged(f"the token is not signed with {' or '.join(algorithms)}")
    for key in keys:
        try:
            payload: bytes = _JWS.decode(token, key, algorithms=[algorithm])
            return payload
        except jwt.InvalidSignatureError:
            continue
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenUndecodable(_NOT_A_JWT) from None
    raise TokenForged("the token was altered, or signed with another key")


def _object(text: bytes) -> dict[str, Any]:
    """Return the JSON object that a part of a token is.

    A member that is given twice is refused: readers differ in which one they take (RFC 7515 section 4, RFC 8259
    section 4), so a token could say one thing here and another one elsewhere.
    """
    try:
        found = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):  # the former: no UTF-8, no JSON, too long a number, a member twice
        raise TokenUndecodable(_NOT_A_JWT) from None
    if not isinstance(found, dict):
        raise TokenUndecodable(_NOT_A_JWT)
    return found


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member is given twice")
    return found


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
        raise TokenClaimsInvalid(f"{_REFUSED}{name}: is no number of seconds")
    return value


def _reasons(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    reasons = [f"{_field(reason['loc'])}: {_shown(reason['msg'])}" for reason in found[:_MOST_REASONS]]
    more = f"; and {len(found) - _MOST_REASONS} more" if len(found) > _MOST_REASONS else ""
    return f"{_REFUSED}{'; '.join(reasons)}{more}"


def _field(location: tuple[int | str, ...]) -> str:
    return _shown(".".join(str(step) for step in location) or "claims")


def _shown(text: str) -> str:
    # what the claims hold may be quoted here; it is kept short, and free of controls
    short = text if len(text) <= 200 else f"{text[:200]}…"
    return short if short.isprintable() else ascii(short)[1:-1]
