"""Where the entries of an archive lie in it."""

from __future__ import annotations

from pannier.archive.entries import Entries, Kind
from pannier.archive.layout import Layout, runs
from pannier.archive.plan import Shape
from pannier.dto.instants import instant
from pannier.dto.members import MOST_MEMBERS, ArchiveMembers, PlacedMember
from pannier.dto.paths import to_bytes, to_text
from pannier.errors import FileMissing, InvalidRequest, SelectionChanged
from pannier.services.archives import Archives, Grant
from pannier.services.reports import KINDS
from pannier.streams.archive import Engine
from pannier.streams.hashing import Place

_FILE = Kind.FILE.value


class Members:
    """Tells those who hold a token of the entries of their archive."""

    def __init__(self, archives: Archives, engine: Engine) -> None:
        self._archives, self._engine = archives, engine

    async def members(self, grant: Grant, *, path: str | None, start: int, etag: str | None) -> ArchiveMembers:
        """Return where entries lie in an archive: the one of a path, or a page of them from number ``start`` on.

        Raises:
            SelectionChanged: It is another archive than ``etag`` says.
            FileMissing: It has no such entry.
            InvalidRequest: The format is a packed one, where nothing has a place in advance.
            PannierError: As ``Archives.open``.
        """
        if grant.encoded:
            raise InvalidRequest("format", f"{grant.format.label} is packed while it is sent; ask for zip or tar")
        _, shape = await self._archives.planned(grant, etag)
        if etag not in (None, shape.etag):
            raise SelectionChanged
        return await self._engine.workers.run(self._look_up, grant.order.place, shape, path, start)

    def _look_up(self, place: Place, shape: Shape, path: str | None, start: int) -> ArchiveMembers:
        if path is not None:
            number = find(shape.layout.entries, path)
            numbers = range(number, number + 1)
        else:
            numbers = range(min(start, shape.entries), min(start + MOST_MEMBERS, shape.entries))
        self._engine.hashing.unknown(place, shape, numbers)  # which takes over what is kept
        return ArchiveMembers(
            etag=shape.etag,
            length=shape.layout.length,
            entries=shape.entries,
            items=tuple(_member(shape, number) for number in numbers),
            next=numbers.stop if path is None and numbers.stop < shape.entries else None,
        )


def find(entries: Entries, path: str) -> int:
    """Return the number of the entry that has a name in the archive, or a path below the folder.

    Blocks for some tenths of a second where there are millions.

    Raises:
        FileMissing: There is none.
    """
    wanted = to_bytes(path).rstrip(b"/")
    directory = wanted + b"/"
    for part in runs(len(entries)):
        names = entries.names(part.start, part.stop)
        for name in (wanted, directory):
            if name in names:
                return part.start + names.index(name)
        if not entries.are_named_as_found(part.start, part.stop):
            paths = entries.paths(part.start, part.stop)
            if wanted in paths:
                return part.start + paths.index(wanted)
    raise FileMissing(wanted)


def _member(shape: Shape, number: int) -> PlacedMember:
    entry = shape.entry(number)
    return PlacedMember.model_validate(
        {
            "path": to_text(entry.path),
            "name": to_text(entry.name),
            "kind": KINDS[entry.kind],
            "size": entry.size,
            "modified": instant(entry.mtime_ns // 1_000_000_000),
            "offset": content_offset(shape.layout, number),
            "crc32": shape.checksums.get(number) if shape.layout.entries.kinds[number] == _FILE else None,
        }
    )


def content_offset(layout: Layout, number: int) -> int:
    """Return where the content of an entry begins in the archive; of an entry without any, where its bytes end."""
    return layout.entry_offset(number) + len(layout.before(number, 0))
