"""Where the entries of an archive lie in it, for those who read one of them alone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pannier.dto.archives import ArchiveFormat, CompressionField, Member
from pannier.dto.paths import VolumePath

MOST_MEMBERS = 1_000
"""Most entries of one page."""


class PlacesQuery(BaseModel):
    """Which entries are asked for; the query of ``/s/{code}/{name}/members``. Other keys are ignored."""

    path: VolumePath | None = None
    """Only the entry of that path, or of that name in the archive."""
    start: int = Field(default=0, ge=0, le=2**53)
    """The number of the first entry that is told, in the order of the archive."""
    etag: str | None = Field(default=None, max_length=256)
    """Of the archive that is asked about; whatever it is now unless given."""


class MembersQuery(PlacesQuery):
    """The query of ``/archive-members``; other keys are ignored."""

    token: str | None = None
    format: ArchiveFormat | None = None
    compression: CompressionField | None = None


class PlacedMember(Member):
    """One entry, and where its content lies."""

    offset: int
    """Of the first byte of its content in the archive; it has ``size`` bytes, as they are."""
    crc32: int | None
    """Of its content, where that is known already."""


class ArchiveMembers(BaseModel):
    """Entries of an archive, in its order."""

    model_config = ConfigDict(frozen=True)

    etag: str
    """Its bytes are read with this in ``If-Range``: the offsets are those of no other archive."""
    length: int
    entries: int
    """Of the archive, however many are listed here."""
    items: tuple[PlacedMember, ...] = Field(max_length=MOST_MEMBERS)
    next: int | None
    """``start`` of the next page; None at the end."""
