"""What a walk comes by, in path order: runs of files, and other things one by one. Values only."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from pannier.archive.entries import Entry, Kind
from pannier.archive.files import Files
from pannier.volumes.base import Found


@dataclass(frozen=True, slots=True)
class Run:
    """Files of one directory that are entries, one after the other; and when they were looked at, or before."""

    prefix: bytes
    source: bytes
    files: Files
    looked_ns: int

    def cut(self, start: int, stop: int) -> Run:
        return Run(self.prefix, self.source, self.files.cut(start, stop), self.looked_ns)


Step = Run | tuple[bytes, Found]
"""What comes next in path order: files, or one thing, its path first."""


def entry_of(path: bytes, found: Found) -> Entry:
    """Return a thing as an entry that was found at ``path``, its name still the path."""
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


def climbs(path: bytes, target: bytes) -> bool:
    """Whether the text of a link at ``path`` leads above the folder, whatever its components are."""
    depth = path.count(b"/")
    for component in target.split(b"/"):
        depth += {b"..": -1, b".": 0, b"": 0}.get(component, 1)
        if depth < 0:
            return True
    return target.startswith(b"/")


def path_order(path: bytes, kind: Kind) -> bytes:
    """The key of path order: that of the entries' names, so that ``a-b`` comes before what is in ``a``."""
    return path + b"/" if kind is Kind.DIRECTORY else path


def merged(held: list[Run], others: list[tuple[bytes, bytes, Found]], prefix: bytes) -> Iterator[Step]:
    """Put runs of files, by name, and other things, by their keys, into one order."""
    at = 0
    for run in held:
        start, names = 0, run.files.names
        while at < len(others) and (stop := bisect_left(names, others[at][0], start)) < len(names):
            if start < stop:
                yield run.cut(start, stop)
            yield prefix + others[at][1], others[at][2]
            start, at = stop, at + 1
        if start < len(names):
            yield run.cut(start, len(names))
    for _, name, found in others[at:]:
        yield prefix + name, found


class Steps:
    """What a directory gives to a walk, one step after the other; true while there is any.

    ``source`` is where the directory really is; None for what is no directory.
    """

    def __init__(self, source: bytes | None, steps: Iterator[Step]) -> None:
        self.source = source
        self._steps = steps
        self._next = next(steps, None)

    def __bool__(self) -> bool:
        return self._next is not None

    def take(self) -> Step | None:
        """Return the next step, None after the last."""
        step = self._next
        if step is not None:
            self._next = next(self._steps, None)
        return step

    def close(self) -> None:
        """End what lists the directory."""
        if isinstance(self._steps, Generator):
            self._steps.close()
