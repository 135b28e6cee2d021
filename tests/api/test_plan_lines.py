"""Plans while they are made, line by line, and page by page afterwards; and minting before they are done."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from pannier.errors import VolumeFailed
from pannier.volumes.base import Found
from tests.api.live import MINT, PLAN, SECRET, Live, live
from tests.api.wire import exchange
from tests.dto.examples import FOLDER, FOLDER_TEXT
from tests.services.watched import PATIENCE, Watched, WatchedFolder, grow, memory

NDJSON = "application/x-ndjson"


def body(*files: str, **more: Any) -> dict[str, Any]:
    """A body that asks for the folder of `tests.services.watched`."""
    return {"volume": "m", "virtual_folder_id": FOLDER_TEXT, "files": list(files) or ["."], **more}


async def until(it: Live, running: int) -> None:
    """Wait until so many requests are being answered."""
    async with asyncio.timeout(PATIENCE):
        while it.server.running != running:  # noqa: ASYNC110 - a number has no event
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- line by line


async def test_a_walk_that_fails_late_ends_in_a_line_that_is_its_problem(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a/b"))

    def fail(source: bytes) -> None:
        if source == b"a":
            raise VolumeFailed("the disk is on fire")

    volume.before_scan = fail
    async with live(tmp_path, volume=volume) as it:
        volume.hold()
        url = it.listening.manager_url + PLAN
        headers = {"X-BackendAI-Storage-Auth-Token": SECRET, "Accept": NDJSON}
        async with it.session.post(url, json=body(), headers=headers) as response:
            assert (response.status, response.content_type) == (200, NDJSON)
            assert response.headers["X-Accel-Buffering"] == "no"
            assert response.headers["Cache-Control"] == "no-store"
            first = json.loads(await response.content.readline())
            assert set(first) == {"entries", "bytes", "seconds"}
            volume.release()
            last = json.loads((await response.read()).splitlines()[-1])
        assert (last["status"], last["error_code"]) == (500, "vfolder_read_failed")
        assert last["type"] == "urn:pannier:problem:source-unreadable"
        assert last["request"] == response.headers["X-Request-Id"]


@pytest.mark.parametrize("accept", [NDJSON, f"{NDJSON}, application/json;q=0.5", f"text/html, {NDJSON}"])
async def test_what_fails_early_has_a_status_of_its_own(tmp_path: Path, accept: str) -> None:
    async with live(tmp_path, volume=Watched(memory()), limits={"max_entries": 1}) as it:
        for asked, status in [
            (body(volume="other"), 400),
            (body(virtual_folder_id="0" * 32), 404),
            (body("a", "b", "c"), 413),
            (body(exclude=["["]), 400),
            (body(cursor="nonsense"), 400),
            ({}, 400),
        ]:
            answer = await it.manage(PLAN, asked, Accept=accept)
            assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_offenders_are_no_failure_of_a_plan(tmp_path: Path) -> None:
    async with live(tmp_path, volume=Watched(memory())) as it:
        answer = await it.manage(PLAN, body("gone", "../x"), Accept=NDJSON)
        assert answer.status == 200
        plan = json.loads(answer.body.splitlines()[-1])
        assert [(each["path"], each["code"]) for each in plan["offenders"]["items"]] == [
            ("../x", "outside"),
            ("gone", "missing"),
        ]
        assert (plan["length"], plan["etag"]) == (None, None)


async def test_closing_the_connection_cancels_the_walk(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a/b", b"c/d"))
    async with live(tmp_path, volume=volume) as it:
        volume.hold()
        url = it.listening.manager_url + PLAN
        headers = {"X-BackendAI-Storage-Auth-Token": SECRET, "Accept": NDJSON}
        async with it.session.post(url, json=body(), headers=headers) as response:
            await response.content.readline()
            response.close()
        await until(it, 0)
        volume.release()
        async with asyncio.timeout(PATIENCE):
            while volume.open_folders:  # noqa: ASYNC110 - a number has no event
                await asyncio.sleep(0.01)
        assert volume.scanned == [b""]  # it went no further


async def test_closing_the_connection_leaves_the_walk_to_who_else_waits(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a/b", b"c/d"))
    async with live(tmp_path, volume=volume) as it:
        volume.hold()
        url = it.listening.manager_url + PLAN
        headers = {"X-BackendAI-Storage-Auth-Token": SECRET, "Accept": NDJSON}
        other = asyncio.create_task(it.manage(PLAN, body()))
        async with it.session.post(url, json=body(), headers=headers) as response:
            await response.content.readline()
            response.close()
        await until(it, 1)
        volume.release()
        assert (await other).json["entries"] == 2
        assert volume.walks == 1


async def test_old_clients_get_their_lines_until_the_end_of_the_connection(tmp_path: Path) -> None:
    async with live(tmp_path, volume=Watched(grow(memory(), b"a"))) as it:
        asked = json.dumps(body())
        request = (
            f"POST {PLAN} HTTP/1.0\r\nX-BackendAI-Storage-Auth-Token: {SECRET}\r\nAccept: {NDJSON}\r\n"
            f"Content-Length: {len(asked)}\r\n\r\n{asked}"
        )
        head, _, lines = (await exchange(it.listening.manager_url, request.encode())).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200 OK")
        assert json.loads(lines.splitlines()[-1])["entries"] == 1


# ---------------------------------------------------------------- page by page


async def test_every_list_comes_in_pages_of_a_thousand(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for number in range(1_100):
            it.write(f"{number:04}\\name", b"", mtime_ns=1)  # renamed
            it.write(f"{number:04}.tmp", b"", mtime_ns=1)  # left out
            it.write(f"{number:04}?", b"", mtime_ns=1)  # no name for Windows
        plan = (await it.manage(PLAN, it.order(exclude=["*.tmp"]))).json
        for name, total in [("members", 2_200), ("omitted", 1_100), ("renamed", 1_100), ("warnings", 1_100)]:
            page = plan[name]
            assert (page["total"], len(page["items"])) == (total, 1_000)
            items, cursor = page["items"], page["cursor"]
            while cursor is not None:
                answer = (await it.manage(PLAN, it.order(exclude=["*.tmp"], cursor=cursor))).json
                assert (answer["list"], answer["page"]["total"]) == (name, total)
                items += answer["page"]["items"]
                cursor = answer["page"]["cursor"]
            assert len({item["path"] for item in items}) == total
            assert [item["path"] for item in items] == sorted(item["path"] for item in items)


async def test_a_cursor_of_a_plan_that_is_no_more_is_a_conflict(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for number in range(1_001):
            it.write(f"{number:04}", b"", mtime_ns=1)
        cursor = (await it.manage(PLAN, it.order())).json["members"]["cursor"]
        it.write("0000", b"changed")
        assert (await it.manage(PLAN, it.order(cursor=cursor))).status == 200  # the plan is remembered as it was
        settings = {"archive": {"plan_fresh_min": 0, "plan_fresh_max": 0}}
        async with live(tmp_path / "restarted", volume=it.memory, **settings) as again:
            answer = await again.manage(PLAN, it.order(cursor=cursor))
            assert (answer.status, answer.json["type"]) == (409, "urn:pannier:problem:selection-changed")


# ---------------------------------------------------------------- minting before the plan is done


async def test_an_offender_that_was_found_so_far_refuses_though_the_walk_goes_on(tmp_path: Path) -> None:
    world = grow(memory(), b"a/x", b"b/y")
    world.special(FOLDER, b"a/pipe")
    volume, go_on = Watched(world), threading.Event()

    def stop_at_b(source: bytes) -> None:
        if source == b"b":
            go_on.wait(PATIENCE)

    volume.before_scan = stop_at_b
    async with live(tmp_path, volume=volume) as it:
        answer = await it.manage(MINT, body("a", "b"))
        go_on.set()
        assert (answer.status, answer.json["error_code"]) == (400, "vfs-storage_read_invalid-parameters")
        assert [each["path"] for each in answer.json["offenders"]] == ["a/pipe"]


async def test_every_named_path_is_looked_up_before_a_token_is_given(tmp_path: Path) -> None:
    """A token for something that is not there would be of no use, however long it takes to find out."""

    class Slow(Watched):
        def folder(self, folder: Any) -> Any:
            return SlowFolder(self, self._inner.folder(folder))

    class SlowFolder(WatchedFolder):
        def lookup(self, path: bytes, *, follow: bool) -> Found:
            waited.wait(0.4)
            return super().lookup(path, follow=follow)

    waited = threading.Event()
    async with live(tmp_path, volume=Slow(grow(memory(), b"a", b"b", b"c"))) as it:
        answer = await it.manage(MINT, body("a", "b", "c", "gone"))
        assert (answer.status, answer.json["paths"]) == (404, ["gone"])


async def test_a_walk_that_goes_on_serves_the_download_and_is_walked_once(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a", b"b"))
    async with live(tmp_path, volume=volume, archive={}) as it:
        volume.hold()
        minted = (await it.manage(MINT, body())).json
        assert set(minted) == {"token", "plan", "session"}
        assert minted["plan"] == "running"
        download = asyncio.create_task(it.get(minted["token"]))
        await until(it, 1)
        volume.release()
        answer = await download
        assert (answer.status, volume.scanned) == (200, [b""])
        again = (await it.manage(MINT, body())).json
        assert (again["plan"], again["length"], again["etag"]) == ("done", len(answer.body), answer.headers["ETag"])
