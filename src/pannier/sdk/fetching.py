"""Bytes of one version, in order and as often as it takes: what breaks off goes on where it broke."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from yarl import URL

from pannier.protocol.ranges import FromTo, format_range
from pannier.quantities import show_bytes
from pannier.sdk.problems import Busy, ChecksumsPending, ClientError, Conflict, Declined, Unexpected, Unreachable
from pannier.sdk.remote import ArchiveChanged, Places, Version, content_length, version_of
from pannier.sdk.retries import Backoff
from pannier.sdk.transport import Body, Transport
from pannier.window import Window

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_PRECONDITION_FAILED, _UNSATISFIABLE = 412, 416

PlacedSink = Callable[[memoryview, int], None]
"""Takes bytes, which are only lent, and where they stand in the archive; it may block."""

OTHER_ARCHIVE = "the archive on the server is no longer the one that was begun; the parts must not mix"


class Fetching:
    """Gets windows of a version that can be resumed. Several may be read at once, each on a connection of its own.

    Attributes:
        came: Bytes that came, by all connections.
        resumed: How often a connection went on where one had broken off.
    """

    def __init__(
        self,
        transport: Transport,
        places: Places,
        version: Version,
        tell: Callable[[str], None],
        backoff: Backoff | None = None,
    ) -> None:
        """``tell`` is called with a line for people when something happens."""
        assert version.resumable
        self._transport, self._places, self._version, self._tell = transport, places, version, tell
        self._backoff = backoff or transport.backoff
        self._told_at = -1
        self.came = self.resumed = 0

    async def pour(self, window: Window, sink: PlacedSink, lane: int = 0) -> None:
        """Hand the bytes of a window to ``sink``, in threads. ``lane`` is the number of the connection: places in turn.

        Tries that bring nothing are counted, by ``Backoff``, until any connection brings something.

        Raises:
            ArchiveChanged: It is another archive by now, everywhere.
            Unreachable, Busy: All tries are used up.
            Declined: Nothing comes from there any more.
            Exception: Whatever ``sink`` raises.
        """
        filling, failures, mark, known = _Filling(self, window, sink), 0, self.came, -1
        while filling.left:
            url = self._places.pick(lane + failures)
            try:
                await self._once(url, filling)
            except _SinkFailed as failed:
                raise failed.error from None
            except (Unreachable, Busy) as error:
                filling.broken = True
                if self.came > mark or (isinstance(error, ChecksumsPending) and error.known > known):
                    failures = 0
                mark, known = self.came, error.known if isinstance(error, ChecksumsPending) else known
                failures += 1
                wait = self._backoff.wait(failures, error)
                if wait is None:
                    raise
                self._explain(error, wait, failures, filling.at)
            except ClientError as error:
                self._places.leave(url, error)
                self._tell(f"{url.origin()}: {error}; going on without it")
                continue
            else:
                continue
            await asyncio.sleep(wait)

    async def _once(self, url: URL, filling: _Filling) -> None:
        version, window = self._version, filling.left
        assert version.etag is not None
        headers = {"If-Match": version.etag}
        if window != Window(0, version.length or 0):
            headers |= {"Range": format_range(FromTo(window.start, window.stop - 1)), "If-Range": version.etag}
        try:
            async with self._transport.stream("GET", url, headers=headers) as body:
                filling.held = self._check(body, window)
                await body.pour(filling.take)
        except Declined as error:
            if error.status in (_PRECONDITION_FAILED, _UNSATISFIABLE) or isinstance(error, Conflict):
                raise ArchiveChanged(OTHER_ARCHIVE) from error
            raise

    def _check(self, body: Body, window: Window) -> Window:
        """Return the window that an answer holds, which begins where it was asked to."""
        if body.status == 206:
            found = _CONTENT_RANGE.fullmatch(body.headers.get("Content-Range", "").strip())
            if found is None:
                raise Unexpected(f"{body.url.origin()}: a part came that does not say where it belongs")
            first, last, length = map(int, found.groups())
            held = Window(first, last + 1) if last >= first else Window(0, 0)
        else:
            length = content_length(body.headers) or 0
            held = Window(0, length)
        came = version_of(body.headers, body.url, length)
        if came.etag != self._version.etag:
            raise ArchiveChanged(OTHER_ARCHIVE)
        if length != self._version.length:
            raise Unexpected(f"{body.url.origin()}: the length is {show_bytes(length)} now, under the same ETag")
        if held.start != window.start or not window.covers(held) or not held:
            raise Unexpected(f"{body.url.origin()}: another part came than was asked for")
        return held

    def _explain(self, error: Unreachable | Busy, wait: float, failures: int, at: int) -> None:
        """Say what happened, once for all connections that it happened to."""
        if self._told_at == self.came and (failures == 1 or isinstance(error, ChecksumsPending)):
            return
        self._told_at = self.came
        if isinstance(error, ChecksumsPending):
            share = f"{error.known / error.needed:.0%} of it are read" if error.needed else "it has just begun"
            self._tell(f"the server is still reading what the end of the archive needs: {share}")
        else:
            place = f" at {show_bytes(at)}" if at else ""
            what = error.reason if isinstance(error, Unreachable) else str(error)
            tries = f"({failures} of {self._backoff.tries})"
            self._tell(f"{what}{place}; next try in {max(1, round(wait))} s {tries}")


class _SinkFailed(Exception):
    """A sink raised ``error``: no fault of where the bytes came from."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class _Filling:
    """A window that is being filled, in threads.

    Attributes:
        at: Where the next byte stands.
        held: The window that the answer holds that is coming.
        broken: Whether a connection broke off since the last byte.
    """

    def __init__(self, fetching: Fetching, window: Window, sink: PlacedSink) -> None:
        """Made in the event loop, which hears of what came."""
        self._fetching, self._stop, self._sink = fetching, window.stop, sink
        self._loop = asyncio.get_running_loop()
        self.at, self.held, self.broken = window.start, Window(0, 0), False

    @property
    def left(self) -> Window:
        return Window(self.at, self._stop)

    def take(self, piece: memoryview) -> None:
        if self.at + len(piece) > self.held.stop:
            raise Unexpected("more bytes came than were asked for")
        try:
            self._sink(piece, self.at)
        except Exception as error:  # noqa: BLE001 - any of them is the sink's own, and reaches whoever gave it
            raise _SinkFailed(error) from None
        self.at += len(piece)
        self._loop.call_soon_threadsafe(self._count, len(piece))

    def _count(self, size: int) -> None:
        self._fetching.came += size
        self._fetching.resumed += self.broken
        self.broken = False
