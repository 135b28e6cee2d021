"""A download that is taken as it comes, in order and without a file: to unpack it, or to hand it on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from pannier.quantities import show_bytes
from pannier.sdk.downloads import explained
from pannier.sdk.fetching import Fetching
from pannier.sdk.intake import Intake, Pipe, Stopped
from pannier.sdk.problems import Busy, ConnectionLost, Unreachable
from pannier.sdk.progress import Progress, ProgressCallback, ignore
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
        try:
            async with aclosing(self.pieces(version)) as pieces:
                async for piece in pieces:
                    await pipe.put(piece)
                    if using.done():
                        break
            pipe.end()
            return await using
        except Stopped:
            raise AssertionError("only this stops it, after its end") from None
        finally:
            pipe.stop()
            await asyncio.gather(using, return_exceptions=True)

    async def pieces(self, version: Version) -> AsyncGenerator[bytes, None]:
        """Yield all that there is, in order.

        Raises:
            ArchiveChanged, Unreachable, Declined: It cannot come to its end.
        """
        fetching = None
        if version.resumable:
            fetching = Fetching(self.transport, self.places, version, self._tell)
            source = fetching.read(Window(0, version.length or 0))
        else:
            source = self._once()
        try:
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    self.came += len(piece)
                    self.resumed = fetching.resumed if fetching is not None else 0
                    self.progress(Progress(self.came, self._total))
                    yield piece
        except ArchiveChanged as error:
            raise await explained(error, self.transport, self.places, self.came) from error

    async def _once(self) -> AsyncGenerator[bytes, None]:
        """Yield what has no ranges: tried again until its first byte was given out, and not after that."""
        failures, given = 0, 0
        while True:
            try:
                async with self.transport.stream("GET", self.places.pick(failures)) as body:
                    async for piece in body.chunks():
                        given += len(piece)
                        yield piece
                return
            except (Unreachable, Busy) as error:
                if given:
                    what = error.reason if isinstance(error, Unreachable) else str(error)
                    where = str(self.places.first.origin())
                    raise ConnectionLost(where, f"{what} at {show_bytes(given)}; {_NO_RANGES}") from error
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
