"""What the process counts, read as Prometheus reads it, before and after real requests."""

from __future__ import annotations

import asyncio
import io
import os
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pannier import metrics
from tests.api.disk import disk
from tests.api.live import FOLDER, MINT, SECRET, Live, live

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
MIB = 1024 * 1024
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(it: Live) -> Samples:
    answer = await it.ask("GET", f"{it.listening.internal_url}/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, metrics.CONTENT_TYPE)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


class Moved:
    """How far each sample has moved since the first scrape."""

    def __init__(self, it: Live, before: Samples) -> None:
        self._it, self._before = it, before
        self.now = before

    @classmethod
    async def since(cls, it: Live) -> Moved:
        return cls(it, await scrape(it))

    async def look(self) -> None:
        self.now = await scrape(self._it)

    def of(self, name: str, **labels: str) -> float:
        key = f"pannier_{name}", frozenset(labels.items())
        return self.now.get(key, 0.0) - self._before.get(key, 0.0)


async def test_downloads_are_counted(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", os.urandom(3 * MIB))
        it.write("b", b"x" * 1000)
        moved = await Moved.since(it)
        token = await it.mint("a", "b")
        whole = await it.get(token)
        middle = await it.get(token, Range="bytes=1000-1999", If_Range=whole.headers["ETag"])
        start = await it.get(token, Range="bytes=0-9", If_Range=whole.headers["ETag"])
        assert (whole.status, middle.status, start.status) == (200, 206, 206)
        assert (await it.get("rubbish")).status == 400
        assert (await it.ask("GET", f"{it.listening.client_url}/no-such-route/{token}")).status == 404
        await moved.look()
        route = {"listener": "client", "route": "/download-archive"}
        assert moved.of("requests_total", method="GET", status="200", **route) == 1
        assert moved.of("requests_total", method="GET", status="206", **route) == 2
        assert moved.of("requests_total", method="GET", status="400", **route) == 1
        assert moved.of("requests_total", listener="client", route="none", method="GET", status="404") == 1
        assert moved.of("request_seconds_count", **route) == 4
        sent = sum(len(answer.body) for answer in (whole, middle, start))
        assert sent < moved.of("sent_bytes_total", **route) < sent + 2_000  # and a problem
        assert (moved.of("ranges_total"), moved.of("resumes_total")) == (2, 1)
        assert moved.of("plan_seconds_count") >= 1
        assert moved.of("plan_entries_sum") >= 2
        assert (
            moved.of("checksums_total", result="miss") == 1
        )  # the small one was sent from the buffer it was read into
        assert moved.of("streams") == 0
        await it.get(await it.mint("a", "b"))
        await moved.look()
        assert moved.of("checksums_total", result="hit") >= 2
        assert moved.of("checksums_total", result="miss") == 1


async def test_streams_that_end_early_are_counted_by_cause(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"stream_rate": "1m"}) as it:
        it.write("a", os.urandom(20 * MIB))
        token = await it.mint("a")
        moved = await Moved.since(it)
        async with aiohttp.ClientSession() as session:
            response = await session.get(it.url(token))
            await response.content.readexactly(1000)
            await moved.look()
            assert moved.of("streams") == 1
            response.close()
        for _ in range(200):
            await moved.look()
            if moved.of("streams") == 0:
                break
            await asyncio.sleep(0.05)
        assert moved.of("streams") == 0
        assert moved.of("aborts_total", cause="client_left") == 1


async def test_links_that_are_revoked_or_spent_are_counted_once_and_their_streams_by_cause(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", os.urandom(4 * MIB))
        moved = await Moved.since(it)
        revoked = (await it.manage(MINT, it.order(rate=100_000))).json
        async with aiohttp.ClientSession() as session:
            response = await session.get(it.url(revoked["token"]))
            await response.content.readany()
            for _ in range(2):
                url = f"{it.listening.manager_url}/sessions/{revoked['session']}"
                assert (await it.ask("DELETE", url, X_BackendAI_Storage_Auth_Token=SECRET)).status == 200
            with pytest.raises(aiohttp.ClientError):
                await response.read()
        for _ in range(2):
            once = await it.mint(one_time=True)
            assert (await it.get(once)).status == 200
            assert (await it.get(once)).status == 410
            answer = await it.manage("/folder/revoke", {"volume": "m", "vfid": str(FOLDER)})
            assert answer.json == {"revoked": 1}
        for _ in range(200):
            await moved.look()
            if moved.of("streams") == 0:
                break
            await asyncio.sleep(0.05)
        assert moved.of("sessions_revoked_total") == 3
        assert moved.of("sessions_spent_total") == 2
        assert moved.of("aborts_total", cause="revoked") == 1
        assert moved.of("aborts_total", cause="client_left") == 0


async def test_uploads_are_counted(tmp_path: Path) -> None:
    async with disk(tmp_path) as folder:
        moved = await Moved.since(folder.it)
        token = (await folder.ask("upload", relpath="f", size=2 * MIB)).json["token"]
        url = f"{folder.it.listening.client_url}/upload?token={token}"
        first = await folder.it.ask("PATCH", url, data=io.BytesIO(bytes(MIB)), Upload_Offset="0")
        more = await folder.it.ask("PATCH", url, data=io.BytesIO(bytes(3 * MIB)), Upload_Offset=str(MIB))
        rest = await folder.it.ask("PATCH", url, data=io.BytesIO(bytes(MIB)), Upload_Offset=str(MIB))
        assert (first.status, more.status, rest.status) == (204, 413, 204)
        await moved.look()
        assert (moved.of("uploads_begun_total"), moved.of("uploads_finished_total")) == (1, 1)
        assert moved.of("upload_bytes_total") == 2 * MIB
        assert moved.of("refused_total", limit="fixed") == 1


async def test_labels_hold_nothing_that_clients_choose(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("secret-name", b"x")
        token = await it.mint("secret-name")
        await it.get(token)
        await it.ask("BREW", f"{it.listening.client_url}/{token}")
        answer = await it.ask("GET", f"{it.listening.internal_url}/metrics")
        for hidden in (token, "secret-name", "BREW", str(tmp_path)):
            assert hidden not in answer.body.decode()


@pytest.mark.parametrize("listener", ["client_url", "manager_url"])
async def test_only_the_internal_listener_tells(tmp_path: Path, listener: str) -> None:
    async with live(tmp_path) as it:
        assert (await it.ask("GET", f"{getattr(it.listening, listener)}/metrics")).status in (403, 404)


def test_the_page_names_every_metric_and_no_other() -> None:
    named = {
        line.split("`")[1].partition("{")[0] for line in DOCS.read_text().splitlines() if line.startswith("| `pannier_")
    }
    there = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.REGISTRY.collect()
        if family.name.startswith("pannier_")
    }
    assert named == {name + "_info" if name == "pannier_build" else name for name in there}
