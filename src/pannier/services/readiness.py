"""Whether what the server needs answers: its state, and the root of each volume. No HTTP."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pannier import metrics
from pannier.errors import PannierError
from pannier.volumes.base import Volume
from pannier.volumes.hosts import ProbedVolume

PATIENCE = 2.0
"""Seconds that something has for its answer."""

_log = structlog.get_logger("pannier.readiness")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing: ``group`` is what it is (``state``, ``volume``), ``name`` which of them.

    ``reason`` says why it does not answer as it should; None where it does.
    """

    group: str
    name: str
    looked: datetime
    reason: str | None

    @property
    def healthy(self) -> bool:
        return self.reason is None


class Need:
    """One thing that the server needs, and how to ask it: at most once at a time, however often that is wanted."""

    def __init__(self, group: str, name: str, ask: Callable[[], Awaitable[object]]) -> None:
        """``ask`` raises what is wrong."""
        self.group, self.name, self._ask = group, name, ask
        self._asking: asyncio.Task[str | None] | None = None
        self._began = 0.0
        self._was_healthy = True

    @classmethod
    def blocking(cls, group: str, name: str, call: Callable[[], object]) -> Need:
        """Return a need that is asked by a call which may block for ever."""
        return cls(group, name, functools.partial(_in_thread, call, f"pannier-probe-{name}"))

    async def look(self, patience: float) -> Finding:
        """Ask, ``patience`` seconds at most. What has not answered yet from before is not asked again."""
        if self._asking is None:
            self._began = time.monotonic()
            self._asking = asyncio.create_task(self._answer())
        asking = self._asking
        left = self._began + patience - time.monotonic()
        if not asking.done() and left > 0:
            await asyncio.wait({asking}, timeout=left)
        reason = (
            asking.result() if asking.done() else f"no answer for {max(patience, time.monotonic() - self._began):.0f} s"
        )
        return self._told(reason)

    async def close(self) -> None:
        """Wait for it no longer. A call that blocks keeps its thread, which ends with the process."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _answer(self) -> str | None:
        try:
            await self._ask()
        except PannierError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thing is not in order
            _log.exception("a check of readiness failed", group=self.group, name=self.name)
            return type(error).__name__
        finally:
            self._asking = None
        return None

    def _told(self, reason: str | None) -> Finding:
        healthy = reason is None
        metrics.HEALTHY.labels(self.group, self.name).set(healthy)
        if healthy != self._was_healthy:
            self._was_healthy = healthy
            (_log.info if healthy else _log.warning)("readiness", group=self.group, name=self.name, reason=reason)
        return Finding(self.group, self.name, datetime.now(UTC), reason)


class Readiness:
    """All that the server needs."""

    def __init__(self, needs: Sequence[Need], patience: float = PATIENCE) -> None:
        self._needs, self._patience = needs, patience

    @classmethod
    def of(cls, check_state: Callable[[float], Awaitable[object]], volumes: Mapping[str, Volume]) -> Readiness:
        """Return the readiness of a server with this state, which is given seconds, and these volumes by name."""
        needs = [Need("state", "state", functools.partial(check_state, PATIENCE))]
        for name, volume in volumes.items():
            if isinstance(volume, ProbedVolume):
                needs.append(Need.blocking("volume", name, volume.probe))
        return cls(needs)

    async def look(self) -> list[Finding]:
        """Ask everything at the same time; what is found, in the order of the needs."""
        return list(await asyncio.gather(*(need.look(self._patience) for need in self._needs)))

    async def close(self) -> None:
        for need in self._needs:
            await need.close()


NOTHING_NEEDED = Readiness(())


async def _in_thread(call: Callable[[], object], name: str) -> None:
    """Call in a thread of its own: if it never comes back, it takes nobody's place in a pool, nor holds up the end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if answer.done():
            return  # nobody waits any more
        if error is None:
            answer.set_result(None)
        else:
            answer.set_exception(error)

    def run() -> None:
        raised: Exception | None = None
        try:
            call()
        except Exception as error:  # noqa: BLE001 - told to who asked
            raised = error
        try:
            loop.call_soon_threadsafe(settle, raised)
        except RuntimeError:
            pass  # the loop was closed

    threading.Thread(target=run, name=name, daemon=True).start()
    await answer
