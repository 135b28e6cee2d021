"""Limits of running streams, as a client sees them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.api.live import FOLDER, gist, live

LARGE = bytes(30_000_000)


@pytest.mark.parametrize(
    ("limits", "others_too"), [({"max_streams_per_token": 1}, False), ({"max_streams": 1}, True)], ids=["token", "all"]
)
async def test_one_stream_too_many_is_refused_for_now(tmp_path: Path, limits: dict[str, int], others_too: bool) -> None:
    settings: dict[str, Any] = {"limits": limits}
    async with live(tmp_path, **settings) as it:
        it.write("large", LARGE)
        token, other = await it.mint(), await it.mint()
        async with it.session.get(it.url(token)) as held:
            assert held.status == 200
            refused = await it.get(token, Range="bytes=0-9")
            assert gist(refused) == f"{503 if others_too else 429} limit-exceeded"
            assert int(refused.headers["Retry-After"]) > 0
            assert refused.json["setting"] == f"limits.{next(iter(limits)).replace('_', '-')}"
            assert (await it.ask("HEAD", it.url(token))).status == 200  # sends nothing, and takes no place
            assert (await it.get(other, Range="bytes=0-9")).status == (503 if others_too else 206)
            assert len(await held.read()) == held.content_length
        assert (await it.get(token, Range="bytes=0-9")).status == 206


@pytest.mark.parametrize("query", ["", "&archive=true"])
async def test_all_paths_of_a_single_download_are_counted_together(tmp_path: Path, query: str) -> None:
    settings: dict[str, Any] = {"limits": {"max_streams_per_token": 1}}
    async with live(tmp_path, **settings) as it:
        it.write("a/wanted/large", LARGE)
        it.write("b/wanted/large", LARGE)
        body = {"volume": "m", "vfid": str(FOLDER), "relpath": "wanted" if query else "wanted/large"}
        minted = (await it.manage("/folder/file/download", body)).json["token"]
        url = f"{it.listening.client_url}/download?token={minted}{query}&dst_dir="
        async with it.session.get(f"{url}a") as held:
            assert held.status == 200
            for directory in "ab":
                assert gist(await it.ask("GET", url + directory, Range="bytes=0-9")) == "429 limit-exceeded"
            assert len(await held.read()) == held.content_length
        assert (await it.ask("GET", f"{url}b", Range="bytes=0-9")).status == 206


async def test_one_after_the_other_is_never_too_many(tmp_path: Path) -> None:
    """Each on a connection of its own, as soon as the last byte of the one before is there."""
    settings: dict[str, Any] = {"limits": {"max_streams_per_token": 1}}
    async with live(tmp_path, **settings) as it:
        it.write("large", LARGE[:3_000_000])
        token = await it.mint()
        statuses = [(await it.get(token, Connection="close")).status for _ in range(60)]
    assert statuses == [200] * 60


async def test_a_client_that_leaves_gives_its_place_back(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"limits": {"max_streams": 1}}
    async with live(tmp_path, **settings) as it:
        it.write("large", LARGE)
        token = await it.mint()
        for _ in range(3):
            held = await it.session.get(it.url(token))
            await held.content.readexactly(1_000)
            held.close()
            statuses: list[int] = []
            while 206 not in statuses and len(statuses) < 1_000:  # until the server has seen it go
                await asyncio.sleep(0.01)
                statuses.append((await it.get(token, Range="bytes=0-9")).status)
            assert statuses[-1] == 206


async def test_a_rate_changes_no_byte(tmp_path: Path) -> None:
    async with live(tmp_path / "free") as free:
        for number in range(40):
            free.write(f"small-{number:02}", bytes([number]) * 1_000, mtime_ns=10**18)
        free.write("large", bytes(range(256)) * 2_000, mtime_ns=10**18)
        settings: dict[str, Any] = {"limits": {"stream_rate": 2_000_000}}
        async with live(tmp_path / "paced", volume=free.memory, **settings) as paced:
            assert (await paced.get(await paced.mint())).body == (await free.get(await free.mint())).body
