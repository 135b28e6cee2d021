"""Requests for archives, and what is answered: tokens and plans (WIRE section 4 and our own ``plan``)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pannier.dto.filenames import Filename
from pannier.dto.ids import FolderId
from pannier.dto.json import Sparse
from pannier.dto.paths import ShownPath, VolumePath, path_text
from pannier.dto.terms import LONGEST_TERM, TokenTerms, check_one_time

MOST_GLOBS = 1_000
LONGEST_GLOB = 1_024
"""In characters."""
MOST_EXCEPTIONS = 100_000
MOST_ITEMS = 1_000
"""Most items of one page of a plan's lists."""


class TokenOperation(StrEnum):
    """What a token of the archive's shape is for."""

    DOWNLOAD = "download"
    UPLOAD = "upload"


class LinkPolicy(StrEnum):
    """What becomes of symbolic links inside a selection."""

    FOLLOW = "follow"
    """What they lead to, if that is inside the folder; links that dangle or leave it refuse the selection."""
    OMIT = "omit"
    """Left out, and listed in the plan."""
    STORE = "store"
    """Entries of their own, with their target's text."""
    REFUSE = "refuse"
    """Any link refuses the selection."""


class LayoutPolicy(StrEnum):
    """How an archive is laid out."""

    AUTO = "auto"
    """Very large files have their checksum after their content."""
    PLAIN = "plain"
    """Every checksum stands before its content."""


class ArchiveFormat(StrEnum):
    """The container that an archive comes in."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_ZST = "tar.zst"


class Compression(StrEnum):
    """How a container packs each file by itself."""

    NONE = "none"
    DEFLATE = "deflate"


class OfferedFormat(StrEnum):
    """A format with its compression, in one word."""

    ZIP = "zip"
    ZIP_DEFLATE = "zip+deflate"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_ZST = "tar.zst"

    @classmethod
    def of(cls, format: ArchiveFormat, compression: Compression) -> OfferedFormat | None:
        """Return the word for a combination; None where there is no such one."""
        word = str(format) if compression is Compression.NONE else f"{format}+{compression}"
        return next((offered for offered in cls if offered == word), None)


_FORMATS = ", ".join(OfferedFormat)


def _compression(value: object) -> object:
    return Compression.NONE if value == "stored" else value  # what a ZIP calls it, and many people


CompressionField = Annotated[Compression, BeforeValidator(_compression)]
"""``none``, also called ``stored``, or ``deflate``."""


def check_combination(format: ArchiveFormat, compression: Compression) -> OfferedFormat:
    """Return the word for a combination of format and compression.

    Raises:
        PydanticCustomError: There is no such combination; says which there are.
    """
    offered = OfferedFormat.of(format, compression)
    if offered is None:
        raise PydanticCustomError(
            "format_combination",
            "format {format} does not go with compression {compression}; there are: {formats}",
            {"format": str(format), "compression": str(compression), "formats": _FORMATS},
        )
    return offered


def _check_glob(glob: str) -> str:
    if not glob or "\0" in glob:
        raise PydanticCustomError("glob", "a pattern is not empty and holds no NUL")
    return glob


Glob = Annotated[
    str,
    PlainValidator(path_text(LONGEST_GLOB)),
    AfterValidator(_check_glob),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_GLOB}),
]
"""A pattern of paths, 1 to 1,024 characters, no NUL; like a path it may hold undecodable bytes."""

VolumeName = Annotated[str, StringConstraints(max_length=255)]
"""The name of a volume, ≤ 255 characters. (pydantic lets lone surrogates pass in a ``str`` without any constraint.)"""

Paths = Annotated[tuple[VolumePath, ...], Field(min_length=1)]
"""The files and directories of a selection, at least one."""


class ArchiveOptions(BaseModel):
    """What narrows or shapes an archive, beside the paths that are selected."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    links: LinkPolicy = LinkPolicy.FOLLOW
    exclude: tuple[Glob, ...] = Field(default=(), max_length=MOST_GLOBS)
    except_: tuple[VolumePath, ...] = Field(default=(), alias="except", max_length=MOST_EXCEPTIONS)
    layout: LayoutPolicy = LayoutPolicy.AUTO

    @property
    def options(self) -> ArchiveOptions:
        """The options alone, where a request carries them beside other members."""
        return ArchiveOptions(links=self.links, exclude=self.exclude, except_=self.except_, layout=self.layout)

    @property
    def narrows(self) -> bool:
        """Whether any option differs from its default: a reader that ignored them would serve another archive."""
        return self.options != ArchiveOptions()


class FormatOptions(BaseModel):
    """What an archive comes as: the same entries in any case."""

    model_config = ConfigDict(frozen=True)

    format: ArchiveFormat = ArchiveFormat.ZIP
    compression: CompressionField = Compression.NONE

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        check_combination(self.format, self.compression)
        return self

    @property
    def offered(self) -> OfferedFormat:
        """Both in one word."""
        return check_combination(self.format, self.compression)


class TokenFormats(FormatOptions):
    """What the archive of a token comes as, and what else may be asked for when it is spent."""

    formats: tuple[OfferedFormat, ...] = Field(default=(), max_length=len(OfferedFormat))
    """What ``?format=`` may ask for beside the signed format; nothing unless it is said."""


class _SelectionRequest(ArchiveOptions):
    # unknown keys are ignored, as the wire does at the routes it validates with pydantic
    volume: VolumeName
    virtual_folder_id: FolderId
    files: Paths


