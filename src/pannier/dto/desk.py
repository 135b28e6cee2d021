"""The front desk: what its page asks for, and what it is told. A folder is called by its name, paths are below it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema

from pannier.dto.archives import ArchiveOptions, FormatOptions, OfferedFormat, Paths
from pannier.dto.filenames import Filename
from pannier.dto.json import Sparse
from pannier.dto.links import LinkTerms
from pannier.dto.paths import LONGEST_PATH, ShownPath, VolumePath, path_text
from pannier.dto.sessions import SessionReply
from pannier.dto.uploads import Conflict

MOST_LISTED = 10_000
PAGE = 2_000
MOST_MOVED = 100_000
MOST_SHOWN = 1_000

FolderName = Annotated[str, StringConstraints(max_length=255)]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _below(value: object) -> str:
    return path_text(LONGEST_PATH)(value) or "."


Below = Annotated[str, PlainValidator(_below), WithJsonSchema({"type": "string", "maxLength": LONGEST_PATH})]
"""A path below the folder; empty or ``.`` is the folder itself."""


class PlaceRequest(_Asked):
    """A place in a folder."""

    folder: FolderName
    path: Below = "."


class SelectionRequest(ArchiveOptions, FormatOptions):
    """Some files and directories of a folder, and what becomes of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: FolderName
    paths: Paths


class PlanRequest(SelectionRequest):
    """``POST /desk/plan``."""

    cursor: str | None = Field(default=None, max_length=1_024)


class DownloadRequest(SelectionRequest):
    """``POST /desk/download``."""

    filename: Filename | None = None


class DownloadReply(Sparse):
    """Where a download is to be had; the numbers are there once they are counted."""

    url: str
    session: str
    filename: Filename
    plan: Literal["done", "running"]
    entries: int | None = None
    length: int | None = None
    etag: str | None = None


class FileReply(BaseModel):
    """Where one file is to be had."""

    url: str
    filename: ShownPath
    session: str


class MeReply(BaseModel):
    """Who asks, and what may be done here."""

    signed_in: bool
    csrf: str | None
    """For ``X-Pannier-CSRF``; None where nobody is known."""
    writable: bool
    public: bool
    """Whether who has not signed in may look."""
    version: str
    largest_upload: int
    formats: tuple[OfferedFormat, ...]
    trash_hours: int


class FolderReply(BaseModel):
    """A served folder."""

    name: str
    writable: bool


class FoldersReply(BaseModel):
    """The served folders."""

    items: tuple[FolderReply, ...]


class Sort(StrEnum):
    """By what a listing is ordered; directories first, but for ``name``, which is by bytes."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


class ListQuery(_Asked):
    """The query of ``/desk/list``."""

    folder: FolderName
    path: Below = "."
    cursor: str | None = Field(default=None, max_length=1_024)
    limit: int = Field(default=PAGE, ge=1, le=MOST_LISTED)
    sort: Sort = Sort.NAME
    order: Literal["asc", "desc"] = "asc"


class ChangesQuery(_Asked):
    """The query of ``/desk/changes``."""

    folder: FolderName
    path: Below = "."
    version: str = Field(max_length=200)


class Leads(BaseModel):
    """Where a link leads; ``kind`` is None where that is outside or nowhere."""

    target: ShownPath
    kind: Literal["d", "f", "x"] | None


class Columns(BaseModel):
    """Things in a directory, as columns: names, kinds (``d``, ``f``, ``l``, ``x``), sizes in bytes, times in ms."""

    names: list[ShownPath]
    kinds: str
    sizes: list[int]
    times: list[int]
    links: dict[int, Leads]
    """By their number here."""


class ListReply(Columns):
    """A page of a listing."""

    folder: str
    path: ShownPath
    total: int
    version: str | None
    """None until all of the directory was looked at, which it is with the last page at the latest."""
    cursor: str | None


class ChangesReply(Columns):
    """What is new or touched in a directory since a version of its listing."""

    changed: bool
    total: int
    version: str


class Word(StrEnum):
    """How a download stands, for people."""

    WAITING = "waiting"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    SENT = "sent"
    REVOKED = "revoked"
    EXPIRED = "expired"


class ActivityItem(SessionReply):
    """A download that was made here."""

    running: int
    word: Word
    taken_at: str | None
    """When bytes were last taken; None if that is not known."""


class ActivityPage(BaseModel):
    """Downloads, the newest first."""

    items: tuple[ActivityItem, ...]
    cursor: str | None


class ActivityQuery(_Asked):
    """The query of ``/desk/activity``."""

    limit: int = Field(default=50, ge=1, le=1_000)
    cursor: int | None = Field(default=None, ge=1, le=2**62)


class IdPath(BaseModel):
    """The variable part of a path."""

    id: str = Field(max_length=200)


class CodePath(BaseModel):
    """The variable part of a path."""

    code: str = Field(max_length=200)


class MadeReply(BaseModel):
    """Where something is now."""

    path: ShownPath


class RenameRequest(_Asked):
    """``POST /desk/rename``."""

    folder: FolderName
    path: VolumePath
    name: VolumePath


class PathsRequest(_Asked):
    """Some paths of a folder."""

    folder: FolderName
    paths: Annotated[tuple[VolumePath, ...], Field(min_length=1, max_length=MOST_MOVED)]


class MoveRequest(PathsRequest):
    """``POST /desk/move``."""

    into: Below


class Moved(BaseModel):
    """Something that is elsewhere now."""

    path: ShownPath
    to: ShownPath


class NotMoved(BaseModel):
    """Something that stayed, and the tail of the problem's type."""

    path: ShownPath
    problem: str
    detail: str


class MoveReply(BaseModel):
    """What was moved, and what was not."""

    moved: tuple[Moved, ...]
    failed: tuple[NotMoved, ...]


class FolderRequest(_Asked):
    """A folder."""

    folder: FolderName


class Trashed(BaseModel):
    """Something in the trash, under the path that it had."""

    path: ShownPath
    kind: Literal["file", "directory", "link", "special"]


class TrashItem(BaseModel):
    """What was deleted at once."""

    id: str
    deleted_at: str
    kept_until: str
    items: tuple[Trashed, ...]
    """The first thousand."""
    total: int


class TrashReply(BaseModel):
    """What is in the trash of a folder, the latest first."""

    items: tuple[TrashItem, ...]


class DeletedReply(BaseModel):
    """What was put into the trash."""

    id: str
    deleted: int
    kept_until: str
    items: tuple[Trashed, ...]


class RestoredReply(BaseModel):
    """What came back, and what did not."""

    restored: tuple[Moved, ...]
    failed: tuple[NotMoved, ...]


class UploadsRequest(PlaceRequest):
    """``POST /desk/uploads``."""

    conflict: Conflict = Conflict.RENAME


class UploadsReply(BaseModel):
    """Where uploads are begun by tus."""

    url: str
    expires_at: str
    largest: int


class DeskLinkRequest(LinkTerms):
    """``POST /desk/links``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: FolderName
    paths: Paths
