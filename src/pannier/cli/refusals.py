"""What a plan refuses, in the words of the page, with the options that leave it out."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pannier.cli.outcomes import Refused
from pannier.cli.terminal import counted
from pannier.errors import OffenceCode

if TYPE_CHECKING:
    from pannier.sdk.problems import SelectionRefused

REFUSALS: Mapping[str, str] = {
    OffenceCode.OUTSIDE: "leads outside the folder",
    OffenceCode.UNSAFE_PATH: "unsafe name",
    OffenceCode.LINK_OUTSIDE: "link leads outside",
    OffenceCode.LINK_DANGLING: "link leads nowhere",
    OffenceCode.LINK_LOOP: "link goes in a circle",
    OffenceCode.LINK_REFUSED: "is a link, and --links refuse takes none",
    OffenceCode.SPECIAL: "not a file or folder",
    OffenceCode.NAME_TOO_LONG: "name too long",
    OffenceCode.MISSING: "no longer there",
    OffenceCode.UNREADABLE: "server may not read it",
}
"""The words for each reason, the same as on the page."""

MOST_REFUSALS = 20


def refused(error: SelectionRefused, folder: str) -> Refused:
    """Return a refusal of the server's as a command's own; ``folder`` is what paths begin with."""
    from pannier.cli.failures import problem_of

    problem = problem_of(error)
    return Refused(refused_lines(problem, folder), problem)


def refused_lines(problem: Mapping[str, Any], folder: str, words: Mapping[str, str] = REFUSALS) -> list[str]:
    """Return a refusal for people: how many, each with its reason, and the options that leave them out."""
    offenders = [each for each in problem.get("offenders", ()) if isinstance(each, dict) and "path" in each]
    total, entries = problem.get("total", len(offenders)), problem.get("entries")
    among = f" of {counted(entries, 'entry', 'entries')}" if isinstance(entries, int) else ""
    what = f"{total:,}{among}" if among else counted(total, "entry", "entries")
    lines = [f"refused: {what} cannot be included; nothing was sent"]
    shown = offenders[:MOST_REFUSALS]
    for each in shown:
        code = str(each.get("code", ""))
        lines.append(f"  {each['path']}: {words.get(code) or each.get('detail') or code or 'no reason given'}")
    if total > len(shown):
        lines.append(f"  and {total - len(shown):,} more")
    if options := _exceptions(shown, folder):
        lines.append(f"leave them out with: {' '.join(options)}{' …' if total > len(shown) else ''}")
    return lines


def _exceptions(offenders: Sequence[Mapping[str, Any]], folder: str) -> list[str]:
    # what a path says about itself, not about what stands there, is mended by naming another path
    return [
        f"--except {shlex.quote(posixpath.join(folder, str(each['path'])))}"
        for each in offenders
        if each.get("code") not in (OffenceCode.OUTSIDE, OffenceCode.UNSAFE_PATH)
    ]
