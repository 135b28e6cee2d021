"""Clients that are waited for in vain are dropped, those that are only slow are not. Real sockets, small settings."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pannier import metrics
from pannier.api.stalls import Pace, Patience
from tests.api.disk import disk
from tests.api.live import FOLDER, MINT, SECRET, Live, live
from tests.cli.commands import certificate

QUICK: dict[str, Any] = {"limits": {"idle_timeout": 1, "head_timeout": 1, "stall_timeout": 2, "least_rate": 100}}
SLOW = 500
"""Bytes per second of a client that is alive."""
LIMIT = 60.0
"""Seconds after which a test takes a client for one that is never dropped."""


def connect(url: str, receive: int | None = None) -> socket.socket:
    """Connect as a client whose kernel holds little of what it does not read."""
    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    client = socket.socket()
    client.settimeout(LIMIT)
    if receive is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    client.connect((where.hostname, where.port))
    return client


async def trickle(client: socket.socket, data: bytes) -> bytes:
    """Send byte by byte until an answer comes, and return all of it."""
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    answer = asyncio.ensure_future(loop.sock_recv(client, 65_536))
    for byte in data:
        if (await asyncio.wait({answer}, timeout=0.1))[0]:
            break
        await loop.sock_sendall(client, bytes([byte]))
    got = await asyncio.wait_for(answer, LIMIT)
    try:
        while more := await asyncio.wait_for(loop.sock_recv(client, 65_536), LIMIT):
            got += more
    except ConnectionResetError:  # what it went on to send was not read any more
        pass
    return got


def dropped(waited_for: str) -> float:
    return float(metrics.DROPPED.labels(waited_for)._value.get())


def told(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_a_client_that_says_nothing_is_closed_without_a_word(tmp_path: Path) -> None:
    async with live(tmp_path, **QUICK) as it:
        for url in (it.listening.client_url, it.listening.manager_url, str(it.listening.internal_url)):
            with connect(url) as client:
                assert await asyncio.to_thread(client.recv, 1) == b""


async def test_a_client_that_goes_quiet_between_requests_is_closed(tmp_path: Path) -> None:
    async with live(tmp_path, **QUICK) as it:
        with connect(it.listening.client_url) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            got = b""
            while more := await asyncio.to_thread(client.recv, 65_536):
                got += more
            assert got.startswith(b"HTTP/1.1 200 OK\r\n")
            assert got.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("second", [False, True], ids=["first request", "second request"])
async def test_a_head_that_trickles_is_refused_and_told_the_limit(tmp_path: Path, second: bool) -> None:
    before = dropped("head")
    async with live(tmp_path, **QUICK) as it:
        for url in (it.listening.client_url, it.listening.manager_url):
            with connect(url) as client:
                if second:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    got = await asyncio.to_thread(client.recv, 65_536)
                    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
                answer = await trickle(client, b"GET / HTTP/1.1\r\nX-Slow: " + b"loris" * 1_000)
            status, problem = told(answer)
            assert status == 408
            assert (problem["measured"], problem["limit"], problem["setting"]) == (1, 1, "limits.head-timeout")
            assert problem["type"].endswith("limit-exceeded")
        assert (await it.ask("GET", it.listening.client_url + "/")).status == 200
    assert dropped("head") == before + 2


async def test_a_head_that_comes_in_pieces_in_time_is_answered(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"idle_timeout": 1, "head_timeout": 30}) as it:
        with connect(it.listening.client_url) as client:
            request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert (await trickle(client, request)).startswith(b"HTTP/1.1 200 OK\r\n")  # longer than it may be idle


async def test_a_body_that_trickles_is_refused_and_told_the_limit(tmp_path: Path) -> None:
    before = dropped("body")
    async with live(tmp_path, **QUICK) as it:
        head = f"POST {MINT} HTTP/1.1\r\nHost: x\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\r\n"
        for length in ("Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"):
            with connect(it.listening.manager_url) as client:
                client.sendall((head + length).encode())
                status, problem = told(await trickle(client, b" " * 1_000))
            assert status == 408
            assert 0 < problem["measured"] < problem["limit"] == 200
            assert problem["setting"] == "limits.stall-timeout"
    assert dropped("body") == before + 2


async def begun_upload(it: Live, size: int) -> tuple[str, str]:
    """Begin an upload; return its URL without the listener's, and the whole."""
    body = {"volume": "m", "vfid": str(FOLDER), "relpath": "new", "size": size}
    token = (await it.manage("/folder/file/upload", body)).json["token"]
    url = f"{it.listening.client_url}/upload?token={token}"
    return url.removeprefix(it.listening.client_url), url


