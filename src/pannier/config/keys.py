"""The keys of native tokens, as settings."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from pannier.config.complaints import complaint, toml_key
from pannier.config.section import Section
from pannier.config.values import (
    MAKE_SECRET,
    SHORTEST_TOKEN_SECRET,
    KeyName,
    LocalPath,
    Secrets,
    open_to_others,
    secret_bytes,
)


class KeySettings(Section):
    """One key of native tokens."""

    alg: Literal["EdDSA", "HS256"] = Field(description="The one algorithm that it is used with; EdDSA: Ed25519.")
    secret: SecretStr | None = Field(None, description="Of HS256: the secret; at least 32 bytes.")
    private_key: LocalPath | None = Field(
        None, description="Of EdDSA, where tokens are signed: PEM file of the private key."
    )
    public_key: LocalPath | None = Field(
        None, description="Of EdDSA, where they are only taken: PEM file of the public key."
    )

    @property
    def signs(self) -> bool:
        """Whether tokens can be signed with it here."""
        return self.public_key is None

    @model_validator(mode="after")
    def _check(self) -> KeySettings:
        given = [name for name in ("secret", "private_key", "public_key") if getattr(self, name) is not None]
        takes = ["secret"] if self.alg == "HS256" else ["private_key", "public_key"]
        foreign = [name for name in given if name not in takes]
        if foreign:
            raise complaint(toml_key((foreign[0],)), f"is no part of a key of {self.alg}", "leave it out")
        if len(given) != 1:
            names = " or ".join(map(toml_key, zip(takes)))
            reason = f"a key of {self.alg} has exactly one of: {names}"
            raise complaint("", reason, "make one with: pannier keys new")
        if self.secret is not None and (length := secret_bytes(self.secret)) < SHORTEST_TOKEN_SECRET:
            reason = f"has {length} bytes, tokens need at least {SHORTEST_TOKEN_SECRET}"
            raise complaint("secret", reason, MAKE_SECRET)
        return self


class KeysSettings(Section):
    """The keys of native tokens, beside the secret of the wire's."""

    active: KeyName | None = Field(
        None,
        description="The key that tokens are signed with from now on; without it storage-proxy.secret signs, as "
        "Backend.AI does it.",
    )
    ring: dict[KeyName, KeySettings] = Field(
        default_factory=dict, description="All keys whose tokens are taken, by name."
    )
    audience: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "pannier", description="What native tokens are for (aud); servers that share keys tell themselves apart by it."
    )
    issuer: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "pannier", description="Who signs with the keys of the ring (iss)."
    )
    accept_shared: bool = Field(
        True, description="Take tokens under storage-proxy.secret; off: who knows that secret can make none."
    )
    former_secrets: Secrets = Field(
        [], description="What storage-proxy.secret was before: tokens under it are taken until it is removed here."
    )

    @model_validator(mode="after")
    def _check(self) -> KeysSettings:
        if self.active is not None:
            key = self.ring.get(self.active)
            if key is None:
                raise complaint("active", f"{self.active!r} is no key of keys.ring", "name one of them, or add it")
            if not key.signs:
                reason = f"of {self.active!r} only the public key is known, which cannot sign"
                raise complaint("active", reason, "give its private-key, or leave active out: nothing is signed here")
        if any(secret_bytes(each, "former-secrets") < SHORTEST_TOKEN_SECRET for each in self.former_secrets):
            reason = f"holds one of less than {SHORTEST_TOKEN_SECRET} bytes, which no token was signed with"
            raise complaint("former-secrets", reason, "take it out")
        return self

    def warnings(self) -> list[str]:
        """Return what is allowed but should be looked at, one line each."""
        found = list[str]()
        for name, key in self.ring.items():
            found += [f"keys.ring.{name}.private-key: {each}" for each in open_to_others(key.private_key)]
        if not self.accept_shared and self.active is None:
            found.append("keys.active: is not set, and keys.accept-shared is off: this server takes tokens, signs none")
        if self.accept_shared and self.active is not None and self.ring[self.active].alg == "EdDSA":
            found.append(
                "keys.accept-shared: is on, so who knows storage-proxy.secret can still sign; switch it off when the "
                "last token under that secret has expired"
            )
        return found
