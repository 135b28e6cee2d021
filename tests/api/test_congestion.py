"""Which congestion control connections get: what the system has, and Reno on one host where that is BBR."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from pannier.api import congestion
from pannier.config import Address
from pannier.config.settings import LimitSettings
from pannier.listeners import listen

ENDS = [
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "127.0.0.2", True),
    ("10.1.2.3", "127.0.0.1", True),
    ("10.1.2.3", "10.1.2.3", True),
    ("::1", "::1", True),
    ("fe80::1%eth0", "fe80::1%eth0", True),
    ("10.1.2.3", "10.1.2.4", False),
    ("127.0.0.1", "10.1.2.3", False),  # redirected to us
    ("2001:db8::1", "2001:db8::2", False),
    ("fe80::1%eth0", "fe80::2%eth0", False),
]


def usual() -> bytes:
    """What the system gives a socket."""
    if not hasattr(socket, "TCP_CONGESTION"):
        pytest.skip("sockets do not tell")
    with socket.socket() as one:
        return congestion._algorithm(one)


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """A real listener, and under its URL what its connection has."""

    async def tell(request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.Response(body=congestion._algorithm(request.transport.get_extra_info("socket")))

    app = web.Application()
    app.router.add_get("/", tell)
    async with contextlib.AsyncExitStack() as ends:
        yield await listen(ends.push_async_callback, app, "test", Address("127.0.0.1", 0), None, LimitSettings())


async def told(client: str = "127.0.0.1") -> bytes:
    connector = aiohttp.TCPConnector(local_addr=(client, 0))
    async with listening() as url, aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


class Choices:
    """Chooses, and counts for how many connections."""

    def __init__(self) -> None:
        self.on_connections = 0
        self._choose = congestion._choose

    def __call__(self, one: socket.socket, algorithm: bytes) -> None:
        with contextlib.suppress(OSError):  # not connected
            one.getpeername()
            self.on_connections += 1
        self._choose(one, algorithm)


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Have what this system gives taken for BBR, whatever it is; return its name."""
    name = usual()
    if name == congestion._UNPACED:
        pytest.skip("the system gives what is asked for instead")
    monkeypatch.setattr(congestion, "_PACED", name)
    return name


@pytest.mark.parametrize(("own", "peer", "one"), ENDS)
def test_whether_two_addresses_are_of_one_host(own: str, peer: str, one: bool) -> None:
    assert congestion.on_one_host(own, peer) is one


@pytest.mark.usefixtures("paced")
async def test_a_client_of_this_host_is_not_paced() -> None:
    assert congestion.is_paced()
    assert await told() == b"reno"


async def test_a_client_of_another_host_gets_what_the_system_has(paced: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(congestion, "on_one_host", lambda own, peer: asked.append((own, peer)))
    assert await told("127.0.0.2") == paced
    assert asked == [("127.0.0.1", "127.0.0.2")]


@pytest.mark.usefixtures("paced")
async def test_what_a_route_has_chosen_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion, "on_one_host", lambda own, peer: False)
    monkeypatch.setattr("pannier.listeners.unpace", lambda listening: None)  # as a route does for its connections
    monkeypatch.setattr(congestion, "_choose", choices := Choices())
    assert await told() == usual()
    assert choices.on_connections == 0


async def test_what_does_not_pace_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion, "_PACED", b"another")
    assert not congestion.is_paced()
    assert await told() == usual()


async def test_what_could_not_be_given_back_is_not_taken(paced: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user who may not choose what the system has by default: nothing is changed."""
    choose = congestion._choose

    def refuse(one: socket.socket, algorithm: bytes) -> None:
        if algorithm == paced:
            raise PermissionError
        choose(one, algorithm)

    monkeypatch.setattr(congestion, "_choose", refuse)
    assert not congestion.is_paced()
    assert await told() == paced
