"""Whether the server is up, in the words of the wire."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from pannier import __version__
from tests.api.live import live


@pytest.mark.parametrize("path", ["/", "/status"])
async def test_the_manager_listener_says_what_it_is_without_a_secret(tmp_path: Path, path: str) -> None:
    async with live(tmp_path) as it:
        answer = await it.ask("GET", it.listening.manager_url + path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
        assert answer.json == {"status": "ok", "type": "manager-facing", "storage-proxy": __version__}


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz"])
async def test_health_is_told_in_the_form_of_the_wire(tmp_path: Path, path: str) -> None:
    async with live(tmp_path) as it:
        for base in (it.listening.manager_url, it.listening.internal_url):
            answer = await it.ask("GET", f"{base}{path}")
            assert answer.status == 200
            assert datetime.fromisoformat(answer.json["connectivity"].pop("timestamp")).tzinfo is not None
            assert answer.json == {
                "status": "ok",
                "version": __version__,
                "component": "storage-proxy",
                "connectivity": {"overall_healthy": True, "connectivity_checks": []},
            }


async def test_the_client_listener_says_what_it_is_and_takes_no_query(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        answer = await it.ask("GET", it.listening.client_url + "/")
        assert answer.json == {"status": "ok", "type": "client-facing", "storage-proxy": __version__}
        refused = await it.ask("GET", it.listening.client_url + "/?a=1&b=2")
        assert (refused.status, refused.json["error_code"]) == (400, "api_parsing_invalid-parameters")
        assert set(refused.json["data"]) == {"a", "b"}


async def test_the_internal_listener_says_what_it_is(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        assert (await it.ask("GET", f"{it.listening.internal_url}/status")).json["type"] == "internal"


async def test_monitors_may_ask_with_head(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for path in ("/", "/status", "/health", "/livez", "/readyz"):
            for base in (it.listening.manager_url, it.listening.internal_url):
                answer = await it.ask("HEAD", f"{base}{path}")
                assert (answer.status, answer.body) == (200, b"")


async def test_a_draining_server_is_alive_but_not_ready(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        await it.server.drain(0)
        for base in (it.listening.manager_url, it.listening.internal_url):
            assert (await it.ask("GET", f"{base}/livez")).status == 200
            assert (await it.ask("GET", f"{base}/status")).status == 200
            ready = await it.ask("GET", f"{base}/readyz")
            assert (ready.status, ready.json["status"]) == (503, "error")
            health = await it.ask("GET", f"{base}/health")
            assert (health.status, health.json["status"]) == (200, "degraded")
            assert health.json["connectivity"]["overall_healthy"] is False
        assert (await it.ask("GET", it.listening.client_url + "/")).status == 200
