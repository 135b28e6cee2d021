"""What tokens say (WIRE section 5), with our own claim ``pannier`` beside the wire's.

Where a selection is said: in ``files``, exactly as on the wire, when it is small and no option narrows it. Otherwise
``files`` is ``[".upload/selection-<sha256>"]``, a path that no resolver serves, so that a reader which does not know
our claim opens nothing rather than too much; the selection is then inside the claim (``paths`` with the options), or in
the state store under the digest that the claim names (``selection``).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pannier.dto.archives import (
    ArchiveOptions,
    Paths,
    TokenFormats,
    TokenOperation,
    VolumeName,
    check_layout,
)
from pannier.dto.filenames import Filename
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection, is_placeholder, placeholder
from pannier.dto.terms import TokenTerms, check_one_time

LAST_EXPIRY = 253_402_300_799
"""9999-12-31T23:59:59Z: the last moment that text and databases can hold."""

Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]


class PannierClaim(ArchiveOptions, TokenFormats, TokenTerms):
    """Everything in a token that is ours. Closed: an unknown member would be a restriction that we do not keep.

    Formats may stand beside ``files`` too: a reader that ignores them serves the same files, as another container. So
    may a rate and a grace, but not that a token is for a single download.
    """

    model_config = ConfigDict(extra="forbid")

    v: Literal[1] = 1
    selection: Sha256Hex | None = None
    """The digest of a selection in the state store, which holds its options too."""
    paths: Paths | None = None
    """The selection itself; the options beside it narrow it."""

    @model_validator(mode="after")
    def _say_it_once(self) -> Self:
        if self.selection is not None and self.paths is not None:
            raise PydanticCustomError("claim_twice", "selection and paths exclude each other")
        if self.narrows and self.paths is None:
            # beside `files` a reader of the wire would not see the options; beside `selection` they would be said twice
            raise PydanticCustomError("claim_options", "options stand beside paths, or in the kept selection")
        if self.one_time and self.paths is None and self.selection is None:
            raise PydanticCustomError("claim_one_time", "one_time stands beside paths or a kept selection")
        return self

    @model_validator(mode="after")
    def _layout_can_be_kept(self) -> Self:
        check_layout(self.layout, (self.offered, *self.formats))
        return self

    @model_validator(mode="after")
    def _one_download_can_be_told(self) -> Self:
        check_one_time(self, (self.offered, *self.formats))
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # a token is part of a URL: what goes without saying is left out. `v` is always said
        narrowing, formats = ArchiveOptions(), TokenFormats()
        defaults = (None, (), 0, narrowing.links, narrowing.layout, formats.format, formats.compression)
        return {key: value for key, value in write(self).items() if key == "v" or value not in defaults}


class ArchiveDownloadTokenData(BaseModel):
    """The claims of a token that opens one archive; claims that are not named here are tolerated."""

    model_config = ConfigDict(frozen=True)

    operation: TokenOperation
    volume: VolumeName
    virtual_folder_id: FolderId
    files: Paths
    filename: Filename | None = None
    exp: int = Field(ge=0, le=LAST_EXPIRY)
    """When it ends, seconds since the epoch."""
    jti: str | None = Field(default=None, min_length=1, max_length=255)
    pannier: PannierClaim | None = None

    @field_validator("operation")
    @classmethod
    def _only_downloads(cls, operation: TokenOperation) -> TokenOperation:
        if operation is not TokenOperation.DOWNLOAD:
            raise PydanticCustomError("operation", "a token for another operation opens no archive")
        return operation

    @model_validator(mode="after")
    def _agree_with_the_claim(self) -> Self:
        claim = self.pannier
        if claim is None or (claim.selection is None and claim.paths is None):
            return self
        if len(self.files) != 1 or not is_placeholder(self.files[0]):
            raise PydanticCustomError("files_twice", "files and pannier both name a selection")
        if claim.selection is not None and self.files[0] != placeholder(claim.selection):
            raise PydanticCustomError("files_digest", "files and pannier name different selections")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_claims(self, write: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # `filename` is always said, null too, as upstream does
        return {key: value for key, value in write(self).items() if value is not None or key == "filename"}

    @property
    def formats(self) -> TokenFormats:
        """Return what the archive comes as; a stored ZIP unless our claim says otherwise."""
        return self.pannier if self.pannier is not None else TokenFormats()

    @property
    def terms(self) -> TokenTerms:
        """Return under which terms it was given out."""
        return self.pannier.terms if self.pannier is not None else TokenTerms()

    def selection(self) -> Selection | None:
        """Return what the archive is made of, or None if the state store keeps it under ``pannier.selection``."""
        if self.pannier is None:
            return Selection(files=self.files)
        if self.pannier.selection is not None:
            return None
        return Selection.of(self.pannier.paths or self.files, self.pannier.options)
