"""Blocking work of a coroutine, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a call in a thread; even where it is cancelled, it ends only with the thread.

    So nobody closes a file that a thread still writes to.
    """
    return await in_thread_of(None, work, *args, **kwargs)


async def in_thread_of(executor: Executor | None, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Do the same in a thread of an executor; the event loop's own has few, for what does not take long."""
    future = asyncio.get_running_loop().run_in_executor(executor, lambda: work(*args, **kwargs))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError:
                continue
        raise
