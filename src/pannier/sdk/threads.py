"""Blocking work of a coroutine, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a call in a thread; even where it is cancelled, it ends only with the thread.

    So nobody closes a file that a thread still writes to.
    """
    return await _end_of(asyncio.get_running_loop().run_in_executor(None, lambda: work(*args, **kwargs)))


async def in_own_thread(name: str, work: Callable[[], R], interrupt: Callable[[], None]) -> R:
    """Do the same in a thread of its own, for what takes long; the event loop's threads are few.

    ``interrupt`` is called when this is cancelled, and has ``work`` come to its end soon.
    """
    executor = ThreadPoolExecutor(1, name)
    future = asyncio.get_running_loop().run_in_executor(executor, work)
    executor.shutdown(wait=False)  # the thread ends with its only work
    return await _end_of(future, interrupt)


async def _end_of(future: asyncio.Future[R], interrupt: Callable[[], None] = lambda: None) -> R:
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        interrupt()
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        if not future.cancelled():
            future.exception()  # seen: what came of it concerns nobody any more
        raise
