"""Reading small files whole, for backends that have no shorter way than to open each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pannier.errors import SourceChanged
from pannier.volumes.base import Source


def read_all(source: Source, offset: int, length: int) -> bytes:
    """Read a run of a file, asking again for what was not given; fewer bytes only where the file ends.

    Raises:
        SourceUnreadable: As ``Source.read``.
    """
    data = source.read(offset, length)
    while data and len(data) < length:  # network file systems may give less than asked for
        more = source.read(offset + len(data), length - len(data))
        if not more:
            break
        data += more
    return data


class Opener(Protocol):
    """What can open a file; every ``Folder`` can."""

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source: ...


class OpeningReader:
    """A ``WholeReader`` that opens, reads, checks and closes."""

    def __init__(self, folder: Opener) -> None:
        self._folder = folder

    def read(self, files: Iterable[tuple[bytes, bytes, int, bytes]]) -> list[bytes]:
        return [self._read(*file) for file in files]

    def root(self) -> None:
        return None

    def close(self) -> None:
        pass

    def _read(self, source: bytes, identity: bytes, size: int, path: bytes) -> bytes:
        opened = self._folder.open(source, identity, path)
        try:
            data = read_all(opened, 0, size)
            opened.check()
        finally:
            opened.close()
        if len(data) != size:
            raise SourceChanged(path, f"it ends after {len(data):,} of {size:,} bytes")
        return data
