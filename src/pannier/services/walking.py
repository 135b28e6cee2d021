"""Expanding a selection into a plan: the walk. It blocks, and runs in a thread of its own.

All or nothing: whatever cannot be part of the archive is an offence, and a plan with offences has no shape.
Entries come in path order, each once however often the selection names it.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from pannier.archive.entries import Entry, Kind
from pannier.archive.names import LONGEST, clashes, entry_names, is_safe
from pannier.archive.plan import Omitted, Renamed, Warned
from pannier.dto.archives import LinkPolicy
from pannier.dto.paths import to_text
from pannier.errors import LimitExceeded, Offence, OffenceCode, show
from pannier.services.selecting import Rules, ancestors
from pannier.volumes.base import Folder, Found, Refused

_SORTED_AT_ONCE = 20_000
_SETTLE_ROUNDS = 3


class WalkCancelled(Exception):
    """Nobody waits for the walk any more."""


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """What a walk may cost: entries, components of a path, seconds."""

    entries: int = 2_000_000
    depth: int = 100
    seconds: float = 120.0


@dataclass(slots=True)
class Progress:
    """How far a walk is; written by its thread, read by anyone."""

    entries: int = 0
    bytes: int = 0
    began: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)
    named: threading.Event = field(default_factory=threading.Event)
    """Set once every path of the selection itself was looked up."""
    offences: list[Offence] = field(default_factory=list)
    """What is refused so far, in the order in which it was found."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


