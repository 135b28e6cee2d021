"""What settings come to, volumes, keys, stores, limits of plans; for the composition root and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pannier.config import Settings
from pannier.config.keys import KeySettings
from pannier.config.settings import ArchiveSettings
from pannier.dto.ids import FolderId
from pannier.dto.volumes import NamedFolder
from pannier.errors import ConfigInvalid
from pannier.keys import Key, KeyRing, private_key, public_key, secret_key
from pannier.services.orders import PlanSettings
from pannier.services.progress import WalkLimits
from pannier.state.checksum_store import CHECKSUM_FILE, REMEMBERED, SqliteChecksums
from pannier.tokens import PydanticJWT
from pannier.volumes.base import Volume
from pannier.volumes.ownership import Ownership
from pannier.volumes.posix import SingleFolderVolume
from pannier.volumes.registry import VolumeSpec, open_volume

if TYPE_CHECKING:
    from pannier.desk.door import Served


_LARGEST_PEM = 64 * 1024


@dataclass(frozen=True)
class ServedFolder:
    """A directory that is served as one folder."""

    name: str
    path: Path
    folder_id: FolderId


@dataclass(frozen=True)
class DeskSettings:
    """The front desk of ``pannier serve``.

    Attributes:
        folders: What is served, by name.
        password: A digest, where one is set beside the key.
        public: Whether who did not sign in may look.
        read_only: Whether nothing may be changed.
    """

    folders: Sequence[Served]
    password: str | None = None
    public: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Remembered:
    """How many of what a server keeps at hand: some 35 MB, once all of it is full. What is not at hand is looked up.

    Attributes:
        plans: Of selections, 8 KB each beside 60 bytes an entry (``limits.max-entries`` bounds these of all together).
        sessions: As they stood last, 0.8 KB each; they go on while the state database cannot be read.
        pins: Which archive a link began with, 0.4 KB each.
        checksums: 0.15 KB each.
    """

    plans: int = 1_000
    sessions: int = 4_096
    pins: int = 16_384
    checksums: int = REMEMBERED


def open_volumes(settings: Settings, folders: Sequence[ServedFolder] = ()) -> dict[str, Volume]:
    """Open all volumes by name.

    Raises:
        ConfigInvalid: One of them cannot be opened.
    """
    writing = settings.writing
    ownership = Ownership(writing.owner, writing.group, writing.umask)
    volumes: dict[str, Volume] = {}
    for name, volume in settings.volume.items():
        volumes[name] = open_volume(VolumeSpec(name, volume.backend, volume.path, volume.options, ownership))
    for folder in folders:
        if folder.name in volumes:
            reason = "is also the name of a directory that is served"
            raise ConfigInvalid(f"volume.{folder.name}", reason, "rename the volume or the directory")
        try:
            volumes[folder.name] = SingleFolderVolume(folder.name, folder.path, folder.folder_id, ownership=ownership)
        except OSError as error:
            reason = f"cannot be served: {error.strerror}"
            raise ConfigInvalid(str(folder.path), reason, "give a directory that this user may read") from error
    return volumes


def named_folders(volumes: Mapping[str, Volume]) -> list[NamedFolder]:
    """Return the folders that are volumes themselves, each under the name of its volume."""
    return [
        NamedFolder(name=name, volume=name, vfid=folder)
        for name, volume in volumes.items()
        if isinstance(volume, SingleFolderVolume)
        for folder in volume.folders()
    ]


def tokens_of(settings: Settings) -> PydanticJWT:
    """Return what issues and validates tokens; reads files of keys.

    Raises:
        ConfigInvalid: A key cannot be read or used.
    """
    proxy, keys = settings.storage_proxy, settings.keys
    ring = KeyRing(
        (_key(kid, key) for kid, key in keys.ring.items()), keys.active, audience=keys.audience, issuer=keys.issuer
    )
    shared = proxy.secret.get_secret_value() if keys.accept_shared else None
    return PydanticJWT(shared, former=[each.get_secret_value() for each in keys.former_secrets], ring=ring)


def _key(kid: str, key: KeySettings) -> Key:
    if key.secret is not None:
        return secret_key(kid, key.secret.get_secret_value())
    private, path = key.private_key is not None, key.private_key or key.public_key
    assert path is not None
    try:
        with path.open("rb") as file:
            pem = file.read(_LARGEST_PEM)
    except OSError as error:
        setting = f"keys.ring.{kid}.{'private' if private else 'public'}-key"
        reason = f"{str(path)!r} cannot be read ({error.strerror})"
        raise ConfigInvalid(setting, reason, "name a readable PEM file") from None
    return private_key(kid, pem) if private else public_key(kid, pem)


def checksum_store(settings: Settings, volumes: Mapping[str, Volume], remembered: int = REMEMBERED) -> SqliteChecksums:
    """Return the durable checksums of these settings, not opened yet."""
    names = {volume.id: name for name, volume in volumes.items()}
    path, limit = settings.state.path / CHECKSUM_FILE, settings.state.checksum_limit
    return SqliteChecksums(path, limit, names=names, remembered=remembered)


def quiet_after(archive: ArchiveSettings) -> int | None:
    """When a file's pages may be sent as they are, in nanoseconds."""
    return round(archive.zero_copy_min_age * 1_000_000_000) if archive.zero_copy else None


def plan_settings(settings: Settings, remembered: int = Remembered.plans) -> PlanSettings:
    """Return what plans may cost, ``remembered`` of which are kept at hand."""
    limits, archive = settings.limits, settings.archive
    return PlanSettings(
        walk=WalkLimits(limits.max_entries, limits.max_depth, limits.plan_seconds, limits.max_bytes or None),
        concurrent=limits.max_concurrent_plans,
        linger=limits.plan_linger,
        fresh_least=archive.plan_fresh_min,
        fresh_most=archive.plan_fresh_max,
        late_checksum_above=archive.late_checksum_above,
        remembered_entries=limits.max_entries,
        remembered_plans=remembered,
    )
