"""Uploads: any number of files to one place, several at a time, gone on with after whatever cut them off."""

from __future__ import annotations

import asyncio
import posixpath
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from yarl import URL

from pannier.sdk.blocking import Blocking, Face
from pannier.sdk.contents import LocalFileChanged, LocalFileUnreadable
from pannier.sdk.journals import Journal
from pannier.sdk.problems import Busy, ClientError, Conflict, Declined, Forbidden, LinkOver
from pannier.sdk.progress import Progress, ignore
from pannier.sdk.retries import Backoff
from pannier.sdk.sending import Sending, Told, is_final
from pannier.sdk.sources import Source
from pannier.sdk.transport import Transport

if TYPE_CHECKING:
    from pannier.sdk.manager_uploads import ConflictName

_NO_ROOM = 507


@dataclass(frozen=True, slots=True)
class UploadProgress(Progress):
    """How far an upload is: ``done`` and ``total`` are bytes of all files, ``files_done`` those that have arrived."""

    files_done: int = 0
    files: int = 0


UploadCallback = Callable[[UploadProgress], None]
"""Called from the event loop's thread; it must not block."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that is there now; ``name`` is its path below the folder, as far as the server told it."""

    source: Source
    name: str

    @property
    def renamed(self) -> bool:
        """Whether its name was taken, so that it got another one."""
        return posixpath.basename(self.name) != posixpath.basename(self.source.name)


