"""What is answered before any handler has a say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.api.live import MINT, SECRET, live
from tests.api.wire import exchange

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzZWNyZXQiOjF9.c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4"
NOT_HTTP = {
    "a control in the query": f"GET /download-archive?token={TOKEN}\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "two blanks": f"GET  /download-archive?token={TOKEN} x HTTP/1.1\r\nHost: x\r\n\r\n",
    "another version": f"GET /download-archive?token={TOKEN} HTTP/9.1\r\nHost: x\r\n\r\n",
    "no method": f"G@T /download-archive?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
    "no slash": f"GET download-archive?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": f"GET /download-archive?token={TOKEN} HTTP/1.1\r\n\r\n",
    "a port that is none": f"GET http://a:99999999/download-archive?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a bracket": f"GET http://[a/download-archive?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
    "a byte that is no ASCII": f"GET /\xe9?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\0\r\n\r\n",
    "NUL behind the secret": f"POST {MINT} HTTP/1.1\r\nHost: x\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\0\r\n\r\n",
    "two lengths": f"POST {MINT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    "a length below zero": f"POST {MINT} HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "a chunk that is none": f"POST {MINT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
TOO_LARGE = {
    "a line too long": (f"GET /download-archive?token={TOKEN * 2_000} HTTP/1.1\r\nHost: x\r\n\r\n", "max-header"),
    "a header too long": (f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {TOKEN * 2_000}\r\n\r\n", "max-header"),
    "too many headers": ("GET / HTTP/1.1\r\nHost: x\r\n" + f"Cookie: {TOKEN}\r\n" * 200 + "\r\n", "none"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
async def test_a_head_too_large_is_told_the_limit_and_not_quoted(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    sent, setting = TOO_LARGE[name]
    async with live(tmp_path) as it:
        for url in (it.listening.client_url, it.listening.manager_url, str(it.listening.internal_url)):
            told = (await exchange(url, sent.encode())).decode()
            head, _, body = told.partition("\r\n\r\n")
            assert " 431 Request Header Fields Too Large\r\n" in head
            problem = json.loads(body)
            assert problem["type"] == "urn:pannier:problem:limit-exceeded"
            assert problem["limit"] < problem["measured"] <= len(sent)
            assert setting in problem["setting"]
            assert not leaked(told)
        assert (await it.ask("GET", it.listening.client_url + "/")).status == 200
    captured = capsys.readouterr()
    log = captured.out + captured.err + caplog.text
    assert "Traceback" not in log
    assert not leaked(log)


@pytest.mark.parametrize("name", NOT_HTTP)
async def test_what_is_no_http_is_told_so_and_not_quoted(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with live(tmp_path) as it:
        for url in (it.listening.client_url, it.listening.manager_url, str(it.listening.internal_url)):
            told = (await exchange(url, NOT_HTTP[name].encode("latin-1"))).decode()
            head, _, body = told.partition("\r\n\r\n")
            assert " 400 Bad Request\r\n" in head
            assert "Content-Type: application/problem+json\r\n" in head
            assert "Server: pannier\r\n" in head
            assert json.loads(body)["error_code"] == "storage-proxy_request_bad-request"
            assert json.loads(body)["request"] in head
            assert not leaked(told)
        # and the next one is served
        assert (await it.ask("GET", it.listening.client_url + "/")).status == 200
    captured = capsys.readouterr()
    log = captured.out + captured.err + caplog.text
    assert "request that cannot be read" in log
    assert "Traceback" not in log
    assert not leaked(log)


def leaked(text: str) -> list[str]:
    """What must never be told: the token, in whole or in part, and the secret."""
    parts = [*TOKEN.split("."), SECRET]
    return [part for part in parts if part in text or part[:20] in text]


@pytest.mark.parametrize("path", ["/", "/no/such/path", "/download-archive"])
async def test_an_expectation_that_cannot_be_met_is_a_problem_like_others(tmp_path: Path, path: str) -> None:
    async with live(tmp_path) as it:
        for base in (it.listening.client_url, it.listening.manager_url, it.listening.internal_url):
            answer = await it.ask("GET", f"{base}{path}", Expect="miracles", Origin="https://a.example")
            assert answer.status == 417
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json["request"] == answer.headers["X-Request-Id"]


async def test_a_client_may_ask_whether_to_send_its_body(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"1")
        body = json.dumps(it.order("a"))
        request = (
            f"POST {MINT} HTTP/1.1\r\nHost: x\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\r\nConnection: close\r\n"
            f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        told = await exchange(it.listening.manager_url, request.encode(), body.encode())
        assert told.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


async def test_a_body_that_is_not_what_its_headers_say_is_the_callers_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with live(tmp_path) as it:
        request = (
            f"POST {MINT} HTTP/1.1\r\nHost: x\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\r\n"
            "Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
        )
        told = await exchange(it.listening.manager_url, request.encode())
        assert b" 400 Bad Request\r\n" in told
        assert b"api_parsing_bad-request" in told
    assert "Traceback" not in capsys.readouterr().out + caplog.text


async def test_a_client_that_leaves_within_its_request_leaves_no_trace_but_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with live(tmp_path) as it:
        head = f"POST {MINT} HTTP/1.1\r\nHost: x\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\r\n"
        for rest in ("Content-Length: 50\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "Content-Le"):
            where = urlsplit(it.listening.manager_url)
            _, writer = await asyncio.open_connection(where.hostname, where.port)
            writer.write(f"{head}{rest}".encode())
            await asyncio.sleep(0.05)
            writer.transport.abort()
            await asyncio.sleep(0.05)
        assert (await it.ask("GET", it.listening.manager_url + "/")).status == 200
    log = capsys.readouterr().out + caplog.text
    assert "Traceback" not in log
    assert "Exception" not in log
