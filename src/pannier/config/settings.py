"""Every setting, as models, and ``load()``, which fills them.

The keys of the reference storage proxy (WIRE section 1) are all taken; what Pannier does not act on is told by
``Settings.warnings()``, never dropped silently. A field's description is shown to people: the settings reference and
``check-config`` are made from it.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from pannier.config.addresses import Address
from pannier.config.complaints import complaint, complaints_of, toml_key
from pannier.config.foreign import FOREIGN, drop_foreign, not_used, why_not_used
from pannier.config.keys import KeysSettings
from pannier.config.section import Section
from pannier.config.sources import read_environment, read_file
from pannier.config.values import (
    MAKE_SECRET,
    SHORTEST_TOKEN_SECRET,
    LocalPath,
    Networks,
    Origins,
    PathPrefix,
    PublicUrl,
    VolumeName,
    check_certificate,
    check_header,
    check_runs_as,
    open_to_others,
    secret_bytes,
)
from pannier.homes import default_state_path
from pannier.quantities import DAY, GIB, KIB, MIB, YEAR, Duration, Size

_SHORTEST_MANAGER_SECRET, _GOOD_MANAGER_SECRET = 16, 32


def octal(value: object) -> object:
    """Read a text of octal digits, as umask(1) takes it; a TOML number says 0o022."""
    return int(value, 8) if isinstance(value, str) and value and set(value) <= set("01234567") else value


class StorageProxySettings(Section):
    """Tokens and the process."""

    secret: SecretStr = Field(
        description="HS256 key of every token, shared with nobody but replicas; at least 32 bytes.",
    )
    session_expire: Annotated[Duration, Field(ge=1, le=10 * YEAR)] = Field(description="Lifetime of every token.")
    scandir_limit: int = Field(1000, ge=0, description="Most entries in one directory listing; 0 = no limit.")
    max_upload_size: Size = Field(100 * GIB, description="Largest upload; told in Tus-Max-Size, and enforced.")
    allow_auto_quota_scope_creation: bool = Field(
        True, description="Create a missing quota scope when a folder is created in it."
    )
    user: int | str | None = Field(
        None,
        description="Id or name of the user that this has to run as. Pannier does not change users: a start as another "
        "one is refused.",
    )
    group: int | str | None = Field(None, description="Id or name of the group that this has to run as; likewise.")
    node_id: str = Field(
        "", description="Name of this proxy in the cluster.", json_schema_extra=not_used("nobody asks for it")
    )
    num_proc: int = Field(
        1,
        ge=1,
        description="Number of server processes.",
        json_schema_extra=not_used("one process serves, with threads on all processors"),
    )
    event_loop: Literal["asyncio", "uvloop"] = Field(
        "asyncio",
        description="Implementation of the event loop.",
        json_schema_extra=not_used("it is always asyncio's; bytes are moved by threads beside it"),
    )
    ipc_base_path: Path | None = Field(
        None,
        description="Folder of sockets between processes.",
        json_schema_extra=not_used("there is one process"),
    )
    pid_file: Path | None = Field(
        None,
        description="File to write the process id to.",
        json_schema_extra=not_used("whoever starts the process knows it"),
    )

    @model_validator(mode="after")
    def _check(self) -> StorageProxySettings:
        length = secret_bytes(self.secret)
        if length < SHORTEST_TOKEN_SECRET:
            raise complaint("secret", f"has {length} bytes, tokens need at least {SHORTEST_TOKEN_SECRET}", MAKE_SECRET)
        check_runs_as("user", self.user, os.geteuid(), lambda name: pwd.getpwnam(name).pw_uid)
        check_runs_as("group", self.group, os.getegid(), lambda name: grp.getgrnam(name).gr_gid)
        return self


class ListenerSettings(Section):
    """What every listener with TLS has."""

    service_addr: Address | None
    ssl_enabled: bool = Field(False, description="Serve HTTPS on this listener.")
    ssl_cert: LocalPath | None = Field(None, description="PEM file of the certificate and its chain.")
    ssl_privkey: LocalPath | None = Field(None, description="PEM file of the certificate's private key.")

    @model_validator(mode="after")
    def _check(self) -> ListenerSettings:
        if self.ssl_enabled:
            check_certificate(self.ssl_cert, self.ssl_privkey)
        return self


class ClientSettings(ListenerSettings):
    """The listener that browsers and SDKs reach."""

    service_addr: Address = Field(Address("127.0.0.1", 6021), description="Address to listen on.")
    public_url: PublicUrl | None = Field(
        None, description="Base URL under which clients reach this listener, when a reverse proxy stands before it."
    )
    path_prefix: PathPrefix = Field("", description='Path that every client route starts with, such as "/files".')
    trusted_proxies: Networks = Field(
        [], description="Addresses or networks of reverse proxies whose X-Forwarded-* headers count."
    )
    cors_origins: Origins = Field(
        [], description="Origins that may read answers with credentials; empty: every origin, without credentials."
    )


class FrontDeskSettings(ListenerSettings):
    """The listener of the front desk, where it has one of its own."""

    service_addr: Address | None = Field(
        None, description="Address to listen on; none: the front desk is on the client-facing listener."
    )
    public_url: PublicUrl | None = Field(
        None, description="Base URL under which people reach it, when a reverse proxy stands before it."
    )
    trusted_proxies: Networks = Field(
        [], description="Addresses or networks of reverse proxies whose X-Forwarded-* headers count."
    )


class ManagerSettings(ListenerSettings):
    """The listener of the manager, and the internal one."""

    service_addr: Address = Field(Address("127.0.0.1", 6022), description="Address to listen on.")
    internal_addr: Address = Field(Address("127.0.0.1", 16023), description="Address of metrics and health, no secret.")
    secret: SecretStr = Field(description="Secret the manager sends with every request; at least 16 bytes, better 32.")

    @model_validator(mode="after")
    def _check_secret(self) -> ManagerSettings:
        length = secret_bytes(self.secret)
        if length < _SHORTEST_MANAGER_SECRET:
            raise complaint("secret", f"has {length} bytes, at least {_SHORTEST_MANAGER_SECRET} needed", MAKE_SECRET)
        check_header(self.secret)
        return self


class ApiSettings(Section):
    """The listeners."""

    client: ClientSettings = Field(default_factory=ClientSettings, description="The client-facing listener.")
    desk: FrontDeskSettings = Field(
        default_factory=FrontDeskSettings,
        description="The front desk of `pannier serve` on a listener, and so an origin, of its own.",
    )
    manager: ManagerSettings = Field(description="The manager-facing listener.")

    @model_validator(mode="after")
    def _check(self) -> ApiSettings:
        listeners = [
            ("client.service-addr", self.client.service_addr),
            *([("desk.service-addr", self.desk.service_addr)] if self.desk.service_addr is not None else []),
            ("manager.service-addr", self.manager.service_addr),
            ("manager.internal-addr", self.manager.internal_addr),
        ]
        for i, (key, address) in enumerate(listeners):
            for other_key, other in listeners[:i]:
                if address.clashes(other):
                    reason = f"{str(address)!r} is taken by api.{other_key} ({str(other)!r})"
                    raise complaint(key, reason, "give each listener a port of its own (0 = any free one)")
        return self


class VolumeSettings(Section):
    """One volume."""

    backend: str = Field(min_length=1, description='Kind of storage: "posix" (also spelled "vfs"): a directory.')
    path: LocalPath = Field(description="Root of the volume on this machine.")
    fsprefix: str = Field(".", description="Path below the root under which the manager knows the volume.")
    options: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Options of the backend; may hold secrets."
    )


class LimitSettings(Section):
    """How much one request may ask for."""

    max_entries: int = Field(2_000_000, ge=1, description="Most entries in one archive.")
    max_bytes: Size = Field(0, description="Most bytes of content in one archive; 0 = no limit.")
    max_depth: int = Field(100, ge=1, le=1000, description="Deepest nesting of folders that is walked.")
    plan_seconds: Annotated[Duration, Field(gt=0)] = Field(120, description="Longest time one plan may take.")
    max_concurrent_plans: int = Field(8, ge=1, description="Most plans made at the same time.")
    max_selection_body: Annotated[Size, Field(ge=1024)] = Field(
        64 * MIB, description="Largest request body that names a selection."
    )
    max_streams: int = Field(1_000, ge=1, description="Most responses that stream at the same time.")
    max_streams_per_token: int = Field(64, ge=1, description="Most of them for one token, ranges of one archive.")
    stream_rate: Size = Field(0, description="Most bytes per second of one stream; 0 = no limit.")
    plan_linger: Duration = Field(30, description="How long a plan goes on after the last client that waits has left.")
    max_header: Annotated[Size, Field(ge=8 * KIB, le=MIB)] = Field(
        64 * KIB, description="Longest request line or header; tokens of Backend.AI's own carry their file list."
    )
    idle_timeout: Annotated[Duration, Field(ge=1)] = Field(
        75, description="How long a connection may be without a request; longer than a reverse proxy keeps it."
    )
    head_timeout: Annotated[Duration, Field(ge=1)] = Field(
        30, description="How long the head of a request may take from its first byte."
    )
    stall_timeout: Annotated[Duration, Field(ge=1)] = Field(
        300, description="How long a client may send, or take, fewer bytes than limits.least-rate."
    )
    least_rate: Annotated[Size, Field(le=MIB)] = Field(
        100, description="Bytes per second below which a client stalls; 0 = only one that sends or takes nothing."
    )


class WritingSettings(Section):
    """What is written on volumes."""

    owner: int | None = Field(None, ge=0, description="User id that new files and directories get; needs privileges.")
    group: int | None = Field(None, ge=0, description="Group id that new files and directories get.")
    umask: Annotated[int, BeforeValidator(octal), Field(ge=0, le=0o777)] = Field(
        0o002, description='Permissions that new files (666) and directories (777) do not get, in octal, such as "022".'
    )


class ArchiveSettings(Section):
    """How archives are made."""

    late_checksum_above: Annotated[Size, Field(ge=4 * GIB)] = Field(
        8 * GIB,
        description="Entries larger than this carry their checksum after the content (a ZIP data descriptor). Not "
        "under 4 GiB: some readers cannot read a descriptor of a smaller entry. Changes the bytes of archives.",
    )
    hash_ahead: Annotated[Size, Field(ge=MIB)] = Field(
        256 * MIB, description="How far reading for checksums may run ahead of sending, per download."
    )
    pending_above: Size = Field(
        16 * GIB,
        description="A request for only the end of an archive is put off (503) while more than this is unhashed.",
    )
    background_hash_linger: Duration = Field(
        60, description="How long checksums are still computed after a session's last request."
    )
    plan_fresh_min: Duration = Field(2, description="A plan younger than this is used again by a new request.")
    plan_fresh_max: Duration = Field(60, description="A plan older than this is never used by a new request.")

    zero_copy: bool = Field(
        True,
        description="Send files with sendfile that nobody touched for a while and whose checksum need not be computed "
        "on the way: in archives those of 1 MiB and more, alone those of over 32 MiB (more, if tcp_rmem is raised).",
    )
    zero_copy_min_age: Duration = Field(600, description="How long nobody must have touched such a file.")
    helpers: int | None = Field(
        None,
        ge=0,
        le=16,
        description="Processes that read small files beside the server's own, about 15 MB each, started when there are "
        "many to read. Unset: one for each processor but one, 3 at most; 0: none.",
    )

    @model_validator(mode="after")
    def _check(self) -> ArchiveSettings:
        if self.plan_fresh_min > self.plan_fresh_max:
            raise complaint("plan-fresh-min", "is longer than archive.plan-fresh-max", "swap them, or raise the latter")
        return self


class StateSettings(Section):
    """What outlives the process."""

    path: LocalPath = Field(
        default_factory=default_state_path,
        description="Folder of what must outlive the process: $XDG_STATE_HOME/pannier or ~/.local/state/pannier; local "
        "disk only.",
    )
    checksum_limit: Size = Field(
        256 * MIB,
        description="Most bytes of checksums kept in checksums.db, about 50 a file; what was used longest ago makes "
        "room. At least 1 MiB, or 0: none outlives the process.",
    )

    @model_validator(mode="after")
    def _check(self) -> StateSettings:
        if 0 < self.checksum_limit < MIB:
            raise complaint("checksum-limit", "is below 1 MiB", 'give "1m" or more, or 0 to keep none on disk')
        return self


class LogSettings(Section):
    """The log, on stderr."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v)
    ] = Field("info", description="Least level that is logged.")
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="Text for people, JSON for machines; auto: text on a terminal, else JSON."
    )


