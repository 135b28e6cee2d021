"""Bodies that are taken from their sockets: equal in every case, and as broken as they came."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pannier.sdk import ConnectionLost, Timeouts, Transport, Unexpected
from pannier.sdk.fetching import Fetching
from pannier.sdk.remote import Places, Version
from pannier.window import Window

BODY = random.Random(7).randbytes(5 * 2**20 + 3)
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def head(length: int = len(BODY), *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {length}", *more]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[str]:
    """A server that reads the head of one request after the other, and answers as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def taken(transport: Transport, url: str, *, late: float = 0.0) -> bytes:
    """Return what a URL gives; ``late`` is for how many seconds nobody asks for its body."""
    came = bytearray()
    await take(transport, url, came, late)
    return bytes(came)


async def take(transport: Transport, url: str, came: bytearray, late: float = 0.0) -> None:
    async with transport.stream("GET", url) as body:
        await asyncio.sleep(late)
        await body.pour(lambda piece: came.extend(piece))


@pytest.mark.parametrize("late", [0.0, 0.3])
@pytest.mark.parametrize("cut", [0, 1, 70_000, 600_000, 3_000_000])
async def test_a_body_is_equal_however_much_of_it_comes_with_its_head(cut: int, late: float) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + BODY[:cut])
        await asyncio.sleep(0.05)
        writer.write(BODY[cut:])
        await writer.drain()

    async with answering(answer) as url, Transport() as transport:
        assert await taken(transport, url, late=late) == BODY
        assert await taken(transport, url) == BODY, "on a connection of its own"


async def test_what_is_small_leaves_its_connection_for_the_next() -> None:
    connections = set()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        writer.write(head(4) + b"four")

    async with answering(answer) as url, Transport() as transport:
        for _ in range(3):
            assert await taken(transport, url) == b"four"
    assert len(connections) == 1


async def test_chunks_and_answers_without_a_body_are_left_to_who_knows_them() -> None:
    async def chunked(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(BODY), 2**20):
            piece = BODY[at : at + 2**20]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")

    async def unchanged(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head().replace(b"200 OK", b"304 Not Modified"))

    async with answering(chunked) as url, Transport() as transport:
        assert await taken(transport, url) == BODY
    async with answering(unchanged) as url, Transport() as transport:
        assert await taken(transport, url) == b""
        answer = await transport.ask("HEAD", url)
    assert int(answer.headers["Content-Length"]) == len(BODY)


async def test_a_body_that_breaks_off_is_no_end_and_what_came_of_it_is_there() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + BODY[:2_000_000])
        await writer.drain()
        writer.close()

    came = bytearray()
    async with answering(answer) as url, Transport() as transport:
        with pytest.raises(ConnectionLost, match="the connection was closed"):
            await take(transport, url, came)
    assert came == BODY[:2_000_000]


async def test_a_sink_never_gets_nothing_which_would_look_like_the_end() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(0))
        writer.close()

    sizes: list[int] = []
    async with answering(answer) as url, Transport() as transport, transport.stream("GET", url) as body:
        await body.pour(lambda piece: sizes.append(len(piece)))
    assert not sizes


async def test_a_server_that_falls_silent_is_left() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + BODY[:2_000_000])
        await reader.read()

    async with answering(answer) as url, Transport(timeouts=Timeouts(silence=0.3)) as transport:
        with pytest.raises(ConnectionLost, match="nothing came for too long"):
            await taken(transport, url)


async def test_whoever_waits_for_a_silent_server_can_be_cancelled_at_once() -> None:
    fell_silent = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + BODY[:2_000_000])
        await writer.drain()
        fell_silent.set()
        await reader.read()

    async with answering(answer) as url, Transport() as transport:
        waiting = asyncio.create_task(taken(transport, url))
        await fell_silent.wait()
        await asyncio.sleep(0.1)
        waiting.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()


@pytest.mark.parametrize("size", [100_000, len(BODY)])
async def test_whatever_a_sink_raises_is_raised_and_no_thread_stays(size: int) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(size) + BODY[:size])
        await writer.drain()

    def full(_: memoryview) -> None:
        raise IsADirectoryError

    before = threading.active_count()
    async with answering(answer) as url, Transport() as transport:
        for _ in range(20):
            with pytest.raises(IsADirectoryError):
                async with transport.stream("GET", url) as body:
                    await body.pour(full)
    assert threading.active_count() < before + 10


async def test_more_than_was_asked_for_is_not_taken() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        part = head(2_000_000, 'ETag: "x"', f"Content-Range: bytes 0-9/{len(BODY)}")
        writer.write(part.replace(b"200 OK", b"206 Partial Content") + BODY[:2_000_000])

    version = Version('"x"', len(BODY), True, "application/zip", "x.zip")
    taken: list[int] = []
    async with answering(answer) as url, Transport() as transport:
        fetching = Fetching(transport, Places(url), version, lambda note: None)
        with pytest.raises(Unexpected, match="more bytes came than were asked for"):
            await fetching.pour(Window(0, 10), lambda piece, at: taken.append(len(piece)))
    assert not taken
