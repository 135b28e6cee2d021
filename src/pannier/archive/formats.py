"""The archive formats there are. No I/O.

Adding one is a module and a line in this table, and its name where requests are read (``dto.archives``). The module of
a stored format is a layout, here; that of an encoded one is an encoder in ``streams``, which ``encoding`` names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pannier.archive import tar
from pannier.archive import zip as zip_format
from pannier.archive.entries import Entry
from pannier.archive.layout import Layout


@dataclass(frozen=True, slots=True)
class Format:
    """An archive format.

    Attributes:
        name, compression: What requests call it.
        media_type: Of its bytes.
        extension: Of its files, with the dot.
        version: Of its layout, for ETags.
        layout: Where everything lies in it; of an encoded format: before it is encoded.
        encoding: How the layout's bytes are packed; None for a stored format, whose length is known in advance.
    """

    name: str
    media_type: str
    extension: str
    version: int
    layout: Callable[[Sequence[Entry], int | None], Layout]
    compression: str = "none"
    encoding: str | None = None

    @property
    def label(self) -> str:
        """How lists name it: one word that tells it from all others."""
        return self.name if self.compression == "none" else f"{self.name}+{self.compression}"

    @property
    def stored(self) -> Format:
        """The stored format whose layout and plan it shares; itself, if it is one."""
        return self if self.encoding is None else next(each for each in STORED if each.layout is self.layout)


ZIP = Format("zip", "application/zip", ".zip", zip_format.VERSION, zip_format.ZipLayout)
TAR = Format("tar", "application/x-tar", ".tar", tar.VERSION, tar.TarLayout)

STORED = (ZIP, TAR)

FORMATS = {
    each.label: each
    for each in (
        *STORED,
        replace(ZIP, compression="deflate", encoding="deflate"),
        replace(TAR, name="tar.gz", media_type="application/gzip", extension=".tar.gz", encoding="gzip"),
        replace(TAR, name="tar.zst", media_type="application/zstd", extension=".tar.zst", encoding="zstd"),
    )
}
"""By their labels."""

_EXTENSIONS = (".tgz", ".tzst", *(each.extension for each in FORMATS.values()))


def renamed(filename: str, to: Format) -> str:
    """Return a file name with the extension of a format in the place of another format's."""
    known = [extension for extension in _EXTENSIONS if filename.lower().endswith(extension)]
    longest = max(map(len, known), default=0)
    return filename[: len(filename) - longest] + to.extension
