"""The ways out: every byte in order, whatever the client's pace; files read by the bytes that left."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from pannier.api.outlets import Outlet, PacedOutlet, SocketOutlet, TransportOutlet
from pannier.errors import SourceUnreadable
from pannier.streams.base import COPIED, FileSpan
from pannier.streams.pacing import Pace
from pannier.streams.pump import Pump
from pannier.streams.workers import Workers

CHANCE = random.Random(11)
DATA = CHANCE.randbytes(COPIED + 24 * 1024 * 1024)

Send = Callable[[Outlet], Awaitable[None]]


class Fed:
    """What a span was told of the bytes that left."""

    def __init__(self) -> None:
        self.crc = self.length = self.unread = 0

    def feed(self, data: memoryview) -> None:
        self.crc = zlib.crc32(data, self.crc)
        self.length += len(data)

    def passed(self, length: int) -> None:
        self.unread += length


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@asynccontextmanager
async def serving(send: Send, *, socket_outlet: bool = True) -> AsyncIterator[int]:
    """Answer every request with what ``send`` sends; give the port."""
    workers = Workers("test", 4)
    pump = Pump(workers)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(DATA)
        await response.prepare(request)
        outlet: Outlet | None = TransportOutlet(response, workers, request.transport)
        if socket_outlet:
            outlet = await SocketOutlet.take(request, pump)
        assert outlet is not None
        try:
            await send(outlet)
        finally:
            outlet.close()
        await response.write_eof()
        return response

    server = web.Server(handle, handler_cancellation=True)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
        pump.close()
        await workers.close()


def fetch(port: int, *, times: int = 1, pause: float = 0.0, size: int = 65_536) -> list[bytes]:
    """Fetch over one kept-alive connection, ``size`` bytes at a time with a pause after each."""
    bodies = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(60)
        stream = connection.makefile("rb", buffering=size)
        for _ in range(times):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert stream.readline().startswith(b"HTTP/1.1 200")
            while stream.readline() != b"\r\n":
                pass
            body = bytearray()
            while len(body) < len(DATA):
                body += stream.read(min(size, len(DATA) - len(body)))
                time.sleep(pause)
            bodies.append(bytes(body))
    return bodies


def span(file: Path, fed: Fed, *, quiet: bool = False, lasting: bool = False) -> tuple[FileSpan, int]:
    fd = os.open(file, os.O_RDONLY)
    unread = len(DATA) - COPIED if quiet else 0
    return FileSpan(fd, 0, len(DATA), b"file", fed.feed, fed.passed, unread, lasting), fd


@pytest.mark.parametrize("socket_outlet", [True, False], ids=["socket", "transport"])
@pytest.mark.parametrize(("size", "pause"), [(1024 * 1024, 0), (1024 * 1024, 0.02)], ids=["fast", "slow"])
async def test_a_file_leaves_whole_and_is_fed_as_it_leaves(
    file: Path, size: int, pause: float, socket_outlet: bool
) -> None:
    fed = Fed()

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, fed)
        assert await outlet.copy(item) == len(DATA)
        os.close(fd)

    async with serving(send, socket_outlet=socket_outlet) as port:
        (body,) = await asyncio.to_thread(fetch, port, size=size, pause=pause)
    assert body == DATA
    assert (fed.length, fed.unread, fed.crc) == (len(DATA), 0, zlib.crc32(DATA))


@pytest.mark.parametrize("pause", [0, 0.02], ids=["fast", "slow"])
async def test_a_quiet_file_leaves_without_being_read_but_for_its_end(file: Path, pause: float) -> None:
    fed = Fed()

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, fed, quiet=True)
        assert await outlet.copy(item) == len(DATA)
        os.close(fd)

    async with serving(send) as port:
        (body,) = await asyncio.to_thread(fetch, port, size=1024 * 1024, pause=pause)
    assert body == DATA
    assert fed.length + fed.unread == len(DATA)
    assert fed.length > 0
    assert fed.unread == len(DATA) - COPIED


async def test_a_quiet_file_is_given_back_only_when_the_client_has_its_pages(file: Path) -> None:
    given_back = asyncio.Event()

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, Fed(), quiet=True)
        await outlet.copy(item)
        given_back.set()
        # what is written now must not reach the client
        with file.open("r+b") as writing:
            writing.write(bytes(len(DATA)))
        os.close(fd)

    async with serving(send) as port:
        (body,) = await asyncio.to_thread(fetch, port, size=256 * 1024, pause=0.01)
    assert given_back.is_set()
    assert body == DATA


class Sipping(socket.socket):
    """Takes one byte, and always has room for another one."""

    def send(self, data: Any, flags: int = 0, /) -> int:
        return super().send(data[:1], flags)


def test_a_client_that_takes_a_little_at_a_time_does_not_keep_the_thread() -> None:
    ours, theirs = socket.socketpair()
    with theirs, Sipping(fileno=ours.detach()) as sipping:
        sipping.setblocking(False)
        outlet = SocketOutlet(cast("asyncio.Transport", None), sipping, cast("Pump", None))
        taken = outlet._offer(memoryview(bytes(100)), until=0.0)
    assert taken == outlet.sent == 1


async def test_a_file_that_lasts_is_waited_for_later(file: Path) -> None:
    """Others leave meanwhile; then the client has it, and what is written to it does not reach the client."""
    order: list[str] = []

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, Fed(), quiet=True, lasting=True)
        unread = FileSpan(fd, 0, 9_000_000, b"file", item.feed, item.passed, 9_000_000, lasting=True)
        began = time.monotonic()
        await outlet.copy(unread)
        order.append("left" if time.monotonic() < began + 1 else "waited")
        await outlet.write(DATA[9_000_000 : 9_000_000 + COPIED])
        await outlet.received(9_000_000)
        with file.open("r+b") as writing:
            writing.write(bytes(9_000_000))
        os.close(fd)
        await outlet.write(DATA[9_000_000 + COPIED :])

    async with serving(send) as port:
        (body,) = await asyncio.to_thread(fetch, port, size=1024 * 1024, pause=0.02)
    assert body == DATA
    assert order == ["left"]


@pytest.mark.parametrize("quiet", [False, True])
async def test_a_file_that_ends_early_says_so(file: Path, quiet: bool) -> None:
    os.truncate(file, 20_000_000)
    left: list[int] = []

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, Fed(), quiet=quiet)
        left.append(await outlet.copy(item))
        await outlet.write(DATA[20_000_000:])
        os.close(fd)

    async with serving(send) as port:
        (body,) = await asyncio.to_thread(fetch, port)
    assert body == DATA
    assert left == [20_000_000]


async def test_pieces_and_files_keep_their_order_and_the_connection_can_be_used_again(file: Path) -> None:
    async def send(outlet: Outlet) -> None:
        await outlet.write(DATA[:10])
        await outlet.write(DATA[10:3_000_000])
        fd = os.open(file, os.O_RDONLY)
        fed = Fed()
        await outlet.copy(FileSpan(fd, 3_000_000, 5_000_000, b"file", fed.feed, fed.passed))
        os.close(fd)
        await outlet.write(DATA[8_000_000:])

    async with serving(send) as port:
        bodies = await asyncio.to_thread(fetch, port, times=3)
    assert [body == DATA for body in bodies] == [True] * 3


async def test_a_client_that_leaves_ends_the_sending(file: Path) -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def send(outlet: Outlet) -> None:
        item, fd = span(file, Fed())
        try:
            while True:
                await outlet.copy(item)
        except BaseException as error:
            ended.set_result(error)
            raise
        finally:
            os.close(fd)

    async with serving(send) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        error = await asyncio.wait_for(ended, 30)
    assert isinstance(error, ConnectionError | asyncio.CancelledError)


@pytest.mark.parametrize("quiet", [False, True])
async def test_a_file_that_cannot_be_read_is_no_failure_of_the_client(tmp_path: Path, quiet: bool) -> None:
    raised: list[BaseException] = []

    async def send(outlet: Outlet) -> None:
        fd = os.open(tmp_path, os.O_RDONLY)  # a directory: reading it is an error
        try:
            await outlet.copy(FileSpan(fd, 0, len(DATA), b"file", Fed().feed, Fed().passed, quiet * 1_000_000))
        except SourceUnreadable as error:
            raised.append(error)
        os.close(fd)
        await outlet.write(DATA)

    async with serving(send) as port:
        with suppress(OSError):
            await asyncio.to_thread(fetch, port)
    assert [str(error) for error in raised] == ["'file' cannot be read: Is a directory"]


async def test_without_a_free_descriptor_a_response_goes_through_the_transport() -> None:
    workers = Workers("test", 1)
    pump = Pump(workers)
    taken: list[SocketOutlet | None] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(DATA)
        await response.prepare(request)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # what is open stays so
        try:
            taken.append(await SocketOutlet.take(request, pump))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await TransportOutlet(response, workers, request.transport).write(DATA)
        await response.write_eof()
        return response

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        (body,) = await asyncio.to_thread(fetch, runner.addresses[0][1])
    finally:
        await runner.cleanup()
        pump.close()
        await workers.close()
    assert taken == [None]
    assert body == DATA


async def test_a_paced_outlet_keeps_its_rate(file: Path) -> None:
    sent: list[tuple[float, int]] = []

    class Recorder:
        """An outlet that takes everything at once and notes when."""

        sent = 0

        async def write(self, data: bytes) -> None:
            sent.append((time.monotonic(), len(data)))

        async def copy(self, span: FileSpan) -> int:
            sent.append((time.monotonic(), span.length))
            return span.length

        async def received(self, before: int) -> None:
            pass

        def close(self) -> None:
            pass

    outlet = PacedOutlet(Recorder(), Pace(2_000_000))
    item, fd = span(file, Fed(), quiet=True)
    began = time.monotonic()
    await outlet.write(DATA[:400_000])
    await outlet.copy(FileSpan(fd, 0, 600_000, b"file", item.feed, item.passed, unread=500_000))
    os.close(fd)
    assert sum(length for _, length in sent) == 1_000_000
    assert max(length for _, length in sent) <= 200_000
    for at, (when, _) in enumerate(sent):  # never ahead of the rate, but for one part
        assert sum(length for _, length in sent[:at]) <= 2_000_000 * (when - began) + 1
