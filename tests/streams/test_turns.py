"""Turns at reading: one after the other, and not behind one that waits for storage."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from pannier.streams.turns import Turns


def test_those_who_are_quick_go_one_after_the_other() -> None:
    turns = Turns(patience=60)
    at_once = most = 0

    def read() -> None:
        nonlocal at_once, most
        for _ in range(50):
            with turns.turn():
                at_once += 1
                most = max(most, at_once)
                time.sleep(0.0002)  # as a system call, it lets others have the interpreter
                at_once -= 1

    with ThreadPoolExecutor(8) as threads:
        for reading in [threads.submit(read) for _ in range(8)]:
            reading.result(timeout=60)
    assert most == 1


def test_nobody_waits_behind_one_that_waits_for_storage() -> None:
    turns = Turns(patience=0.01)
    storage, begun = threading.Event(), threading.Semaphore(0)

    def read() -> None:
        with turns.turn():
            begun.release()
            assert storage.wait(60)

    with ThreadPoolExecutor(6) as threads:
        readings = [threads.submit(read) for _ in range(6)]
        try:
            assert all(begun.acquire(timeout=30) for _ in range(6))
        finally:
            storage.set()
        done, _ = wait(readings, timeout=60)
        assert len(done) == 6
    with turns.turn():  # and it is free again
        pass


def test_a_turn_ends_with_what_is_raised_in_it() -> None:
    turns = Turns(patience=60)
    with pytest.raises(OSError, match="broken"), turns.turn():
        raise OSError("broken")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(turns.turn().__enter__).result(timeout=30)
