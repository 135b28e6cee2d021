"""Keys of native tokens: which there are, which one signs, each pinned to one algorithm.

The only module that knows of ``cryptography``, and only where an Ed25519 key is used: it is an extra of the package.
No message here holds any part of a key.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pannier.errors import ConfigInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SHORTEST_SECRET = 32
"""Bytes; a key is at least as long as the hash (RFC 7518 section 3.2)."""


class Algorithm(StrEnum):
    """How a key of the ring signs, as ``alg`` names it (RFC 7518 section 3.1, RFC 8037 section 3.1)."""

    HS256 = "HS256"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Key:
    """One key, and the one algorithm that it is used with.

    Attributes:
        kid: Its name in the header of a token.
        verifying: What verifies; a secret's bytes or an Ed25519 public key.
        signing: What signs; None where only the public half is known here.
    """

    kid: str
    algorithm: Algorithm
    verifying: bytes | Ed25519PublicKey = field(repr=False)
    signing: bytes | Ed25519PrivateKey | None = field(repr=False)


class KeyRing:
    """The keys of native tokens, by their ``kid``.

    Args:
        keys: All that verify.
        active: Which of them signs; None: none does.
        audience: What ``aud`` of every native token has to name.
        issuer: What ``iss`` of every native token has to be: all keys here are its keys.

    Raises:
        ConfigInvalid: The active key is not among them, or cannot sign.
    """

    def __init__(
        self,
        keys: Iterable[Key] = (),
        active: str | None = None,
        *,
        audience: str = "pannier",
        issuer: str = "pannier",
    ) -> None:
        self._keys = {key.kid: key for key in keys}
        self.audience, self.issuer = audience, issuer
        self.active = None if active is None else self._keys.get(active)
        if active is not None and self.active is None:
            raise ConfigInvalid("keys.active", f"{active!r} is no key of keys.ring", "name one of them, or add it")
        if self.active is not None and self.active.signing is None:
            reason = f"of {active!r} only the public key is known, which cannot sign"
            raise ConfigInvalid("keys.active", reason, "give its private-key, or leave active out: nothing is signed")

    def find(self, kid: str) -> Key | None:
        """Return the key of a name that somebody gave: it is looked up, and used for nothing else."""
        return self._keys.get(kid)


def secret_key(kid: str, secret: str | bytes) -> Key:
    """Return an HS256 key.

    Raises:
        ConfigInvalid: The secret is too short, no text, or a key of another kind.
    """
    setting = _setting(kid, "secret")
    way_out = "make one with: pannier keys new --alg HS256"
    try:
        key = secret.encode() if isinstance(secret, str) else bytes(secret)
    except UnicodeEncodeError:
        raise ConfigInvalid(setting, "it is no valid text", way_out) from None
    if len(key) < SHORTEST_SECRET:
        reason = f"{len(key)} bytes are too short a key; at least {SHORTEST_SECRET} are needed"
        raise ConfigInvalid(setting, reason, way_out)
    if is_public(key):
        raise ConfigInvalid(setting, "it is a public key or certificate, which is no secret", way_out)
    return Key(kid, Algorithm.HS256, key, key)


def private_key(kid: str, pem: bytes) -> Key:
    """Return an Ed25519 key that signs and verifies, from a PEM file's bytes (PKCS #8, RFC 8410 section 7).

    Raises:
        ConfigInvalid: It is no such file, or the package ``cryptography`` is missing.
    """
    setting = _setting(kid, "private-key")
    serialization, ed25519, unsupported = _cryptography(setting)
    way_out = "name a PEM file that holds one without a password, such as pannier keys new makes"
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, unsupported):
        raise ConfigInvalid(setting, "the file holds no private key that can be read", way_out) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ConfigInvalid(setting, "the file holds a private key, but none of Ed25519", way_out)
    return Key(kid, Algorithm.EDDSA, key.public_key(), key)


def public_key(kid: str, pem: bytes) -> Key:
    """Return an Ed25519 key that only verifies, from a PEM file's bytes (SubjectPublicKeyInfo, RFC 8410 section 4).

    Raises:
        ConfigInvalid: It is no such file, or the package ``cryptography`` is missing.
    """
    setting = _setting(kid, "public-key")
    serialization, ed25519, unsupported = _cryptography(setting)
    way_out = "name a PEM file that holds one, such as pannier keys new makes"
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, unsupported):
        raise ConfigInvalid(setting, "the file holds no public key that can be read", way_out) from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise ConfigInvalid(setting, "the file holds a public key, but none of Ed25519", way_out)
    return Key(kid, Algorithm.EDDSA, key, None)


def new_kid() -> str:
    """Return a name for a new key."""
    return secrets.token_hex(4)


def new_secret() -> str:
    """Return a new secret for HS256: 43 characters of 256 random bits."""
    return secrets.token_urlsafe(32)


def new_pair() -> tuple[bytes, bytes]:
    """Return a new Ed25519 key pair as two PEM files: the private one, the public one.

    Raises:
        ConfigInvalid: The package ``cryptography`` is missing.
    """
    serialization, ed25519, _ = _cryptography("--alg")
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public


def is_public(key: bytes) -> bool:
    """Say whether what is to be a secret is what everybody may know: a PEM or SSH key, or a certificate."""
    return b"-----BEGIN " in key or key.startswith((b"ssh-", b"ecdsa-sha2-"))


def _setting(kid: str, name: str) -> str:
    return f"keys.ring.{kid}.{name}"


def _cryptography(setting: str) -> tuple[Any, Any, type[Exception]]:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        way_out = "pip install 'pannier[server,ed25519]', or use HS256"
        raise ConfigInvalid(setting, "Ed25519 needs the package cryptography, which is missing", way_out) from None
    return serialization, ed25519, UnsupportedAlgorithm
