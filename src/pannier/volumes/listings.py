"""Listing a directory of a file system: what it holds, looked at by the directory's own descriptor.

Names are sorted before they are looked at, and looked at some hundred at a time. Whatever is an ordinary file that may
be read becomes columns without an object each; everything else is looked at one by one. No single step keeps the
interpreter from other threads for more than some milliseconds, however many names there are.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice

from pannier.archive.entries import Kind
from pannier.archive.files import Files
from pannier.errors import Offence, OffenceCode, VolumeFailed, show
from pannier.volumes.base import RESERVED, Batch, Found, Stat
from pannier.volumes.confine import Place, inspect
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.identities import pack_identity
from pannier.volumes.looking import Looked, look_at
from pannier.volumes.refusals import BROKEN

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_AT_ONCE = 4096
_LOOKED_AT_ONCE = 1024
_SORTED_AT_ONCE = 8192
"""Names that are read, looked at, sorted together."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_REGULAR = stat.S_IFREG


def batches(directory: Descriptor, source: bytes) -> Iterator[Batch]:
    """List a directory and close it; see ``Folder.scan``.

    Raises:
        VolumeFailed: The file system failed.
    """
    names: list[bytes] = []
    nothing = Batch.of(())
    try:
        with closing(directory), directory.use() as number:
            with os.scandir(number) as entries:
                while read := [entry.name for entry in islice(entries, _READ_AT_ONCE)]:
                    names += os.fsencode("\0".join(read)).split(b"\0")
                    yield nothing  # whoever counts can stop here
            if not source and RESERVED in names:
                names.remove(RESERVED)
            for run in _sorted(names):
                names.clear()
                for at in range(0, len(run), _LOOKED_AT_ONCE):
                    yield _look(number, source, run[at : at + _LOOKED_AT_ONCE])
    except OSError as error:
        raise VolumeFailed(f"directory {show(source)} cannot be listed: {reason(error)}") from error


def identities(directory: int, names: Sequence[bytes]) -> list[bytes | None]:
    """Return the identity of each name in a directory, None of what cannot be looked at.

    Raises:
        OSError: This process has no more memory or descriptors.
    """
    found: list[bytes | None] = []
    for name in names:
        try:
            status = os.lstat(name, dir_fd=directory)
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            if stat.S_ISLNK(status.st_mode):
                status, target = inspect(directory, name)
                size = len(target)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            found.append(None)
        else:
            found.append(identity_of(status, size))
    return found


