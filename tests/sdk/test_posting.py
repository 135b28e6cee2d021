"""Parts of files on their way out: equal, one way or the other, and never by a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web

from pannier.sdk import ClientError, Transport, trust
from pannier.sdk.contents import Content, LocalFileChanged
from pannier.sdk.posting import FileBody
from pannier.sdk.sources import Source
from tests.cli.commands import certificate

CONTENT = random.Random(8).randbytes(7 * 2**20 + 5)


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "sent.bin"
    path.write_bytes(CONTENT)
    status = path.stat()
    return Source(str(path), "sent.bin", status.st_size, status.st_mtime_ns)


@asynccontextmanager
async def taking(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that takes what is sent, if the path says so; gives its URL and what came."""
    came: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/never":
            await asyncio.Event().wait()
        if request.path == "/refused":
            return web.Response(status=403)
        came.append(await request.read())
        return web.Response()

    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}", came
    finally:
        await runner.cleanup()


async def send(transport: Transport, url: str, body: FileBody) -> int:
    headers = {"Content-Length": str(body.size)}
    async with transport.stream("PATCH", url, headers=headers, data=body) as answer:
        return answer.status


@pytest.mark.parametrize(("start", "stop"), [(0, len(CONTENT)), (0, 1), (1_000_001, 3_500_000), (2**20, 2 * 2**20)])
async def test_a_window_of_a_file_arrives_and_is_told_of(source: Source, start: int, stop: int) -> None:
    told: list[int] = []
    async with taking() as (url, came), Transport() as transport:
        with closing(Content(source)) as content:
            for _ in range(2):  # the second one on the same connection
                assert await send(transport, f"{url}/take", FileBody(content, start, stop, told.append)) == 200
    assert came == [CONTENT[start:stop]] * 2
    expected = 2 * -(-(stop - start) // 2**20)
    async with asyncio.timeout(30):
        while len(told) < expected:  # noqa: ASYNC110 - the answer may be here before the last call
            await asyncio.sleep(0.01)
    assert told[-1] == stop
    assert len(told) == expected


async def test_over_tls_it_arrives_as_well(source: Source, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    async with taking(context) as (url, came), Transport(tls=trust.only(cert.read_text())) as transport:
        with closing(Content(source)) as content:
            assert await send(transport, f"{url}/take", FileBody(content, 0, content.size, lambda at: None)) == 200
    assert came == [CONTENT]


async def test_what_is_refused_before_its_end_is_refused(source: Source) -> None:
    async with taking() as (url, _), Transport() as transport:
        with closing(Content(source)) as content, pytest.raises(ClientError):
            await send(transport, f"{url}/refused", FileBody(content, 0, content.size, lambda at: None))


async def test_whoever_waits_for_a_peer_that_takes_nothing_can_be_cancelled(source: Source) -> None:
    os.truncate(source.path, 2**26)  # more than buffers of sockets hold
    status = os.stat(source.path)
    larger = Source(source.path, source.name, status.st_size, status.st_mtime_ns)
    before = threading.active_count()
    async with taking() as (url, _), Transport() as transport:
        with closing(Content(larger)) as content:
            begun = asyncio.Event()
            body = FileBody(content, 0, content.size, lambda at: begun.set())
            sending = asyncio.create_task(send(transport, f"{url}/never", body))
            await begun.wait()
            sending.cancel()
            async with asyncio.timeout(20):
                await asyncio.gather(sending, return_exceptions=True)
            assert sending.cancelled()
    assert threading.active_count() <= before + 2


@pytest.mark.parametrize("size", [3 * 2**20, len(CONTENT) + 1])
async def test_the_last_bytes_of_a_file_that_changed_are_not_sent(source: Source, size: int) -> None:
    async with taking() as (url, came), Transport() as transport:
        with closing(Content(source)) as content:
            os.truncate(source.path, size)
            with pytest.raises(ClientError):
                await send(transport, f"{url}/take", FileBody(content, 0, content.size, lambda at: None))
            with pytest.raises(LocalFileChanged):
                await content.check()
    assert not came
