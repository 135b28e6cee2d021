"""What an event loop tells of its connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pannier.listeners import tell_of_connections

LOST = "Exception in callback _SelectorSocketTransport._call_connection_lost(ConnectionRes...eset by peer'))"


async def told_of(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(loop, "default_exception_handler", told.append)
    tell_of_connections(loop)
    loop.call_exception_handler(context)
    return told


async def test_a_connection_that_is_lost_twice_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As seen of Python 3.11 in a server with TLS, when a client reset what was just closed."""
    error = AttributeError("'NoneType' object has no attribute 'close'")
    assert await told_of({"message": LOST, "exception": error}, monkeypatch) == []


@pytest.mark.parametrize(
    "context",
    [
        {"message": "Exception in callback ours()", "exception": AttributeError("ours")},
        {"message": LOST, "exception": ValueError("ours")},
        {"message": "no exception at all"},
    ],
    ids=str,
)
async def test_all_else_is_told(context: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert await told_of(context, monkeypatch) == [context]
