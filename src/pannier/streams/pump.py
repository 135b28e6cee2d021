"""Going on with what a full socket stopped, in threads: the event loop has no part in it until all is done.

For each burst that a slow client takes, the loop would be woken to see that there is room again, and once more to hear
that the burst is through, and each time wait for the interpreter several times behind the threads that it started. With
hundreds of such clients that is what everybody else waits for.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context

from pannier.streams.workers import Workers, joined

_EVENTS = 64
"""Descriptors that are asked for at once."""


class Pump:
    """One epoll for all that wait, and a thread that wakes them up into the pool. Linux only."""

    available = sys.platform == "linux"

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._waiting: dict[int, _Pumping] = {}
        self._epoll = select.epoll()
        self._ended = os.eventfd(0)
        self._epoll.register(self._ended, select.EPOLLIN)
        self._thread = threading.Thread(target=self._wake, name="pannier-pump", daemon=True)
        self._thread.start()

    async def run(self, fd: int, step: Callable[[], bool]) -> None:
        """Call ``step`` in threads, again whenever ``fd`` takes more or has failed, until it returns True or raises.

        A cancelled caller waits for a call that is running, as with ``Workers.run``, and for nothing else. The
        descriptor is to be open until this returns, and of one ``run`` at a time.
        """
        await joined(self._begin(_Pumping(self, fd, step, copy_context())), takes_back=True)

    def _begin(self, pumping: _Pumping) -> _Pumping:
        self._go_on(pumping)
        return pumping

    def _go_on(self, pumping: _Pumping) -> None:
        pumping.queued = self._workers.submit(_call, [pumping])

    def arm(self, pumping: _Pumping) -> None:
        """Have it go on, once, when there is room."""
        if self._waiting.get(pumping.fd) is pumping:
            self._epoll.modify(pumping.fd, select.EPOLLOUT | select.EPOLLONESHOT)
        else:
            self._waiting[pumping.fd] = pumping
            self._epoll.register(pumping.fd, select.EPOLLOUT | select.EPOLLONESHOT)

    def forget(self, pumping: _Pumping) -> None:
        """Have it wait no more: others may have the number of its descriptor soon."""
        if self._waiting.get(pumping.fd) is pumping:
            del self._waiting[pumping.fd]
            self._epoll.unregister(pumping.fd)

    def close(self) -> None:
        """End the thread. Everything that was pumped has ended before."""
        os.eventfd_write(self._ended, 1)
        self._thread.join()
        self._epoll.close()
        os.close(self._ended)

    def _wake(self) -> None:
        while True:
            for fd, _ in self._epoll.poll(maxevents=_EVENTS):
                if fd == self._ended:
                    return
                pumping = self._waiting.get(fd)
                # a number that was given back meanwhile may be that of another one, which then looks in vain
                if pumping is not None and pumping.woken():
                    self._go_on(pumping)
                del pumping


def _call(box: list[_Pumping]) -> None:
    """Make the call that is in the box.

    What is raised in it refers to all frames below, and is kept by what was in the box: they must not keep that.
    """
    box.pop().call()


class _Pumping(Future[None]):
    """A call that is made again and again: it waits for a thread, runs, waits for room, or has ended.

    Attributes:
        queued: Its last wait for a thread.
    """

    def __init__(self, pump: Pump, fd: int, step: Callable[[], bool], context: Context) -> None:
        super().__init__()
        self.fd = fd
        self._pump, self._step, self._context = pump, step, context
        self._lock = threading.Lock()
        self._stopped = self._waits = False
        self.queued: Future[None] | None = None

    def cancel(self) -> bool:
        """End it before its next call; return whether it has ended."""
        with self._lock:
            self._stopped = True
            waited, self._waits = self._waits, False
        if waited or (self.queued is not None and self.queued.cancel()):
            self._end()
            return True
        return False

    def woken(self) -> bool:
        """Take note that there is room; return whether it waited for that."""
        with self._lock:
            waited, self._waits = self._waits, False
        return waited

    def call(self) -> None:
        """Make the next call."""
        if self._stopped:
            self._end()
            return
        try:
            if not self._context.run(self._step):
                with self._lock:
                    if not self._stopped:
                        self._pump.arm(self)
                        self._waits = True  # before it can be woken, as that takes the lock
                        return
            self._end()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for whoever waits
            self._end(error)
        finally:  # what is raised refers to this frame, and must not be referred to by it
            del self

    def _end(self, error: BaseException | None = None) -> None:
        with suppress(OSError):  # it may be closed where the system has taken it
            self._pump.forget(self)
        if error is not None:
            self.set_exception(error)
        elif self._stopped:
            super().cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_result(None)