@dataclass(slots=True)
class Walked:
    """What a walk found. ``entries`` are in path order; ``unsettled`` numbers those that were being written."""

    offences: list[Offence]
    entries: list[Entry] = field(default_factory=list)
    omitted: list[Omitted] = field(default_factory=list)
    renamed: list[Renamed] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unsettled: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that stamps the files of a volume, and how finely, in nanoseconds."""

    now_ns: Callable[[], int]
    granularity_ns: int

    def is_young(self, changed_ns: int) -> bool:
        """Whether another change could carry the same stamp."""
        return self.now_ns() - changed_ns < self.granularity_ns


class Walk:
    """One walk over one folder."""

    def __init__(self, folder: Folder, rules: Rules, limits: WalkLimits, clock: Clock, progress: Progress) -> None:
        self._folder, self._rules, self._limits = folder, rules, limits
        self._clock, self._progress = clock, progress
        self._walked = Walked(progress.offences)
        self._young: list[int] = []

    def run(self, roots: Iterable[bytes], unusable: Iterable[Offence] = ()) -> Walked:
        """Expand the paths of a selection (distinct, normalised); ``unusable`` are those that could not be normalised.

        Raises:
            LimitExceeded: The selection is larger or deeper, or the walk slower, than the limits allow.
            WalkCancelled: ``progress.cancelled`` was set.
            VolumeFailed: The backend failed.
        """
        for offence in unusable:
            if offence.path in self._rules.exceptions:
                self._walked.omitted.append(Omitted(offence.path, "except", to_text(offence.path)))
            else:
                self._walked.offences.append(offence)
        found_roots = self._find_roots(roots)
        self._progress.named.set()
        for path, found in found_roots:
            self._expand(path, found)
        self._settle()
        self._name()
        self._walked.omitted = sorted(set(self._walked.omitted))
        return self._walked

    # -- from the selection to what it names

    def _find_roots(self, roots: Iterable[bytes]) -> list[tuple[bytes, Found]]:
        """Look up each selected path; those below a selected directory are part of it already."""
        covering: set[bytes] = set()
        found_roots: list[tuple[bytes, Found]] = []
        for path in sorted(roots):  # a directory comes before what is below it
            self._count()
            above = ancestors(path)
            if any(ancestor in covering for ancestor in above):
                continue
            if any(self._omit(ancestor, directory=True) for ancestor in above if ancestor):
                continue
            try:
                self._check_way(above)
                found = self._folder.lookup(path, follow=False)
            except Refused as refusal:
                if not self._omit(path, directory=False):
                    self._walked.offences.append(replace(refusal.offence, path=path))
                continue
            except _OmittedLink:
                continue
            if (taken := self._take(path, found)) is not None:
                found_roots.append((path, taken))
                if taken.stat.kind is Kind.DIRECTORY:
                    covering.add(path)
        self._warn_of_roots(path for path, _ in found_roots)
        return sorted(found_roots, key=lambda root: _order(root[0], root[1].stat.kind))

    def _check_way(self, above: list[bytes]) -> None:
        """Hold the link policy for the directories on the way to a selected path."""
        if self._rules.links is LinkPolicy.FOLLOW:
            return
        for path in above[1:]:
            if self._folder.lookup(path, follow=False).stat.kind is Kind.LINK:
                if self._rules.links is LinkPolicy.OMIT:
                    self._walked.omitted.append(Omitted(path, "link", ""))
                    raise _OmittedLink
                raise Refused(Offence(path, OffenceCode.LINK_REFUSED, "the way there leads through a link"))

    # -- from a directory to its entries

    def _expand(self, path: bytes, found: Found) -> None:
        """Add a file, or a directory with all below it, in path order."""
        pending: list[Iterator[tuple[bytes, Found]]] = [iter([(path, found)])]
        chain: list[bytes] = []  # where the directories of ``pending[1:]`` really are
        while pending:
            if (step := next(pending[-1], None)) is None:
                pending.pop()
                if chain:
                    chain.pop()
                continue
            path, found = step
            if found.stat.kind is not Kind.DIRECTORY:
                self._add(path, found)
                continue
            if found.source in chain:
                self._offend(path, OffenceCode.LINK_LOOP, "the link leads back to a directory above it")
                continue
            children = self._list(path, found)
            if children:
                self._check_depth(path)
            elif path:
                self._add(path, found)
            pending.append(iter(children))
            chain.append(found.source)

    def _list(self, path: bytes, directory: Found) -> list[tuple[bytes, Found]]:
        """What a directory gives to the archive, in path order."""
        prefix = path + b"/" if path else b""
        taken: list[tuple[bytes, Found]] = []
        try:
            for name, found in self._folder.scan(directory.source):
                self._count()
                child = prefix + name
                if isinstance(found, Offence):
                    if not self._omit(child, directory=False):
                        self._walked.offences.append(replace(found, path=child))
                elif (kept := self._take(child, found)) is not None:
                    taken.append((child, kept))
                    if self._progress.entries + len(taken) > self._limits.entries:  # each will be one entry at least
                        raise self._too_many(self._progress.entries + len(taken))
        except Refused as refusal:
            self._walked.offences.append(replace(refusal.offence, path=path or b"."))
        self._warn((child for child, _ in taken), path)
        return _sorted(taken)

    def _take(self, path: bytes, found: Found) -> Found | None:
        """Apply the rules to one thing; return what becomes of it, a followed link as what it leads to."""
        if self._omit(path, directory=found.stat.kind is Kind.DIRECTORY):
            return None
        if found.stat.kind is Kind.LINK:
            return self._take_link(path, found)
        if found.stat.kind is Kind.SPECIAL:
            self._offend(path, OffenceCode.SPECIAL, "a socket, pipe or device cannot be archived")
            return None
        if not found.stat.readable:
            self._offend(path, OffenceCode.UNREADABLE, "the server may not read it")
            return None
        return found

    def _take_link(self, path: bytes, link: Found) -> Found | None:
        match self._rules.links:
            case LinkPolicy.OMIT:
                self._walked.omitted.append(Omitted(path, "link", ""))
                return None
            case LinkPolicy.REFUSE:
                self._offend(path, OffenceCode.LINK_REFUSED, f"a link; {_WAY_OUT}")
                return None
        try:
            behind = self._folder.lookup(path, follow=True)
        except Refused as refusal:
            offence = refusal.offence
            self._offend(path, offence.code, f"{offence.detail}; {_WAY_OUT}")
            return None
        if self._rules.links is LinkPolicy.STORE:
            if _climbs(path, link.target):
                self._offend(path, OffenceCode.LINK_OUTSIDE, f"the text of the link leaves the folder; {_WAY_OUT}")
                return None
            return link
        if behind.stat.kind is Kind.DIRECTORY and self._omit(path, directory=True):
            return None
        if behind.stat.kind is Kind.SPECIAL or not behind.stat.readable:
            return self._take(path, behind)
        return behind

    # -- one entry

    def _add(self, path: bytes, found: Found) -> None:
        stat = found.stat
        if self._clock.is_young(stat.changed_ns):
            self._young.append(len(self._walked.entries))
        self._walked.entries.append(_entry(path, found))
        self._progress.entries += 1
        self._progress.bytes += stat.size if stat.kind is Kind.FILE else 0
        if self._progress.entries > self._limits.entries:
            raise self._too_many(self._progress.entries)

    def _omit(self, path: bytes, *, directory: bool) -> bool:
        omitted = self._rules.omission(path, directory=directory)
        if omitted is not None:
            self._walked.omitted.append(omitted)
        return omitted is not None

    def _offend(self, path: bytes, code: OffenceCode, detail: str) -> None:
        self._walked.offences.append(Offence(path, code, detail))

    def _warn_of_roots(self, paths: Iterable[bytes]) -> None:
        """Look at the names of selected paths and of the directories on the way to them, beside each other."""
        siblings: dict[bytes, set[bytes]] = {}
        for path in paths:
            for each in (*ancestors(path)[1:], path):
                siblings.setdefault(each.rpartition(b"/")[0], set()).add(each)
        for parent, together in siblings.items():
            self._warn(together, parent)

    def _warn(self, paths: Iterable[bytes], parent: bytes) -> None:
        prefix = len(parent) + 1 if parent else 0
        for name, clash in clashes(path[prefix:] for path in paths):
            self._walked.warnings.append(Warned(parent + b"/" + name if parent else name, clash))

    def _count(self) -> None:
        """Hold what bounds a walk even where it adds nothing: cancelling, time, and things looked at."""
        progress, limits = self._progress, self._limits
        if progress.cancelled.is_set():
            raise WalkCancelled
        if progress.seconds > limits.seconds:
            raise LimitExceeded(
                "seconds of planning",
                measured=round(progress.seconds, 1),
                limit=limits.seconds,
                setting="limits.plan-seconds",
            )
        noted = len(self._walked.offences) + len(self._walked.omitted)
        if noted > limits.entries:
            raise self._too_many(noted)

    def _check_depth(self, path: bytes) -> None:
        depth = path.count(b"/") + 2 if path else 1
        if depth > self._limits.depth:
            what = f"components of the paths below {show(path[:80])}"
            raise LimitExceeded(what, measured=depth, limit=self._limits.depth, setting="limits.max-depth")

    def _too_many(self, measured: int) -> LimitExceeded:
        return LimitExceeded("entries", measured=measured, limit=self._limits.entries, setting="limits.max-entries")

    # -- the whole

    def _settle(self) -> None:
        """Look again at entries so young that another change may have gone unseen, once that has become visible.

        What is read after the plan is sealed then differs from the plan only if its identity does.
        """
        entries, young = self._walked.entries, self._young
        gone: set[int] = set()
        for _ in range(_SETTLE_ROUNDS):
            if not young:
                break
            if self._progress.cancelled.wait(self._clock.granularity_ns / 1e9):
                raise WalkCancelled
            still_young = []
            for number in young:
                self._count()
                entry = entries[number]
                try:
                    found = self._folder.lookup(entry.source, follow=False)
                except Refused:
                    gone.add(number)
                    continue
                if found.stat.kind is not entry.kind:
                    gone.add(number)
                    continue
                if found.stat.identity != entry.identity:
                    entries[number] = again = _entry(entry.path, found)
                    self._progress.bytes += again.size - entry.size if entry.kind is Kind.FILE else 0
                if self._clock.is_young(found.stat.changed_ns):
                    still_young.append(number)
            young = still_young
        self._walked.unsettled = frozenset(young)
        for number in sorted(gone):
            self._offend(entries[number].path, OffenceCode.MISSING, "it went away while the selection was counted")

    def _name(self) -> None:
        entries = self._walked.entries
        renamed = entry_names([entry.path for entry in entries])
        for number, (name, reasons) in renamed.items():
            entry = entries[number]
            self._walked.renamed.append(Renamed(entry.path, name, reasons))
            if entry.kind is Kind.DIRECTORY:
                name += b"/"
            entries[number] = replace(entry, name=name)
            if not is_safe(name):
                self._offend_name(entries[number])
        for number, entry in enumerate(entries):
            if len(entry.name) > LONGEST and number not in renamed:
                self._offend_name(entry)

    def _offend_name(self, entry: Entry) -> None:
        self._offend(entry.path, OffenceCode.NAME_TOO_LONG, f"its entry name would have {len(entry.name):,} bytes")


_WAY_OUT = "leave it out with except, or choose links: omit"


class _OmittedLink(Exception):
    """A selected path leads through a link that is left out."""


def _entry(path: bytes, found: Found) -> Entry:
    stat = found.stat
    return Entry(
        path=path,
        name=path + b"/" if stat.kind is Kind.DIRECTORY else path,
        kind=stat.kind,
        size=stat.size if stat.kind is Kind.FILE else len(found.target),
        mtime_ns=stat.mtime_ns,
        mode=stat.mode & 0o777,  # set-id bits do not belong on somebody else's machine
        identity=stat.identity,
        source=found.source if found.source != path else path,
        target=found.target if stat.kind is Kind.LINK else b"",
    )


def _climbs(path: bytes, target: bytes) -> bool:
    """Whether the text of a link at ``path`` leads above the folder, whatever its components are."""
    depth = path.count(b"/")
    for component in target.split(b"/"):
        depth += {b"..": -1, b".": 0, b"": 0}.get(component, 1)
        if depth < 0:
            return True
    return target.startswith(b"/")


def _order(path: bytes, kind: Kind) -> bytes:
    """The key of path order: that of the entries' names, so that ``a-b`` comes before what is in ``a``."""
    return path + b"/" if kind is Kind.DIRECTORY else path


def _sorted(children: list[tuple[bytes, Found]]) -> list[tuple[bytes, Found]]:
    """Sort in runs that do not keep the interpreter for long."""

    def key(child: tuple[bytes, Found]) -> bytes:
        return _order(child[0], child[1].stat.kind)

    if len(children) <= _SORTED_AT_ONCE:
        return sorted(children, key=key)
    runs = (sorted(children[i : i + _SORTED_AT_ONCE], key=key) for i in range(0, len(children), _SORTED_AT_ONCE))
    return list(heapq.merge(*runs, key=key))
