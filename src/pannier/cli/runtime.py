"""What a running ``pannier serve`` leaves in its state folder for other commands, and the secrets it keeps there.

Both are files of mode 0600 in a folder made with 0700. The runtime file says how the manager listener is reached, so
whoever can read it can make links; it exists from when the server is ready until a clean stop. After an unclean one it
stays, and is told from a live one by its process id.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pannier.errors import ConfigInvalid

_SECRETS, _LOCK = "secrets.json", "secrets.lock"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_LARGEST_FILE = 2**24
_SECRET_BYTES = 32
_SHORTEST_SECRET = 43
"""Characters of 32 random bytes in URL-safe base64."""


@dataclass(frozen=True)
class Secrets:
    """What one user's server signs tokens with, and what its manager listener asks for."""

    token: str
    manager: str

    def __repr__(self) -> str:
        return "Secrets(…)"


@dataclass(frozen=True)
class RunningFolder:
    """One folder that a running server serves; ``path`` is its real path."""

    name: str
    path: str
    volume: str
    folder_id: str


@dataclass(frozen=True)
class Running:
    """A running server, as its runtime file tells it."""

    pid: int
    version: str
    client_url: str
    manager_url: str
    manager_secret: str
    folders: tuple[RunningFolder, ...]
    manager_certificate: str = ""
    """In PEM, where the manager listener speaks TLS: it is rarely issued for the address that is asked here."""
    client_certificate: str = ""
    """The same of the client-facing listener, where clients reach it without anything in between."""

    def __repr__(self) -> str:
        return f"Running(pid={self.pid}, manager_url={self.manager_url!r}, folders={self.folders!r})"


def prepare_state(folder: Path) -> None:
    """Make the state folder, for its owner only, or check one that exists.

    Raises:
        ConfigInvalid: It cannot be made, or others may change what is in it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        reason = f"the state folder {str(folder)!r} cannot be made ({error.strerror})"
        raise ConfigInvalid("state.path", reason, "name another one with --state DIR") from None
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        reason = f"others may change the state folder {str(folder)!r}"
        raise ConfigInvalid("state.path", reason, f"chown it to yourself and chmod 700 {folder}")


def keep_secrets(folder: Path) -> Secrets:
    """Return the secrets kept in the state folder; the first call makes them.

    Raises:
        ConfigInvalid: The file cannot be read or written, is damaged, or others can read it.
    """
    path = folder / _SECRETS
    try:
        with _locked(folder / _LOCK):
            if not path.exists():
                fresh = {f"{name}_secret": secrets.token_urlsafe(_SECRET_BYTES) for name in ("token", "manager")}
                _write(path, fresh)
            kept = _read(path)
    except OSError as error:
        reason = f"cannot be read or written ({error.strerror})"
        raise ConfigInvalid(str(path), reason, "make it accessible, or name another --state DIR") from None
    match kept:
        case {"token_secret": str(token), "manager_secret": str(manager)}:
            if min(len(token), len(manager)) >= _SHORTEST_SECRET:
                return Secrets(token, manager)
    raise ConfigInvalid(str(path), "is damaged", "remove it: new secrets are made, and links given out before end")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # two first starts must agree on one set of secrets; a lock also leaves a crash between write and rename harmless
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, document: dict[str, Any]) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _read(path: Path) -> Any:
    """Return the JSON of a file that only its owner, ourselves, may read; None if it is no JSON."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            way_out = f"chown it to yourself and chmod 600 {path}; if others may have read it, remove it instead"
            raise ConfigInvalid(str(path), "others can read this file of secrets", way_out)
        try:
            return json.loads(file.read(_LARGEST_FILE))
        except (ValueError, RecursionError):
            return None


def first_certificate(pem: str) -> str:
    """Return the first certificate of a PEM file, the listener's own; not its key, which may stand there too."""
    found = _CERTIFICATE.search(pem)
    return found[0] if found else ""


def write_running(folder: Path, running: Running) -> Path:
    """Write a runtime file, named by the manager's port, and return its path.

    Raises:
        ConfigInvalid: It cannot be written.
    """
    path = folder / f"serve-{urlsplit(running.manager_url).port}.json"
    try:
        _write(path, asdict(running))
    except OSError as error:
        reason = f"cannot be written ({error.strerror})"
        raise ConfigInvalid(str(path), reason, "make room, or name another --state DIR") from None
    return path


def remove_running(path: Path) -> None:
    """Remove this process's own runtime file; one that a later server wrote over it stays."""
    try:
        running = _parsed(_read(path))
        if running is not None and running.pid == os.getpid():
            path.unlink()
    except (OSError, ConfigInvalid):
        pass  # nothing that stopping could mend; a stale file is told by its process id


def find_running(folder: Path) -> list[Running]:
    """Return the servers of this state folder whose process lives, the latest started first.

    Raises:
        ConfigInvalid: Others can read a runtime file.
    """
    files = []
    for path in folder.glob("serve-*.json"):
        try:
            files.append((path.stat().st_mtime_ns, _parsed(_read(path))))
        except OSError:  # it stopped just now
            continue
    files.sort(key=lambda each: each[0], reverse=True)
    return [running for _, running in files if running is not None and _lives(running.pid)]


def _parsed(document: Any) -> Running | None:
    try:
        folders = tuple(RunningFolder(**each) for each in document["folders"])
        return Running(**{**document, "folders": folders})
    except (TypeError, KeyError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, TypeError):
        return False
    except PermissionError:
        return True
    return pid > 0
