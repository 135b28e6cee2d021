"""Small entries, many at a time: read whole, column by column, for they may be millions. Blocks."""

from __future__ import annotations

from itertools import compress

from pannier.archive.entries import Entries, Kind
from pannier.streams.helping import READ, Request
from pannier.volumes.base import WholeReader

_FILE = Kind.FILE.value


def read_run(reader: WholeReader, entries: Entries, numbers: range) -> list[bytes]:
    """Return the content of consecutive entries, empty for what is no file; errors as ``WholeReader.read``."""
    start, stop = numbers.start, numbers.stop
    sizes = entries.sizes[start:stop]
    sources, identities = entries.sources(start, stop), entries.identities(start, stop)
    files = zip(sources, identities, sizes, entries.paths(start, stop), strict=True)
    if _all_have_content(entries, numbers):
        return reader.read(files)
    filled = [kind == _FILE and size > 0 for kind, size in zip(entries.kinds[start:stop], sizes, strict=True)]
    read = iter(reader.read(compress(files, filled)))
    return [next(read) if has else b"" for has in filled]


def request_of(entries: Entries, numbers: range, order: str = READ) -> Request | None:
    """Return what a helper is asked of consecutive entries; None where some have no content, which is rare."""
    if not _all_have_content(entries, numbers):
        return None
    start, stop = numbers.start, numbers.stop
    identities, identity_ends = entries.joined_identities(start, stop)
    sources, source_ends = entries.joined_sources(start, stop)
    return Request(
        sizes=entries.sizes[start:stop],
        mtimes=entries.mtimes[start:stop],
        identity_ends=identity_ends,
        identities=identities,
        source_ends=source_ends,
        sources=sources,
        order=order,
    )


def _all_have_content(entries: Entries, numbers: range) -> bool:
    start, stop = numbers.start, numbers.stop
    return entries.kinds.count(_FILE, start, stop) == len(numbers) and 0 not in entries.sizes[start:stop]
