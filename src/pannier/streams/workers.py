"""Threads for blocking calls, joined with the event loop so that nothing is given back while a thread still uses it."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def seen(task: asyncio.Task[Any]) -> None:
    """Take note of the failure of a task for which nobody may wait: for ``add_done_callback``, before those who wait.

    The error stays with the task, and would keep what its frames worked with, such as half a walk: they give it back.
    """
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.clear_frames(error.__traceback__)


class Begun(Generic[T]):
    """A call that goes on beside whoever began it, who waits for its end before anything it uses is given back."""

    def __init__(self, job: Future[T]) -> None:
        self._job = job

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._job.done()

    async def end(self) -> T:
        """Return what it returned, or raise what it raised, once it has ended; a cancelled caller waits, too."""
        try:
            return await joined(self._job, takes_back=False)
        finally:
            del self  # as in ``joined``

    async def drop(self) -> None:
        """Take it back if it has not begun, else wait for its end; what it returned or raised counts no more."""
        try:
            if not self._job.cancel():
                with suppress(Exception):
                    await joined(self._job, takes_back=False)
        finally:
            del self  # as in ``joined``


class Workers:
    """A bounded pool of threads. ``run`` and ``surely`` return, or raise, only when the call has ended.

    Calls run in the context of their caller, so that what they log names its request.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"pannier-{name}")

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread.

        A cancelled caller takes back a call that has not begun. It waits for one that has, and only then sees its
        ``CancelledError``: descriptors and buffers that the call uses can be closed right after. Calls are therefore
        kept short (a burst, not a download).
        """
        return await joined(self.submit(call, *args, **kwargs), takes_back=True)

    async def surely(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread whether or not the caller is cancelled meanwhile: for giving things back."""
        return await joined(self.submit(call, *args, **kwargs), takes_back=False)

    def begin(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Begun[T]:
        """Call in a thread, and do not wait for it."""
        return Begun(self.submit(call, *args, **kwargs))

    def submit(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call in a thread, for those who see for themselves when it has ended."""
        context = copy_context()
        return self._pool.submit(lambda: context.run(call, *args, **kwargs))

    async def close(self) -> None:
        """Wait for running calls and end the threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)


async def joined(job: Future[T], *, takes_back: bool) -> T:
    """Wait until a call in a thread has ended, also when cancelled; ``takes_back``: then it is cancelled, too."""
    ended = _Ended(asyncio.get_running_loop())
    job.add_done_callback(ended.tell)
    cancelled: asyncio.CancelledError | None = None
    try:
        while not job.done():
            try:
                await ended.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                if takes_back:
                    job.cancel()  # succeeds only while it waits for a thread
        if cancelled is not None:
            raise cancelled
        if job.cancelled():
            raise asyncio.CancelledError
        return job.result()
    finally:  # what is raised refers to this frame, and must not be referred to by it
        del job, ended, cancelled


class _Ended:
    """Wakes whoever waits on the loop for the end of a call in a thread.

    ``asyncio.wrap_future`` does that, too, in four turns of the loop where two are enough.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiter: asyncio.Future[None] = loop.create_future()

    async def wait(self) -> None:
        """Wait, again if an earlier wait was cancelled."""
        if self._waiter.cancelled():
            self._waiter = self._loop.create_future()
        await self._waiter

    def tell(self, job: Future[Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)
