"""What an event loop tells of its connections."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from pannier.listeners import tell_of_connections

MUCH = bytes(16_000_000)
"""More than the buffers of both ends of a connection hold."""
LOST = "_call_connection_lost"


class Resetting(asyncio.Protocol):
    """As asyncio's of TLS when its peer is gone: let go on writing, it finds that out and ends the connection."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(MUCH)

    def resume_writing(self) -> None:
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def lose() -> list[Exception | None]:
    """Have such a connection, and return what its protocol was told of its end."""
    protocol = Resetting()
    server = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        while await reader.read(1_000_000):
            pass
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)
    return protocol.lost


async def test_a_connection_that_is_lost_twice_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(loop, "default_exception_handler", told.append)
    await lose()
    assert [LOST in each["message"] for each in told] == [True] * len(told)
    assert told or sys.version_info >= (3, 12), "asyncio does what is passed over"
    told.clear()
    tell_of_connections(loop)
    assert await lose() == [None]
    assert told == []


@pytest.mark.parametrize(
    "context",
    [
        {"message": "Exception in callback ours()", "exception": AttributeError("ours")},
        {"message": f"Exception in callback {LOST}()", "exception": ValueError("ours")},
        {"message": "no exception at all"},
    ],
    ids=str,
)
async def test_all_else_is_told(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(loop, "default_exception_handler", told.append)
    tell_of_connections(loop)
    loop.call_exception_handler(context)
    assert told == [context]
