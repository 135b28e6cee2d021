"""Calls that run side by side in threads, their results in the order in which they were asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from pannier.streams.workers import Workers

T = TypeVar("T")


async def in_order(
    calls: AsyncGenerator[Callable[[], T], None], workers: Workers, most: int
) -> AsyncGenerator[T, None]:
    """Give the results of ``calls``, running up to ``most`` of them ahead of who pulls.

    Whoever pulls no more has at most that many results waiting. Closed early, or after a failure, it ends only when no
    call runs any more; ``calls`` is closed then, too.
    """
    running: deque[asyncio.Task[T]] = deque()
    async with aclosing(calls):
        try:
            async for call in calls:
                running.append(asyncio.create_task(workers.run(call)))
                if len(running) >= most:
                    yield await running[0]
                    running.popleft()
            while running:
                yield await running[0]
                running.popleft()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