def check_layout(layout: LayoutPolicy, offered: Iterable[OfferedFormat]) -> None:
    """Refuse a layout where it could not be kept.

    Raises:
        PydanticCustomError: Checksums are to stand before content whose packed size is not known in advance.
    """
    if layout is LayoutPolicy.PLAIN and OfferedFormat.ZIP_DEFLATE in offered:
        raise PydanticCustomError(
            "layout_format", "layout plain does not go with compression deflate; leave one of them out"
        )


class ArchiveTokenRequest(_SelectionRequest, TokenFormats, TokenTerms):
    """A request for a token that opens one archive."""

    filename: Filename | None = None
    expires_in: int | None = Field(default=None, ge=1, le=LONGEST_TERM)
    """Seconds until its end; ``storage-proxy.session-expire`` unless it is said."""

    @model_validator(mode="after")
    def _layout_can_be_kept(self) -> Self:
        check_layout(self.layout, (self.offered, *self.formats))
        return self

    @model_validator(mode="after")
    def _one_download_can_be_told(self) -> Self:
        check_one_time(self, (self.offered, *self.formats))
        return self


class ArchiveTokenRequestAlias(ArchiveTokenRequest):
    """The same at the alias route, where the folder may also be called ``vfid`` or ``vfolder_id``."""

    virtual_folder_id: FolderId = Field(
        validation_alias=AliasChoices("virtual_folder_id", "vfid", "vfolder_id"),
        serialization_alias="virtual_folder_id",
    )


class ArchiveTokenReply(Sparse):
    """A token and, once the plan is done, what it will give; clients of the wire read ``token`` alone."""

    model_config = ConfigDict(frozen=True)

    token: str
    session: str
    """Its id, for ``GET /sessions/{id}``."""
    plan: Literal["done", "running"]
    entries: int | None = None
    length: int | None = None
    """Bytes of the archive; absent where its format has no length in advance."""
    etag: str | None = None


class ArchivePlanRequest(_SelectionRequest, FormatOptions):
    """A request for the plan of an archive, or for one further page (``cursor``) of one of its lists."""

    cursor: str | None = Field(default=None, max_length=LONGEST_GLOB)

    @model_validator(mode="after")
    def _layout_can_be_kept(self) -> Self:
        check_layout(self.layout, (self.offered,))
        return self


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True)


class Member(_Item):
    """One entry of the archive to be."""

    path: ShownPath
    name: ShownPath
    """Its name in the archive."""
    kind: Literal["file", "directory", "link"]
    size: int
    """Bytes of content."""
    modified: str
    """ISO 8601 in UTC (``instants.instant``)."""


class Offender(_Item):
    """Something selected that cannot be part of an archive; any of these refuses the whole."""

    path: ShownPath
    code: str
    """``errors.OffenceCode``."""
    detail: str


class Omitted(_Item):
    """Something below the selection that the options leave out."""

    path: ShownPath
    reason: Literal["exclude", "except", "link"]
    rule: ShownPath | None = None
    """The glob or the exception that left it out; None for a link."""


class Renamed(_Item):
    """An entry whose name in the archive is not its path."""

    path: ShownPath
    name: ShownPath
    reasons: tuple[str, ...]


class Warning(_Item):
    """An entry whose name some platform cannot keep."""

    path: ShownPath
    reason: str


ItemT = TypeVar("ItemT", bound=_Item)


class Page(BaseModel, Generic[ItemT]):
    """The first or next items of a list; ``cursor`` asks for those after them and is None at the end."""

    model_config = ConfigDict(frozen=True)

    total: int
    items: tuple[ItemT, ...] = Field(max_length=MOST_ITEMS)
    cursor: str | None = None


class ChecksumCoverage(BaseModel):
    """Of how much content the checksums are known already."""

    model_config = ConfigDict(frozen=True)

    known_entries: int
    known_bytes: int


class ArchivePlanReply(BaseModel):
    """What an archive would hold, and what stands in its way."""

    model_config = ConfigDict(frozen=True)

    entries: int
    files: int
    directories: int
    links: int
    bytes: int
    """Of content."""
    length: int | None
    """Bytes of the archive; None where there would be none, or none known in advance."""
    etag: str | None
    format: ArchiveFormat
    compression: Compression
    seconds: float
    """How long the walk took."""
    checksums: ChecksumCoverage
    members: Page[Member]
    offenders: Page[Offender]
    omitted: Page[Omitted]
    renamed: Page[Renamed]
    warnings: Page[Warning]


class PlanList(StrEnum):
    """The lists of a plan."""

    MEMBERS = "members"
    OFFENDERS = "offenders"
    OMITTED = "omitted"
    RENAMED = "renamed"
    WARNINGS = "warnings"


_PAGES: dict[PlanList, type[Page[Any]]] = {
    PlanList.MEMBERS: Page[Member],
    PlanList.OFFENDERS: Page[Offender],
    PlanList.OMITTED: Page[Omitted],
    PlanList.RENAMED: Page[Renamed],
    PlanList.WARNINGS: Page[Warning],
}


class ArchivePlanPage(BaseModel):
    """The answer to a cursor: one further page of one list."""

    model_config = ConfigDict(frozen=True)

    list: PlanList
    page: Page[Member] | Page[Offender] | Page[Omitted] | Page[Renamed] | Page[Warning]

    @field_validator("page", mode="before")
    @classmethod
    def _read_as_listed(cls, page: object, info: ValidationInfo) -> object:
        # items of different lists look alike (and empty pages are alike): the list decides, not a best guess
        if isinstance(page, Page) or "list" not in info.data:
            return page
        return _PAGES[info.data["list"]].model_validate(page)


class PlanProgress(BaseModel):
    """How far a walk has come: one line of a plan that is answered as NDJSON."""

    model_config = ConfigDict(frozen=True)

    entries: int
    bytes: int
    """Of content."""
    seconds: float
