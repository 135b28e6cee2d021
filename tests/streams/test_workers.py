"""Threads joined with the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import structlog

from pannier.streams.workers import Workers


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers("test", 1)
    yield made
    await made.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pannier-test")]


async def test_a_call_returns_or_raises(workers: Workers) -> None:
    assert await workers.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await workers.run(divmod, 7, 0)


async def test_a_cancelled_caller_waits_for_its_thread(workers: Workers) -> None:
    """Whatever the call uses can be closed right after."""
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        entered.set()
        leave.wait(10)
        left.set()

    calling = asyncio.create_task(workers.run(call))
    await asyncio.to_thread(entered.wait, 10)
    calling.cancel()
    await asyncio.sleep(0.02)
    assert not calling.done()
    calling.cancel()  # a second time: it still waits
    await asyncio.sleep(0.02)
    assert not calling.done()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert left.is_set()


async def test_a_cancelled_caller_takes_back_a_call_that_has_not_begun(workers: Workers) -> None:
    leave, called = threading.Event(), threading.Event()
    busy = asyncio.create_task(workers.run(leave.wait, 10))
    waiting = asyncio.create_task(workers.run(called.set))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    leave.set()
    await busy
    await workers.run(int)
    assert not called.is_set()


async def test_what_gives_things_back_is_called_even_for_a_caller_that_is_cancelled(workers: Workers) -> None:
    """Or a client that leaves at the very end would keep a descriptor here."""
    leave, called = threading.Event(), threading.Event()
    busy = asyncio.create_task(workers.run(leave.wait, 10))
    giving_back = asyncio.create_task(workers.surely(called.set))
    await asyncio.sleep(0.02)
    giving_back.cancel()
    await asyncio.sleep(0.02)
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await giving_back
    await busy
    assert called.is_set()


async def test_a_call_sees_what_its_own_caller_has_said_of_itself(workers: Workers) -> None:
    """So that whatever it logs names its request, though threads serve one request after the other."""

    async def ask(number: str) -> str | None:
        structlog.contextvars.bind_contextvars(request=number)
        return await workers.run(lambda: structlog.contextvars.get_contextvars().get("request"))

    numbers = [str(number) for number in range(20)]
    assert await asyncio.gather(*(asyncio.create_task(ask(number)) for number in numbers)) == numbers


async def test_a_call_that_was_begun_is_dropped_before_it_has_a_thread(workers: Workers) -> None:
    entered, leave, called = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        leave.wait(10)

    holding, waiting = workers.begin(hold), workers.begin(called.set)
    await asyncio.to_thread(entered.wait, 10)
    await waiting.drop()
    leave.set()
    await holding.end()
    await workers.run(int)  # whatever was in line before has had its turn
    assert not called.is_set()


async def test_a_call_that_is_dropped_while_it_runs_has_ended_then_and_nobody_hears_of_its_failure(
    workers: Workers,
) -> None:
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        entered.set()
        leave.wait(10)
        left.set()
        raise ValueError

    begun = workers.begin(call)
    await asyncio.to_thread(entered.wait, 10)
    dropping = asyncio.create_task(begun.drop())
    await asyncio.sleep(0.05)
    assert not dropping.done()
    leave.set()
    await dropping
    assert left.is_set()
