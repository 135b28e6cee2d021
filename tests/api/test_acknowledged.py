"""What a connection's peer has acknowledged: bytes of answers, whatever state the connection is in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from pannier.api.acknowledged import Acknowledged
from pannier.api.outlets import unacknowledged
from tests.api.wire import PATIENCE


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection whose second end reads nothing and has little room."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as ours, listener.accept()[0] as theirs:
            yield ours, theirs


async def test_the_end_of_a_connection_is_no_byte_of_an_answer(ends: tuple[socket.socket, socket.socket]) -> None:
    """TCP counts it as one in its queue (FIN, RFC 9293 section 3.4)."""
    ours, theirs = ends
    ours.setblocking(False)
    try:
        while True:
            ours.send(bytes(65_536))
    except BlockingIOError:
        pass
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours.dup())
    told = Acknowledged(transport, ours.dup())
    try:
        waiting = await _still(told)
        assert waiting > 0
        ours.shutdown(socket.SHUT_WR)
        assert unacknowledged(ours) == waiting + 1
        assert told.pending() == waiting
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        theirs.close()  # what is queued will never be acknowledged: it must not look as if it were
        async with asyncio.timeout(PATIENCE):
            while not told.lost:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert told.pending() == waiting
    finally:
        told.close()
        transport.abort()


async def _still(told: Acknowledged) -> int:
    """Return how much waits once that changes no more."""
    last, same = told.pending(), 0
    while same < 20:
        await asyncio.sleep(0.01)
        now = told.pending()
        last, same = now, same + 1 if now == last else 0
    return last
