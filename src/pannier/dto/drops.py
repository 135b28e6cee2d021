"""Requests for files: links by which others put files into one directory and see nothing else."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pannier.dto.desk import Below, FolderName
from pannier.dto.json import Sparse
from pannier.dto.links import WEEK, Note
from pannier.dto.paths import ShownPath, VolumePath
from pannier.dto.problems import Prose
from pannier.dto.terms import LONGEST_TERM
from pannier.dto.uploads import LARGEST, Size

LONGEST_TITLE = 200


class DropRequest(BaseModel):
    """``POST /desk/requests``. Limits that are None are those of the server."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: FolderName
    path: Below = "."
    title: Annotated[str, StringConstraints(max_length=LONGEST_TITLE)] = ""
    note: Note | None = None
    expires_in: int = Field(default=WEEK, ge=1, le=LONGEST_TERM)
    largest: int | None = Field(default=None, ge=1, le=LARGEST)
    """Bytes of each file."""
    total: int | None = Field(default=None, ge=1, le=LARGEST)
    """Bytes of all files."""
    count: int | None = Field(default=None, ge=1, le=10**9)
    """Files."""


class DropState(StrEnum):
    """How a request stands; the first of these that is true."""

    CLOSED = "closed"
    EXPIRED = "expired"
    FULL = "full"
    OPEN = "open"


class DropReply(BaseModel):
    """A request, as its owner is told of it. Times are ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True)

    code: str
    url: str
    state: DropState
    folder: str
    path: ShownPath
    title: Prose
    note: Prose | None
    created_at: str
    expires_at: str
    largest: int | None
    total: int | None
    count: int | None
    files: int
    """That came."""
    received: int
    """Bytes that came."""
    closed_at: str | None


class DropPage(BaseModel):
    """Requests, the newest first."""

    items: tuple[DropReply, ...]


class SenderReply(Sparse):
    """What who sends files is told."""

    title: Prose
    note: Prose | None = None
    expires_at: str
    largest: int
    left: int | None = None
    """Bytes."""
    files_left: int | None = None


class DropUploadRequest(BaseModel):
    """``POST /r/{code}/uploads``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: VolumePath
    size: Size


class DropUploadReply(BaseModel):
    """Where one file goes on, by tus."""

    url: str


class Put(BaseModel):
    """A file that came."""

    name: ShownPath
    size: int


class PutReply(BaseModel):
    """Files that came."""

    files: tuple[Put, ...]
