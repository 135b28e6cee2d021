"""Identifiers as they cross processes (WIRE section 2)."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, LiteralString

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

_LONGEST = 200
"""Most characters of an id; all real spellings are shorter."""
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_EXAMPLE = "user:5e67aac8-ba94-470e-a117-2f603ea62b3a/ce8c69557b414ba09b0ea1b8b0b5d89d"


class ScopeKind(StrEnum):
    """Whose quota a folder counts against."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class QuotaScope:
    """The owner of virtual folders: a user or a project."""

    kind: ScopeKind
    owner: uuid.UUID

    @override
    def __str__(self) -> str:
        return f"{self.kind}:{self.owner}"

    @classmethod
    def parse(cls, text: str) -> QuotaScope:
        """Read ``user:<uuid>`` or ``project:<uuid>``; any spelling of the UUID.

        Raises:
            ValueError: It is neither.
        """
        kind, colon, owner = text.partition(":")
        if not colon or kind not in set(ScopeKind):
            raise ValueError("a quota scope reads user:<uuid> or project:<uuid>")
        return cls(ScopeKind(kind), _uuid(owner))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _as_text(cls, "quota_scope", "a quota scope is a string that reads user:<uuid> or project:<uuid>")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "maxLength": _LONGEST, "examples": [_EXAMPLE.partition("/")[0]]}


@dataclass(frozen=True, slots=True)
class FolderId:
    """A virtual folder: ``<scope>/<uuid>``, or only the UUID (legacy ids). In JSON and claims it is its text."""

    scope: QuotaScope | None
    folder: uuid.UUID

    @override
    def __str__(self) -> str:
        return f"{self.scope}/{self.folder.hex}" if self.scope else self.folder.hex

    @classmethod
    def parse(cls, text: str) -> FolderId:
        """Read a folder id in any spelling of its UUIDs.

        Raises:
            ValueError: It is no folder id.
        """
        scope, slash, folder = text.rpartition("/")
        if slash and not scope:
            raise ValueError("a folder id reads <scope>/<uuid> or <uuid>")
        return cls(QuotaScope.parse(scope) if slash else None, _uuid(folder))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _as_text(cls, "folder_id", "a folder id is a string that reads <scope>/<uuid> or <uuid>")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "maxLength": _LONGEST, "examples": [_EXAMPLE]}


def is_key_id(text: str) -> bool:
    """Say whether a key may be called so (``kid``): letters, digits, ``-`` and ``_``, 64 at most."""
    return _KEY_ID.fullmatch(text) is not None


def _as_text(id: type[QuotaScope] | type[FolderId], kind: LiteralString, form: LiteralString) -> CoreSchema:
    """Return the schema of an id that is its text in JSON."""

    def validate(value: object) -> QuotaScope | FolderId:
        if isinstance(value, id):
            return value
        if not isinstance(value, str) or len(value) > _LONGEST:
            raise PydanticCustomError(kind, form)
        return id.parse(value)

    return core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
    )


def _uuid(text: str) -> uuid.UUID:
    # uuid.UUID() also takes braces and "urn:uuid:", which no client sends and which would give one folder many names
    if len(text) not in (32, 36) or not all(c in "0123456789abcdefABCDEF-" for c in text):
        raise ValueError(f"{text!r} is not a UUID")
    return uuid.UUID(text)
