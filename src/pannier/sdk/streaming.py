"""A download that is taken as it comes, in order and without a file: to unpack it, or to hand it on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pannier.quantities import show_bytes
from pannier.sdk.downloads import explained
from pannier.sdk.fetching import Fetching
from pannier.sdk.intake import Intake, Pipe, Stopped
from pannier.sdk.problems import Busy, ConnectionLost, Unreachable
from pannier.sdk.progress import Progress, ProgressCallback, ignore
from pannier.sdk.receiving import Sink
from pannier.sdk.remote import ArchiveChanged, Places, Version, look
from pannier.sdk.threads import in_thread
from pannier.sdk.transport import Transport
from pannier.window import Window

R = TypeVar("R")
_NO_RANGES = "this format cannot be gone on with: start over, or take a stored zip or tar"


@dataclass(slots=True)
class Stream:
    """What a URL gives, piece by piece; gone on with after a cut, where it has ranges.

    Attributes:
        transport, places: What it speaks by, and where it is had.
        progress: Told of what happens.
        resumed: How often something was gone on with.
        came: Bytes that came.
    """

    transport: Transport
    places: Places
    progress: ProgressCallback = ignore
    resumed: int = field(default=0, init=False)
    came: int = field(default=0, init=False)
    _total: int | None = field(default=None, init=False)

    async def look(self) -> Version:
        """Return what there is.

        Raises:
            Declined, Unreachable: The server does not say.
        """
        version = await look(self.transport, self.places, lambda error, wait, failures: self._tell(f"{error}; waiting"))
        self._total = version.length
        return version

    async def feed(self, version: Version, use: Callable[[Intake], R]) -> R:
        """Fetch all, while ``use`` reads it in a thread; return what that returns.

        Raises:
            ArchiveChanged, Unreachable, Declined: It cannot come to its end.
            Exception: Whatever ``use`` raises.
        """
        pipe = Pipe()
        using = asyncio.create_task(in_thread(_use_and_stop, use, pipe))
        pouring = asyncio.create_task(self._pour(version, pipe))
        try:
            try:
                await asyncio.shield(pouring)
            except Stopped:
                pass  # nobody reads any more, for a reason that follows
            pipe.end()
            return await using
        finally:
            pipe.stop()  # first: what is waited for may itself wait for room
            pouring.cancel()
            await asyncio.gather(pouring, using, return_exceptions=True)

    async def _pour(self, version: Version, pipe: Pipe) -> None:
        loop = asyncio.get_running_loop()
        fetching = Fetching(self.transport, self.places, version, self._tell) if version.resumable else None

        def take(piece: memoryview, _: int = 0) -> None:
            pipe.put(bytes(piece))
            loop.call_soon_threadsafe(count, len(piece))

        def count(size: int) -> None:
            self.came += size
            self.resumed = fetching.resumed if fetching is not None else 0
            self.progress(Progress(self.came, self._total))

        try:
            if fetching is not None:
                await fetching.pour(Window(0, version.length or 0), take)
                self.resumed = fetching.resumed
            else:
                await self._once(take)
        except ArchiveChanged as error:
            raise await explained(error, self.transport, self.places, self.came) from error

    async def _once(self, take: Sink) -> None:
        """Take what has no ranges: tried again until its first byte was given out, and not after that."""
        failures = 0
        while True:
            try:
                async with self.transport.stream("GET", self.places.pick(failures)) as body:
                    await body.pour(take)
                return
            except (Unreachable, Busy) as error:
                if self.came:
                    what = error.reason if isinstance(error, Unreachable) else str(error)
                    where = str(self.places.first.origin())
                    raise ConnectionLost(where, f"{what} at {show_bytes(self.came)}; {_NO_RANGES}") from error
                failures += 1
                wait = self.transport.backoff.wait(failures, error)
                if wait is None:
                    raise
                self._tell(f"{error}; waiting")
            await asyncio.sleep(wait)

    def _tell(self, note: str) -> None:
        self.progress(Progress(self.came, self._total, note))


def _use_and_stop(use: Callable[[Intake], R], pipe: Pipe) -> R:
    try:
        return use(pipe)
    finally:
        pipe.stop()