@dataclass(slots=True)
class Uploaded:
    """What became of all files.

    Attributes:
        arrived: Those that are there, those of earlier runs included.
        skipped: Those whose name was taken, where nothing is to be replaced.
        failed: Those that could not be sent, each with the reason.
        empty: Directories without anything in them: no file makes them, nor can the token of an upload.
    """

    arrived: list[Arrived] = field(default_factory=list)
    skipped: list[Source] = field(default_factory=list)
    failed: list[tuple[Source, ClientError]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of what arrived."""
        return sum(each.source.size for each in self.arrived)


@dataclass(slots=True)
class Upload:
    """Sends files to one place, which ``AsyncManager.uploads.create`` gives.

    Attributes:
        transport: What it speaks by.
        url: Where uploads are begun, with its token.
        conflict: What the token says of names that are taken. Unless a file would get another name then, small ones
            travel with the request that begins them, since doing that twice does no harm.
        parallel: How many files are sent at the same time.
        checked: Whether each piece is sent with its checksum.
        journal: Where is remembered what was sent, for the next run of the same.
        progress: Told of what happens.
    """

    transport: Transport
    url: str
    conflict: ConflictName = "rename"
    parallel: int = 4
    checked: bool = True
    journal: Journal | None = None
    progress: UploadCallback = ignore
    _at: dict[str, int] = field(default_factory=dict, init=False)
    _begun: dict[str, str] = field(default_factory=dict, init=False)
    _done: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)
    _files: int = field(default=0, init=False)
    _noted_at: int = field(default=-1, init=False)
    _outcome: Uploaded = field(default_factory=Uploaded, init=False)

    async def send(self, sources: Sequence[Source]) -> Uploaded:
        """Send files, and return what became of each.

        What only one file suffers from fails that file; what all would suffer from ends it, and the same again goes
        on: nobody answers any more, the token is over, no room is left.

        Raises:
            Unreachable, Busy, Forbidden, LinkOver, Declined: As just said.
            JournalUnusable: What was sent can no longer be remembered.
        """
        self._total, self._files = sum(source.size for source in sources), len(sources)
        self._outcome = Uploaded()
        waiting = self._waiting(sources)
        self._tell()
        place = URL(self.url, encoded=True)
        sending = Sending(self.transport, place, repeatable=self.conflict != "rename", checked=self.checked)
        await _together([self._work(waiting, sending) for _ in range(max(1, self.parallel))])
        places = {source.name: number for number, source in enumerate(sources)}
        self._outcome.arrived.sort(key=lambda each: places[each.source.name])
        return self._outcome

    async def largest(self) -> int | None:
        """Return the most bytes that the server takes of one file; None if it does not say.

        Raises:
            Declined, Unreachable: As they say.
        """
        answer = await self.transport.ask("OPTIONS", URL(self.url, encoded=True).with_query(None))
        text = answer.headers.get("Tus-Max-Size", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def _waiting(self, sources: Sequence[Source]) -> Iterator[Source]:
        """Return what is left to be sent; the rest arrived earlier."""
        left = []
        for source in sources:
            name = None if self.journal is None else self.journal.arrived(source)
            if name is None:
                left.append(source)
            else:
                self._done += source.size
                self._outcome.arrived.append(Arrived(source, name))
        return iter(left)

    async def _work(self, waiting: Iterator[Source], sending: Sending) -> None:
        for source in waiting:
            try:
                name = await self._send(source, sending)
            except (LocalFileChanged, LocalFileUnreadable) as error:
                self._leave(source, error)
            except Declined as error:
                if error.status == _NO_ROOM or isinstance(error, Busy | Forbidden | LinkOver):
                    raise
                if is_final(error):
                    await self._give_up(source, sending)
                self._leave(source, error)
            else:
                if self.journal is not None:
                    self.journal.finish(source, name)
                self._outcome.arrived.append(Arrived(source, name))
                self._tell()

    async def _send(self, source: Source, sending: Sending) -> str:
        def begun(url: str) -> None:
            self._begun[source.name] = url
            if self.journal is not None:
                self.journal.begin(source, url)

        earlier = None if self.journal is None else self.journal.url(source)
        if earlier is not None:
            self._begun[source.name] = earlier
        told = Told(lambda offset: self._reach(source, offset), begun, self._note)
        name = await sending.send(source, told, earlier)
        self._reach(source, source.size)
        return name

    async def _give_up(self, source: Source, sending: Sending) -> None:
        """Have nothing stay at the server of a file that it does not take."""
        if (url := self._begun.pop(source.name, None)) is not None:
            await sending.give_up(url)

    def _reach(self, source: Source, offset: int) -> None:
        self._done += offset - self._at.get(source.name, 0)
        self._at[source.name] = offset
        self._tell()

    def _leave(self, source: Source, error: ClientError) -> None:
        self._reach(source, 0)
        self._total -= source.size
        if self.conflict == "refuse" and isinstance(error, Conflict) and error.kind == "target-exists":
            self._outcome.skipped.append(source)
        else:
            self._outcome.failed.append((source, error))
        self._tell()

    def _note(self, text: str) -> None:
        """Pass on what happened, once for all files that it happened to."""
        if self._noted_at != self._done:
            self._noted_at = self._done
            self._tell(text)

    def _tell(self, note: str | None = None) -> None:
        arrived = len(self._outcome.arrived)
        self.progress(UploadProgress(self._done, self._total, note, arrived, self._files))


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run things side by side; the first that fails ends all, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


class AsyncUploader:
    """Uploads to what links for uploads lead to; an async context manager that closes its connections."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, backoff: Backoff | None = None) -> None:
        """Whom to trust (``trust.authorities``, ``trust.only``), and when to give up."""
        self._transport = Transport(tls=tls, backoff=backoff)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def upload(
        self,
        sources: Sequence[Source],
        url: str,
        *,
        conflict: ConflictName = "rename",
        parallel: int = 4,
        checked: bool = True,
        journal: Journal | None = None,
        progress: UploadCallback = ignore,
    ) -> Uploaded:
        """Send files (``sources.survey`` finds them) to a place that ``uploads.create`` gave; see ``Upload``.

        Raises:
            Unreachable, Busy, Forbidden, LinkOver, Declined: As ``Upload.send``.
        """
        upload = Upload(self._transport, url, conflict, parallel, checked, journal, progress)
        return await upload.send(sources)

    async def largest(self, url: str) -> int | None:
        """Return the most bytes that one file may have there; None if the server does not say."""
        return await Upload(self._transport, url).largest()


class Uploader(Face[AsyncUploader]):
    """``AsyncUploader``, without ``await``."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, backoff: Backoff | None = None) -> None:
        super().__init__(AsyncUploader(tls=tls, backoff=backoff))

    upload = Blocking(AsyncUploader.upload)
    largest = Blocking(AsyncUploader.largest)
