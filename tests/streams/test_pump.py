"""Going on in threads whenever a descriptor takes more: in order, to the end, and with nothing left behind."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from pannier.streams.pump import Pump
from pannier.streams.workers import Workers

pytestmark = pytest.mark.skipif(not Pump.available, reason="epoll is Linux's")
CHANCE = random.Random(5)
DATA = CHANCE.randbytes(3_000_000)


@pytest.fixture
async def pump() -> AsyncIterator[Pump]:
    workers = Workers("pumped", 3)
    made = Pump(workers)
    yield made
    await asyncio.to_thread(made.close)
    await workers.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("pannier-pump")]


class Sender:
    """Sends all of DATA to a peer that takes it when it likes."""

    def __init__(self) -> None:
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.at = self.calls = 0

    def step(self) -> bool:
        self.calls += 1
        with suppress(BlockingIOError):
            while self.at < len(DATA):
                self.at += self.socket.send(DATA[self.at : self.at + 100_000])
        return self.at == len(DATA)

    def receive(self, length: int = len(DATA), pause: float = 0.0) -> bytes:
        got = bytearray()
        while len(got) < length and (more := self.peer.recv(50_000)):
            got += more
            time.sleep(pause)
        return bytes(got)

    def close(self) -> None:
        self.socket.close()
        self.peer.close()


@pytest.fixture
def sender() -> Sender:
    return Sender()


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def test_it_goes_on_whenever_there_is_room(pump: Pump, sender: Sender) -> None:
    receiving = asyncio.create_task(asyncio.to_thread(sender.receive, pause=0.001))
    await pump.run(sender.socket.fileno(), sender.step)
    assert await receiving == DATA
    assert sender.calls > 2
    sender.close()


async def test_the_event_loop_has_no_part_in_it(pump: Pump, sender: Sender) -> None:
    sending = asyncio.create_task(pump.run(sender.socket.fileno(), sender.step))
    await reached(lambda: sender.calls > 0)
    assert sender.receive() == DATA  # here, on the loop's thread
    await sending
    sender.close()


async def test_what_a_call_raises_is_raised(pump: Pump, sender: Sender) -> None:
    def step() -> bool:
        sender.step()
        if sender.calls > 1:
            raise ZeroDivisionError
        return False

    sending = asyncio.create_task(pump.run(sender.socket.fileno(), step))
    await reached(lambda: sender.calls > 0)
    await asyncio.to_thread(sender.receive, sender.at)
    with pytest.raises(ZeroDivisionError):
        await sending
    sender.close()


async def test_it_goes_on_when_the_peer_has_left(pump: Pump, sender: Sender) -> None:
    sending = asyncio.create_task(pump.run(sender.socket.fileno(), sender.step))
    await reached(lambda: sender.calls > 0)
    sender.peer.close()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        await sending
    sender.close()


async def test_what_cannot_be_waited_for_is_told(pump: Pump, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, pytest.raises(PermissionError):  # epoll_ctl(2)
        await pump.run(file.fileno(), lambda: False)


async def test_who_is_cancelled_waits_no_longer_for_room(pump: Pump, sender: Sender) -> None:
    sending = asyncio.create_task(pump.run(sender.socket.fileno(), sender.step))
    await reached(lambda: sender.calls > 0)
    await asyncio.sleep(0.02)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    calls, sent = sender.calls, sender.at
    assert sender.receive(sent) == DATA[:sent]
    await asyncio.sleep(0.05)
    assert sender.calls == calls
    receiving = asyncio.create_task(asyncio.to_thread(sender.receive, len(DATA) - sent))
    await pump.run(sender.socket.fileno(), sender.step)
    assert await receiving == DATA[sent:]
    sender.close()


async def test_who_is_cancelled_waits_for_the_call_that_runs(pump: Pump, sender: Sender) -> None:
    entered, leave = threading.Event(), threading.Event()

    def step() -> bool:
        entered.set()
        leave.wait(10)
        return False

    sending = asyncio.create_task(pump.run(sender.socket.fileno(), step))
    await asyncio.to_thread(entered.wait, 10)
    for _ in range(2):
        sending.cancel()
        await asyncio.sleep(0.02)
        assert not sending.done()
    leave.set()
    with pytest.raises(asyncio.CancelledError):
        await sending
    sender.close()


async def test_who_is_cancelled_takes_back_a_call_that_has_no_thread_yet(pump: Pump, sender: Sender) -> None:
    leave = threading.Event()
    busy = [asyncio.create_task(pump.run(sender.socket.fileno(), lambda: leave.wait(10))) for _ in range(3)]
    sending = asyncio.create_task(pump.run(sender.socket.fileno(), sender.step))
    await asyncio.sleep(0.02)
    sending.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await sending
    leave.set()
    await asyncio.gather(*busy)
    assert sender.calls == 0
    sender.close()


async def test_many_at_once_with_some_that_leave(pump: Pump) -> None:
    """Numbers of descriptors are used again while others are waited for; each gets its own bytes."""

    async def one(number: int, threads: ThreadPoolExecutor) -> None:
        chance = random.Random(number)
        for _ in range(4):
            sender = Sender()
            run = pump.run(sender.socket.fileno(), sender.step)
            receiving = asyncio.get_running_loop().run_in_executor(threads, sender.receive, len(DATA), 0.0005)
            if chance.random() < 0.5:
                with suppress(TimeoutError):
                    await asyncio.wait_for(run, chance.random() * 0.05)
                sender.socket.shutdown(socket.SHUT_RDWR)
                assert await receiving == DATA[: sender.at]
            else:
                await run
                assert await receiving == DATA
            sender.close()

    with ThreadPoolExecutor(20) as threads:
        await asyncio.gather(*(one(number, threads) for number in range(20)))
    assert len(os.listdir("/proc/self/fd")) < 60
