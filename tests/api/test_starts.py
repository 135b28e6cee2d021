"""How many requests begin to stream at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pannier.api.starts import Starts, started
from tests.api.live import live

NEVER = 3_600.0


def requests(count: int) -> list[web.Request]:
    return [make_mocked_request("GET", f"/{number}") for number in range(count)]


async def begin(starts: Starts, several: list[web.Request]) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(starts.enter(request)) for request in several]
    await asyncio.sleep(0)
    return tasks


async def entered(tasks: list[asyncio.Task[None]]) -> list[bool]:
    for _ in range(3):
        await asyncio.sleep(0)
    return [task.done() and not task.cancelled() for task in tasks]


async def test_so_many_begin_and_the_others_one_by_one_in_their_order() -> None:
    starts, several = Starts(2, NEVER), requests(5)
    tasks = await begin(starts, several)
    assert await entered(tasks) == [True, True, False, False, False]
    started(several[1])
    assert await entered(tasks) == [True, True, True, False, False]
    for request in several[:3]:
        started(request)
    assert await entered(tasks) == [True] * 5
    assert starts.beginning == 2
    for request in several:
        started(request)
    assert starts.beginning == 0


async def test_a_request_begins_once_and_is_over_once() -> None:
    starts, (one, other) = Starts(1, NEVER), requests(2)
    await starts.enter(one)
    await starts.enter(one)
    started(other)  # never asked
    assert starts.beginning == 1
    started(one)
    started(one)
    assert starts.beginning == 0


@pytest.mark.parametrize("at", ["while it waits", "when it was let in"])
async def test_who_leaves_keeps_nobody_waiting(at: str) -> None:
    starts, several = Starts(1, NEVER), requests(3)
    tasks = await begin(starts, several)
    if at == "when it was let in":
        started(several[0])  # lets the second in, which does not know it yet
        tasks[1].cancel()
    else:
        tasks[1].cancel()
        await asyncio.sleep(0)
        started(several[0])
    assert await entered(tasks) == [True, False, True]
    started(several[2])
    assert starts.beginning == 0


async def test_where_all_stand_still_others_begin_all_the_same() -> None:
    starts, several = Starts(2, 0.01), requests(6)
    tasks = await begin(starts, several)
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    assert starts.beginning == 6
    for request in several:
        started(request)
    later = requests(3)
    tasks = await begin(starts, later)
    assert await entered(tasks) == [True, True, False]  # as few as ever
    for request in later:
        started(request)
    await asyncio.gather(*tasks)
    started(later[2])


async def test_where_some_are_through_the_others_are_waited_for() -> None:
    starts, several = Starts(2, NEVER), requests(6)
    tasks = await begin(starts, several)
    started(several[0])
    starts._look(asyncio.get_running_loop())  # as it does after its patience
    assert (await entered(tasks)).count(True) == 3
    starts._look(asyncio.get_running_loop())  # nobody was through since
    assert (await entered(tasks)).count(True) == 4
    for request in several * 2:
        started(request)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert starts.beginning == 0


ASKED: dict[str, Callable[[Any, str], Any]] = {
    "whole": lambda it, token: it.get(token),
    "a range": lambda it, token: it.get(token, Range="bytes=3-9"),
    "headers": lambda it, token: it.ask("HEAD", it.url(token)),
    "what it has": lambda it, token: it.get(token, **{"If-None-Match": "*"}),
    "another archive": lambda it, token: it.get(token, **{"If-Match": '"other"'}),
    "a token that is none": lambda it, _: it.get("none"),
}


@pytest.mark.parametrize("asked", ASKED)
async def test_whatever_is_answered_the_next_may_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    made: list[Starts] = []
    prepare = Starts.__init__

    def noted(self: Starts, most: int = 1, patience: float = NEVER) -> None:
        made.append(self)
        prepare(self, most, patience)

    monkeypatch.setattr(Starts, "__init__", noted)
    async with live(tmp_path) as it, asyncio.timeout(60):
        it.write("file", b"content")
        token = await it.mint()
        for _ in range(3):
            await ASKED[asked](it, token)
        assert (await it.get(token)).status == 200
        assert sum(starts.beginning for starts in made) == 0


async def test_a_client_that_takes_nothing_lets_others_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Starts.__init__
    monkeypatch.setattr(Starts, "__init__", lambda self: prepare(self, 1, NEVER))
    async with live(tmp_path) as it, asyncio.timeout(60):
        it.write("large", bytes(30_000_000))
        held, token = await it.mint(), await it.mint()
        async with it.session.get(it.url(held)) as response:
            assert response.status == 200
            assert (await it.get(token, Range="bytes=0-9")).status == 206
