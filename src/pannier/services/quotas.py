"""Limits of quota scopes, enforced by counting: what is there, what is being written, what is asked for. No HTTP.

A scope without a limit costs one look at its directory. Of one with a limit everything is counted before the first
write, and again when that was a while ago; in between what is written through this process is added. Nothing is refused
by an old count. Other writers on the volume are seen by the next count only, and so are other servers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from pannier.dto.ids import QuotaScope
from pannier.dto.quotas import CreateScopeRequest, QuotaReply, ScopeRequest, UpdateScopeRequest
from pannier.errors import Busy, OperationUnsupported, QuotaExceeded, QuotaScopeExists, QuotaScopeMissing, VolumeFailed
from pannier.services.places import Places
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers, seen
from pannier.volumes.hosts import ScopedVolume

_AT_ONCE = 2
"""Counts that run at the same time."""
_FRESH = 60.0
"""Seconds after which a count is made again, beside the writes that it still allows."""
_REST = 1.0
"""Seconds between the end of a count and the next, at least, and so many times as long as the count took:"""
_REST_FACTOR = 2.0
_PATIENCE = 30.0
"""Seconds that a request waits for a count (as WIRE section 4 has it for folders)."""
_MOST_ACCOUNTS = 10_000


@dataclass
class Claim:
    """Bytes that are kept free for a writer; ``written`` says how many of them it has written."""

    written: int = 0


@dataclass
class _Account:
    """What is known of a scope. Bytes, and seconds of the monotonic clock."""

    used: int | None = None
    began: float = 0.0
    ended: float = 0.0
    claimed: int = 0
    stale: bool = False
    """Whether something was deleted since the last count began."""
    counting: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def taken(self) -> int:
        return (self.used or 0) + self.claimed

    def may_count(self, now: float) -> bool:
        return self.stale or self.used is None or now - self.ended > _REST + _REST_FACTOR * (self.ended - self.began)


class Quotas:
    """The quota scopes of the configured volumes.

    Args:
        workers: Threads that wait for storage.
        patience: Seconds that a request waits for a count.
        fresh: Seconds after which a count is made again.
    """

    def __init__(self, places: Places, workers: Workers, *, patience: float = _PATIENCE, fresh: float = _FRESH) -> None:
        self._places, self._workers, self._patience, self._fresh = places, workers, patience, fresh
        self._accounts: OrderedDict[tuple[str, UUID], _Account] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._closing = threading.Event()

    async def close(self) -> None:
        """End the counts that run."""
        self._closing.set()
        running = [account.counting for account in self._accounts.values() if account.counting is not None]
        await asyncio.gather(*running, return_exceptions=True)

    # -- what a manager asks

    async def make(self, request: CreateScopeRequest) -> None:
        """Make a scope.

        Raises:
            QuotaScopeExists, VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull, VolumeFailed: As they
                say.
        """
        volume = self._volume(request.volume)
        limit = request.options.limit_bytes if request.options else 0
        await self._workers.run(volume.make_scope, request.qsid, limit or None)

    async def tell(self, request: ScopeRequest) -> QuotaReply:
        """Count what is in a scope, and tell its limit.

        Raises:
            QuotaScopeMissing, VolumeUnknown, OperationUnsupported, VolumeFailed: As they say.
        """
        volume = self._volume(request.volume)
        limit = await self._workers.run(volume.scope_limit, request.qsid)
        account = self._account(self._places.volume(request.volume).id, request.qsid)
        if account.may_count(time.monotonic()):
            try:
                await self._count(volume, request.qsid, account)
            except Busy:
                return QuotaReply(used_bytes=None, limit_bytes=limit)
        return QuotaReply(used_bytes=account.used, limit_bytes=limit)

    async def limit(self, request: UpdateScopeRequest) -> None:
        """Limit a scope, which is made if it is missing; a limit below what is there keeps more from coming.

        Raises:
            VolumeUnknown, OperationUnsupported, OperationRefused, StorageFull, VolumeFailed: As they say.
        """
        volume = self._volume(request.volume)
        limit = request.options.limit_bytes if request.options else None
        await self._workers.run(_limit, volume, request.qsid, limit)

    async def lift(self, request: ScopeRequest) -> None:
        """Take a scope's limit away.

        Raises:
            QuotaScopeMissing, VolumeUnknown, OperationUnsupported, OperationRefused, VolumeFailed: As they say.
        """
        await self._workers.run(self._volume(request.volume).set_scope_limit, request.qsid, None)

    # -- what writers ask

    async def check(self, place: Place, size: int) -> None:
        """See that so many bytes may come into a folder now; errors as ``claim``."""
        async with self.claim(place, size):
            pass

    @asynccontextmanager
    async def claim(self, place: Place, size: int) -> AsyncIterator[Claim]:
        """Keep so many bytes of a folder's scope free for the block, which writes them and says how many it has.

        Raises:
            QuotaExceeded: They would pass the limit.
            Busy: How much is there is not counted yet.
            VolumeFailed: As it says.
        """
        claim, scope, volume = Claim(), place.folder_id.scope, place.volume
        if scope is None or not isinstance(volume, ScopedVolume):
            yield claim
            return
        try:
            limit = await self._workers.run(volume.scope_limit, scope)
        except QuotaScopeMissing:
            limit = None  # then its folders are not there either, and whoever looks for one says so
        if limit is None:
            yield claim
            return
        account = self._account(volume.id, scope)
        await self._admit(volume, scope, account, size, limit)
        account.claimed += size
        try:
            yield claim
        finally:
            account.claimed -= size
            if account.used is not None:
                account.used += claim.written

    def freed(self, place: Place) -> None:
        """Say that something was deleted: there may be more room than was counted."""
        scope = place.folder_id.scope
        if scope is not None and (account := self._accounts.get((place.volume.id, scope.owner))) is not None:
            account.stale = True

    async def _admit(self, volume: ScopedVolume, scope: QuotaScope, account: _Account, size: int, limit: int) -> None:
        """Return when so many bytes fit by what was counted, now where an old count would refuse them."""
        now = time.monotonic()
        if account.used is None or (account.taken + size > limit and account.may_count(now)):
            await self._count(volume, scope, account)
        elif now - account.ended > self._fresh:
            self._begin(volume, scope, account)
        if account.taken + size > limit:
            raise QuotaExceeded(str(scope), used=account.taken, asked=size, limit=limit)

    async def _count(self, volume: ScopedVolume, scope: QuotaScope, account: _Account) -> None:
        """Wait for a count that begins after this call: where one runs, for its end and then for the next."""
        try:
            async with asyncio.timeout(self._patience):
                if account.counting is not None:
                    await asyncio.wait([account.counting])
                await asyncio.shield(self._begin(volume, scope, account))
        except TimeoutError:
            pass
        else:
            return
        raise Busy(
            f"seconds that counting quota scope {scope} may take a request",
            measured=self._patience,
            limit=self._patience,
            setting="none: it goes on, and is done when you come back",
            retry_after=10,
        )

    def _begin(self, volume: ScopedVolume, scope: QuotaScope, account: _Account) -> asyncio.Task[None]:
        if account.counting is None:
            account.counting = asyncio.create_task(self._run(volume, scope, account))
            account.counting.add_done_callback(seen)
        return account.counting

    async def _run(self, volume: ScopedVolume, scope: QuotaScope, account: _Account) -> None:
        try:
            async with self._slots:
                began, account.stale = time.monotonic(), False
                before = account.used or 0
                measure = await self._workers.run(volume.measure_scope, scope, self._going_on)
                if measure is None:
                    raise VolumeFailed("the server stops")
                # what came while it was counted may be in the count or not: it is taken for not
                account.used = measure.allocated + max(0, (account.used or 0) - before)
                account.began, account.ended = began, time.monotonic()
        finally:
            account.counting = None

    def _going_on(self) -> bool:
        return not self._closing.is_set()

    def _account(self, volume: str, scope: QuotaScope) -> _Account:
        """Return the account of a scope; those that nobody asked for lately and that hold no claim go first."""
        key = volume, scope.owner
        account = self._accounts.setdefault(key, _Account())
        self._accounts.move_to_end(key)
        if len(self._accounts) > _MOST_ACCOUNTS:
            for old, idle in self._accounts.items():
                if not idle.claimed and idle.counting is None and idle is not account:
                    del self._accounts[old]
                    break
        return account

    def _volume(self, name: str) -> ScopedVolume:
        volume = self._places.volume(name)
        if not isinstance(volume, ScopedVolume):
            raise OperationUnsupported(f"volume {name!r} has no quota scopes")
        return volume


def _limit(volume: ScopedVolume, scope: QuotaScope, limit: int | None) -> None:
    """Limit a scope: 0 takes the limit away, None leaves it."""
    try:
        if limit is None:
            volume.scope_limit(scope)
        else:
            volume.set_scope_limit(scope, limit or None)
    except QuotaScopeMissing:
        try:
            volume.make_scope(scope, limit or None)
        except QuotaScopeExists:  # somebody else was quicker
            if limit is not None:
                volume.set_scope_limit(scope, limit or None)
