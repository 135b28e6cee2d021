"""Where a listener listens: a host and a port, as settings write them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from typing_extensions import override

_FORM = 'an address reads "127.0.0.1:6021", "[::1]:6021" or { host = "127.0.0.1", port = 6021 }'
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP, an IPv6 one without brackets) and a TCP port; port 0 means any free one."""

    host: str
    port: int

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for every address of this machine."""
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - recognised here, never chosen

    def clashes(self, other: Address) -> bool:
        """Return whether two listeners cannot have both addresses; port 0 never clashes."""
        same_host = self.host == other.host or self.is_wildcard or other.is_wildcard
        return self.port != 0 and self.port == other.port and same_host

    @classmethod
    def parse(cls, value: object) -> Address:
        """Read an address from text, from a table of host and port, or return the address given.

        Raises:
            ValueError: It is none of these; the text says what one looks like.
        """
        match value:
            case Address():
                return value
            case str():
                host, colon, port = value.strip().rpartition(":")
                if not colon or (":" in host and not host.startswith("[")):  # "::1:80" may mean two things
                    raise ValueError(_FORM)
                return cls._checked(host, _number(port))
            case Mapping() if set(value) == {"host", "port"} and isinstance(value["host"], str):
                return cls._checked(value["host"], _number(value["port"]))
        raise ValueError(_FORM)

    @classmethod
    def _checked(cls, host: str, port: int) -> Address:
        if not 0 <= port <= 65_535:
            raise ValueError("a port lies between 0 and 65535 (0 = any free one)")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        try:
            version = ipaddress.ip_address(bare).version
        except ValueError:
            if bare != host or not _HOST_NAME.fullmatch(host):
                raise ValueError(_FORM) from None
        else:
            if bare != host and version == 4:
                raise ValueError(_FORM)
        return cls(bare, port)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": ["string", "object"], "format": "host:port"}


def _number(port: object) -> int:
    if isinstance(port, str) and port.isascii() and port.isdecimal() and len(port) <= 5:
        return int(port)
    if isinstance(port, bool) or not isinstance(port, int):
        raise ValueError(_FORM)
    return port
