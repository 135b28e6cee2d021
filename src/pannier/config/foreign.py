"""The reference storage proxy's settings (WIRE section 1): which of them mean nothing here, and how that is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from pannier.config.complaints import toml_key
from pannier.errors import ConfigInvalid

FOREIGN = "of the reference storage proxy, without effect here"
_FOREIGN_TABLES = {
    **dict.fromkeys(
        (
            *("etcd", "redis", "valkey", "watcher", "pyroscope", "otel", "service_discovery"),
            *("storages", "registries", "reservoir", "reservoir_client"),
            *("artifact_registry", "artifact_registries", "artifact_storages"),
        ),
        "",
    ),
    "logging": "the log is set by log.level and log.format",
    "debug": 'log.level = "debug" says more',
}
"""Tables of the reference storage proxy that mean nothing here, with what does the same."""
_FOREIGN_KEYS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("storage_proxy",): (
        *("aiomonitor_port", "aiomonitor_termui_port", "aiomonitor_webui_port"),
        *("use_watcher", "watcher_insock_path_prefix", "watcher_outsock_path_prefix"),
        "use_experimental_redis_event_dispatcher",
    ),
    ("api", "manager"): ("announce_addr", "announce_internal_addr"),
}
"""Keys of it, in tables that we have too."""
_OTHER_NAMES = {("storage_proxy", "auto_quota_scope_creation"): "allow_auto_quota_scope_creation"}
"""Names that it takes beside those it documents."""


def not_used(why: str) -> dict[str, Any]:
    """Mark a field that is taken, so that a site's file keeps working, but that nothing acts on."""
    return {"not_used": why}


def why_not_used(field: FieldInfo) -> str | None:
    """Return why a field has no effect; None if it has one."""
    extra = field.json_schema_extra
    return str(extra["not_used"]) if isinstance(extra, dict) and "not_used" in extra else None


def drop_foreign(tables: Mapping[str, Any], remarks: list[str]) -> dict[str, Any]:
    """Return the tables without what only the reference storage proxy has; each key that is dropped is remarked once.

    Of a table that is dropped whole the remark names the keys, and never a value: etcd has a password.

    Raises:
        ConfigInvalid: A setting is given by two of its names.
    """
    result = dict(tables)
    for table in (name for name in tables if name in _FOREIGN_TABLES):
        instead = _FOREIGN_TABLES[table]
        remark = f"{FOREIGN}{_keys_of(result.pop(table))}{instead and f'; {instead}'}"
        remarks.append(f"{toml_key((table,))}: {remark}")
    for at, foreign in _FOREIGN_KEYS.items():
        if (inner := _table(result, at)) is None:
            continue
        for key in sorted(inner.keys() & set(foreign)):
            del inner[key]
            remarks.append(f"{toml_key((*at, key))}: {FOREIGN}")
    for (*above, other), name in _OTHER_NAMES.items():
        if (inner := _table(result, above)) is None or other not in inner:
            continue
        if name in inner:
            reason = f"is another name of {toml_key((name,))}, which is given too"
            raise ConfigInvalid(toml_key((*above, other)), reason, "keep one of them")
        inner[name] = inner.pop(other)
    return result


def _table(tables: dict[str, Any], at: Sequence[str]) -> dict[str, Any] | None:
    """Return a table, copied with all above it, so that it can be changed; None if there is none."""
    for name in at:
        if not isinstance(tables.get(name), dict):
            return None
        tables[name] = tables = dict(tables[name])
    return tables


def _keys_of(value: object) -> str:
    """Return the keys of a table or of several of one name, in parentheses."""
    tables = value if isinstance(value, list) else [value]
    keys = dict.fromkeys(toml_key((key,)) for table in tables if isinstance(table, dict) for key in table)
    return f" ({', '.join(keys)})" if keys else ""
