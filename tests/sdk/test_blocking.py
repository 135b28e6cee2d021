"""The synchronous face."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from pannier.sdk.blocking import LOOP, Blocking, Face


class _AsyncCounter:
    def __init__(self) -> None:
        self.closed = False
        self.threads: set[str] = set()

    async def add(self, one: int, *, other: int = 1) -> int:
        """Add two numbers."""
        await asyncio.sleep(0)
        self.threads.add(threading.current_thread().name)
        return one + other

    async def fail(self) -> None:
        raise KeyError("as it was raised")

    async def close(self) -> None:
        self.closed = True


class _Counter(Face[_AsyncCounter]):
    def __init__(self) -> None:
        super().__init__(_AsyncCounter())

    add = Blocking(_AsyncCounter.add)
    fail = Blocking(_AsyncCounter.fail)

    @property
    def inner(self) -> _AsyncCounter:
        return self._inner


def test_methods_take_and_return_what_theirs_do() -> None:
    with _Counter() as counter:
        total: int = counter.add(2, other=3)
        assert total == 5
        assert counter.add(2) == 3
        assert counter.add.__doc__ == "Add two numbers."
        with pytest.raises(KeyError, match="as it was raised"):
            counter.fail()
        assert counter.inner.threads == {"pannier.sdk"}
    assert counter.inner.closed


def test_several_threads_use_one_loop() -> None:
    counter, sums = _Counter(), []
    threads = [threading.Thread(target=lambda n=n: sums.append(counter.add(n))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sums) == list(range(1, 9))
    assert counter.inner.threads == {"pannier.sdk"}


def test_ctrl_c_waits_until_the_work_has_cleaned_up() -> None:
    program = """
        import asyncio, os, signal
        from pannier.sdk.blocking import LOOP

        async def work():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.05)
                print("written down", flush=True)

        try:
            LOOP.run(work())
        except KeyboardInterrupt:
            print("interrupted")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.stdout == "written down\ninterrupted\n", done.stderr


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_while_work_is_handed_over(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    """The narrowest moment: just before the loop hears of the work, or just after."""
    told: list[str] = []

    async def work() -> None:
        try:
            told.append("begun")
            await asyncio.sleep(60)
        finally:
            told.append("cleaned up")

    loop = LOOP._running()
    hand_over = loop.call_soon_threadsafe

    def interrupted(callback: Callable[[], object]) -> asyncio.Handle:
        monkeypatch.undo()
        if begun:
            hand_over(callback)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        LOOP.run(work())
    assert told in ([], ["begun", "cleaned up"])
    assert begun or told == []
