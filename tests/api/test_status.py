"""Whether the server is up, in the words of the wire."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from typing_extensions import override

from pannier import __version__
from pannier.server import STATE_FILE
from pannier.volumes.posix import SingleFolderVolume
from tests.api.disk import disk
from tests.api.live import FOLDER, Live, live


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
            checks = answer.json["connectivity"].pop("connectivity_checks")
            for check in checks:
                assert datetime.fromisoformat(check.pop("last_checked_at")).tzinfo is not None
            state = {"service_group": "state", "component_id": "state", "is_healthy": True, "error_message": None}
            assert checks == ([] if path == "/livez" else [state])
            assert answer.json == {
                "status": "ok",
                "version": __version__,
                "component": "storage-proxy",
                "connectivity": {"overall_healthy": True},
            }


async def test_the_client_listener_says_what_it_is_and_takes_no_query(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        answer = await it.ask("GET", it.listening.client_url + "/")
        assert answer.json == {"status": "ok", "type": "client-facing", "storage-proxy": __version__}
        refused = await it.ask("GET", it.listening.client_url + "/?a=1&b=2")
        assert (refused.status, refused.json["type"]) == (
            400,
            "https://api.backend.ai/probs/storage/invalid-api-params",
        )
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


# ---------------------------------------------------------------- what is needed does not answer


async def looked(it: Live, status: int) -> dict[str, str | None]:
    """Ask ``/readyz`` until it has this status, and return what is wrong by what it is of."""
    deadline = time.monotonic() + 20
    while (answer := await it.ask("GET", f"{it.listening.internal_url}/readyz")).status != status:
        assert time.monotonic() < deadline, answer.json
        await asyncio.sleep(0.05)
    health = await it.ask("GET", f"{it.listening.manager_url}/health")
    assert (health.status, health.json["status"]) == (200, "ok" if status == 200 else "degraded")
    assert (await it.ask("GET", f"{it.listening.internal_url}/livez")).status == 200
    told = {check["component_id"]: check for check in answer.json["connectivity"]["connectivity_checks"]}
    assert all(check["is_healthy"] == (check["error_message"] is None) for check in told.values())
    return {name: check["error_message"] for name, check in told.items()}


async def test_a_server_whose_volume_was_replaced_or_is_gone_is_not_ready(tmp_path: Path) -> None:
    async with disk(tmp_path) as folder:
        assert await looked(folder.it, 200) == {"state": None, "m": None}
        aside = folder.root.rename(tmp_path / "aside")
        gone = await looked(folder.it, 503)
        assert (gone["state"], "m" in (gone["m"] or "")) == (None, True)
        folder.root.mkdir()
        assert "another directory" in str((await looked(folder.it, 503))["m"])
        folder.root.rmdir()
        aside.rename(folder.root)
        assert await looked(folder.it, 200) == {"state": None, "m": None}


async def test_a_server_whose_state_is_locked_is_not_ready(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        other = sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None, check_same_thread=False)
        try:
            other.execute("BEGIN EXCLUSIVE")
            assert (await looked(it, 503))["state"]
            other.execute("ROLLBACK")
            assert (await looked(it, 200))["state"] is None
        finally:
            other.close()


class Hanging(SingleFolderVolume):
    """A volume whose file system does not answer until the test lets it."""

    answers = threading.Event()
    asked = 0

    @override
    def probe(self) -> None:
        Hanging.asked += 1
        self.answers.wait(60)


async def test_a_volume_that_hangs_holds_up_nobody_and_takes_one_thread(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    root.mkdir()
    volume = Hanging("m", root, FOLDER)
    try:
        async with live(tmp_path / "state", volume=volume) as it:
            before = threading.active_count()
            began = time.monotonic()
            asked = (it.ask("GET", f"{it.listening.internal_url}/readyz") for _ in range(30))
            answers = await asyncio.gather(*asked)
            assert time.monotonic() - began < 15
            assert {answer.status for answer in answers} == {503}
            assert "no answer for" in str((await looked(it, 503))["m"])
            assert Hanging.asked == 1
            assert threading.active_count() <= before + 2  # the probe, and one that parses or asks the state
            Hanging.answers.set()
            assert (await looked(it, 200))["m"] is None
    finally:
        volume.close()
