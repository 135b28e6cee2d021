"""Requests for what is in a folder, and what is answered (WIRE section 4, Files)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints
from pydantic_core import PydanticCustomError

from pannier.dto.folders import FolderRequest
from pannier.dto.json import Sparse
from pannier.dto.paths import ShownPath, VolumePath

MOST_AT_ONCE = 50
"""Directories that one request makes (WIRE section 4)."""
_LONGEST_NAME = 255


def _one_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or any(control in name for control in "\0\r\n"):
        raise PydanticCustomError("name", "a name is not empty, '.' or '..', and holds no slash, NUL or line break")
    return name


Name = Annotated[VolumePath, AfterValidator(_one_name)]
"""One name in a directory."""


class MkdirRequest(FolderRequest):
    """``POST /folder/file/mkdir``: one path, or up to 50."""

    relpath: VolumePath | Annotated[tuple[VolumePath, ...], Field(max_length=MOST_AT_ONCE)]
    parents: bool = True
    exist_ok: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths, one or many."""
        return (self.relpath,) if isinstance(self.relpath, str) else self.relpath


class Outcome(BaseModel):
    """What became of one item; ``msg`` says what stood in the way."""

    msg: str | None
    item: ShownPath


class Outcomes(BaseModel):
    """What became of all items."""

    success: tuple[Outcome, ...]
    failed: tuple[Outcome, ...]


class MkdirReply(BaseModel):
    """200 where all were made, 207 some, 422 none."""

    results: Outcomes


class ListRequest(FolderRequest):
    """``POST /folder/file/list``; ``cursor`` (ours) goes on where an answer was cut."""

    relpath: VolumePath
    cursor: Annotated[str, StringConstraints(max_length=2 * _LONGEST_NAME, pattern=r"^([0-9a-f]{2})*\z")] | None = None
    limit: int | None = Field(default=None, ge=1)
    """Most items; never more than the server's own limit."""


class ItemType(StrEnum):
    """What something is; sockets, FIFOs and devices are called files, as upstream does."""

    FILE = "FILE"
    DIRECTORY = "DIRECTORY"
    SYMLINK = "SYMLINK"


Instant = Annotated[datetime, PlainSerializer(lambda at: at.isoformat(), return_type=str)]
"""ISO 8601 with ``+00:00``."""


class ItemStat(BaseModel):
    """What the system says of one thing, a link not followed; ``mode`` is the full st_mode, ``size`` in bytes."""

    mode: int
    size: int
    created: Instant
    """ctime: when it was last changed in any way."""
    modified: Instant


class Item(BaseModel):
    """One thing in a directory."""

    name: ShownPath
    type: ItemType
    stat: ItemStat
    symlink_target: ShownPath
    """Relative to the listed directory, where the link stays in the folder; else empty."""


class ListReply(Sparse):
    """What is in a directory, by the bytes of the names."""

    items: tuple[Item, ...]
    truncated: bool = False
    """Whether there is more."""
    cursor: str | None = None
    """What asks for the rest."""


class RenameRequest(FolderRequest):
    """``POST /folder/file/rename``."""

    relpath: VolumePath
    new_name: Name
    is_dir: bool = False
    """Ignored, as upstream does."""


class MoveRequest(FolderRequest):
    """``POST /folder/file/move``."""

    src_relpath: VolumePath
    dst_relpath: VolumePath


class FetchRequest(FolderRequest):
    """``POST /folder/file/fetch``."""

    relpath: VolumePath


class DeleteRequest(FolderRequest):
    """``POST /folder/file/delete``."""

    relpaths: tuple[VolumePath, ...]
    recursive: bool = False


class Done(BaseModel):
    """``{"status": "ok"}``."""

    model_config = ConfigDict(extra="forbid")

    status: str = "ok"
