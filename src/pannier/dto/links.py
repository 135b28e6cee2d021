"""Links that people send: what is asked for, and what is told of them to their owner and to who receives them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from pannier.dto.archives import ArchiveOptions, FormatOptions, OfferedFormat, Paths, VolumeName, check_layout
from pannier.dto.filenames import Filename
from pannier.dto.ids import FolderId
from pannier.dto.json import Sparse
from pannier.dto.paths import ShownPath
from pannier.dto.problems import Prose
from pannier.dto.sessions import Failure
from pannier.dto.terms import LONGEST_TERM, OF_KNOWN_LENGTH

WEEK = 7 * 24 * 3600
MOST_DELIVERIES = 10_000
LONGEST_NOTE = 1_000
"""In characters."""
LONGEST_PASSWORD = 256

Password = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PASSWORD)]
Note = Annotated[str, StringConstraints(max_length=LONGEST_NOTE)]


class LinkTerms(ArchiveOptions, FormatOptions):
    """What a link is made with, beside what it leads to."""

    filename: Filename | None = None
    expires_in: int = Field(default=WEEK, ge=1, le=LONGEST_TERM)
    """Seconds."""
    deliveries: int | None = Field(default=None, ge=1, le=MOST_DELIVERIES)
    """How many full archives it gives; None: as many as are asked for until it ends."""
    password: Password | None = None
    note: Note | None = None
    """For the receiver."""

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        check_layout(self.layout, (self.offered,))
        if self.deliveries is not None and self.offered not in OF_KNOWN_LENGTH:
            raise PydanticCustomError(
                "link_format", "deliveries are counted of zip and tar; for other formats leave deliveries out"
            )
        return self


class LinkRequest(LinkTerms):
    """``POST /links`` of the manager-facing listener."""

    model_config = ConfigDict(extra="forbid")

    volume: VolumeName
    virtual_folder_id: FolderId
    files: Paths


class LinkState(StrEnum):
    """How a link stands; the first of these that is true."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    SPENT = "spent"
    OPEN = "open"


class LinkReply(BaseModel):
    """A link, as its owner is told of it. Times are ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True)

    code: str
    url: str
    """The page for people."""
    file_url: str
    """The archive, for ``curl -O`` and the like."""
    state: LinkState
    folder: str
    """The name of its volume, which is that of a served folder."""
    paths: tuple[ShownPath, ...] = Field(max_length=100)
    """The first hundred of what was selected."""
    left_out: int
    """Exceptions that its owner chose."""
    filename: Filename
    format: OfferedFormat
    entries: int | None
    """As of when it was made, and so are ``bytes`` and ``length``."""
    bytes: int | None
    length: int | None
    note: str | None
    password: bool
    created_at: str
    expires_at: str
    deliveries: int | None
    delivered: int
    """Full archives."""
    bytes_sent: int
    """Every byte as often as it was sent, and acknowledged."""
    running: int
    """Streams, now, of this process."""
    changed: bool | None
    """Whether the archive would be another one than was first delivered; None: not known."""
    session: str
    revoked_at: str | None


class LinkPage(BaseModel):
    """Links, the newest first."""

    items: tuple[LinkReply, ...]


class LinkPath(BaseModel):
    """The variable part of ``/links/{code}``."""

    code: str = Field(max_length=200)


class LinkQuery(BaseModel):
    """The query of ``DELETE /links/{code}``."""

    model_config = ConfigDict(extra="forbid")

    remove: bool = False
    """Whether it is taken off the list, too."""


class Content(BaseModel):
    """One entry of what a receiver gets."""

    path: ShownPath
    size: int
    kind: Literal["file", "directory", "link"]


class Contents(BaseModel):
    """A page of a hundred entries."""

    total: int
    page: int
    pages: int
    items: tuple[Content, ...]


class ReceivedReply(Sparse):
    """What a receiver is told: without the password of a link that has one, only what is not None then."""

    filename: Filename
    note: Prose | None = None
    expires_at: str
    password: bool
    """Whether one is asked for."""
    file_url: str
    format: OfferedFormat | None = None
    formats: tuple[OfferedFormat, ...] | None = None
    """What else it comes as."""
    entries: int | None = None
    files: int | None = None
    bytes: int | None = None
    length: int | None = None
    etag: str | None = None
    deliveries: int | None = None
    deliveries_left: int | None = None
    left_out: int | None = None
    failure: Failure | None = None
    """Why the server broke off the last download, if it did."""
    contents: Contents | None = None


class ReceivedQuery(BaseModel):
    """The query of ``/s/{code}``; other keys are ignored."""

    page: int = Field(default=1, ge=1, le=10**9)
    lang: str | None = Field(default=None, max_length=20)
