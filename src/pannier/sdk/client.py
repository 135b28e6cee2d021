"""For those who hold a link: downloads, and what stands behind them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pannier.sdk.blocking import Blocking, Face
from pannier.sdk.downloads import Download, Downloaded
from pannier.sdk.extraction import Extracted, extract
from pannier.sdk.files import CACHE, RemoteFile
from pannier.sdk.links import is_page, password_credential, resolve
from pannier.sdk.progress import ProgressCallback, ignore
from pannier.sdk.ranges import Ranges, find_member, members_page
from pannier.sdk.remote import Places, Version, look, read_url
from pannier.sdk.retries import Backoff
from pannier.sdk.standing import standing
from pannier.sdk.streaming import Stream
from pannier.sdk.threads import in_thread
from pannier.sdk.transport import Timeouts, Transport
from pannier.window import Window

if TYPE_CHECKING:
    from pannier.dto.members import PlacedMember
    from pannier.dto.sessions import SessionReply
    from pannier.sdk.journals import Journal
    from pannier.sdk.manager_uploads import ConflictName
    from pannier.sdk.sources import LocalLinks
    from pannier.sdk.uploads import UploadCallback, Uploaded


class AsyncClient:
    """Takes what links give; an async context manager that closes its connections."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
        backoff: Backoff | None = None,
        proxies: bool = True,
        password: str | None = None,
    ) -> None:
        """Whom to trust (``trust``), how long to wait, when to give up: as of ``Transport``.

        ``password`` is that of links which ask for one; every server that is asked gets to know it.
        """
        credential = None if password is None else password_credential(password)
        self._transport = Transport(credential=credential, tls=tls, timeouts=timeouts, backoff=backoff, proxies=proxies)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()

    async def look(self, url: str) -> Version:
        """Return what a URL gives, without taking any of it.

        Raises:
            Declined, Unreachable: The server does not say.
        """
        return await look(self._transport, Places(await self.archive_of(url)))

    async def archive_of(self, url: str) -> str:
        """Return the URL of the archive behind the page of a link (``…/s/CODE``); any other URL as it is.

        Raises:
            LinkOver: The link is over.
            Declined, Unreachable, Unexpected: The server does not say.
        """
        return (await resolve(self._transport, url)).file_url if is_page(url) else url

    async def download(
        self,
        url: str,
        target: str | Path | None = None,
        *,
        servers: Sequence[str] = (),
        resume: bool = True,
        restart: bool = False,
        parallel: int = 8,
        progress: ProgressCallback = ignore,
    ) -> Downloaded:
        """Download an archive or a file, and go on with what is there of it.

        Args:
            url: Of the archive or file.
            target: Where it goes; in a directory, and in the current one unless given, it has the name that the server
                gives it. Until it is whole it is ``NAME.part``.
            servers: Base URLs of further servers over the same data; what they give has to have the same ETag.
            resume: Whether a part that is there is gone on with, be it by another URL; without, it is an error.
            restart: Replace what is there.
            parallel: How many ranges are fetched at once; of formats without ranges it is one whole.
            progress: Told of each piece, and of what happens.

        Raises:
            ArchiveChanged: The part that is there is of another archive; it stays.
            PartUnusable, TargetUnusable: What is there is in the way; ``restart`` replaces it.
            EntriesDamaged: Some entries are not sound; they count as missing in what is kept.
            Damaged: What came is no archive.
            Declined, Unreachable: The server says no, or does not answer; what came is kept.
        """
        where = None if target is None else Path(target)
        return await Download(
            self._transport,
            Places(await self.archive_of(url), servers),
            where,
            resume=resume,
            restart=restart,
            parallel=parallel,
            progress=progress,
        ).run()

    async def extract(
        self,
        url: str,
        directory: str | Path,
        *,
        servers: Sequence[str] = (),
        restart: bool = False,
        most: int | None = None,
        progress: ProgressCallback = ignore,
    ) -> Extracted:
        """Unpack an archive while it comes; see ``extraction.extract``, and ``download`` for the rest."""
        stream = Stream(self._transport, Places(await self.archive_of(url), servers), progress)
        return await extract(stream, Path(directory), restart=restart, most=most)

    async def stream(self, url: str, *, servers: Sequence[str] = (), progress: ProgressCallback = ignore) -> Stream:
        """Return what gives an archive or a file piece by piece, in order; errors as ``archive_of``."""
        return Stream(self._transport, Places(await self.archive_of(url), servers), progress)

    async def upload(
        self,
        paths: str | Path | Sequence[str | Path],
        url: str,
        *,
        conflict: ConflictName = "rename",
        parallel: int = 4,
        links: LocalLinks = "follow",
        except_: Collection[str] = (),
        journal: Journal | None = None,
        progress: UploadCallback = ignore,
    ) -> Uploaded:
        """Upload files, and directories with all below them, to a place that ``Manager.uploads.create`` gave.

        Args:
            paths: What is sent, each under its own name.
            url: Where to, with its token.
            conflict: What that token says of names that are taken.
            parallel: How many files are sent at the same time.
            links, except_: What becomes of symbolic links below a directory, and what is left out.
            journal: Where is remembered what arrived and where the rest is: the same call goes on there, in another
                process too. Without it, only what breaks off within this call is gone on with.
            progress: Told of each piece, and of what happens.

        Raises:
            SourcesRefused, NamesClash: Something cannot be sent; nothing was.
            Unreachable, Busy, Forbidden, LinkOver, Declined: No more can be sent, as of ``uploads.Upload.send``.
            JournalUnusable: What was sent can no longer be remembered.
        """
        from pannier.sdk.sources import SourcesRefused, survey
        from pannier.sdk.uploads import Upload

        named = [os.fspath(each) for each in ([paths] if isinstance(paths, str | Path) else paths)]
        found = await in_thread(survey, named, links=links, except_=except_)
        if found.refused:
            raise SourcesRefused(found.refused, found.entries)
        upload = Upload(self._transport, url, conflict, parallel, journal=journal, progress=progress)
        sent = await upload.send(found.files)
        sent.empty = found.empty
        if journal is not None and not sent.failed:
            journal.forget()
        return sent

    async def ranges(self, url: str, *, progress: ProgressCallback = ignore) -> Ranges:
        """Return what reads any bytes of a stored archive, or of a file.

        Raises:
            Unexpected: It has no ranges.
            Declined, Unreachable: The server does not say what there is.
        """
        return await Ranges.open(self._transport, await self.archive_of(url), progress)

    async def members(self, url: str) -> list[PlacedMember]:
        """Return the entries of a stored archive, with the places of their contents.

        Raises:
            Conflict: It became another archive meanwhile.
            Declined, Unreachable, Unexpected: The server does not say.
        """
        url = await self.archive_of(url)
        page = await members_page(self._transport, url)
        items = list(page.items)
        while page.next is not None:
            page = await members_page(self._transport, url, start=page.next, etag=page.etag)
            items += page.items
        return items

    async def find_member(
        self, url: str, path: str, *, progress: ProgressCallback = ignore
    ) -> tuple[Ranges, PlacedMember]:
        """Return what reads a stored archive, and where one entry is in it.

        Raises:
            NotFound: It has no such entry.
            Declined, Unreachable, Unexpected: The server does not say.
        """
        return await find_member(self._transport, await self.archive_of(url), path, progress)

    async def session(self, url: str) -> SessionReply | None:
        """Return how the session of an archive's link stands; None where the server does not say."""
        return await standing(self._transport, read_url(url))


