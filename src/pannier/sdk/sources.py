"""What is to be uploaded: files of this machine, looked at before the first byte leaves. Blocks; run it in a thread."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pannier.errors import OffenceCode
from pannier.sdk.problems import ClientError, Offender

LocalLinks = Literal["follow", "omit"]
"""What becomes of symbolic links below what is named: what they lead to, or nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is to be sent.

    Attributes:
        path: Where it is; undecodable bytes are lone surrogates, as ``os.fsdecode`` has them.
        name: Where it goes: a path below the destination, with ``/``.
        size, mtime_ns: Its bytes and its time when it was looked at: whoever goes on with it later compares them.
        descriptor: An open file that holds it, where it has no path of its own.
    """

    path: str
    name: str
    size: int
    mtime_ns: int
    descriptor: int | None = None

    @classmethod
    def open_file(cls, descriptor: int, path: str, name: str) -> Source:
        """Return the source of an open regular file; ``path`` is what messages call it."""
        found = os.fstat(descriptor)
        return cls(path, name, found.st_size, found.st_mtime_ns, descriptor)


@dataclass(slots=True)
class Survey:
    """What was found: files in the order of their names, directories without anything in them, and what cannot be sent.

    Attributes:
        entries: Everything that was looked at.
        omitted: Links that were left out, as they were to be.
    """

    files: list[Source] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    refused: list[Offender] = field(default_factory=list)
    entries: int = 0
    omitted: int = 0

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(source.size for source in self.files)


class SourcesRefused(ClientError):
    """Some of what is to be sent cannot be; nothing was.

    Attributes:
        offenders: Each with its reason.
        entries: How many were looked at in all.
    """

    def __init__(self, offenders: Sequence[Offender], entries: int) -> None:
        first = "; ".join(f"{each.path!r}: {each.detail}" for each in offenders[:3])
        more = "" if len(offenders) <= 3 else f"; and {len(offenders) - 3:,} more"
        super().__init__(f"{len(offenders):,} of {entries:,} cannot be sent, and nothing was: {first}{more}")
        self.offenders, self.entries = tuple(offenders), entries


class NamesClash(ClientError):
    """Two of the things that are to be sent have one name."""


def survey(paths: Sequence[str], *, links: LocalLinks = "follow", except_: Collection[str] = ()) -> Survey:
    """Look at files and directories, with all below them; each goes under its own name.

    Args:
        paths: What is to be sent. A link among them is followed.
        links: What becomes of links below them.
        except_: Paths that are left out, with all below them.

    Raises:
        NamesClash: Two of them have one name.
    """
    found = Survey()
    left_out = frozenset(os.path.abspath(path) for path in except_)
    named: dict[str, str] = {}
    for path in paths:
        name = os.path.basename(os.path.abspath(path)) or "root"
        if name in named:
            raise NamesClash(f"{named[name]!r} and {path!r} have one name; send them by two commands, or rename one")
        named[name] = path
        _look(path, name, found, (), "follow", links, left_out)
    return found


def _look(
    path: str,
    name: str,
    found: Survey,
    above: tuple[tuple[int, int], ...],
    link: LocalLinks,
    links: LocalLinks,
    left_out: Collection[str],
) -> None:
    """Add what is at a path; ``above`` are the directories on the way, by device and inode."""
    if left_out and os.path.abspath(path) in left_out:
        return
    found.entries += 1
    try:
        seen = os.lstat(path)
        if stat.S_ISLNK(seen.st_mode):
            if link == "omit":
                found.omitted += 1
                return
            seen = os.stat(path)
        if stat.S_ISREG(seen.st_mode):
            if not os.access(path, os.R_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            found.files.append(Source(path, name, seen.st_size, seen.st_mtime_ns))
        elif stat.S_ISDIR(seen.st_mode):
            here = (seen.st_dev, seen.st_ino)
            if here in above:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            inside = sorted(os.listdir(path), key=os.fsencode)
            if not inside:
                found.empty.append(name)
            for each in inside:
                _look(os.path.join(path, each), f"{name}/{each}", found, (*above, here), links, links, left_out)
        else:
            found.refused.append(Offender(path, OffenceCode.SPECIAL, "not a file or folder"))
    except OSError as error:
        found.refused.append(Offender(path, _code(path, error), error.strerror or str(error)))
    except RecursionError:
        found.refused.append(Offender(path, OffenceCode.NAME_TOO_LONG, "nested too deep"))


def _code(path: str, error: OSError) -> OffenceCode:
    match error.errno:
        case errno.ELOOP:
            return OffenceCode.LINK_LOOP
        case errno.ENOENT:
            return OffenceCode.LINK_DANGLING if os.path.islink(path) else OffenceCode.MISSING
    return OffenceCode.UNREADABLE


def directories(names: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Yield names in runs of at most ``most``."""
    for first in range(0, len(names), most):
        yield names[first : first + most]


def is_regular(descriptor: int) -> bool:
    """Whether an open file has a size that is known in advance."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
