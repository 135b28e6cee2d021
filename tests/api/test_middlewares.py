"""What happens around every handler: pages of other origins, draining, the access log."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from pannier.errors import VolumeFailed
from tests.api.live import MINT, PLAN, Live, live
from tests.api.wire import exchange
from tests.dto.examples import FOLDER_TEXT
from tests.services.watched import Watched, memory

PAGE, OTHER = "https://app.example.com", "https://evil.example"
HERE = {"virtual_folder_id": FOLDER_TEXT}
"""The folder of `tests.services.watched`."""
CONFIGURED: dict[str, Any] = {"api": {"client": {"cors_origins": [PAGE]}}}


# ---------------------------------------------------------------- pages of other origins (WIRE section 6)


async def answers(it: Live, **headers: str) -> list[Any]:
    """One answer of each kind that a page may have to read."""
    it.write("a", b"12345")
    token = await it.mint("a")
    return [
        await it.get(token, **headers),
        await it.ask("HEAD", it.url(token), **headers),
        await it.get(token, Range="bytes=1-2", **headers),
        await it.get(token, Range="bytes=999-", **headers),
        await it.get(token, If_Match='"x"', **headers),
        await it.get("garbage", **headers),
        await it.ask("GET", it.listening.client_url + "/", **headers),
        await it.ask("GET", it.listening.client_url + "/nothing", **headers),
        await it.ask("PUT", it.url(token), **headers),
    ]


async def test_a_configured_origin_may_read_every_answer_with_credentials(tmp_path: Path) -> None:
    async with live(tmp_path, **CONFIGURED) as it:
        found = await answers(it, Origin=PAGE)
        assert [answer.status for answer in found] == [200, 200, 206, 416, 412, 400, 200, 404, 405]
        for answer in found:
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in answer.headers["Vary"]
            exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
            own = {name.lower() for name in answer.headers if not name.lower().startswith("access-control-")}
            assert own - exposed <= {"vary", "date", "server", "content-type", "connection"}
        exposed = found[0].headers["Access-Control-Expose-Headers"].lower()
        for name in ("etag", "content-length", "content-disposition", "accept-ranges", "last-modified", "x-request-id"):
            assert name in exposed
        assert "content-range" in found[2].headers["Access-Control-Expose-Headers"].lower()


async def test_another_origin_may_read_nothing_where_origins_are_configured(tmp_path: Path) -> None:
    async with live(tmp_path, **CONFIGURED) as it:
        for origin in (OTHER, "null", PAGE + ".evil.example", PAGE.upper()):
            for answer in await answers(it, Origin=origin):
                assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
                assert "Origin" in answer.headers["Vary"]


async def test_without_configured_origins_everybody_may_read_without_credentials(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for answer in await answers(it, Origin=OTHER):
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_request_without_an_origin_is_none_of_a_page(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        for answer in await answers(it):
            assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("settings", [{}, CONFIGURED], ids=["everybody", "configured"])
async def test_a_browser_may_ask_before_it_asks(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with live(tmp_path, **settings) as it:
        for path in ("/", "/download-archive?token=x", "/nothing"):
            answer = await it.ask(
                "OPTIONS",
                it.listening.client_url + path,
                Origin=PAGE,
                Access_Control_Request_Method="GET",
                Access_Control_Request_Headers="if-range,range",
            )
            assert (answer.status, answer.body) == (200, b"")
            assert answer.headers["Access-Control-Allow-Methods"] == "GET"
            allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
            assert {"range", "if-range", "if-match", "if-none-match", "authorization"} <= set(allowed)
            assert answer.headers["Access-Control-Allow-Origin"] == (PAGE if settings else "*")


async def test_options_without_a_page_is_a_method_like_others(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        assert (await it.ask("OPTIONS", it.listening.client_url + "/")).status == 405


async def test_managers_are_no_pages(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        answer = await it.ask("GET", it.listening.manager_url + "/", Origin=PAGE)
        assert "Access-Control-Allow-Origin" not in answer.headers


# ---------------------------------------------------------------- draining


async def test_a_draining_server_takes_no_new_work_and_says_when_to_come_back(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("a", b"1")
        token = await it.mint("a")
        assert it.server.running == 0
        await it.server.drain(0)
        for answer in (
            await it.get(token),
            await it.ask("HEAD", it.url(token)),
            await it.manage(MINT, it.order("a")),
            await it.manage(PLAN, it.order("a")),
            await it.ask("GET", it.listening.client_url + "/nothing"),
        ):
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
        assert (await it.manage(MINT, it.order("a"))).json["type"] == "urn:pannier:problem:unavailable"


async def test_what_runs_may_finish_while_the_server_drains(tmp_path: Path) -> None:
    volume = Watched(memory())
    async with live(tmp_path, volume=volume) as it:
        volume.hold()
        running = asyncio.create_task(it.manage(PLAN, {**it.order("."), **HERE}))
        await volume.until_entered()
        assert it.server.running == 1
        draining = asyncio.create_task(it.server.drain(20))
        await asyncio.sleep(0.05)
        assert not draining.done()
        volume.release()
        assert (await running).status == 200
        await draining
        assert it.server.running == 0


async def test_what_does_not_finish_in_time_is_told_in_the_log(tmp_path: Path) -> None:
    volume = Watched(memory())
    with capture_logs() as log:
        async with live(tmp_path, volume=volume) as it:
            volume.hold()
            running = asyncio.create_task(it.manage(PLAN, {**it.order("."), **HERE}))
            await volume.until_entered()
            await it.server.drain(0.05)
            asyncio.get_running_loop().call_later(0.1, volume.release)
        await asyncio.gather(running, return_exceptions=True)
    assert [line["requests"] for line in log if line["event"] == "cut off what was still running"] == [1]


# ---------------------------------------------------------------- the access log


async def test_each_request_is_a_line_that_names_the_path_and_not_the_query(tmp_path: Path) -> None:
    with capture_logs() as log:
        async with live(tmp_path, api={"client": {"trusted_proxies": ["127.0.0.0/8"]}}) as it:
            it.write("a", b"1" * 100_000)
            minted = await it.manage(MINT, it.order("a"))
            token = minted.json["token"]
            answer = await it.get(token, X_Forwarded_For="6.6.6.6, 198.51.100.9")
            part = await it.get(token, Range="bytes=0-9")
            refused = await it.manage(MINT, it.order("missing"), X_Forwarded_For="198.51.100.9")
    lines = [line for line in log if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"], line["bytes"], line["client"]) for line in lines] == [
        ("POST", MINT, 200, len(minted.body), "127.0.0.1"),
        ("GET", "/download-archive", 200, len(answer.body), "198.51.100.9"),
        ("GET", "/download-archive", 206, 10, "127.0.0.1"),
        ("POST", MINT, 404, len(refused.body), "127.0.0.1"),  # managers come directly
    ]
    assert lines[2]["request"] == part.headers["X-Request-Id"]
    assert token not in json.dumps(log, default=str)


async def test_a_client_that_leaves_before_its_answer_is_a_line_too(tmp_path: Path) -> None:
    volume = Watched(memory())
    with capture_logs() as log:
        async with live(tmp_path, volume=volume) as it:
            volume.hold()
            waiting = asyncio.create_task(it.manage(PLAN, {**it.order("."), **HERE}))
            await volume.until_entered()
            waiting.cancel()
            await asyncio.wait({waiting})
            volume.release()
            async with asyncio.timeout(20):
                while not [line for line in log if line["event"] == "request"]:  # noqa: ASYNC110 - a log has no event
                    await asyncio.sleep(0.01)
    assert [line["status"] for line in log if line["event"] == "request"] == [499]


async def test_a_bug_is_told_in_the_log_and_not_to_the_client(tmp_path: Path) -> None:
    class Broken(Watched):
        def folder(self, folder: Any) -> Any:
            raise ZeroDivisionError("a secret of the implementation")

    with capture_logs() as log:
        async with live(tmp_path, volume=Broken(memory())) as it:
            answer = await it.manage(PLAN, it.order("."))
            assert answer.status == 500
            assert "implementation" not in answer.body.decode()
            lines = await it.manage(PLAN, it.order("."), Accept="application/x-ndjson")
            assert (lines.status, lines.json["status"]) == (500, 500)
            again = await it.ask("GET", it.listening.manager_url + "/")
            assert again.status == 200
    failures = [line for line in log if line["event"] == "unexpected failure"]
    assert failures[0]["request"] == answer.json["request"]
    assert len(failures) == 2


async def test_a_volume_that_fails_is_told_in_the_log_and_as_a_problem(tmp_path: Path) -> None:
    class Failing(Watched):
        def folder(self, folder: Any) -> Any:
            raise VolumeFailed("the disk is on fire")

    with capture_logs() as log:
        async with live(tmp_path, volume=Failing(memory())) as it:
            answer = await it.manage(PLAN, it.order("."))
            assert (answer.status, answer.json["error_code"]) == (500, "vfolder_read_failed")
    assert [line["error"] for line in log if line["event"] == "volume failed"] == ["the disk is on fire"]


async def test_two_requests_on_one_connection_are_two_lines(tmp_path: Path) -> None:
    with capture_logs() as log:
        async with live(tmp_path) as it:
            one = b"GET / HTTP/1.1\r\nHost: x\r\n"
            await exchange(it.listening.client_url, one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert len({line["request"] for line in log if line["event"] == "request"}) == 2
