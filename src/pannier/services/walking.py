"""Expanding a selection into a plan: the walk. It blocks, and runs in a thread of its own.

All or nothing: whatever cannot be part of the archive is an offence, and a plan with offences has no shape.
Entries come in path order, each once however often the selection names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from operator import itemgetter

from pannier.archive.entries import Entries, EntriesBuilder, Kind
from pannier.archive.files import Files
from pannier.archive.names import LONGEST, Siblings, clashes, entry_names, is_safe
from pannier.archive.plan import Omitted, Renamed, Warned
from pannier.dto.archives import LinkPolicy
from pannier.dto.paths import to_text
from pannier.errors import LimitExceeded, Offence, OffenceCode
from pannier.services.clocks import Clock
from pannier.services.progress import Progress, WalkCancelled, WalkLimits
from pannier.services.scouting import Scout
from pannier.services.selecting import Rules, ancestors
from pannier.services.steps import Run, Step, Steps, climbs, entry_of, merged, path_order
from pannier.streams.helpers import NONE, Helpers
from pannier.volumes.base import Folder, Found, Refused

_SETTLE_ROUNDS = 3


@dataclass(slots=True)
class Walked:
    """What a walk found. ``entries`` are in path order; ``unsettled`` numbers those that were being written."""

    offences: list[Offence]
    entries: Entries = field(default_factory=Entries)
    omitted: list[Omitted] = field(default_factory=list)
    renamed: list[Renamed] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    unsettled: frozenset[int] = frozenset()


class Walk:
    """One walk over one folder."""

    def __init__(
        self,
        folder: Folder,
        rules: Rules,
        limits: WalkLimits,
        clock: Clock,
        progress: Progress,
        base: bytes = b"",
        helpers: Helpers = NONE,
    ) -> None:
        """``base`` is the directory that all paths are seen from, as ``planning.Order`` has it."""
        self._folder, self._rules, self._limits, self._base = folder, rules, limits, base
        self._scout = Scout(folder, helpers, clock.now_ns)
        self._clock, self._progress = clock, progress
        self._walked = Walked(progress.offences)
        self._entries = EntriesBuilder()
        self._young: list[int] = []
        self._names_to_look_at = False

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
        with closing(self._scout):
            self._scout.expect([found.source for _, found in found_roots if found.stat.kind is Kind.DIRECTORY])
            for path, found in found_roots:
                self._expand(path, found)
        self._settle()
        self._name()
        self._walked.entries = self._entries.build()
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
                found = self._lookup(path, follow=False)
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
        return sorted(found_roots, key=lambda root: path_order(root[0], root[1].stat.kind))

    def _lookup(self, path: bytes, *, follow: bool) -> Found:
        """Find a path seen from the base, which a link may lead to; what is found is where it is in the folder."""
        if not self._base:
            return self._folder.lookup(path, follow=follow)
        if path:
            return self._folder.lookup(b"%b/%b" % (self._base, path), follow=follow)
        found = self._folder.lookup(self._base, follow=True)
        if found.stat.kind is not Kind.DIRECTORY:
            raise Refused(Offence(path, OffenceCode.MISSING, "it is no directory any more"))
        return found

    def _check_way(self, above: list[bytes]) -> None:
        """Hold the link policy for the directories on the way to a selected path."""
        if self._rules.links is LinkPolicy.FOLLOW:
            return
        for path in above[1:]:
            if self._lookup(path, follow=False).stat.kind is Kind.LINK:
                if self._rules.links is LinkPolicy.OMIT:
                    self._walked.omitted.append(Omitted(path, "link", ""))
                    raise _OmittedLink
                raise Refused(Offence(path, OffenceCode.LINK_REFUSED, "the way there leads through a link"))

    # -- from a directory to its entries

    def _expand(self, path: bytes, found: Found) -> None:
        """Add a file, or a directory with all below it, in path order."""
        pending = [Steps(None, iter([(path, found)]))]
        try:
            while pending:
                if (step := pending[-1].take()) is None:
                    pending.pop()
                elif isinstance(step, Run):
                    self._add_files(step)
                elif step[1].stat.kind is not Kind.DIRECTORY:
                    self._add(*step)
                else:
                    self._enter(*step, pending)
        finally:  # at once: whatever ends the walk, no directory waits open for the garbage collector
            for steps in pending:
                steps.close()

    def _enter(self, path: bytes, found: Found, pending: list[Steps]) -> None:
        """Go on with what is in a directory, or take it as an empty one."""
        if any(found.source == above.source for above in pending):
            self._offend(path, OffenceCode.LINK_LOOP, "the link leads back to a directory above it")
            return
        children = Steps(found.source, self._list(path, found))
        if children:
            pending.append(children)
            self._limits.check_depth(path)
        elif path:
            self._add(path, found)

    def _list(self, path: bytes, directory: Found) -> Iterator[Step]:
        """What a directory gives to the archive, in path order.

        Files come while it is being listed; a directory only after that, so that one descriptor is open at a time.
        """
        prefix, source = (each + b"/" if each else b"" for each in (path, directory.source))
        spare, siblings = self._rules.spare(path), Siblings()
        names: list[list[bytes]] = []
        held: list[Run] = []
        others: list[tuple[bytes, bytes, Found]] = []
        try:
            with closing(self._scout.scan(directory.source)) as listing:
                batches = listing.batches()
                while True:
                    looked_ns = self._clock.now_ns() if listing.looked_ns is None else listing.looked_ns
                    if (batch := next(batches, None)) is None:
                        break
                    self._count()
                    files = batch.files if spare else self._without_omitted(prefix, batch.files)
                    taken = self._take_others(prefix, batch.others)
                    self._count()
                    self._counted(files, len(others) + len(taken))
                    names += files.names, [name for _, name, _ in taken]
                    siblings.add([*files.names, *names[-1]])
                    others += taken
                    run = Run(prefix, source, files, looked_ns)
                    if others:
                        held.append(run)
                    elif files.names:
                        yield run
        except Refused as refusal:
            self._walked.offences.append(replace(refusal.offence, path=path or b"."))
        self._look_at_names(path, names, siblings)
        others.sort(key=itemgetter(0))
        self._scout.expect([found.source for _, _, found in others if found.stat.kind is Kind.DIRECTORY])
        yield from merged(held, others, prefix)

    def _without_omitted(self, prefix: bytes, files: Files) -> Files:
        kept = [at for at, name in enumerate(files.names) if not self._omit(prefix + name, directory=False)]
        return files if len(kept) == len(files) else files.pick(kept)

    def _take_others(
        self, prefix: bytes, others: Iterable[tuple[bytes, Found | Offence]]
    ) -> list[tuple[bytes, bytes, Found]]:
        """Apply the rules to each; return the key of path order among siblings, the name, and what becomes of it."""
        taken = []
        for name, found in others:
            self._count()
            child = prefix + name
            if isinstance(found, Offence):
                if not self._omit(child, directory=False):
                    self._walked.offences.append(replace(found, path=child))
            elif (kept := self._take(child, found)) is not None:
                taken.append((path_order(name, kept.stat.kind), name, kept))
        return taken

    def _counted(self, files: Files, others: int) -> None:
        """Count files as soon as they are found; of all else each will be one entry at least."""
        progress = self._progress
        progress.entries += len(files)
        progress.bytes += sum(files.sizes)
        self._limits.check(progress.entries + others, progress.bytes)

    def _look_at_names(self, path: bytes, names: list[list[bytes]], siblings: Siblings) -> None:
        siblings.end()
        longest = len(path) + 1 + max((max(map(len, some), default=0) for some in names), default=0)
        if siblings.to_rename or longest >= LONGEST:
            self._names_to_look_at = True
        if siblings.to_warn:
            prefix = path + b"/" if path else b""
            found = clashes(name for some in names for name in some)
            self._walked.warnings += [Warned(prefix + name, clash) for name, clash in found]

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
            behind = self._lookup(path, follow=True)
        except Refused as refusal:
            offence = refusal.offence
            self._offend(path, offence.code, f"{offence.detail}; {_WAY_OUT}")
            return None
        if self._rules.links is LinkPolicy.STORE:
            if climbs(path, link.target):
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
            self._young.append(len(self._entries))
        self._entries.append(entry_of(path, found))
        self._progress.entries += 1
        self._progress.bytes += stat.size if stat.kind is Kind.FILE else 0
        self._limits.check(self._progress.entries, self._progress.bytes)

    def _add_files(self, run: Run) -> None:
        files, first = run.files, len(self._entries)
        if self._clock.is_young(max(files.changed), run.looked_ns):
            self._young += [
                first + at
                for at, changed_ns in enumerate(files.changed)
                if self._clock.is_young(changed_ns, run.looked_ns)
            ]
        self._entries.extend(run.prefix, run.source, files)

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
            prefix = len(parent) + 1 if parent else 0
            looked_at = Siblings()
            names = sorted(path[prefix:] for path in together)
            looked_at.add(names)
            self._look_at_names(parent, [names], looked_at)

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
        limits.check(len(self._walked.offences) + len(self._walked.omitted))

    # -- the whole

    def _settle(self) -> None:
        """Look again at entries so young that another change may have gone unseen, once that has become visible.

        What is read after the plan is sealed then differs from the plan only if its identity does.
        """
        entries, young = self._entries, self._young
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
                elif found.stat.identity != entry.identity:
                    again = entry_of(entry.path, replace(found, source=entry.source))
                    entries.put(number, again)
                    self._progress.bytes += again.size - entry.size if entry.kind is Kind.FILE else 0
                if number not in gone and self._clock.is_young(found.stat.changed_ns):
                    still_young.append(number)
            young = still_young
        self._walked.unsettled = frozenset(young)
        for number in sorted(gone):
            self._offend(entries[number].path, OffenceCode.MISSING, "it went away while the selection was counted")

    def _name(self) -> None:
        if not self._names_to_look_at:
            return
        entries = self._entries
        renamed = entry_names(entries.paths())
        for number, (name, reasons) in renamed.items():
            entry = entries[number]
            self._walked.renamed.append(Renamed(entry.path, name, reasons))
            if entry.kind is Kind.DIRECTORY:
                name += b"/"
            entries.rename(number, name)
            if not is_safe(name):
                self._offend_name(entry.path, name)
        for number, path in enumerate(entries.paths()):
            if len(path) >= LONGEST and number not in renamed and len(name := entries[number].name) > LONGEST:
                self._offend_name(path, name)

    def _offend_name(self, path: bytes, name: bytes) -> None:
        detail = f"its entry name would have {len(name):,} bytes; archives hold {LONGEST:,}, whatever is set"
        self._offend(path, OffenceCode.NAME_TOO_LONG, detail)


_WAY_OUT = "leave it out with except, or choose links: omit"


class _OmittedLink(Exception):
    """A selected path leads through a link that is left out."""
