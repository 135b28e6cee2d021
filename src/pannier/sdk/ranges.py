"""Any bytes of an archive, without the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pannier.sdk.fetching import Fetching
from pannier.sdk.links import page_of
from pannier.sdk.problems import Unexpected
from pannier.sdk.progress import Progress, ProgressCallback, ignore
from pannier.sdk.remote import Places, Version, look, read_url
from pannier.sdk.transport import Transport
from pannier.window import Window

if TYPE_CHECKING:
    from pannier.dto.members import ArchiveMembers, PlacedMember

_ROUTE = "/download-archive"


class Ranges:
    """Reads windows of one version of what a URL gives. While the server still reads what a window needs, it waits."""

    def __init__(
        self, transport: Transport, places: Places, version: Version, progress: ProgressCallback = ignore
    ) -> None:
        """See ``open``."""
        self.version = version
        self._fetching = Fetching(transport, places, version, self._tell)
        self._progress = progress

    @classmethod
    async def open(cls, transport: Transport, url: str, progress: ProgressCallback = ignore) -> Ranges:
        """Find out what a URL gives.

        Raises:
            Unexpected: It has no ranges, as packed formats do not.
            Declined, Unreachable: The server does not say.
        """
        places = Places(url)
        version = await look(transport, places)
        if not version.resumable:
            raise Unexpected(f"{places.first.origin()}: this format has no ranges; take a stored zip or tar")
        return cls(transport, places, version, progress)

    @property
    def length(self) -> int:
        """Of the whole, in bytes."""
        return self.version.length or 0

    async def read(self, window: Window) -> bytes:
        """Return the bytes of a window.

        Raises:
            ArchiveChanged: It is another archive by now.
            Declined, Unreachable: They cannot be had.
        """
        read = bytearray()
        await self._fetching.pour(window, lambda piece, _: read.extend(piece))
        return bytes(read)

    def _tell(self, note: str) -> None:
        self._progress(Progress(self._fetching.came, None, note))


async def members_page(
    transport: Transport, url: str, *, path: str | None = None, start: int = 0, etag: str | None = None
) -> ArchiveMembers:
    """Return entries of an archive with the places of their contents, by its own URL; a page of up to 1,000.

    Raises:
        NotFound: No entry has that path.
        Conflict: It is another archive than ``etag`` says by now.
        Declined, Unreachable: The server does not say; packed formats have no places.
    """
    from pannier.dto.members import ArchiveMembers

    archive = read_url(url)
    if archive.path.endswith(_ROUTE):
        asked = archive.with_path(archive.path.removesuffix(_ROUTE) + "/archive-members").with_query(archive.query)
    elif page_of(url) is not None:
        asked = archive.with_path(f"{archive.raw_path}/members", encoded=True)
    else:
        raise Unexpected("only an archive tells of its entries: …/download-archive?token=… or …/s/CODE")
    more = {"path": path, "start": start or None, "etag": etag}
    params: dict[str, str | int] = {key: value for key, value in more.items() if value is not None}
    return (await transport.ask("GET", asked, params=params)).read(ArchiveMembers)


async def find_member(
    transport: Transport, url: str, path: str, progress: ProgressCallback = ignore
) -> tuple[Ranges, PlacedMember]:
    """Return what reads an archive, and where in it one entry is; no checksum has to be known for that.

    Raises:
        NotFound: No entry has that path.
        Declined, Unreachable, Unexpected: As ``members_page`` and ``Ranges.open``.
    """
    told = await members_page(transport, url, path=path)
    version = Version(told.etag, told.length, True, "", path)
    return Ranges(transport, Places(url), version, progress), told.items[0]
