"""Listings for people: pages of one look at a directory, in any order, and what has changed since. No HTTP.

Strategy: the names of a directory are read once; what is behind them is looked at as pages are asked for, and kept for
a minute. So 100,000 names are one walk and not fifty, pages neither repeat nor miss anything, and the first page, which
tells the number of all, costs the names and a few looks.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import stat
import struct
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from typing import Any, Literal

from pannier.archive.entries import Kind
from pannier.dto.desk import ChangesReply, Leads, ListReply, Sort
from pannier.dto.paths import to_text
from pannier.errors import InvalidRequest
from pannier.services.places import inside
from pannier.services.upload_grants import editor_of
from pannier.streams.hashing import Place
from pannier.streams.workers import Workers
from pannier.volumes.base import Folder, Refused, Seen

_KEPT_SECONDS = 60.0
_MOST_KEPT = 16
_MOST_KEPT_ENTRIES = 500_000
_SLICE = 2_000
_SEEN = struct.Struct("<QQqq")
MOST_CHANGES = 1_000
_KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}
_TARGETS: dict[Kind, Literal["d", "f"]] = {Kind.DIRECTORY: "d", Kind.FILE: "f"}


class Look:
    """A directory as it was when its names were read, as far as it was looked at since.

    Attributes:
        seen: What is in it, by the bytes of names; those that were gone when they were looked at are left out.
        used: When a page was last asked for, on the clock of who keeps it.
    """

    def __init__(
        self, workers: Workers, place: Place, path: bytes, names: list[bytes], at: int, *, resumed: bool = False
    ) -> None:
        """``at`` is when the names were read: nanoseconds on the volume's clock; ``resumed``: for the pages that remain
        of a look that is forgotten."""
        self.id = secrets.token_hex(8)
        self.place, self.path, self.used, self._resumed = place, path, 0.0, resumed
        self.seen: list[Seen] = []
        self._workers, self._names, self._next, self._at = workers, names, 0, at
        self._digest = hashlib.sha256()
        self._looking = asyncio.Lock()

    @property
    def whole(self) -> bool:
        """Whether all of it was looked at."""
        return self._next == len(self._names)

    @property
    def total(self) -> int:
        """How many things are in it, as far as is known."""
        return len(self.seen) + len(self._names) - self._next

    @property
    def version(self) -> str:
        """Tells equal looks from others, once all was looked at, and when it began. What was pieced together from two
        looks is like nothing else."""
        of_what = "resumed" if self._resumed else f"{len(self.seen):x}-{self._digest.hexdigest()[:16]}"
        return f"{self._at:x}-{of_what}"

    async def reach(self, stop: int | None) -> None:
        """Look at so many things, None: at all. Errors as ``Listings.page``."""
        async with self._looking:
            while not self.whole and (stop is None or len(self.seen) < stop):
                names = self._names[self._next : self._next + _SLICE]
                seen, told = await self._workers.run(_see, self.place, self.path, names)
                self._digest.update(told)
                self.seen += seen
                self._next += len(names)


def cursor_at(start: int) -> str:
    """Return the cursor of a page that begins at a number, of a look of its own."""
    return f":{start}"


def beginning(cursor: str | None) -> str | None:
    """Return the cursor of the first page of a listing, by that of a later one."""
    return None if cursor is None else f"{cursor.partition(':')[0]}:0"


class Listings:
    """Looks at directories, of which the last ones are kept.

    Args:
        workers: Threads that wait for storage.
        clock: Seconds that only grow.
    """

    def __init__(self, workers: Workers, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._clock = workers, clock
        self._kept: OrderedDict[str, Look] = OrderedDict()

    async def page(
        self, place: Place, name: str, path: str, *, cursor: str | None, limit: int, sort: Sort, descending: bool
    ) -> ListReply:
        """Return a page of a listing.

        Args:
            name: What the folder is called.
            cursor: From the page before; None for the first.

        Raises:
            InvalidRequest: The cursor is none of ours.
            OperationRefused: It is missing (ENOENT), or no directory (ENOTDIR).
            PathOutside, FolderMissing, VolumeFailed: As they say.
        """
        id, start = _read(cursor)
        look = None if id is None else self._recall(id)
        if look is None or (look.place, look.path) != (place, inside(path)):
            look = self._keep(await self._begin(place, inside(path), resumed=id is not None and start > 0))
        # in any other order the first thing can be the last that is looked at
        await look.reach(start + limit if sort is Sort.NAME and not descending else None)
        chosen = await self._workers.run(_slice, look.seen, sort, descending, start, limit)
        stop = start + len(chosen)
        more = stop < look.total
        return ListReply.model_construct(
            folder=name,
            path=to_text(look.path),
            total=look.total,
            version=look.version if look.whole else None,
            cursor=f"{look.id}:{stop}" if more else None,
            **await self._columns(place, look.path, chosen),
        )

    async def changes(self, place: Place, path: str, version: str) -> ChangesReply:
        """Return whether a directory is as it was at a version, and what in it is new or was touched since.

        Raises:
            OperationRefused, PathOutside, FolderMissing, VolumeFailed: As ``page``.
        """
        since = _since(version)
        look = await self._begin(place, inside(path))
        await look.reach(None)
        changed = look.version.partition("-")[2] != version.partition("-")[2]
        touched = [seen for seen in look.seen if seen.changed_ns >= since][:MOST_CHANGES] if changed else []
        return ChangesReply.model_construct(
            changed=changed,
            total=look.total,
            version=look.version,
            **await self._columns(place, look.path, touched),
        )

    async def _begin(self, place: Place, path: bytes, *, resumed: bool = False) -> Look:
        at = place.volume.now_ns()
        names = await self._workers.run(_names, place, path)
        return Look(self._workers, place, path, names, at, resumed=resumed)

    def _keep(self, look: Look) -> Look:
        look.used = self._clock()
        self._kept[look.id] = look
        while len(self._kept) > 1 and (
            len(self._kept) > _MOST_KEPT or sum(kept.total for kept in self._kept.values()) > _MOST_KEPT_ENTRIES
        ):
            self._kept.popitem(last=False)
        return look

    def _recall(self, id: str) -> Look | None:
        for old in [kept.id for kept in self._kept.values() if self._clock() - kept.used > _KEPT_SECONDS]:
            del self._kept[old]
        look = self._kept.pop(id, None)
        return None if look is None else self._keep(look)

    async def _columns(self, place: Place, path: bytes, seen: list[Seen]) -> dict[str, Any]:
        links = {number: each for number, each in enumerate(seen) if stat.S_ISLNK(each.mode)}
        return {
            "names": [to_text(each.name) for each in seen],
            "kinds": "".join(_KINDS.get(stat.S_IFMT(each.mode), "x") for each in seen),
            "sizes": [each.size for each in seen],
            "times": [each.mtime_ns // 1_000_000 for each in seen],
            "links": await self._workers.run(_follow, place, path, links) if links else {},
        }


def _see(place: Place, path: bytes, names: list[bytes]) -> tuple[list[Seen], bytes]:
    """Return what is behind some names, and what a version is made of."""
    with closing(editor_of(place)) as editor:
        seen = editor.see(path, names)
    told = [each.name + b"\0" + _SEEN.pack(each.mode, each.size, each.mtime_ns, each.changed_ns) for each in seen]
    return seen, b"".join(told)


def _names(place: Place, path: bytes) -> list[bytes]:
    with closing(editor_of(place)) as editor:
        return editor.names(path)


def _since(version: str) -> int:
    try:
        return int(version.partition("-")[0], 16)
    except ValueError:
        raise InvalidRequest("version", "it is none of this server; take it from a listing") from None


def _slice(seen: list[Seen], sort: Sort, descending: bool, start: int, limit: int) -> list[Seen]:
    if sort is Sort.NAME:
        if not descending:
            return seen[start : start + limit]
        return seen[::-1][start : start + limit]
    values = array("q", [each.size if sort is Sort.SIZE else each.mtime_ns for each in seen])
    # directories first whatever the direction, and equal values by name
    numbers = sorted(range(len(seen)), key=values.__getitem__, reverse=descending)
    ordered = sorted(numbers, key=lambda number: not stat.S_ISDIR(seen[number].mode))
    return [seen[number] for number in ordered[start : start + limit]]


def _follow(place: Place, path: bytes, links: dict[int, Seen]) -> dict[int, Leads]:
    folder = place.open()
    try:
        return {number: _leads(folder, path, link) for number, link in links.items()}
    finally:
        folder.close()


def _leads(folder: Folder, path: bytes, link: Seen) -> Leads:
    if not link.target:
        return Leads.model_construct(target="", kind=None)
    try:
        found = folder.lookup(path + b"/" + link.name if path else link.name, follow=True)
    except Refused:
        return Leads.model_construct(target="", kind=None)
    return Leads.model_construct(target=to_text(link.target), kind=_TARGETS.get(found.stat.kind, "x"))


def _read(cursor: str | None) -> tuple[str | None, int]:
    if cursor is None:
        return None, 0
    id, _, start = cursor.partition(":")
    if not (start.isascii() and start.isdecimal() and len(start) <= 12):
        raise InvalidRequest("cursor", "not a cursor of this server; ask without one for the first page")
    return id or None, int(start)
