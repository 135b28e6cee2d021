"""Every limit: what meets it is let in; beyond it the answer names the limit, what was measured, and the setting."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pannier.config.settings import LimitSettings
from tests.api.disk import disk
from tests.api.live import FOLDER, MINT, PLAN, Answer, Live, live
from tests.api.wire import exchange
from tests.dto.examples import FOLDER as WATCHED_FOLDER
from tests.services.watched import Watched, grow, memory

Ask = Callable[[Live, int], Awaitable[Answer]]
"""Ask for something of a size; the limit is met, or passed by one."""


@dataclass(frozen=True)
class Limit:
    """A limit and how to meet it.

    Attributes:
        value: What it is set to; what is asked for has this size, and then one more.
        setting: Its name as the problem tells it, as far as it is fixed.
        settings: What sets it.
        status: Of what passes it.
        well: Status of what meets it.
    """

    value: int
    setting: str
    ask: Ask
    settings: dict[str, Any] = field(default_factory=dict)
    status: int = 413
    well: int = 200


async def _plan(it: Live, *files: str) -> Answer:
    return await it.manage(PLAN, it.order(*files))


async def _entries(it: Live, size: int) -> Answer:
    for number in range(size):
        it.write(f"d/{number}", b"1")
    return await _plan(it)


async def _named(it: Live, size: int) -> Answer:
    """Selected one by one, not found in a directory."""
    for number in range(size):
        it.write(f"d/{number}", b"1")
    return await _plan(it, *(f"d/{number}" for number in range(size)))


async def _bytes(it: Live, size: int) -> Answer:
    it.write("a", b"x" * (size // 2))
    it.write("b", b"x" * (size - size // 2))
    return await _plan(it)


async def _bytes_of_a_named(it: Live, size: int) -> Answer:
    it.write("a", b"x" * size)
    return await _plan(it, "a")


async def _depth(it: Live, size: int) -> Answer:
    it.write("/".join(["d"] * (size - 1) + ["file"]), b"1")
    return await _plan(it)


def _padded(it: Live, size: int) -> bytes:
    body = json.dumps(it.order("a")).encode()
    return body + b" " * (size - len(body))


async def _selection(it: Live, size: int) -> Answer:
    it.write("a", b"1")
    return await _post(it, MINT, _padded(it, size))


async def _body(it: Live, size: int) -> Answer:
    body = json.dumps({"volume": "m", "vfid": str(FOLDER), "relpath": "."}).encode()
    return await _post(it, "/folder/file/list", body + b" " * (size - len(body)))


async def _post(it: Live, path: str, body: bytes) -> Answer:
    secret = it.settings.api.manager.secret.get_secret_value()
    headers = {"X_BackendAI_Storage_Auth_Token": secret, "Content_Type": "application/json"}
    return await it.ask("POST", it.listening.manager_url + path, data=io.BytesIO(body), **headers)


async def _header(it: Live, size: int) -> Answer:
    return await _raw(it, f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {'x' * size}\r\n\r\n")


async def _line(it: Live, size: int) -> Answer:
    path = "/" + "x" * (size - 1)
    return await _raw(it, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


async def _headers(it: Live, size: int) -> Answer:
    more = "X-Y: z\r\n" * (size - 2)
    return await _raw(it, f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")


async def _raw(it: Live, request: str) -> Answer:
    head, _, body = (await exchange(it.listening.client_url, request.encode())).partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), {}, body, json.loads(body))


async def _upload(it: Live, size: int) -> Answer:
    body = {"volume": "m", "vfid": str(FOLDER), "relpath": "new", "size": size}
    return await it.manage("/folder/file/upload", body)


async def _bytes_of_an_upload(it: Live, size: int) -> Answer:
    token = (await _upload(it, 1_000)).json["token"]
    url = f"{it.listening.client_url}/upload?token={token}"
    headers = {"Tus_Resumable": "1.0.0", "Upload_Offset": "0", "Content_Type": "application/offset+octet-stream"}
    return await it.ask("PATCH", url, data=b"x" * size, **headers)


LIMITS: dict[str, Limit] = {
    "entries": Limit(20, "limits.max-entries", _entries, {"max_entries": 20}),
    "entries, selected": Limit(20, "limits.max-entries", _named, {"max_entries": 20}),
    "bytes": Limit(5_000, "limits.max-bytes", _bytes, {"max_bytes": 5_000}),
    "bytes, selected": Limit(5_000, "limits.max-bytes", _bytes_of_a_named, {"max_bytes": 5_000}),
    "depth": Limit(7, "limits.max-depth", _depth, {"max_depth": 7}),
    "a selection's body": Limit(2_048, "limits.max-selection-body", _selection, {"max_selection_body": 2_048}),
    "other bodies": Limit(1024 * 1024, "none: this route takes no more", _body),
    "a header": Limit(8_192, "limits.max-header", _header, {"max_header": 8_192}, status=431),
    "a request line": Limit(8_192, "limits.max-header", _line, {"max_header": 8_192}, status=431, well=404),
    "headers": Limit(128, "none: no client needs as many", _headers, status=431),
    "an upload": Limit(1_000, "storage-proxy.max-upload-size", _upload),
    "bytes of an upload": Limit(1_000, "none: its size when the token was minted", _bytes_of_an_upload, well=204),
}
ON_DISK = {"other bodies", "an upload", "bytes of an upload"}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("more", [0, 1], ids=["just below", "just above"])
async def test_a_limit_lets_in_what_meets_it_and_explains_itself_beyond(tmp_path: Path, name: str, more: int) -> None:
    limit = LIMITS[name]
    settings: dict[str, Any] = {"limits": limit.settings, "storage_proxy": {"max_upload_size": 1_000}}
    async with AsyncExitStack() as stack:
        if name in ON_DISK:
            it = (await stack.enter_async_context(disk(tmp_path, **settings))).it
        else:
            it = await stack.enter_async_context(live(tmp_path, **settings))
        answer = await limit.ask(it, limit.value + more)
    if not more:
        assert answer.status == limit.well, answer.json
        return
    explains(answer, limit.status, limit.setting, limit.value)
    assert answer.json["measured"] == limit.value + 1 or limit.status == 431


def explains(answer: Answer, status: int, setting: str, limit: float) -> None:
    """Check that a refusal names the limit, what was measured, and the setting, in members and in words."""
    problem = answer.json
    assert (answer.status, problem["type"]) == (status, "urn:pannier:problem:limit-exceeded")
    assert (problem["setting"], problem["limit"]) == (setting, limit)
    assert problem["measured"] >= limit
    assert problem["what"]
    for told in (problem["what"], f"{problem['measured']:,.10g}", f"{limit:,.10g}", setting):
        assert told in problem["detail"]
    assert ("Retry-After" in answer.headers) == (status in (429, 503))


def _order_of_watched(*files: str) -> dict[str, Any]:
    return {"volume": "m", "virtual_folder_id": str(WATCHED_FOLDER), "files": files}


async def test_seconds_of_a_plan_are_limited(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a/1", b"b/1"))
    for seconds, slow in ((60, False), (0.05, True)):
        async with live(tmp_path / str(slow), volume=volume, limits={"plan_seconds": seconds}) as it:
            body = _order_of_watched(".")
            if not slow:
                assert (await it.manage(PLAN, body)).status == 200
                continue
            volume.hold()
            asking = asyncio.create_task(it.manage(PLAN, body))
            await volume.until_entered()
            await asyncio.sleep(0.1)
            volume.release()
            answer = await asking
            explains(answer, 413, "limits.plan-seconds", 0.05)


async def test_plans_at_the_same_time_are_limited(tmp_path: Path) -> None:
    volume = Watched(grow(memory(), b"a/1", b"b/1"))
    async with live(tmp_path, volume=volume, limits={"max_concurrent_plans": 1}) as it:
        volume.hold()
        first = asyncio.create_task(it.manage(PLAN, _order_of_watched("a")))
        await volume.until_entered()
        answer = await it.manage(PLAN, _order_of_watched("b"))
        volume.release()
        explains(answer, 503, "limits.max-concurrent-plans", 1)
        assert (await first).status == 200
        assert (await it.manage(PLAN, _order_of_watched("b"))).status == 200


@pytest.mark.parametrize(("setting", "status"), [("max_streams", 503), ("max_streams_per_token", 429)])
async def test_streams_at_the_same_time_are_limited(tmp_path: Path, setting: str, status: int) -> None:
    limits = {setting: 2}
    async with live(tmp_path, limits=limits) as it:
        it.write("large", bytes(30_000_000))
        token = await it.mint()
        async with it.session.get(it.url(token)) as first, it.session.get(it.url(token)) as second:
            assert (first.status, second.status) == (200, 200)
            answer = await it.get(token, Range="bytes=0-9")
            explains(answer, status, f"limits.{setting.replace('_', '-')}", 2)


async def test_a_name_that_no_archive_holds_is_told_how_long_it_may_be(tmp_path: Path) -> None:
    async with live(tmp_path, limits={"max_depth": 1_000}) as it:
        for length in (65_535, 65_536):
            parts = ["x" * 255] + ["x" * 254] * 255 + ["y" * (length - 256 - 255 * 255)]
            it.write("/".join(parts), b"1")
            answer = await _plan(it, "x" * 255)
            if length == 65_535:
                assert answer.json["offenders"]["total"] == 0, answer.json["offenders"]
                continue
            (offender,) = answer.json["offenders"]["items"]
            assert offender["code"] == "name-too-long"
            assert "65,536 bytes" in offender["detail"]
            assert "65,535" in offender["detail"]


def test_no_limit_is_left_out_here() -> None:
    """Those that refuse nothing but close, cut, slow or end something have tests of their own."""
    elsewhere = {"stream_rate", "plan_linger", "idle_timeout", "head_timeout", "stall_timeout", "least_rate"}
    walked = {limit.setting.removeprefix("limits.").replace("-", "_") for limit in LIMITS.values()}
    walked |= {"plan_seconds", "max_concurrent_plans", "max_streams", "max_streams_per_token"}
    assert set(LimitSettings.model_fields) - elsewhere - walked == set()
