"""One file on its way to a server by tus 1.0.0: begun, sent in pieces that are checked, gone on with after any cut.

https://tus.io/protocols/resumable-upload
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from pannier.protocol import tus
from pannier.sdk.contents import Content
from pannier.sdk.posting import FileBody
from pannier.sdk.problems import Busy, ClientError, Conflict, Declined, LinkOver, NotFound, Unexpected, Unreachable
from pannier.sdk.retries import Backoff
from pannier.sdk.sources import Source
from pannier.sdk.transport import Transport

SMALL = 2**20
"""Bytes of a file that is sent with the request that begins it, where doing that twice does no harm."""
_FIRST, _LEAST, _MOST = 2**23, 2**20, 2**28
"""Bytes of a piece: of the first, and between which they grow and shrink."""
_QUICK = 2.0
"""Seconds within which a piece has to arrive for the next one to be twice as large: a cut costs about two of them."""
_SILENCE = 60.0
"""Seconds for which nothing may be taken."""
_TOO_SLOW, _TOO_LARGE = 408, 413
_DELETIONS, _BETWEEN_DELETIONS = 10, 0.3
_PASSING = frozenset(
    {"storage/tus-lease-held", "storage/tus-lease-lost", "storage/upload-offset-mismatch", "upload-checksum-mismatch"}
)
"""Problems that asking where the upload is, and going on from there, may solve."""


@dataclass(frozen=True, slots=True)
class Told:
    """Whom a transfer tells what.

    Attributes:
        at: Called with the number of bytes of the file that the server was given; it may go back after a cut.
        begun: Called with the URL of the upload, before the first byte leaves.
        note: Called with a line for people, when something goes wrong that is tried again.
    """

    at: Callable[[int], None]
    begun: Callable[[str], None]
    note: Callable[[str], None]


class Sending:
    """Sends files to one place.

    Args:
        url: Where uploads are begun, with its token.
        repeatable: Whether beginning the same twice does no harm: the second one replaces the first, or is refused.
        checked: Whether each piece is sent with its checksum, which the server compares before it counts.
    """

    def __init__(
        self,
        transport: Transport,
        url: URL,
        *,
        repeatable: bool,
        checked: bool = True,
        backoff: Backoff | None = None,
        silence: float = _SILENCE,
    ) -> None:
        self._transport, self._url, self._repeatable, self._checked = transport, url, repeatable, checked
        self._backoff, self._silence = backoff or transport.backoff, silence

    async def send(self, source: Source, told: Told, begun: str | None = None) -> str:
        """Send a file, and return the path at which it appeared, below the folder.

        Args:
            source: The file.
            told: Who is told of what happens.
            begun: The URL of its upload, if one was begun earlier.

        Raises:
            Declined: The server does not take it: ``target-exists``, a limit, no room.
            Unreachable, Busy: All tries are used up.
            LocalFileUnreadable, LocalFileChanged: As they say.
        """
        content = await asyncio.to_thread(Content, source)
        try:
            url = None if begun is None else self._place_of(begun)
            asking = True
            for last in (False, False, True):
                if url is None:
                    url, name = await self._begin(content, source, told)
                    if name is not None:
                        return name
                    told.begun(str(url))
                    asking = False
                try:
                    return await self._go_on(content, source, url, told, asking=asking)
                except (NotFound, LinkOver):
                    if last:
                        raise
                    url = None  # it was forgotten: begin anew
                    told.at(0)
            raise AssertionError("the last round returns or raises")
        finally:
            content.close()

    async def _begin(self, content: Content, source: Source, told: Told) -> tuple[URL, str | None]:
        """Begin an upload, and return its URL and, where that was all, the path at which the file appeared."""
        name = base64.b64encode(os.fsencode(source.name)).decode("ascii")
        headers = {"Tus-Resumable": tus.VERSION, "Upload-Length": str(content.size)}
        headers["Upload-Metadata"] = f"filename {name}"
        data: bytes | None = None
        if 0 < content.size <= SMALL and self._repeatable:
            data, crc = await content.whole()
            headers |= {"Content-Type": tus.CONTENT_TYPE, "Upload-Checksum": _checksum(crc)}
        trying = _Trying(self._backoff, told.note)
        while True:
            try:
                async with self._transport.stream("POST", self._url, headers=headers, data=data or b"") as answer:
                    location, appeared = answer.headers.get("Location"), _name(answer.headers)
            except ClientError as error:
                await trying.wait(error)
                continue
            if location is None:
                raise Unexpected(f"{self._url.origin()}: an upload was begun nowhere; is that a Pannier?")
            if appeared is not None:
                told.at(content.size)
            return self._url.join(URL(location, encoded=True)), appeared

    async def _go_on(self, content: Content, source: Source, url: URL, told: Told, *, asking: bool) -> str:
        """Send what is missing of an upload. ``asking`` is whether it is to be asked first where that begins.

        Raises:
            NotFound, LinkOver: It is no more.
        """
        trying, at = _Trying(self._backoff, told.note), 0
        with closing(_Pieces()) as pieces:
            while True:
                try:
                    if asking:
                        before, at = at, await self._offset(url)
                        trying.came(at > before)
                        told.at(at)
                        asking = False
                    name = None
                    if at < content.size:
                        at, name = await self._append(content, url, at, told, pieces)
                        trying.came(True)
                        told.at(at)
                    if at >= content.size:
                        return name or source.name
                except ClientError as error:
                    try:
                        await content.check()  # before anything is tried again
                    except ClientError:
                        await self._give_up(url)
                        raise
                    if not (_is_of_one_on_the_way(error) and pieces.limit()):
                        await trying.wait(error)
                        pieces.cut()
                    asking = True

    async def _offset(self, url: URL) -> int:
        try:
            answer = await self._transport.ask("HEAD", url, headers={"Tus-Resumable": tus.VERSION})
        except Conflict as error:
            # a HEAD has no body to say so: a request that was cut off still holds the upload, until the server sees it
            raise Unreachable(str(url.origin()), "an earlier request still holds the upload") from error
        return _offset(answer.headers)

    async def give_up(self, begun: str) -> None:
        """Have nothing stay at the server of an upload that was begun at a URL; ``send`` says what ``begun`` is."""
        await self._give_up(self._place_of(begun))

    def _place_of(self, begun: str) -> URL:
        # the server may be elsewhere by now; the token is what tells the upload
        return self._url.with_query(URL(begun, encoded=True).query_string)

    async def _give_up(self, url: URL) -> None:
        """Have nothing of an upload stay at the server, if it can be told soon; else it forgets it after a day."""
        for _ in range(_DELETIONS):
            try:
                await self._transport.ask("DELETE", url, headers={"Tus-Resumable": tus.VERSION})
            except Declined as error:
                if error.kind != "storage/tus-lease-held":
                    return
                await asyncio.sleep(_BETWEEN_DELETIONS)  # it has not seen yet that the request before was cut off
            except ClientError:
                return
            else:
                return

    async def _append(
        self, content: Content, url: URL, start: int, told: Told, pieces: _Pieces
    ) -> tuple[int, str | None]:
        """Send a piece, and return where the upload is then, and where the file is, if it has appeared."""
        stop = min(content.size, start + pieces.size) if self._checked else content.size
        headers = {"Tus-Resumable": tus.VERSION, "Content-Type": tus.CONTENT_TYPE, "Upload-Offset": str(start)}
        headers["Content-Length"] = str(stop - start)
        if self._checked:
            headers["Upload-Checksum"] = _checksum(await pieces.crc(content, start, stop))
            pieces.look_ahead(content, stop)
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._silence) as patience:

                def passed(at: int) -> None:
                    told.at(at)
                    with suppress(RuntimeError):  # the answer was there before the last byte
                        patience.reschedule(asyncio.get_running_loop().time() + self._silence)

                sent = FileBody(content, start, stop, passed)
                async with self._transport.stream("PATCH", url, headers=headers, data=sent) as answer:
                    pieces.arrived(time.monotonic() - began)
                    return _offset(answer.headers), _name(answer.headers)
        except TimeoutError:
            raise Unreachable(str(url.origin()), "nothing was taken for too long") from None


class _Pieces:
    """How large the next piece is, and the checksum that was computed ahead for it."""

    def __init__(self) -> None:
        self.size, self._most = _FIRST, _MOST
        self._ahead: tuple[int, int, asyncio.Task[int]] | None = None

    def arrived(self, seconds: float) -> None:
        if seconds < _QUICK:
            self.size = min(self.size * 2, self._most)

    def cut(self) -> None:
        self.size = max(self.size // 2, _LEAST)

    def limit(self) -> bool:
        """Send none as large as this again, and return whether that can help."""
        if self.size <= _LEAST:
            return False
        self.cut()
        self._most = self.size
        return True

    async def crc(self, content: Content, start: int, stop: int) -> int:
        """Return the checksum of a window."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[:2] == (start, stop):
            return await ahead[2]
        self._drop(ahead)
        return await content.crc(start, stop)

    def look_ahead(self, content: Content, start: int) -> None:
        """Begin with the checksum of what comes next, as large as that will be if all goes well."""
        stop = min(content.size, start + min(self.size * 2, self._most))
        if start < stop:
            self._ahead = (start, stop, asyncio.create_task(content.crc(start, stop)))

    def close(self) -> None:
        """Have nothing run on."""
        self._drop(self._ahead)

    def _drop(self, ahead: tuple[int, int, asyncio.Task[int]] | None) -> None:
        if ahead is not None:
            ahead[2].cancel()


