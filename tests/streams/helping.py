"""Helper processes for tests: started, and seen to answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pannier.streams.helpers import Helpers
from pannier.streams.helping import request_to_look


@contextmanager
def helping(number: int) -> Iterator[Helpers]:
    """Run helper processes that are through with their start, which takes a while on a machine that is busy."""
    helpers = Helpers(number)
    helpers.ready(1_000)
    try:
        wait_for(helpers)
        yield helpers
    finally:
        helpers.close()


def processes(helpers: Helpers) -> list[int]:
    """Return the numbers of the helpers' processes."""
    return [helper._process.pid for helper in helpers._helpers]


def wait_for(helpers: Helpers) -> None:
    """Wait until each of the processes answers."""
    for helper in helpers._helpers:
        _wait_for(helper)


def _wait_for(helper: object) -> None:
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for _ in range(600):
            ticket = helper.ask(root, request_to_look(b"dev"), 1)  # type: ignore[attr-defined]
            if ticket is not None:
                told = ticket.looked() is not None
                ticket.release()
                if told:
                    return
            time.sleep(0.05)
    finally:
        os.close(root)
    raise AssertionError("a helper does not answer")