class Client(Face[AsyncClient]):
    """``AsyncClient``, without ``await``."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
        backoff: Backoff | None = None,
        proxies: bool = True,
        password: str | None = None,
    ) -> None:
        super().__init__(AsyncClient(tls=tls, timeouts=timeouts, backoff=backoff, proxies=proxies, password=password))

    look = Blocking(AsyncClient.look)
    download = Blocking(AsyncClient.download)
    extract = Blocking(AsyncClient.extract)
    ranges = Blocking(AsyncClient.ranges)
    members = Blocking(AsyncClient.members)
    find_member = Blocking(AsyncClient.find_member)
    session = Blocking(AsyncClient.session)
    upload = Blocking(AsyncClient.upload)

    def open_archive(self, url: str, *, cache: int = CACHE, progress: ProgressCallback = ignore) -> RemoteFile:
        """Return a stored archive as a file that can be sought in: ``zipfile.ZipFile(client.open_archive(url))``.

        Of a ZIP the server has to know all checksums before it can give its end: the first read there waits for that,
        and ``progress`` is told how far it is. ``cache`` bounds the bytes that are kept.

        Raises:
            Unexpected: It has no ranges.
            Declined, Unreachable: The server does not say what there is.
        """
        return RemoteFile(self.ranges(url, progress=progress), cache=cache)

    def open_member(self, url: str, path: str, *, progress: ProgressCallback = ignore) -> RemoteFile:
        """Return one entry of a stored archive as a file, at once: no checksum has to be known for that.

        Where the checksum is known all the same, whoever reads it from its first byte to its last is told if they do
        not agree.

        Raises:
            NotFound: It has no such entry.
            Declined, Unreachable, Unexpected: The server does not say.
        """
        ranges, member = self.find_member(url, path, progress=progress)
        return RemoteFile(ranges, Window(member.offset, member.offset + member.size), checksum=member.crc32)
