"""Requests of the client: what is repeated, what is told, what is never sent on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import BaseModel

from pannier.sdk import (
    Backoff,
    Busy,
    ClientError,
    ConnectionLost,
    Credential,
    Declined,
    NotFound,
    Transport,
    Unexpected,
    Unreachable,
    trust,
)
from tests.cli.commands import certificate

QUICK = Backoff(tries=3, first=0.01)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    """A web server on this machine; gives its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


class Told(BaseModel):
    number: int


async def test_an_answer_is_read_into_a_model() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"number": int(request.query["n"]) + (await request.json())["number"]})

    async with answering(handler) as url, Transport(url) as transport:
        answer = await transport.ask("POST", "/x", body=Told(number=4), params={"n": 3})
        assert answer.read(Told) == Told(number=7)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"number": "many"}'])
async def test_an_answer_of_another_form_is_said_to_be_one(body: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with answering(handler) as url, Transport(url) as transport:
        answer = await transport.ask("GET", "/x")
        with pytest.raises(Unexpected, match="is that a Pannier"):
            answer.read(Told)


@pytest.mark.parametrize(
    ("method", "repeatable", "tries"),
    [("GET", None, 3), ("DELETE", None, 3), ("POST", None, 1), ("POST", True, 3)],
)
async def test_what_may_be_repeated_is_repeated_when_no_answer_came(
    method: str, repeatable: bool | None, tries: int
) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with answering(handler) as url, Transport(url, backoff=QUICK) as transport:
        told: list[int] = []
        with pytest.raises(Unreachable):
            await transport.ask(
                method, "/x", repeatable=repeatable, waiting=lambda error, wait, failures: told.append(failures)
            )
    assert tries <= asked <= (tries if method == "POST" else 2 * tries)  # aiohttp asks twice where that is harmless
    assert told == list(range(1, tries))


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_busy_server_is_asked_again_when_it_said(method: str) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=503, headers={"Retry-After": "1"}) if asked == 1 else web.json_response({})

    waits: list[float] = []
    async with answering(handler) as url, Transport(url, backoff=QUICK) as transport:
        await transport.ask(method, "/x", waiting=lambda error, wait, failures: waits.append(wait))
    assert asked == 2
    assert 1 <= waits[0] < 1.1


async def test_a_server_that_stays_busy_is_left_in_the_end() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=429)

    async with answering(handler) as url, Transport(url, backoff=QUICK) as transport:
        with pytest.raises(Busy):
            await transport.ask("GET", "/x")


async def test_a_refusal_is_not_repeated() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(status=404)

    async with answering(handler) as url, Transport(url, backoff=QUICK) as transport:
        with pytest.raises(NotFound):
            await transport.ask("GET", "/x")
    assert asked == 1


async def test_a_body_that_breaks_off_is_no_end() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with answering(handler) as url, Transport(url) as transport, transport.stream("GET", "/x") as body:
        pieces = body.chunks()
        assert await anext(pieces) == b"half"
        with pytest.raises(ConnectionLost):
            await anext(pieces)


async def test_the_managers_secret_follows_no_redirect_and_a_token_goes_to_no_other_host() -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(str({**request.headers}))
        return web.json_response({})

    async with answering(elsewhere) as other:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{other}/y")

        async with answering(handler) as url:
            async with Transport(url, credential=Credential.manager("a-secret")) as transport:
                with pytest.raises(Declined, match="Temporary Redirect"):
                    await transport.ask("GET", "/x")
            assert seen == []
            async with Transport(url, credential=Credential.bearer("a-token")) as transport:
                await transport.ask("GET", "/x")
    assert len(seen) == 1
    assert "a-token" not in seen[0]


def test_nothing_prints_a_credential() -> None:
    credential = Credential.bearer("a-token")
    assert "a-token" not in f"{credential} {credential!r} {[credential]}"


async def test_who_does_not_listen_is_named_without_the_token() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        port = taken.getsockname()[1]
        async with Transport(backoff=QUICK) as transport:
            with pytest.raises(Unreachable) as caught:
                await transport.ask("GET", f"http://127.0.0.1:{port}/download-archive?token=a-token")
    assert str(caught.value) == f"http://127.0.0.1:{port}: cannot be reached (Connection refused)"


@pytest.mark.parametrize("url", ["x", "ftp://127.0.0.1/x", "http:///x", "http://127.0.0.1:99999/"])
async def test_what_is_no_url_of_a_web_server_is_an_error_of_ours(url: str) -> None:
    async with Transport(backoff=QUICK) as transport:
        with pytest.raises(ClientError):
            await transport.ask("GET", url)


async def test_only_the_certificate_that_was_given_is_trusted(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    other, _ = certificate(tmp_path, "other")
    from ssl import PROTOCOL_TLS_SERVER, SSLContext

    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for tls in (trust.only(cert.read_text()), trust.authorities(cert)):
            async with Transport(url, tls=tls, backoff=QUICK) as transport:
                assert (await transport.ask("GET", "/")).json() == {}
        for wrong in (None, trust.only(other.read_text())):
            async with Transport(url, tls=wrong, backoff=Backoff(tries=1)) as transport:
                with pytest.raises(Unreachable, match="certificate is not trusted"):
                    await transport.ask("GET", "/")