class Settings(BaseSettings):
    """Everything that can be set; made by ``load()``."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    storage_proxy: StorageProxySettings = Field(description="Tokens and the process.")
    api: ApiSettings = Field(description="The listeners.")
    keys: KeysSettings = Field(default_factory=KeysSettings, description="The keys of native tokens.")
    volume: dict[VolumeName, VolumeSettings] = Field(default_factory=dict, description="The volumes, by name.")
    limits: LimitSettings = Field(default_factory=LimitSettings, description="How much one request may ask for.")
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings, description="How archives are made.")
    writing: WritingSettings = Field(default_factory=WritingSettings, description="What is written on volumes.")
    state: StateSettings = Field(default_factory=StateSettings, description="What outlives the process.")
    drain_seconds: Duration = Field(30, description="How long what runs may go on after a stop signal.")
    log: LogSettings = Field(default_factory=LogSettings, description="The log, on stderr.")

    _file: Path | None = PrivateAttr(None)
    _remarks: tuple[str, ...] = PrivateAttr(())

    def warnings(self) -> list[str]:
        """Return what is allowed but should be looked at, one line each, without secrets."""
        found = [*self._remarks]
        for key, secret in (("storage-proxy", self.storage_proxy.secret), ("api.manager", self.api.manager.secret)):
            if secret.get_secret_value().startswith("replace-me"):
                found.append(f"{key}.secret: is the one of the sample file, which everybody knows; {MAKE_SECRET}")
        length = secret_bytes(self.api.manager.secret)
        if length < _GOOD_MANAGER_SECRET:
            found.append(f"api.manager.secret: has {length} bytes, {_GOOD_MANAGER_SECRET} are better; {MAKE_SECRET}")
        if self.storage_proxy.secret == self.api.manager.secret:
            found.append("api.manager.secret: is the same as storage-proxy.secret; give each its own")
        if not self.api.manager.service_addr.is_loopback and not self.api.manager.ssl_enabled:
            where = self.api.manager.service_addr
            found.append(
                f"api.manager.service-addr: {where} is open to the network without TLS; the secret can be read"
            )
        if not self.api.manager.internal_addr.is_loopback:
            address = self.api.manager.internal_addr
            found.append(f"api.manager.internal-addr: {address} is open to the network and asks for no secret")
        if self.storage_proxy.session_expire > 30 * DAY:
            found.append("storage-proxy.session-expire: tokens live over 30 days; a leaked link stays open as long")
        found += self.keys.warnings()
        for name, volume in self.volume.items():
            if volume.backend in ("posix", "vfs") and not volume.path.is_dir():
                found.append(f"{toml_key(('volume', name, 'path'))}: {str(volume.path)!r} is not a directory now")
        found += [
            f"{toml_key(('storage_proxy', name))}: {FOREIGN}; {why}"
            for name, field in StorageProxySettings.model_fields.items()
            if (why := why_not_used(field)) and getattr(self.storage_proxy, name) != field.default
        ]
        return [*found, *open_to_others(self._file)]


def load(path: Path | None = None, *, fallbacks: Mapping[str, Any] | None = None, **flags: Any) -> Settings:
    """Return the settings from flags, environment and file.

    Args:
        path: The TOML file; ``None`` for none.
        fallbacks: Values below the file but above the defaults, nested by field names.
        flags: Values above all others, nested by field names.

    Raises:
        ConfigInvalid: Something is wrong with one of them. Further complaints stand in its notes, one line each.
    """
    file = read_file(path) if path else {}
    remarks: list[str] = []
    values = drop_foreign(file, remarks)
    environment = read_environment(os.environ, values, Settings.model_fields, remarks)

    class Loaded(Settings):
        @override
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            below = (InitSettingsSource(settings_cls, dict(v)) for v in (environment, values, fallbacks or {}))
            return init_settings, *below

    try:
        settings = Loaded(**flags)
    except ValidationError as error:
        first, *rest = complaints_of(error, Settings, os.environ)
        for other in rest:
            first.add_note(str(other))
        raise first from None
    settings._file, settings._remarks = path, tuple(remarks)
    return settings
