"""The entries of an archive as a file system of fsspec, which has to be installed.

::

    import fsspec

    archive = fsspec.filesystem("pannier", url="http://127.0.0.1:6021/download-archive?token=…")
    archive.ls("photos")
    archive.cat_file("photos/a.jpg")

Nothing but what is read is fetched, and no checksum has to be known to the server for that.
"""

from __future__ import annotations

import weakref
from typing import Any

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

from pannier.dto.members import PlacedMember
from pannier.sdk.blocking import LOOP
from pannier.sdk.files import RemoteFile
from pannier.sdk.links import is_page, password_credential, resolve
from pannier.sdk.ranges import Ranges, members_page
from pannier.sdk.remote import Places, Version
from pannier.sdk.transport import Transport
from pannier.window import Window


class PannierFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Read-only; its listing is taken once, and holds for the archive as it was then."""

    protocol = "pannier"
    cachable = False
    root_marker = ""

    def __init__(
        self, url: str, transport: Transport | None = None, password: str | None = None, **options: Any
    ) -> None:
        """``url`` is that of a stored archive with its token, or of a link that people are sent (``…/s/CODE``).

        ``password`` is that of such a link, if it has one; a ``transport`` has its own.
        """
        super().__init__(**options)
        credential = None if password is None else password_credential(password)
        self._url, self._transport = url, transport or Transport(credential=credential)
        weakref.finalize(self, _close, self._transport)
        self._listing: dict[str, dict[str, Any]] | None = None
        self._ranges: Ranges | None = None

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List a directory, or one file."""
        path = self._strip_protocol(path).strip("/")
        listing = self._entries()
        if path not in listing:
            raise FileNotFoundError(path)
        if listing[path]["type"] != "directory":
            found = [listing[path]]
        else:
            found = [entry for name, entry in listing.items() if name and name.rpartition("/")[0] == path]
        return found if detail else [entry["name"] for entry in found]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Tell of one entry."""
        path = self._strip_protocol(path).strip("/")
        try:
            return self._entries()[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> RemoteFile:
        if mode != "rb":
            raise NotImplementedError("archives are read, not written")
        entry = self.info(path)
        if entry["type"] != "file":
            raise IsADirectoryError(path)
        assert self._ranges is not None
        window = Window(entry["offset"], entry["offset"] + entry["size"])
        return RemoteFile(self._ranges, window, checksum=entry["crc32"])

    def _entries(self) -> dict[str, dict[str, Any]]:
        if self._listing is None:
            listing: dict[str, dict[str, Any]] = {"": _directory("")}
            for member in LOOP.run(self._members()):
                name = member.name.rstrip("/")
                above = name
                while (above := above.rpartition("/")[0]) and above not in listing:
                    listing[above] = _directory(above)
                listing[name] = _entry(name, member)
            self._listing = listing
        return self._listing

    async def _members(self) -> list[PlacedMember]:
        url = self._url
        if is_page(url):
            url = (await resolve(self._transport, url)).file_url
        page = await members_page(self._transport, url)
        version = Version(page.etag, page.length, True, "", "")
        self._ranges = Ranges(self._transport, Places(url), version)
        items = list(page.items)
        while page.next is not None:
            page = await members_page(self._transport, url, start=page.next, etag=page.etag)
            items += page.items
        return items


def _close(transport: Transport) -> None:
    LOOP.run(transport.close())


def _directory(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}


def _entry(name: str, member: PlacedMember) -> dict[str, Any]:
    if member.kind == "directory":
        return _directory(name)
    return {
        "name": name,
        "type": member.kind,
        "size": member.size,
        "mtime": member.modified,
        "offset": member.offset,
        "crc32": member.crc32,
    }
