"""What single values of settings may be: checks and conversions, and the types that carry them."""

from __future__ import annotations

import ssl
import unicodedata
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from pannier.config.complaints import complaint
from pannier.dto.ids import is_key_id

MAKE_SECRET = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"  # noqa: S105 - no secret

SHORTEST_TOKEN_SECRET = 32
"""Bytes: as long as the hash of HS256 (RFC 7518 section 3.2)."""


def _split(value: object) -> object:
    """Take ``a, b`` from the environment for a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _expand(path: Path) -> Path:
    if "\0" in str(path):
        raise complaint("", f"{str(path)!r} holds a NUL", "name a path of this machine")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise complaint("", f"{str(path)!r}: there is no such home directory", "write the whole path") from None


def _prefix(value: str) -> str:
    bare = value.strip("/")
    if any(not c.isascii() or not (c.isalnum() or c in "-._~/") for c in bare) or "//" in bare:
        raise complaint("", f"{value!r} is no path prefix", 'write it like "/files": letters, digits and - . _ ~')
    if {".", ".."} & set(bare.split("/")):
        raise complaint("", f"{value!r} climbs", "leave out the parts . and ..")
    return f"/{bare}" if bare else ""


def _public_url(value: str) -> str:
    way_out = 'write it like "https://files.example.com/store"'  # the value is not shown: it may hold a password
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        raise complaint("", "is no base URL", way_out) from None
    extra = parts.query or parts.fragment or parts.username is not None or not value.isprintable()
    if parts.scheme not in ("http", "https") or not parts.hostname or extra:
        raise complaint("", "is no base URL", way_out)
    return value.rstrip("/")


def _origin(value: str) -> str:
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if value != f"{parts.scheme}://{parts.netloc}" or not parts.scheme or not parts.hostname or "@" in value:
        way_out = 'write it like "https://app.example.com"; an empty list allows every origin, without credentials'
        raise complaint("", f"{value!r} is no origin", way_out)
    return value.lower()


def _volume_name(value: str) -> str:
    if not value or "/" in value or not value.isprintable() or len(value) > 64:
        raise complaint("", f"{value!r} is no name for a volume", "use 1 to 64 printable characters without /")
    return value


def _key_name(value: str) -> str:
    if not is_key_id(value):
        raise complaint("", f"{value[:64]!r} is no name for a key", "use 1 to 64 letters, digits, - and _")
    return value


LocalPath = Annotated[Path, AfterValidator(_expand)]
KeyName = Annotated[str, AfterValidator(_key_name)]
Secrets = Annotated[list[SecretStr], BeforeValidator(_split)]
VolumeName = Annotated[str, AfterValidator(_volume_name)]
Networks = Annotated[list[IPv4Network | IPv6Network], BeforeValidator(_split)]
Origins = Annotated[list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_split)]
PathPrefix = Annotated[str, AfterValidator(_prefix)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]


def secret_bytes(secret: SecretStr, name: str = "secret") -> int:
    """Return the length of the ``secret`` of a section, or of another setting that is one.

    Raises:
        PydanticCustomError: It is no text. (The codec's own words would quote a part of it.)
    """
    try:
        return len(secret.get_secret_value().encode())
    except UnicodeEncodeError:
        raise complaint(name, "is not UTF-8", MAKE_SECRET) from None


def check_header(secret: SecretStr) -> None:
    """Refuse a ``secret`` that no header could carry, so that whoever sends it would be turned away for ever.

    Raises:
        PydanticCustomError: It is one.
    """
    text = secret.get_secret_value()
    if text != text.strip() or any(unicodedata.category(character) == "Cc" for character in text):
        reason = "begins or ends with white space, or holds a line break or another control character"
        raise complaint("secret", f"{reason}; a header cannot carry that", "take it out")


def check_runs_as(key: str, wanted: int | str | None, current: int, find: Callable[[str], int]) -> None:
    """Refuse a user or group that this process does not run as: to go on as another one, perhaps root, is no way.

    Args:
        key: ``user`` or ``group``.
        wanted: Its id or name; None or -1 (the reference's word for: as it is) for any.
        current: The id that this process has.
        find: Returns the id of a name; raises ``KeyError``.

    Raises:
        PydanticCustomError: It is another one, or there is none of that name.
    """
    if wanted is None:
        return
    try:
        number = int(wanted)
    except ValueError:
        try:
            number = find(str(wanted))
        except KeyError:
            raise complaint(key, f"{wanted!r}: there is no such {key}", "name one of this machine") from None
    if number not in (-1, current):
        way_out = f"start it as that {key} (User=, Group= in systemd; setpriv), or leave it out"
        raise complaint(key, f"is {wanted!r}, but this process runs as {current} and changes to no other", way_out)


def check_certificate(cert: Path | None, key: Path | None) -> None:
    """Look at ``ssl-cert`` and ``ssl-privkey`` as a listener will, so that a mistake is told of the right one.

    Raises:
        PydanticCustomError: One is missing or cannot be read, or the two cannot be used.
    """
    cert, key = _readable("ssl-cert", cert), _readable("ssl-privkey", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_verify_locations(cert)
    except ssl.SSLError:
        raise complaint("ssl-cert", f"{str(cert)!r} holds no PEM certificate", "name one that does") from None
    try:
        context.load_cert_chain(cert, key, password="")  # without one, OpenSSL would ask on the terminal
    except ssl.SSLError as error:
        match error.reason:
            case "KEY_VALUES_MISMATCH":
                reason = f"{str(key)!r} is not the key of {str(cert)!r}"
                way_out = "name the key that belongs to it; in a chain, the server's own certificate comes first"
            case None:
                reason, way_out = f"{str(key)!r} holds no PEM private key, or one with a password", "name one without"
            case other:
                reason = f"{str(key)!r} cannot be used: {other.lower().replace('_', ' ')}"
                way_out = "name another certificate and key"
        raise complaint("ssl-privkey", reason, way_out) from None


def _readable(name: str, path: Path | None) -> Path:
    if path is None:
        raise complaint(name, "is missing while ssl-enabled is true", "name the PEM file, or switch TLS off")
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        reason = f"{str(path)!r} cannot be read ({error.strerror})"
        raise complaint(name, reason, "name a readable PEM file, or set ssl-enabled to false") from None


def open_to_others(file: Path | None) -> list[str]:
    """Return what to say of a file of secrets that others may read; nothing if it is none or cannot be seen."""
    try:
        mode = file.stat().st_mode if file else 0
    except OSError:
        return []
    return [f"{file}: others on this machine can read it and its secrets; chmod 600 {file}"] if mode & 0o004 else []
