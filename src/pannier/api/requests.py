"""What is known of a request beside its parameters: its number, its client, the request itself."""

from __future__ import annotations

import ipaddress
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

REQUEST_ID_HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{3,63}", re.ASCII)
"""What another's number may look like: shorter than any token, and nothing that a log would have to escape."""
REQUEST_ID = web.RequestKey("request_id", str)


@dataclass(slots=True)
class Delivery:
    """What a streamed answer has given so far; a client that leaves must not take that from the log."""

    status: int
    bytes: int = 0
    aborted: bool = False


DELIVERY = web.RequestKey("delivery", Delivery)


@dataclass(frozen=True, slots=True)
class Context:
    """One request, for handlers that need more of it than its parameters."""

    request: web.Request

    @classmethod
    def of(cls, request: web.Request) -> Context:
        return cls(request)

    @property
    def id(self) -> str:
        """The number by which log and problems name the request."""
        return self.request[REQUEST_ID]

    @property
    def method(self) -> str:
        return self.request.method


def route_of(request: web.BaseRequest) -> str:
    """Return the template of the route that a request met, ``none`` if none: one of few, whatever clients ask for."""
    match = request.match_info if isinstance(request, web.Request) else None
    resource = match.route.resource if match is not None and match.http_exception is None else None
    return "none" if resource is None else resource.canonical


def given_id(request: web.BaseRequest, trusted: Sequence[Network]) -> str | None:
    """Return the number that a trusted proxy has given the request, None if there is none that could be logged."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    return given if _ID.fullmatch(given) and _is_trusted(request.remote or "", trusted) else None


_NUMBERS = random.Random()  # noqa: S311 - requests are told apart by it, nothing is kept secret with it


def new_id() -> str:
    """Return a number for a request: short enough to be read to somebody."""
    return f"{_NUMBERS.getrandbits(32):08x}"


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """Return the address of the client, seen through the proxies that are trusted.

    ``X-Forwarded-For`` is believed from the right as long as the hop that wrote it is trusted and wrote an address.
    """
    address = request.remote or ""
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        parsed = _parse(hop)
        if parsed is None or not _is_trusted(address, trusted):
            break
        address = str(parsed)
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted if network.version == parsed.version)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
