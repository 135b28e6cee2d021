"""Sessions: what is told of a token that was given out, and how it is taken back."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pannier.dto.archives import OfferedFormat, VolumeName
from pannier.dto.filenames import Filename
from pannier.dto.ids import FolderId
from pannier.dto.paths import ShownPath
from pannier.dto.problems import Prose

MOST_SESSIONS = 1_000
"""Most sessions of one page."""


class SessionState(StrEnum):
    """How a session stands; the first of these that is true."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    """Its time is over, and what may be resumed after it, too."""
    SPENT = "spent"
    """It was for a single download, which was taken; for ten minutes that may be resumed."""
    FAILED = "failed"
    """The last stream that ended was broken off by the server."""
    COMPLETE = "complete"
    """Every byte of the archive was delivered."""
    ACTIVE = "active"
    """Something was given out."""
    NEW = "new"


class Delivered(BaseModel):
    """What clients have acknowledged, as far as the kernel tells."""

    model_config = ConfigDict(frozen=True)

    bytes: int
    """Of the archive, each counted once."""
    total: int
    """Each as often as it was delivered, those of earlier archives too."""
    ranges: tuple[tuple[int, int], ...]
    """Half-open, ascending: ``[0, 100]`` are the first hundred bytes."""


class Failure(BaseModel):
    """Why the server broke off a stream."""

    model_config = ConfigDict(frozen=True)

    entry: ShownPath | None
    """The file at which it broke, as a path below the folder; None where it was none."""
    cause: str
    """``source-changed``, ``source-unreadable``, or another type of problem."""
    detail: Prose
    offset: int
    """How far into the archive it came."""
    at: str


class SessionReply(BaseModel):
    """A session. Times are ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: SessionState
    volume: str
    virtual_folder_id: FolderId
    filename: Filename
    format: OfferedFormat | Literal["file"]
    """``file``: no archive, a file itself, as the front desk gives it."""
    created_at: str
    expires_at: str
    resumable_until: str
    """What was begun may go on until then."""
    one_time: bool
    rate: int | None
    """Most bytes per second."""
    etag: str | None
    """The archive that it is pinned to; None before the first response, and after it gave out another one."""
    length: int | None
    """Bytes of the archive that was delivered last."""
    delivered: Delivered
    failure: Failure | None
    resumable: bool | None
    """Whether resuming would succeed; None where there is nothing to resume, or where that is not known."""
    completed_at: str | None
    spent_at: str | None
    revoked_at: str | None


class SessionPage(BaseModel):
    """Sessions, the newest first; ``cursor`` asks for those after them and is None at the end."""

    items: tuple[SessionReply, ...]
    cursor: str | None


class SessionPath(BaseModel):
    """The variable part of ``/sessions/{id}``."""

    id: str = Field(max_length=200)


class SessionsQuery(BaseModel):
    """Which sessions are listed; other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    volume: VolumeName | None = None
    vfid: FolderId | None = None
    limit: int = Field(default=100, ge=1, le=MOST_SESSIONS)
    cursor: int | None = Field(default=None, ge=1, le=2**62)


class RevokedReply(BaseModel):
    """How many sessions were revoked that were not before."""

    revoked: int
