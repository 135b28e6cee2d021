"""What a conditional or ranged request for something with an ETag gets: one way for archives and single files."""

from __future__ import annotations

import time
from typing import Protocol, assert_never

from pannier import metrics
from pannier.api.handlers import Answered, ApiResponse
from pannier.api.problems import Answer, answer, answer_status
from pannier.api.requests import Context
from pannier.api.streaming import Streaming, StreamResponse
from pannier.errors import FileMissing, FolderMissing, ResumeUnverified, SelectionChanged, SelectionRefused
from pannier.protocol.conditions import (
    Conditions,
    Conflict,
    ConflictReason,
    Failed,
    Full,
    NotModified,
    Partial,
    Pin,
    PinnedTo,
    Unsatisfiable,
    Validator,
    decide,
    http_date,
    parse_etag,
)
from pannier.protocol.disposition import attachment
from pannier.protocol.ranges import content_range, parse_range, unsatisfied_range
from pannier.services.tallies import Tally
from pannier.streams.base import StreamReader, Version
from pannier.window import Window

CACHE_CONTROL = "private, no-transform"


class Sized(StreamReader, Protocol):
    """A reader whose length and version are known."""

    @property
    def length(self) -> int: ...

    @property
    def version(self) -> Version: ...


class Resource(Protocol):
    """What one token gives access to, with the memory of what it gave out.

    Attributes:
        link: What its streams are counted by.
        unpinned: How a bare range is judged before anything was given out.
        cache_control: Who may keep it, and how.
    """

    @property
    def link(self) -> str: ...

    @property
    def unpinned(self) -> Pin: ...

    @property
    def cache_control(self) -> str: ...

    async def pinned(self, *, certain: bool) -> str | None:
        """Return the ETag that it began with; see ``SessionStore.pinned``."""

    async def open(self, preferred: str | None) -> Sized:
        """Return a reader of it; ``preferred`` is the ETag that a range goes on with."""

    async def pin(self, etag: str) -> str:
        """Tie it to an ETag, and return the one that stands; see ``SessionStore.pin``."""

    async def withdraw(self) -> None:
        """Tie it to none any more; see ``SessionStore.withdraw``."""

    def permit(self, *, head: bool, continues: bool) -> None:
        """Refuse what may not be answered with it, or a part of it; see ``Visit.permit``."""

    def tally(self, etag: str, length: int, window: Window) -> Tally | None:
        """Begin to account for a stream of it, if that is done; one of the tally's ends has to follow."""


async def answer_conditional(resource: Resource, streaming: Streaming, context: Context) -> Answered:
    """Answer ``GET`` or ``HEAD`` of a resource.

    Raises:
        PannierError: Whatever opening it finds.
    """
    conditions = Conditions.of(context.request.headers)
    pinned = await resource.pinned(certain=_relies_on_pin(conditions, context.method))
    try:
        reader = await resource.open(_continued(conditions, context.method, pinned))
    except (SelectionRefused, FolderMissing, FileMissing):
        if pinned is not None and _is_bare_range(conditions, context.method):
            return answer(SelectionChanged(), context.id)  # whatever is there now: it is not what was begun
        raise
    version = reader.version
    now = int(time.time())
    last_modified = min(version.last_modified, now)
    validator = Validator(version.etag, last_modified, dates_are_strong=last_modified <= now - 1)
    while True:
        pin: Pin = PinnedTo(pinned) if pinned is not None else resource.unpinned
        decision = decide(context.method, conditions, reader.length, validator, pin)
        headers = _validators(validator, resource.cache_control)
        match decision:
            case Full():
                window, status = Window(0, reader.length), 200
            case Partial(window=window):
                status = 206
                headers["Content-Range"] = content_range(window, reader.length)
            case NotModified():
                return ApiResponse(status=304, headers=headers)
            case Failed():
                return precondition_failed(context)
            case Conflict(reason=ConflictReason.SELECTION_CHANGED):
                return answer(SelectionChanged(), context.id)
            case Conflict():
                return answer(ResumeUnverified(), context.id)
            case Unsatisfiable(length=length):
                told = answer_status(
                    416, "range-not-satisfiable", "The range lies beyond the end.", context.id, length=length
                )
                told.headers["Content-Range"] = unsatisfied_range(length)
                return told
            case _:
                assert_never(decision)
        continues = status == 206 and window.start > 0 and pinned == version.etag
        resource.permit(head=context.method == "HEAD", continues=continues)
        stream = None
        if context.method == "GET":
            stream = await streaming.begin(reader, window, resource.link)
        try:
            if pinned is None:
                pinned = await resource.pin(version.etag)
                if pinned != version.etag:  # another first request was faster: decide by what stands
                    if stream is not None:
                        await stream.close()
                    continue
            elif pinned != version.etag:
                # who holds a part from now on may hold it of either: no bare range can tell
                await resource.withdraw()
        except BaseException:
            if stream is not None:
                await stream.close()
            raise
        if status == 206 and stream is not None:
            metrics.RANGES.inc()
            if window.start:
                metrics.RESUMES.inc()
        headers |= representation(reader)
        if stream is None:
            return ApiResponse(status=status, headers={**headers, "Content-Length": str(window.length)})
        tally = resource.tally(version.etag, reader.length, window)
        return StreamResponse(stream, status, window.length, headers, streaming, tally)


def precondition_failed(context: Context) -> Answer:
    """Return the answer to a precondition that is false (RFC 9110 section 15.5.13)."""
    return answer_status(412, "precondition-failed", "It is another one by now.", context.id)


def _is_bare_range(conditions: Conditions, method: str) -> bool:
    return method == "GET" and conditions.if_range is None and parse_range(conditions.range) is not None


def _relies_on_pin(conditions: Conditions, method: str) -> bool:
    """Whether nothing but the pin says which archive a range goes on with: no ``If-Range``, or one without an ETag."""
    if method != "GET" or parse_range(conditions.range) is None:
        return False
    return conditions.if_range is None or parse_etag(conditions.if_range) is None


def _continued(conditions: Conditions, method: str, pinned: str | None) -> str | None:
    """Return the ETag of the archive that a range goes on with."""
    if method != "GET" or parse_range(conditions.range) is None:
        return None
    if conditions.if_range is None:
        return pinned
    tag = parse_etag(conditions.if_range)
    return tag.opaque if tag is not None and not tag.weak else pinned


def _validators(validator: Validator, cache_control: str) -> dict[str, str]:
    return {
        "ETag": validator.etag,
        "Last-Modified": http_date(validator.last_modified),
        "Accept-Ranges": "bytes",
        "Cache-Control": cache_control,
    }


def representation(reader: StreamReader) -> dict[str, str]:
    """Return the headers that describe what is sent."""
    return {
        "Content-Type": reader.media_type,
        "Content-Disposition": attachment(reader.filename),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "X-Accel-Buffering": "no",
    }
