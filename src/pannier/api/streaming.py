"""Sending what a reader gives: the first item before the headers, the rest after, and an abort where it breaks off."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from pannier import metrics
from pannier.api.acknowledged import Acknowledged
from pannier.api.admission import Admission, Admitted
from pannier.api.connections import Connection
from pannier.api.outlets import Outlet, PacedOutlet, SocketOutlet, TalliedOutlet, TransportOutlet
from pannier.api.problems import kind_of
from pannier.api.requests import DELIVERY, Context, Delivery
from pannier.api.starts import Starts, started
from pannier.errors import PannierError, SessionEnded, SessionRevoked, SourceChanged
from pannier.services.tallies import Tally
from pannier.state.sessions import Broken
from pannier.streams.base import Barrier, FileSpan, Item, StreamReader
from pannier.streams.pacing import Pace
from pannier.streams.pump import Pump
from pannier.streams.workers import Workers
from pannier.window import Window

_log = structlog.get_logger("pannier.streaming")


@dataclass(frozen=True, slots=True)
class Streaming:
    """What all streamed answers of a listener share.

    Attributes:
        workers: Threads that read, hash and send.
        pump: Has them go on whenever a client takes more; None: the event loop does that, by its own transports.
        admission: How many may run.
        rate: Most bytes per second of one stream; 0: no limit.
        starts: Which requests may begin.
    """

    workers: Workers
    pump: Pump | None
    admission: Admission
    rate: int = 0
    starts: Starts = field(default_factory=Starts)

    async def begin(self, reader: StreamReader, window: Window | None, session: str) -> Stream:
        """Begin to read.

        Raises:
            Busy: Too many streams are running.
            PannierError: As ``StreamReader.read``.
        """
        admitted = await self.admission.enter(session)
        items = reader.read(window)
        try:
            return Stream(items, await anext(items), admitted)
        except BaseException:
            try:
                await items.aclose()
            finally:
                admitted.leave()
            raise

    async def outlet(self, request: web.BaseRequest, response: web.StreamResponse, tally: Tally | None) -> Outlet:
        """Return the fastest way out that there is; the headers have been written. Chunks are framed by aiohttp."""
        taken = None if response.chunked or self.pump is None else await SocketOutlet.take(request, self.pump)
        outlet: Outlet = taken or TransportOutlet(response, self.workers, request.transport)
        if tally is not None:
            outlet = TalliedOutlet(outlet, tally)
            if tally.live.pace is not None:
                outlet = PacedOutlet(outlet, tally.live.pace)
        return PacedOutlet(outlet, Pace(self.rate)) if self.rate else outlet


class Stream:
    """A reader that has given its first item: whatever it was going to refuse, it has refused."""

    def __init__(self, items: AsyncGenerator[Item, None], first: Item, admitted: Admitted) -> None:
        self._items, self._admitted = items, admitted
        self._first: Item | None = first

    async def next(self) -> Item | None:
        """Return the next item, None after the last."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._items, None)

    async def close(self) -> None:
        """Give back what the reader holds, and the place among the running streams. Idempotent."""
        try:
            await self._items.aclose()
        finally:
            self._admitted.leave()


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """An ``ApiStreamResponse``: ``length`` bytes of a stream; in chunks, where it is None (RFC 9112 section 7.1).

    Without a stream, only the headers: the answer to HEAD. ``tally`` accounts for what is delivered.
    """

    stream: Stream | None
    status: int
    length: int | None
    headers: Mapping[str, str]
    streaming: Streaming
    tally: Tally | None = None

    async def send(self, context: Context) -> web.StreamResponse:
        request = context.request
        response = web.StreamResponse(status=self.status, headers=self.headers)
        if self.length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = self.length
        if self.stream is None:
            await response.prepare(request)
            await response.write_eof()
            return response
        sent, whole = 0, False
        tally = self.tally
        outlet: Outlet | None = None
        acknowledged: Acknowledged | None = None
        context.request[DELIVERY] = delivery = Delivery(self.status)
        try:
            await response.prepare(request)
            if tally is not None:
                acknowledged = Acknowledged.of(request)
                tally.attach(acknowledged)
            outlet = await self.streaming.outlet(request, response, tally)
            started(request)  # not after the first item, which a slow client may take its time for
            while (item := await self.stream.next()) is not None:
                match item:
                    case FileSpan():
                        sent += await outlet.copy(item)
                    case Barrier(before=before):
                        await outlet.received(before)
                    case _:
                        await outlet.write(item)
                        sent += len(item)
            if self.length is not None and sent != self.length:
                raise AssertionError(f"{sent} bytes were given of {self.length} promised")
            await response.write_eof()
            whole = True
        except ConnectionError:
            self._client_left(context, delivery, outlet, _lost(request))
        except BaseException as raised:
            # Not kept in a variable here: with it all that this frame holds would wait for the garbage collector.
            if self._break_off(context, delivery, outlet, acknowledged, sent, raised):
                raise
        finally:
            delivery.bytes = _sent(outlet)
            if tally is not None and not whole:
                tally.stop()
            try:
                await self.stream.close()
            finally:
                if outlet is not None:
                    outlet.close()
                if tally is not None and whole:  # also where the client, which has everything, leaves meanwhile
                    await tally.finish()
        return response

    def _break_off(
        self,
        context: Context,
        delivery: Delivery,
        outlet: Outlet | None,
        acknowledged: Acknowledged | None,
        sent: int,
        raised: BaseException,
    ) -> bool:
        """Have what was sent not look whole, and tell why; return whether the error is for the caller, too."""
        request, tally = context.request, self.tally
        error = raised if tally is None else tally.why(raised)
        if isinstance(error, SessionEnded) and acknowledged is not None:
            acknowledged.reset()
        # Whatever it was: the headers said how much would come, or that a last chunk would: without it, a body in
        # chunks is incomplete (RFC 9112 section 8).
        if request.transport is not None:
            request.transport.abort()
        cause = _cause(error, request)
        if cause in _LEFT:
            self._client_left(context, delivery, outlet, cause)
            return True
        delivery.aborted = True
        metrics.ABORTS.labels(cause).inc()
        if not isinstance(error, Exception):
            return True
        if tally is not None and not isinstance(error, SessionEnded):
            tally.stop(_broken(error, tally.window.start + sent))
        told = {"request": context.id, "sent": _sent(outlet), "length": self.length}
        if isinstance(error, PannierError):
            _log.warning("download broken off", **told, cause=str(error))
        else:
            _log.error("download broken off", **told, exc_info=error)
        return False

    def _client_left(self, context: Context, delivery: Delivery, outlet: Outlet | None, cause: str) -> None:
        """Tell of a client that left early; one that has been given all it was promised may leave at any time."""
        sent = _sent(outlet)
        if sent == self.length:
            return
        delivery.aborted = True
        metrics.ABORTS.labels(cause).inc()
        _log.info("client left", request=context.id, sent=sent, length=self.length)


_LEFT = ("client_left", "client_stalled")


def _sent(outlet: Outlet | None) -> int:
    return 0 if outlet is None else outlet.sent


def _broken(error: Exception, offset: int) -> Broken:
    """Return what a session remembers of a stream that the server broke off."""
    if not isinstance(error, PannierError):
        error = PannierError("something broke on the server")
    return Broken(time.time(), kind_of(type(error)).tail, str(error), getattr(error, "path", None), offset)


def _cause(error: BaseException, request: web.BaseRequest) -> str:
    """Why a stream ended early, in the words of ``metrics.ABORTS``."""
    if isinstance(error, SessionEnded):
        return "revoked" if isinstance(error, SessionRevoked) else "spent"
    if isinstance(error, SourceChanged):
        return "source_changed"
    if isinstance(error, PannierError):
        return "volume_failed"
    if isinstance(error, Exception):
        return "bug"
    # a cancelled handler: by its client, whose connection is lost then, or by the end of the server
    return _lost(request) if request.transport is None or request.transport.is_closing() else "stopped"


def _lost(request: web.BaseRequest) -> str:
    """Why a connection is no more."""
    connection = request.protocol
    return "client_stalled" if isinstance(connection, Connection) and connection.stalled else "client_left"
