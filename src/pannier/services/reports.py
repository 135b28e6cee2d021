"""What a plan says to people and programs: numbers, and its lists page by page. Values only."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from pannier.archive.entries import Entry, Kind
from pannier.archive.formats import Format
from pannier.archive.plan import Plan, Shape
from pannier.dto import archives as dto
from pannier.dto.instants import instant
from pannier.dto.paths import to_text
from pannier.errors import InvalidRequest

T = TypeVar("T")
ItemT = TypeVar("ItemT", dto.Member, dto.Offender, dto.Omitted, dto.Renamed, dto.Warning)

KINDS: dict[Kind, str] = {Kind.FILE: "file", Kind.DIRECTORY: "directory", Kind.LINK: "link"}


def report(plan: Plan, format: Format, shape: Shape | None, coverage: dto.ChecksumCoverage) -> dto.ArchivePlanReply:
    """Return a plan's numbers and the first page of each list; ``shape`` is that of the format, if there is one."""
    stored = shape if format.encoding is None else None
    kinds = plan.entries.kinds
    return dto.ArchivePlanReply(
        entries=len(plan.entries),
        files=kinds.count(Kind.FILE.value),
        directories=kinds.count(Kind.DIRECTORY.value),
        links=kinds.count(Kind.LINK.value),
        bytes=plan.content_bytes,
        length=stored.layout.length if stored else None,
        etag=stored.etag if stored else None,
        format=dto.ArchiveFormat(format.name),
        compression=dto.Compression(format.compression),
        seconds=round(plan.seconds, 3),
        checksums=coverage,
        members=_members(plan, 0),
        offenders=_offenders(plan, 0),
        omitted=_omitted(plan, 0),
        renamed=_renamed(plan, 0),
        warnings=_warnings(plan, 0),
    )


def page(plan: Plan, which: dto.PlanList, start: int) -> dto.ArchivePlanPage:
    """Return the page of one list that begins at item ``start``."""
    match which:
        case dto.PlanList.MEMBERS:
            return dto.ArchivePlanPage(list=which, page=_members(plan, start))
        case dto.PlanList.OFFENDERS:
            return dto.ArchivePlanPage(list=which, page=_offenders(plan, start))
        case dto.PlanList.OMITTED:
            return dto.ArchivePlanPage(list=which, page=_omitted(plan, start))
        case dto.PlanList.RENAMED:
            return dto.ArchivePlanPage(list=which, page=_renamed(plan, start))
        case dto.PlanList.WARNINGS:
            return dto.ArchivePlanPage(list=which, page=_warnings(plan, start))


def read_cursor(cursor: str) -> tuple[str, dto.PlanList, int]:
    """Return plan tag, list and position that a cursor names.

    Raises:
        InvalidRequest: It was not made here.
    """
    try:
        tag, which, start = base64.urlsafe_b64decode(cursor.encode("ascii")).decode("ascii").rsplit(":", 2)
        if not start.isdecimal() or len(start) > 12:
            raise ValueError(start)
        return tag, dto.PlanList(which), int(start)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise InvalidRequest("cursor", "not a cursor of this server; ask without one for the first page") from error


def _write_cursor(plan: Plan, which: dto.PlanList, start: int) -> str:
    return base64.urlsafe_b64encode(f"{plan.tag}:{which}:{start}".encode("ascii")).decode("ascii")


def _page(
    plan: Plan, which: dto.PlanList, items: Sequence[T], start: int, show: Callable[[T], ItemT]
) -> dto.Page[ItemT]:
    stop = start + dto.MOST_ITEMS
    return dto.Page(
        total=len(items),
        items=tuple(map(show, items[start:stop])),
        cursor=_write_cursor(plan, which, stop) if stop < len(items) else None,
    )


def _members(plan: Plan, start: int) -> dto.Page[dto.Member]:
    def show(entry: Entry) -> dto.Member:
        return dto.Member.model_validate(
            {
                "path": to_text(entry.path),
                "name": to_text(entry.name),
                "kind": KINDS[entry.kind],
                "size": entry.size,
                "modified": instant(entry.mtime_ns // 1_000_000_000),
            }
        )

    return _page(plan, dto.PlanList.MEMBERS, plan.entries, start, show)


def _offenders(plan: Plan, start: int) -> dto.Page[dto.Offender]:
    return _page(
        plan,
        dto.PlanList.OFFENDERS,
        plan.offences,
        start,
        lambda it: dto.Offender(path=to_text(it.path), code=it.code, detail=it.detail),
    )


def _omitted(plan: Plan, start: int) -> dto.Page[dto.Omitted]:
    return _page(
        plan,
        dto.PlanList.OMITTED,
        plan.omitted,
        start,
        lambda it: dto.Omitted.model_validate({"path": to_text(it.path), "reason": it.reason, "rule": it.rule or None}),
    )


def _renamed(plan: Plan, start: int) -> dto.Page[dto.Renamed]:
    return _page(
        plan,
        dto.PlanList.RENAMED,
        plan.renamed,
        start,
        lambda it: dto.Renamed(path=to_text(it.path), name=to_text(it.name), reasons=it.reasons),
    )


def _warnings(plan: Plan, start: int) -> dto.Page[dto.Warning]:
    return _page(
        plan,
        dto.PlanList.WARNINGS,
        plan.warnings,
        start,
        lambda it: dto.Warning(path=to_text(it.path), reason=it.clash),
    )
