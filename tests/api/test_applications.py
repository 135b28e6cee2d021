"""The routes of each listener, and what is said of all others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.live import MINT, PLAN, SECRET, Answer, live

HEADER = "X_BackendAI_Storage_Auth_Token"


def problem(answer: Answer, status: int, error_code: str) -> dict[str, Any]:
    """Return a problem document, which has to be of this kind and of the one form that all routes have."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    document: dict[str, Any] = answer.json
    assert (document["status"], document["error_code"]) == (status, error_code)
    assert document["request"] == answer.headers["X-Request-Id"]
    return document


@pytest.mark.parametrize("path", ["/nothing", "/download-archive/", "//", "/%00", "/%ff%zz", "/..%2f"])
async def test_a_path_that_is_not_there_is_404_on_every_listener(tmp_path: Path, path: str) -> None:
    async with live(tmp_path) as it:
        for base in (it.listening.client_url, it.listening.internal_url):
            problem(await it.ask("GET", f"{base}{path}"), 404, "storage-proxy_request_not-found")
        with_secret = await it.ask("GET", it.listening.manager_url + path, **{HEADER: SECRET})
        problem(with_secret, 404, "storage-proxy_request_not-found")


async def test_a_method_that_is_not_there_is_405_and_names_those_that_are(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for url, allowed in [
            (f"{it.listening.client_url}/", "GET,HEAD"),
            (f"{it.listening.client_url}/download-archive", "GET,HEAD"),
            (f"{it.listening.internal_url}/readyz", "GET,HEAD"),
            (f"{it.listening.manager_url}/readyz", "GET,HEAD"),
            (f"{it.listening.manager_url}{PLAN}", "POST"),
        ]:
            answer = await it.ask("DELETE", url, **{HEADER: SECRET})
            problem(answer, 405, "storage-proxy_request_method-not-allowed")
            assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "é"])
async def test_the_secret_is_asked_for_before_anything_is_said(tmp_path: Path, secret: str | None) -> None:
    async with live(tmp_path) as it:
        sent = {} if secret is None else {HEADER: secret}
        for path in (MINT, PLAN, "/nothing", "/livez/", "/STATUS", "//"):
            for method in ("GET", "POST", "PUT"):
                answer = await it.ask(method, it.listening.manager_url + path, **sent)
                document = problem(answer, 403, "storage-proxy_auth_forbidden")
                assert document["type"] == "https://api.backend.ai/probs/storage/forbidden"


async def test_the_listeners_share_no_route(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for base in (it.listening.client_url, it.listening.internal_url):
            assert (await it.ask("POST", f"{base}{MINT}", json=it.order("a"), **{HEADER: SECRET})).status == 404
        for base in (it.listening.manager_url, it.listening.internal_url):
            assert (await it.ask("GET", f"{base}/download-archive?token=x", **{HEADER: SECRET})).status == 404
        assert (await it.ask("GET", f"{it.listening.client_url}/readyz")).status == 404


async def test_all_client_routes_can_stand_below_a_prefix(tmp_path: Path) -> None:
    async with live(tmp_path, api={"client": {"path_prefix": "/files/up"}}) as it:
        it.write("a", b"1")
        assert it.listening.client_url.endswith("/files/up")
        root = it.listening.client_url.removesuffix("/files/up")
        assert (await it.get(await it.mint("a"))).status == 200
        assert (await it.ask("GET", f"{root}/files/up/")).status == 200
        for path in ("/", "/download-archive", "/files/up", "/files/upx/", "/files/download-archive"):
            problem(await it.ask("GET", root + path), 404, "storage-proxy_request_not-found")
        await it.server.drain(0)
        assert (await it.ask("GET", f"{root}/files/up/")).status == 200


async def test_every_answer_says_who_gave_it_and_under_which_number(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"1")
        answers = [
            await it.get(await it.mint("a")),
            await it.get("garbage"),
            await it.ask("GET", it.listening.manager_url + MINT),
            await it.ask("GET", f"{it.listening.internal_url}/livez"),
        ]
        assert {answer.headers["Server"] for answer in answers} == {"pannier"}
        assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)
        assert {answer.headers["X-Content-Type-Options"] for answer in answers} == {"nosniff"}