def patch(path: str, offset: int, length: int) -> bytes:
    return (
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


async def test_an_upload_that_trickles_is_refused_and_keeps_what_came(tmp_path: Path) -> None:
    async with disk(tmp_path, **QUICK) as on:
        path, url = await begun_upload(on.it, 10_000)
        with connect(on.it.listening.client_url) as client:
            client.sendall(patch(path, 0, 10_000))
            status, problem = told(await trickle(client, b"x" * 1_000))
        assert status == 408
        assert problem["setting"] == "limits.stall-timeout"
        offset = int((await on.it.ask("HEAD", url)).headers["Upload-Offset"])
        assert offset >= problem["measured"] > 0


async def test_an_upload_of_500_bytes_a_second_comes_to_its_end(tmp_path: Path) -> None:
    async with disk(tmp_path, limits={**QUICK["limits"], "stall_timeout": 4}) as on:
        data = os.urandom(SLOW * 9)  # for more than twice as long as one may stall
        path, _ = await begun_upload(on.it, len(data))
        loop = asyncio.get_running_loop()
        with connect(on.it.listening.client_url) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, patch(path, 0, len(data)))
            for at in range(0, len(data), SLOW // 5):
                await loop.sock_sendall(client, data[at : at + SLOW // 5])
                await asyncio.sleep(0.2)
            got = await asyncio.wait_for(loop.sock_recv(client, 65_536), LIMIT)
        assert got.startswith(b"HTTP/1.1 204 ")
        assert (on.root / "new").read_bytes() == data


def read_on(client: socket.socket) -> None:
    while client.recv(65_536):
        pass


async def ask_on(client: socket.socket) -> None:
    """Ask, and never read an answer."""
    loop = asyncio.get_running_loop()
    while True:
        await loop.sock_sendall(client, b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")


LONG = 125
"""Times that a slow client reads: for more than twice as long as one may stall."""


@pytest.mark.parametrize("query", ["", "&format=tar.gz"], ids=["by the socket", "in chunks"])
async def test_a_client_that_stops_reading_is_dropped_and_gives_its_place_back(tmp_path: Path, query: str) -> None:
    before, aborts = dropped("answer"), metrics.ABORTS.labels("client_stalled")._value.get()
    streams = metrics.STREAMS._value.get()
    small: dict[str, Any] = {"limits": {**QUICK["limits"], "max_streams": 1}}
    async with live(tmp_path, **small) as it:
        it.write("noise", os.urandom(12_000_000))
        token = await it.mint("noise", formats=["tar.gz"])
        path = it.url(token).removeprefix(it.listening.client_url)
        request = f"GET {path}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        with connect(it.listening.client_url, receive=4_096) as client:
            client.sendall(request)
            await asyncio.to_thread(client.recv, 1_000)
            refused = await it.get(token, Range="bytes=0-9")
            assert refused.status == 503
            deadline = asyncio.get_running_loop().time() + LIMIT
            while metrics.STREAMS._value.get() > streams:
                assert asyncio.get_running_loop().time() < deadline, "it is waited for still"
                await asyncio.sleep(0.05)
            assert (await it.get(token, Range="bytes=0-9")).status == 206
            with pytest.raises(ConnectionResetError):
                await asyncio.to_thread(read_on, client)
    assert dropped("answer") == before + 1
    assert metrics.ABORTS.labels("client_stalled")._value.get() == aborts + 1


async def test_a_client_that_stops_reading_is_dropped_through_tls_too(tmp_path: Path) -> None:
    before, streams = dropped("answer"), metrics.STREAMS._value.get()
    certificate_file, key = certificate(tmp_path)
    client_settings = {"ssl_enabled": True, "ssl_cert": certificate_file, "ssl_privkey": key}
    trust = ssl.create_default_context(cafile=str(certificate_file))
    async with live(tmp_path / "state", api={"client": client_settings}, **QUICK) as it:
        it.write("noise", os.urandom(12_000_000))
        token = await it.mint("noise")
        path = it.url(token).removeprefix(it.listening.client_url)
        connection = await asyncio.to_thread(connect, it.listening.client_url, 4_096)
        wrap = functools.partial(trust.wrap_socket, connection, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        with await asyncio.to_thread(wrap) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await asyncio.to_thread(client.recv, 1_000)
            deadline = asyncio.get_running_loop().time() + LIMIT
            while dropped("answer") == before:
                assert asyncio.get_running_loop().time() < deadline, "it is waited for still"
                await asyncio.sleep(0.05)
            with pytest.raises((ConnectionResetError, ssl.SSLError)):
                await asyncio.to_thread(read_on, client)
    assert metrics.STREAMS._value.get() == streams


async def test_a_client_that_asks_and_asks_and_reads_nothing_is_dropped(tmp_path: Path) -> None:
    before = dropped("answer")
    async with live(tmp_path, **QUICK) as it:
        with connect(it.listening.client_url, receive=4_096) as client:
            client.setblocking(False)
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await asyncio.wait_for(ask_on(client), LIMIT)
    assert dropped("answer") == before + 1


@pytest.mark.parametrize(
    "size",
    [pytest.param(200_000, id="all of it in the kernel"), pytest.param(8_000_000, marks=pytest.mark.slow, id="much")],
)
async def test_a_download_at_500_bytes_a_second_goes_on(tmp_path: Path, size: int) -> None:
    before = dropped("answer")
    limits = {**QUICK["limits"], "stall_timeout": 10}
    async with live(tmp_path, limits=limits) as it:
        it.write("large", os.urandom(size))
        token = await it.mint("large")
        whole = (await it.get(token)).body
        path = it.url(token).removeprefix(it.listening.client_url)
        loop = asyncio.get_running_loop()
        with connect(it.listening.client_url, receive=2_048) as client:
            client.setblocking(False)
            await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            got = b""
            for _ in range(LONG):
                got += await asyncio.wait_for(loop.sock_recv(client, SLOW // 5), LIMIT)
                await asyncio.sleep(0.2)
            end = got.index(b"\r\n\r\n") + 4 + len(whole)
            while len(got) < end and (more := await asyncio.wait_for(loop.sock_recv(client, 1_000_000), LIMIT)):
                got += more
        assert got[end - len(whole) :] == whole
    assert dropped("answer") == before


# ---- the rule itself


def looks(*seen: tuple[float, int, bool], patience: Patience) -> Iterator[int | None]:
    pace = Pace(patience)
    for now, total, owed in seen:
        yield pace.too_slow(now, total, owed=owed)


TEN = Patience(stall=10, least=5)


def test_who_owes_nothing_is_never_late() -> None:
    assert list(looks((0, 0, False), (100, 0, False), (200, 0, True), (209, 0, True), patience=TEN)) == [None] * 4


def test_too_little_for_too_long_is_told_with_what_came() -> None:
    assert list(looks((0, 0, True), (5, 30, True), (10, 49, True), patience=TEN)) == [None, None, 49]


def test_enough_begins_the_time_anew() -> None:
    assert list(looks((0, 0, True), (9, 50, True), (18, 60, True), (19, 70, True), patience=TEN)) == [
        None,
        None,
        None,
        20,
    ]


def test_to_owe_nothing_in_between_begins_the_time_anew() -> None:
    assert list(looks((0, 0, True), (9, 1, False), (10, 1, True), (19, 1, True), patience=TEN)) == [None] * 4


def test_without_a_least_rate_one_byte_is_enough() -> None:
    none = Patience(stall=10, least=0)
    assert list(looks((0, 0, True), (9, 1, True), (18, 1, True), (19, 1, True), patience=none)) == [None, None, None, 0]
