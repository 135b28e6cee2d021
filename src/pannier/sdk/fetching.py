"""Bytes of one version, in order and as often as it takes: what breaks off goes on where it broke."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

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

    async def read(self, window: Window, lane: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a window. ``lane`` is the number of the connection: they take the places in turn.

        Tries that bring nothing are counted, by ``Backoff``, until any connection brings something.

        Raises:
            ArchiveChanged: It is another archive by now, everywhere.
            Unreachable, Busy: All tries are used up.
            Declined: Nothing comes from there any more.
        """
        at, failures, mark, known, broken = window.start, 0, self.came, -1, False
        while at < window.stop:
            url = self._places.pick(lane + failures)
            try:
                async with aclosing(self._once(url, Window(at, window.stop))) as pieces:
                    async for piece in pieces:
                        self.resumed += broken
                        broken = False
                        at += len(piece)
                        self.came += len(piece)
                        yield piece
            except (Unreachable, Busy) as error:
                broken = True
                if self.came > mark or (isinstance(error, ChecksumsPending) and error.known > known):
                    failures = 0
                mark, known = self.came, error.known if isinstance(error, ChecksumsPending) else known
                failures += 1
                wait = self._backoff.wait(failures, error)
                if wait is None:
                    raise
                self._explain(error, wait, failures, at)
            except ClientError as error:
                self._places.leave(url, error)
                self._tell(f"{url.origin()}: {error}; going on without it")
                continue
            else:
                continue
            await asyncio.sleep(wait)

    async def _once(self, url: URL, window: Window) -> AsyncGenerator[bytes, None]:
        version = self._version
        assert version.etag is not None
        headers = {"If-Match": version.etag}
        if window != Window(0, version.length or 0):
            headers |= {"Range": format_range(FromTo(window.start, window.stop - 1)), "If-Range": version.etag}
        try:
            async with self._transport.stream("GET", url, headers=headers) as body:
                left = self._check(body, window).length
                async for piece in body.chunks():
                    if len(piece) > left:
                        raise Unexpected(f"{url.origin()}: more bytes came than were asked for")
                    left -= len(piece)
                    yield piece
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
