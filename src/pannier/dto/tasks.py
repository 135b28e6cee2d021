"""Background tasks: requests that begin one, and what is told of it (WIRE section 4; ``GET /tasks/{id}`` is ours)."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from pannier.dto.archives import VolumeName
from pannier.dto.folders import FolderRequest, WireRequest
from pannier.dto.ids import FolderId
from pannier.dto.paths import VolumePath
from pannier.dto.problems import Prose


class TaskState(StrEnum):
    """How far a task is."""

    WAITING = "waiting"
    """For its turn, or for the next attempt."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class DeleteFolderRequest(FolderRequest):
    """``POST /folder/delete``."""


class CloneFolderRequest(WireRequest):
    """``POST /folder/clone``; whatever else a manager sends is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    src_volume: VolumeName
    src_vfid: FolderId
    dst_volume: VolumeName | None = None
    """None for the same one; there is no other that works."""
    dst_vfid: FolderId


class DeleteFilesRequest(BaseModel):
    """``POST /folder/file/delete-async``; unknown members are ignored there."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    volume: VolumeName
    vfid: FolderId
    relpaths: tuple[VolumePath, ...]
    recursive: bool = False


class BegunReply(BaseModel):
    """The task that was begun: a UUID for ``GET /tasks/{id}``."""

    bgtask_id: str


class TaskPath(BaseModel):
    """The variable part of ``GET /tasks/{id}``."""

    id: str = Field(max_length=200)


class LeftOut(BaseModel):
    """What a clone has not: things that are neither file, directory nor link; and what vanished while it was copied."""

    special: int
    vanished: int


class TaskReply(BaseModel):
    """A background task. Times are ISO 8601 in UTC."""

    id: str
    kind: str
    state: TaskState
    done: int
    total: int | None
    """None where it is not known."""
    unit: str = "entries"
    left_out: LeftOut
    error: Prose | None
    """One line of what went wrong last: also while another attempt is waited for."""
    created_at: str
    ended_at: str | None
