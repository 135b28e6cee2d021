"""The archive formats there are. Adding one is a module with a layout and a line in this table. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pannier.archive import tar
from pannier.archive import zip as zip_format
from pannier.archive.entries import Entry
from pannier.archive.layout import Layout


@dataclass(frozen=True, slots=True)
class Format:
    """An archive format: its name in requests, its media type, its layout and the version of that in ETags."""

    name: str
    media_type: str
    extension: str
    version: int
    layout: Callable[[Sequence[Entry], int | None], Layout]


ZIP = Format("zip", "application/zip", ".zip", zip_format.VERSION, zip_format.ZipLayout)
TAR = Format("tar", "application/x-tar", ".tar", tar.VERSION, tar.TarLayout)

FORMATS = {ZIP.name: ZIP, TAR.name: TAR}
