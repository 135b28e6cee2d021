"""Plans: made once for all who want the same, remembered for a while, cancelled when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pannier import metrics
from pannier.archive.entries import Entries
from pannier.archive.formats import ZIP, Format
from pannier.archive.plan import Checksums, Plan, Shape
from pannier.errors import Busy
from pannier.memory import give_back
from pannier.services.agreement import agrees_with
from pannier.services.clocks import Clock
from pannier.services.orders import Order, PlanSettings
from pannier.services.progress import Progress
from pannier.services.selecting import roots, rules
from pannier.services.shaping import planned_unsettled, shape_of
from pannier.services.walking import Walk
from pannier.streams.helpers import NONE, Helpers
from pannier.streams.workers import Workers, seen

_BUSY_RETRY = 5
_LARGE = 200_000
"""Entries and the like from which on a plan is dropped before its successor is made."""


@dataclass(slots=True)
class _Remembered:
    plan: Plan
    walked: float
    """When its walk ended; all times by ``time.monotonic``."""
    checked: float
    """When its files were last found unchanged. That says nothing of new ones."""
    used: float
    checking: asyncio.Task[bool] | None = None
    """Looking again at its files, for all who ask meanwhile."""
    shapes: dict[str, asyncio.Task[Shape]] = field(default_factory=dict)
    """The same entries in other stored formats, by the names of these; for all who ask meanwhile."""


@dataclass(frozen=True, slots=True)
class _Learnt:
    """What stays of a plan that was dropped: the checksums of its files, some bytes an entry."""

    tag: str
    checksums: Checksums
    unsettled: frozenset[int]

    @classmethod
    def of(cls, plan: Plan) -> _Learnt | None:
        return None if plan.shape is None else cls(plan.tag, plan.shape.checksums, plan.shape.unsettled)


@dataclass(slots=True, eq=False)
class _Running:
    """A walk in progress and those who wait for it.

    ``known``: the archive of a large plan that was dropped for it: its tag, and what had been learnt of its content.
    """

    order: Order
    progress: Progress
    known: _Learnt | None = None
    task: asyncio.Task[Plan] | None = None
    waiting: int = 0
    linger_until: float = 0.0
    timer: asyncio.TimerHandle | None = None
    """Ends the walk when nobody waited for so long."""

    def disarm(self) -> None:
        """Drop the timer, which would hold the finished plan until it fires."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Plans:
    """The plans of a process. All methods belong to the event loop."""

    def __init__(self, settings: PlanSettings, workers: Workers, helpers: Helpers = NONE) -> None:
        """``workers`` should have a thread for each concurrent walk; ``helpers`` look at directories ahead of them."""
        self._settings, self._workers, self._helpers = settings, workers, helpers
        self._slots = asyncio.Semaphore(settings.concurrent)
        self._running: dict[Order, _Running] = {}
        self._remembered: OrderedDict[tuple[Order, str], _Remembered] = OrderedDict()
        self._held = 0
        """The weight of all remembered plans."""
        self._latest: dict[Order, str] = {}
        self._tags: dict[tuple[Order, str], str] = {}
        """The tags of plans by the ETags of their archives in other formats."""
        self._checks: set[asyncio.Task[bool]] = set()
        self._closing = threading.Event()
        self._shaping: set[asyncio.Task[Shape]] = set()

    async def plan(self, order: Order, *, linger: bool = True, watch: Callable[[Progress], None] | None = None) -> Plan:
        """Return a plan that is fresh enough, walking if need be.

        Args:
            order: What is wanted.
            linger: Whether the walk goes on for a while if this caller is cancelled and nobody else waits.
            watch: Told the progress of a walk that is waited for, once.

        Raises:
            LimitExceeded, Busy, InvalidRequest, FolderMissing, VolumeFailed: As the walk finds.
        """
        if (latest := self._fresh(order)) is not None:
            return latest
        return await self._wait(self._running.get(order) or self._start(order), linger, watch)

    async def shape(self, order: Order, plan: Plan, format: Format) -> Shape:
        """Return the archive that a plan makes in a format; the walk is the same for all of them.

        Raises:
            SelectionRefused: Something in the selection cannot be sent.
        """
        shape, stored = plan.demand(), format.stored
        if stored is not shape.format:
            shape = await self._in_other_format(order, plan, stored)
        return shape if format is stored else replace(shape, format=format)

    def recall(self, order: Order, etag: str) -> Plan | None:
        """Return the remembered plan with this ETag, however old."""
        remembered = self._remembered.get((order, self._tags.get((order, etag), etag)))
        return None if remembered is None else self._use(order, remembered)

    async def unchanged(self, order: Order, plan: Plan) -> bool:
        """Whether all files of a remembered plan still are what they were; looks again only when that is due.

        A plan with a changed file is forgotten.

        Raises:
            FolderMissing, VolumeFailed: It cannot be told.
            LimitExceeded: It takes longer than a walk may.
        """
        remembered = self._remembered.get((order, plan.tag))
        if remembered is None:
            return False
        if time.monotonic() - remembered.checked <= self._good_for(plan):
            return True
        if remembered.checking is None:
            remembered.checking = check = asyncio.create_task(self._check(order, remembered))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)
            check.add_done_callback(seen)
            del check  # as in ``_wait``
        return await asyncio.shield(remembered.checking)

    def forget(self, order: Order, plan: Plan) -> None:
        """Drop a plan that a source no longer agrees with."""
        self._drop(order, plan.tag)

    @property
    def walks(self) -> int:
        """Walks in progress."""
        return len(self._running)

    async def close(self) -> None:
        """Cancel all walks and wait for their threads."""
        tasks: list[asyncio.Task[Plan] | asyncio.Task[bool] | asyncio.Task[Shape]] = [*self._checks, *self._shaping]
        self._closing.set()
        for task in tasks:
            task.cancel()
        for running in self._running.values():
            running.progress.cancelled.set()
            if running.task is not None:
                running.task.cancel()
                tasks.append(running.task)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _in_other_format(self, order: Order, plan: Plan, stored: Format) -> Shape:
        remembered = self._remembered.get((order, plan.tag))
        if remembered is None:
            return await self._workers.run(self._other_shape, order, plan, stored)
        task = remembered.shapes.get(stored.name)
        if task is None:
            task = asyncio.create_task(self._workers.run(self._other_shape, order, plan, stored))
            remembered.shapes[stored.name] = task
            self._shaping.add(task)
            task.add_done_callback(self._shaping.discard)
            task.add_done_callback(seen)
        try:
            shape = await asyncio.shield(task)
        except Exception:
            remembered.shapes.pop(stored.name, None)
            raise
        finally:
            del task  # it has what is raised, which refers to this frame
        if self._remembered.get((order, plan.tag)) is not None:
            self._tags[order, shape.etag] = plan.tag
        return shape

    # -- walking

    def _start(self, order: Order) -> _Running:
        running = _Running(order, Progress(), self._drop_stale(order))
        running.task = asyncio.create_task(self._walk(running))
        running.task.add_done_callback(seen)
        self._running[order] = running
        return running

    def _drop_stale(self, order: Order) -> _Learnt | None:
        """Drop the latest plan if it is large, before another is made: two of them would be held for a while.

        Whoever asks for it meanwhile by its ETag waits for the new one, which is the same unless files changed.
        """
        stale = self._remembered.get((order, self._latest.get(order, "")))
        if stale is None or _weight(stale.plan) < _LARGE:
            return None
        self.forget(order, stale.plan)
        return _Learnt.of(stale.plan)

    async def _walk(self, running: _Running) -> Plan:
        try:
            try:
                async with asyncio.timeout(self._settings.turn):
                    await self._slots.acquire()
            except TimeoutError:
                limit = self._settings.concurrent
                raise Busy(
                    "concurrent plans",
                    measured=limit + 1,
                    limit=limit,
                    setting="limits.max-concurrent-plans",
                    retry_after=_BUSY_RETRY,
                ) from None
            try:
                if running.known is not None:
                    await self._workers.run(give_back)
                with metrics.PLANS.track_inprogress():
                    plan = await self._workers.run(self._make, running.order, running.progress)
            finally:
                self._slots.release()
        finally:
            if self._running.get(running.order) is running:
                del self._running[running.order]
            running.disarm()
        return self._remember(running.order, plan, running.known)

    async def _wait(self, running: _Running, linger: bool, watch: Callable[[Progress], None] | None) -> Plan:
        assert running.task is not None
        if watch is not None:
            watch(running.progress)
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            loop = asyncio.get_running_loop()
            if linger:
                running.linger_until = max(running.linger_until, loop.time() + self._settings.linger)
            if self._running.get(running.order) is running:
                running.disarm()
                running.timer = loop.call_at(max(running.linger_until, loop.time()), self._cancel_unwanted, running)
            del running  # it has what is raised, which refers to this frame

    def _cancel_unwanted(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        if running.waiting or loop.time() < running.linger_until or self._running.get(running.order) is not running:
            return
        del self._running[running.order]  # at once: whoever comes now must not wait for a cancelled walk
        running.progress.cancelled.set()

    async def _check(self, order: Order, remembered: _Remembered) -> bool:
        began, limit = time.monotonic(), self._settings.walk.seconds
        try:
            agrees = await self._workers.run(agrees_with, order.place, remembered.plan, limit, self._closing)
        finally:
            remembered.checking = None
        if agrees:
            remembered.checked = began
        else:
            self.forget(order, remembered.plan)
        return agrees

    def _make(self, order: Order, progress: Progress) -> Plan:
        plan = self._walked(order, progress)
        if _weight(plan) >= _LARGE:
            give_back()  # what the walk needed beside it
        return plan

    def _walked(self, order: Order, progress: Progress) -> Plan:
        progress.began = time.monotonic()
        paths, unusable = roots(order.selection.files)
        volume = order.place.volume
        folder = order.place.open()
        try:
            clock = Clock(volume.now_ns, volume.clock_granularity_ns)
            walk = Walk(folder, rules(order.selection), self._settings.walk, clock, progress, order.base, self._helpers)
            walked = walk.run(paths, unusable)
        finally:
            folder.close()
        offences = sorted(walked.offences)
        entries = walked.entries
        return Plan(
            entries=entries,
            offences=tuple(offences),
            omitted=tuple(walked.omitted),
            renamed=tuple(walked.renamed),
            warnings=tuple(walked.warnings),
            content_bytes=progress.bytes,
            seconds=progress.seconds,
            shape=None if offences else self._shape(order, ZIP, entries, walked.unsettled),
        )

    def _other_shape(self, order: Order, plan: Plan, stored: Format) -> Shape:
        return self._shape(order, stored, plan.entries, planned_unsettled(plan))

    def _shape(self, order: Order, format: Format, entries: Entries, unsettled: frozenset[int]) -> Shape:
        scheme = order.place.volume.identity_scheme
        return shape_of(format, order.selection, self._settings.late_checksum_above, scheme, entries, unsettled)

    # -- remembering

    def _good_for(self, plan: Plan) -> float:
        settings = self._settings
        if plan.shape is None:  # somebody is mending what stood in its way
            return settings.fresh_least
        return min(max(settings.fresh_least, 10 * plan.seconds), settings.fresh_most)

    def _fresh(self, order: Order) -> Plan | None:
        remembered = self._remembered.get((order, self._latest.get(order, "")))
        if remembered is None or time.monotonic() - remembered.walked > self._good_for(remembered.plan):
            return None
        return self._use(order, remembered)

    def _remember(self, order: Order, plan: Plan, learnt: _Learnt | None = None) -> Plan:
        metrics.PLAN_SECONDS.observe(plan.seconds)
        metrics.PLAN_ENTRIES.observe(len(plan.entries))
        now = time.monotonic()
        self._latest[order] = plan.tag
        known = self._remembered.get((order, plan.tag))
        if known is not None:
            learnt = _Learnt.of(known.plan)
        if learnt is not None and learnt.tag == plan.tag and plan.shape is not None:
            # The same archive: what was learnt of its content stays. What was left out may be other things by now.
            unsettled = learnt.unsettled | plan.shape.unsettled
            plan = replace(plan, shape=replace(plan.shape, checksums=learnt.checksums, unsettled=unsettled))
        shapes = known.shapes if known is not None else {}
        self._remembered[order, plan.tag] = _Remembered(plan, walked=now, checked=now, used=now, shapes=shapes)
        self._remembered.move_to_end((order, plan.tag))
        self._held += _weight(plan) - (0 if known is None else _weight(known.plan))
        self._evict(now)
        return plan

    def _evict(self, now: float) -> None:
        settings = self._settings
        while len(self._remembered) > 1:
            (order, tag), oldest = next(iter(self._remembered.items()))
            if (
                self._held <= settings.remembered_entries
                and len(self._remembered) <= settings.remembered_plans
                and now - oldest.used <= settings.remembered_seconds
            ):
                break
            self._drop(order, tag)

    def _drop(self, order: Order, tag: str) -> None:
        dropped = self._remembered.pop((order, tag), None)
        if dropped is not None:
            self._held -= _weight(dropped.plan)
            for task in dropped.shapes.values():
                if task.done() and not task.cancelled() and task.exception() is None:
                    self._tags.pop((order, task.result().etag), None)
        if self._latest.get(order) == tag:
            del self._latest[order]

    def _use(self, order: Order, remembered: _Remembered) -> Plan:
        remembered.used = time.monotonic()
        self._remembered.move_to_end((order, remembered.plan.tag))
        return remembered.plan


def _weight(plan: Plan) -> int:
    """How much a plan holds, in entries and what is like them."""
    return len(plan.entries) + len(plan.offences) + len(plan.omitted)
