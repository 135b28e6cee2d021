"""The synchronous face: methods of an asynchronous object, called without ``await``, with all their types.

An object of that face holds one of the asynchronous kind and lists the methods that it takes over, a line each::

    class Manager(Face[AsyncManager]):
        plan = Blocking(AsyncManager.plan)

``plan`` then takes what ``AsyncManager.plan`` takes and returns what that gives, which type checkers see, too. All
faces of a process share one event loop, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")


class Closable(Protocol):
    """What is ended by ``close``."""

    async def close(self) -> None:
        """End it."""


InnerT = TypeVar("InnerT", bound=Closable)


class LoopThread:
    """A thread with an event loop, in which coroutines of other threads run; it starts with the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to its end, and return its result or raise what it raised.

        Whoever is interrupted meanwhile (Ctrl-C) waits until the coroutine has cleaned up: a transfer writes down how
        far it came.
        """
        loop = self._running()
        outcome: concurrent.futures.Future[R] = concurrent.futures.Future()
        tasks: list[asyncio.Task[R]] = []

        def begin() -> None:
            tasks.append(loop.create_task(work))
            tasks[0].add_done_callback(lambda task: _settle(outcome, task))

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
            elif not outcome.done():  # the interruption came before anything had begun
                work.close()
                outcome.set_exception(concurrent.futures.CancelledError())

        try:
            loop.call_soon_threadsafe(begin)
            return outcome.result()
        except BaseException:
            if not outcome.done():
                loop.call_soon_threadsafe(stop)
                concurrent.futures.wait([outcome])
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="pannier.sdk", daemon=True).start()
            return self._loop


def _settle(outcome: concurrent.futures.Future[R], task: asyncio.Task[R]) -> None:
    if task.cancelled():
        outcome.set_exception(concurrent.futures.CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


LOOP = LoopThread()


class Face(Generic[InnerT]):
    """An object of the synchronous face; a context manager that closes what is behind it."""

    def __init__(self, inner: InnerT) -> None:
        self._inner = inner

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        LOOP.run(self._inner.close())


class Blocking(Generic[P, R]):
    """An asynchronous method, as a method of a ``Face``."""

    def __init__(self, method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, face: None, owner: type) -> Self: ...

    @overload
    def __get__(self, face: Face[Any], owner: type) -> Callable[P, R]: ...

    def __get__(self, face: Face[Any] | None, owner: type) -> Self | Callable[P, R]:
        if face is None:
            return self
        inner = face._inner

        @functools.wraps(self._method)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return LOOP.run(self._method(inner, *args, **kwargs))

        return call
