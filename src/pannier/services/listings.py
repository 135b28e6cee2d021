"""Listings for people: pages of one look at a directory, in any order, and what has changed since. No HTTP.

Strategy: a directory is read and looked at whole, once; its pages come from that for a minute. So 100,000 names are one
walk and not fifty, pages neither repeat nor miss anything, and the number of all is known with the first.
"""

from __future__ import annotations

import hashlib
import secrets
import stat
import struct
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
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
MOST_CHANGES = 1_000
_KINDS = {stat.S_IFDIR: "d", stat.S_IFREG: "f", stat.S_IFLNK: "l"}
_TARGETS: dict[Kind, Literal["d", "f"]] = {Kind.DIRECTORY: "d", Kind.FILE: "f"}


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A directory as it was at a moment.

    Attributes:
        seen: What is in it, by the bytes of names.
        version: Tells equal looks from others, and when it was: nanoseconds on the volume's clock.
    """

    id: str
    place: Place
    path: bytes
    seen: list[Seen]
    version: str
    at: float


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
        look = self._recall(id) if id is not None else None
        if look is None or (look.place, look.path) != (place, inside(path)):
            look = await self._look(place, inside(path))
        chosen = await self._workers.run(_slice, look.seen, sort, descending, start, limit)
        stop = start + len(chosen)
        more = stop < len(look.seen)
        return ListReply.model_construct(
            folder=name,
            path=to_text(look.path),
            total=len(look.seen),
            version=look.version,
            cursor=f"{look.id}:{stop}" if more else None,
            **await self._columns(place, look.path, chosen),
        )

    async def changes(self, place: Place, path: str, version: str) -> ChangesReply:
        """Return whether a directory is as it was at a version, and what in it is new or was touched since.

        Raises:
            OperationRefused, PathOutside, FolderMissing, VolumeFailed: As ``page``.
        """
        look = await self._look(place, inside(path))
        since = _since(version)
        changed = look.version.partition("-")[2] != version.partition("-")[2]
        touched = [seen for seen in look.seen if seen.changed_ns >= since][:MOST_CHANGES] if changed else []
        return ChangesReply.model_construct(
            changed=changed,
            total=len(look.seen),
            version=look.version,
            **await self._columns(place, look.path, touched),
        )

    async def _look(self, place: Place, path: bytes) -> Look:
        seen, version = await self._workers.run(_see, place, path)
        look = Look(secrets.token_hex(8), place, path, seen, version, self._clock())
        self._kept[look.id] = look
        while len(self._kept) > 1 and (
            len(self._kept) > _MOST_KEPT or sum(len(kept.seen) for kept in self._kept.values()) > _MOST_KEPT_ENTRIES
        ):
            self._kept.popitem(last=False)
        return look

    def _recall(self, id: str) -> Look | None:
        for old in [kept.id for kept in self._kept.values() if self._clock() - kept.at > _KEPT_SECONDS]:
            del self._kept[old]
        return self._kept.get(id)

    async def _columns(self, place: Place, path: bytes, seen: list[Seen]) -> dict[str, Any]:
        links = {number: each for number, each in enumerate(seen) if stat.S_ISLNK(each.mode)}
        return {
            "names": [to_text(each.name) for each in seen],
            "kinds": "".join(_KINDS.get(stat.S_IFMT(each.mode), "x") for each in seen),
            "sizes": [each.size for each in seen],
            "times": [each.mtime_ns // 1_000_000 for each in seen],
            "links": await self._workers.run(_follow, place, path, links) if links else {},
        }


def _see(place: Place, path: bytes) -> tuple[list[Seen], str]:
    at = place.volume.now_ns()
    with closing(editor_of(place)) as editor:
        seen, _ = editor.browse(path, b"", None)
    digest = hashlib.sha256()
    for each in seen:
        digest.update(each.name + b"\0" + struct.pack("<QQqq", each.mode, each.size, each.mtime_ns, each.changed_ns))
    return seen, f"{at:x}-{len(seen):x}-{digest.hexdigest()[:16]}"


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
    return id, int(start)
