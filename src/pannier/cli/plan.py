"""``pannier plan``: what an archive would hold, and what stands in its way."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pannier.archive.names import Clash, Rename
from pannier.cli.outcomes import ExitCode, Refused
from pannier.cli.places import Selected, locate
from pannier.cli.refusals import MOST_REFUSALS, refused_lines
from pannier.cli.selections import Compression, Except, Exclude, Format, Links, Paths
from pannier.cli.servers import Choice, Json, servers, takes_server
from pannier.cli.terminal import counted, note, result, tell
from pannier.quantities import show_bytes, show_size

if TYPE_CHECKING:
    from pannier.dto.archives import ArchivePlanReply, PlanProgress

EXAMPLE = "\b\nExample:\n  pannier plan trip/2026 trip/data --format zip"

_SAY_EVERY, _SAY_EVERY_UNSEEN = 2.0, 10.0
"""Seconds between two notes of a count that takes long, on a terminal and elsewhere."""
_RENAMES: Mapping[str, str] = {
    Rename.NOT_UTF8: "name is not UTF-8",
    Rename.BACKSLASH: "has a backslash",
    Rename.CONTROL: "has a control character",
    Rename.DRIVE: "looks like a drive",
    Rename.SHORTENED: "name too long",
    Rename.CLASH: "same name as another",
}
_CLASHES: Mapping[str, str] = {
    Clash.CASE: "differs from another in case only",
    Clash.NORMAL_FORM: "differs from another in Unicode form only",
    Clash.WINDOWS: "is no name on Windows",
}
"""The words for each reason, the same as on the page."""


@takes_server
def plan(
    choice: Choice,
    paths: Paths,
    exclude: Exclude = None,
    except_: Except = None,
    links: Links = None,
    format: Format = None,
    compression: Compression = None,
    as_json: Json = False,
) -> int:
    """Count what an archive of PATHS would hold, to the byte, and say what cannot be part of it."""
    selected = locate(servers(choice), paths, except_ or [])
    options = {"links": links, "format": format, "compression": compression, "exclude": exclude}
    found = _count(selected, **options, except_=selected.exceptions or None)
    if found.offenders.total:
        entries = found.entries + found.offenders.total
        problem = {
            "type": "selection-refused",
            "title": f"{found.offenders.total:,} of {entries:,} entries cannot be included",
            "total": found.offenders.total,
            "entries": entries,
            "offenders": [each.model_dump() for each in found.offenders.items],
        }
        raise Refused(refused_lines(problem, selected.folder.name), problem)
    if as_json:
        return tell(found.model_dump(by_alias=True))
    for line in plan_lines(found):
        result(line)
    return ExitCode.DONE


def _count(selected: Selected, **options: Any) -> ArchivePlanReply:
    every = _SAY_EVERY if sys.stderr is not None and sys.stderr.isatty() else _SAY_EVERY_UNSEEN
    said = 0.0

    def counting(progress: PlanProgress) -> None:
        nonlocal said
        if progress.seconds - said >= every:
            said = progress.seconds
            note(f"{counted(progress.entries, 'entry', 'entries')} so far · {progress.seconds:.0f} s")

    with selected.server.manager() as manager:
        return manager.plan(selected.folder.folder, selected.files, counting=counting, **options)


def plan_lines(found: ArchivePlanReply) -> list[str]:
    """Return a plan that nothing stands in the way of, for people."""
    parts = [counted(found.entries, "entry", "entries"), f"contents {show_size(found.bytes)}"]
    if found.length is None:
        parts += ["archive size known at the end", "starts over if cut"]
    else:
        size = f" ({show_size(found.length)})" if found.length >= 1024 else ""
        parts += [f"archive {show_bytes(found.length)}{size}", "can be resumed"]
    lines = [" · ".join(parts)]
    if found.omitted.total:
        reasons = sorted({_omission(each.reason) for each in found.omitted.items})
        lines.append(f"left out {found.omitted.total:,}, by {' and '.join(reasons)}")
    if found.renamed.total:
        shown = [
            f"{_quoted(each.path)} -> {_quoted(each.name)}, {', '.join(_RENAMES.get(r, r) for r in each.reasons)}"
            for each in found.renamed.items[:MOST_REFUSALS]
        ]
        lines += _listed("renamed", found.renamed.total, "in the archive only", shown)
    if found.warnings.total:
        shown = [
            f"{_quoted(each.path)}, {_CLASHES.get(each.reason, each.reason)}"
            for each in found.warnings.items[:MOST_REFUSALS]
        ]
        lines += _listed("warnings", found.warnings.total, "some systems cannot keep these names", shown)
    return lines


def _listed(what: str, total: int, where: str, shown: list[str]) -> list[str]:
    head = f"{what} {total:,} ({where}):"
    if total == 1:
        return [f"{head} {shown[0]}"]
    more = [f"  and {total - len(shown):,} more"] if total > len(shown) else []
    return [head, *(f"  {each}" for each in shown), *more]


def _omission(reason: str) -> str:
    return {"exclude": "--exclude", "except": "--except", "link": "--links omit"}.get(reason, reason)


def _quoted(path: str) -> str:
    from pannier.dto.paths import to_bytes
    from pannier.errors import show

    return show(to_bytes(path))
