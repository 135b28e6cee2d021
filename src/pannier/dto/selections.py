"""Selections: the paths of an archive with its options, as one document that a digest names."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Self

from pannier.dto.archives import ArchiveOptions, Paths
from pannier.dto.json import dumps

_PLACEHOLDER = ".upload/selection-"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Selection(ArchiveOptions):
    """What one archive is made of. Equal selections have equal bytes, and so the same digest."""

    files: Paths

    @classmethod
    def of(cls, files: tuple[str, ...], options: ArchiveOptions) -> Self:
        """Return the selection of these paths under these options."""
        return cls(
            files=files, links=options.links, exclude=options.exclude, except_=options.except_, layout=options.layout
        )

    def body(self) -> bytes:
        """Return the document that is kept in the state store."""
        return dumps(self)

    @property
    def digest(self) -> str:
        """The SHA-256 of ``body()``, 64 hex digits: what a token names a kept selection by."""
        return hashlib.sha256(self.body()).hexdigest()

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a document that ``body()`` wrote.

        Raises:
            ValueError: It is something else (pydantic's ``ValidationError`` is a ``ValueError``).
        """
        return cls.model_validate(json.loads(body))


def placeholder(digest: str) -> str:
    """Return what stands in a token's ``files`` where the selection is said elsewhere.

    It lies below ``.upload``, which no resolver serves, so a reader that ignores our claim opens nothing.
    """
    return _PLACEHOLDER + digest


def is_placeholder(path: str) -> bool:
    """Return whether a path stands for a selection that is said elsewhere."""
    return path.startswith(_PLACEHOLDER) and _DIGEST.fullmatch(path, len(_PLACEHOLDER)) is not None