class _Trying:
    """Tries in a row that brought nothing."""

    def __init__(self, backoff: Backoff, note: Callable[[str], None]) -> None:
        self._backoff, self._note, self._failures = backoff, note, 0

    def came(self, something: bool) -> None:
        if something:
            self._failures = 0

    async def wait(self, error: ClientError) -> None:
        """Wait before the next try, or raise the error if there is none."""
        if not isinstance(error, Unreachable | Declined) or is_final(error):
            raise error
        self._failures += 1
        passing = error if isinstance(error, Unreachable | Busy) else Unreachable("", str(error))
        wait = self._backoff.wait(self._failures, passing)
        if wait is None:
            raise error
        what = error.reason if isinstance(error, Unreachable) else str(error)
        self._note(f"{what}; next try in {max(1, round(wait))} s ({self._failures} of {self._backoff.tries})")
        await asyncio.sleep(wait)


def is_final(error: ClientError) -> bool:
    """Whether the server does not take an upload, however often and from wherever it is gone on with."""
    passing = isinstance(error, Busy) or (isinstance(error, Declined) and error.kind in _PASSING)
    return isinstance(error, Declined) and not passing and error.status != _TOO_SLOW


def _is_of_one_on_the_way(error: ClientError) -> bool:
    """Whether a proxy before the server takes no bodies so large; the server itself tells a problem of its own."""
    return isinstance(error, Declined) and error.status == _TOO_LARGE and error.kind != "limit-exceeded"


def _checksum(crc: int) -> str:
    return f"crc32 {base64.b64encode(crc.to_bytes(4, 'big')).decode('ascii')}"


def _offset(headers: Mapping[str, str]) -> int:
    text = headers.get("Upload-Offset", "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Unexpected("the server does not say how far the upload is; is that a Pannier?")
    return int(text)


def _name(headers: Mapping[str, str]) -> str | None:
    """Return the path at which a file has appeared, if it has."""
    name = headers.get("Upload-Name")
    return None if name is None else unquote(name, errors="surrogateescape")