def _sorted(names: list[bytes]) -> Iterator[list[bytes]]:
    """Sort in runs, each before the next; a long list is first dealt out by a sample of it."""
    if len(names) <= _SORTED_AT_ONCE:
        yield sorted(names)
        return
    runs = len(names) // _SORTED_AT_ONCE * 2
    sample = sorted(names[:: max(1, len(names) // (runs * 16))])
    edges = sample[16::16]
    dealt: list[list[bytes]] = [[] for _ in range(len(edges) + 1)]
    for name in names:
        dealt[bisect(edges, name)].append(name)
    while dealt:
        run = dealt.pop(0)
        run.sort()
        yield run


def looked_batches(directory: Descriptor, source: bytes, looked: Looked) -> Iterator[Batch]:
    """Give what a directory holds that was looked at, and close it; errors as of ``batches``."""
    try:
        with closing(directory), directory.use() as number:
            yield _batch(number, source, looked)
    except OSError as error:
        raise VolumeFailed(f"directory {show(source)} cannot be listed: {reason(error)}") from error


def _look(directory: int, source: bytes, names: list[bytes]) -> Batch:
    try:
        looked = look_at(directory, names)
    except (OSError, OverflowError):  # of one of them: look at each on its own
        return Batch.of(_listed(directory, source, names))
    return _batch(directory, source, looked)


def _batch(directory: int, source: bytes, looked: Looked) -> Batch:
    if looked.names and _is_even(looked) and _is_regular(looked.modes[0]):  # most directories
        odd = set() if _is_settled(directory, looked, 0) else _unreadable(directory, looked, set())
        modes = array("H", [looked.modes[0] & 0o777]) * len(looked.names)
    else:
        odd = {number for number, mode in enumerate(looked.modes) if not _is_regular(mode)}
        odd |= _unreadable(directory, looked, odd)
        modes = array("H", [mode & 0o777 for mode in looked.modes])
    files = Files(looked.names, looked.sizes, looked.mtimes, modes, looked.identities, looked.ctimes)
    others: list[tuple[bytes, Found | Offence]] = []
    if odd:
        others += _listed(directory, source, [looked.names[number] for number in sorted(odd)])
        files = files.pick([number for number in range(len(files)) if number not in odd])
    return Batch(files, others)


def _is_regular(mode: int) -> bool:
    return mode & 0o170000 == _REGULAR


def _is_even(looked: Looked) -> bool:
    """Whether owner, group and mode of all are the same."""
    return all(column == column[:1] * len(column) for column in (looked.modes, looked.users, looked.groups))


def _unreadable(directory: int, looked: Looked, odd: set[int]) -> set[int]:
    """Return which regular files this process may not read.

    Of those that belong to this process's user, with the owner's right to read, one of each owner, group and mode is
    asked for: no ACL takes from an owner what the mode gives, but a server that squashes users may. Others are asked
    for one by one.
    """
    kinds = list(zip(looked.users, looked.groups, looked.modes, strict=True))
    alike = dict(zip(reversed(kinds), range(len(kinds) - 1, -1, -1), strict=True))  # the first of each
    settled = {kind for kind, number in alike.items() if _is_settled(directory, looked, number)}
    if len(settled) == len(alike):
        return set()
    return {
        number
        for number, kind in enumerate(kinds)
        if kind not in settled and number not in odd and not _readable(Kind.FILE, directory, looked.names[number])
    }


def _is_settled(directory: int, looked: Looked, number: int) -> bool:
    """Whether what may be read of one regular file may be read of all that are like it."""
    mode = looked.modes[number]
    return (
        looked.users[number] == os.geteuid()
        and bool(mode & stat.S_IRUSR)
        and _is_regular(mode)
        and _readable(Kind.FILE, directory, looked.names[number])
    )


def _listed(directory: int, source: bytes, names: Sequence[bytes]) -> Iterator[tuple[bytes, Found | Offence]]:
    """Look at names one by one; what is gone is left out."""
    for name in names:
        path = source + b"/" + name if source else name
        try:
            status, target = os.lstat(name, dir_fd=directory), b""
            if stat.S_ISLNK(status.st_mode):
                status, target = inspect(directory, name)
            yield name, Found(path, stat_of(status, target, directory, name), target)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno in _EXHAUSTED:  # not this entry's fault
                raise
            if error.errno in BROKEN:
                raise VolumeFailed(f"{show(path)} cannot be looked at: {reason(error)}") from error
            yield name, Offence(path, OffenceCode.UNREADABLE, f"this server may not look there ({reason(error)})")


# ---- one thing


def reason(error: OSError) -> str:
    # strerror alone: the error's own text ends in the name it was about
    return os.strerror(error.errno) if error.errno is not None else "unknown error"


def kind_of(status: os.stat_result) -> Kind:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return Kind.FILE
        case stat.S_IFDIR:
            return Kind.DIRECTORY
        case stat.S_IFLNK:
            return Kind.LINK
        case _:
            return Kind.SPECIAL


def identity_of(status: os.stat_result, size: int) -> bytes:
    return pack_identity(status.st_ino, size, status.st_mtime_ns, status.st_ctime_ns)


def stat_of(status: os.stat_result, target: bytes, directory: int, name: bytes) -> Stat:
    kind = kind_of(status)
    size = status.st_size if kind is Kind.FILE else len(target)
    return Stat(
        kind=kind,
        size=size,
        mtime_ns=status.st_mtime_ns,
        mode=stat.S_IMODE(status.st_mode) & 0o777,
        identity=identity_of(status, size),
        changed_ns=status.st_ctime_ns,
        readable=_readable(kind, directory, name),
    )


def _readable(kind: Kind, directory: int, name: bytes) -> bool:
    """Ask the system, not the mode: ACLs, capabilities and a server that squashes root all have their say."""
    if kind is Kind.FILE:
        rights = os.R_OK
    elif kind is Kind.DIRECTORY:
        rights = os.R_OK | os.X_OK
    else:
        return True  # of a link everything was read with it; a special file's content is nobody's matter
    return os.access(name, rights, dir_fd=directory, effective_ids=True, follow_symlinks=False)


def names_at(directory: int) -> list[str]:
    """Return the names in a directory; the descriptor may be one that only names it (``O_PATH``)."""
    number = os.open(b".", _OPEN_DIRECTORY, dir_fd=directory)
    try:
        return os.listdir(number)
    finally:
        os.close(number)


def names_in(place: Place) -> list[bytes]:
    """Return the names in a directory, in order of bytes, without what is reserved."""
    names = sorted(map(os.fsencode, names_at(place.directory)))
    if not place.source and RESERVED in names:
        names.remove(RESERVED)
    return names
