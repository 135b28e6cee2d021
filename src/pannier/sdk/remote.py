"""What stands behind a URL: one version of an archive or a file, known by its entity tag, at one or several places."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from pannier.errors import InvalidRequest
from pannier.protocol.disposition import check_filename
from pannier.protocol.validators import parse_etag
from pannier.sdk.problems import ClientError, Declined, Unexpected
from pannier.sdk.transport import Transport, Wait

_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*UTF-8''([^;]*)", re.IGNORECASE)
_QUOTED_NAME = re.compile(r'filename\s*=\s*"((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_OF_A_LINK = re.compile(r"/s/[^/]+/[^/]+\Z")
DEFAULT_NAME = "download"


@dataclass(frozen=True, slots=True)
class Version:
    """What an answer says that it is, or is a part of.

    Attributes:
        etag: The strong entity tag with its quotes; None where there is none: then nothing tells two versions apart.
        length: In bytes; None where it is not known in advance.
        ranges: Whether parts can be asked for.
        media_type: Without parameters.
        filename: What it wants to be called: a plain name, no path.
    """

    etag: str | None
    length: int | None
    ranges: bool
    media_type: str
    filename: str

    @property
    def resumable(self) -> bool:
        """Whether a part of it can be gone on with."""
        return self.ranges and self.etag is not None and self.length is not None


class ArchiveChanged(ClientError):
    """What the server has by now is not what was begun; parts of the two must not mix.

    Attributes:
        entry: The file that changed, where the server said so.
    """

    def __init__(self, reason: str, entry: str | None = None) -> None:
        super().__init__(reason)
        self.entry = entry


def version_of(headers: Mapping[str, str], url: URL, length: int | None) -> Version:
    """Return what the headers of an answer say of it, given the complete length of the representation."""
    tag = parse_etag(headers.get("ETag", ""))
    return Version(
        etag=tag.opaque if tag is not None and not tag.weak else None,
        length=length,
        ranges=headers.get("Accept-Ranges", "").strip().lower() == "bytes",
        media_type=headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        filename=filename_of(headers.get("Content-Disposition", "")) or _last_part(url) or DEFAULT_NAME,
    )


def is_archive(url: URL) -> bool:
    """Whether a URL is that of an archive, not of a single file."""
    return url.path.endswith("/download-archive") or _OF_A_LINK.search(url.path) is not None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the ``Content-Length``; None if there is none."""
    text = headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def filename_of(disposition: str) -> str | None:
    """Return the file name in a ``Content-Disposition`` (RFC 6266), if it has one that names a plain file."""
    if found := _EXTENDED_NAME.search(disposition):
        return _plain(unquote(found[1].strip(), errors="replace"))
    if found := _QUOTED_NAME.search(disposition):
        return _plain(re.sub(r"\\(.)", r"\1", found[1]))
    return None


def _last_part(url: URL) -> str | None:
    return _plain(url.name)


def _plain(name: str) -> str | None:
    # a server must not choose where a file is written
    try:
        check_filename(name)
        name.encode()
    except (InvalidRequest, UnicodeEncodeError):
        return None
    return None if name.startswith(".") else name


class Places:
    """Where a version can be had: the URL that was given, and the same path at other servers.

    A place that turns out to have something else, or nothing, is left; the last one's reason is what ends a download.
    """

    def __init__(self, url: str, servers: Sequence[str] = ()) -> None:
        """``servers`` are base URLs, such as ``http://b.example:6021``, of further servers over the same data.

        Raises:
            ClientError: One of them is no URL of a web server.
        """
        first = read_url(url)
        bases = [read_url(server) for server in servers]
        others = [URL(f"{str(base).rstrip('/')}{first.raw_path_qs}", encoded=True) for base in bases]
        self._urls = [first, *others]

    @property
    def first(self) -> URL:
        """The one that is asked what there is."""
        return self._urls[0]

    def __len__(self) -> int:
        return len(self._urls)

    def pick(self, number: int) -> URL:
        """Return one of them, in turn."""
        return self._urls[number % len(self._urls)]

    def leave(self, url: URL, error: ClientError) -> None:
        """Do not ask a place again.

        Raises:
            ClientError: ``error``, if it is the last one.
        """
        left = [each for each in self._urls if each != url]
        if not left:
            raise error
        self._urls = left


def read_url(text: str) -> URL:
    """Return a URL of a web server.

    Raises:
        ClientError: It is none.
    """
    try:
        url = URL(text.strip(), encoded=False)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ClientError("that is no URL of a web server; it begins with http:// or https://")
    return url.with_fragment(None)


async def look(transport: Transport, places: Places, waiting: Wait | None = None) -> Version:
    """Ask what there is at the first place that answers (``HEAD``).

    Raises:
        Declined, Unreachable: None of them says.
    """
    while True:
        url = places.first
        try:
            answer = await transport.ask("HEAD", url, waiting=waiting)
        except Declined as error:
            # a HEAD has no body: what is wrong, a GET says
            try:
                async with transport.stream("GET", url, headers={"Range": "bytes=0-0"}) as body:
                    raise Unexpected(f"{url.origin()}: declined HEAD with {error.status}, but not GET ({body.status})")
            except Declined as told:
                places.leave(url, told)
        except ClientError as error:
            places.leave(url, error)
        else:
            return version_of(answer.headers, url, content_length(answer.headers))
