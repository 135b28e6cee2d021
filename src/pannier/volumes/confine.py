"""The one way from a path to a thing in a folder, and to nothing outside it.

Every backend with a file system beneath it goes through here. The rules:

- A walk starts at the folder's root descriptor and takes one component at a time, relative to the descriptor of the
  directory it stands in, never following a link itself (``O_NOFOLLOW``). What is swapped for a link meanwhile is seen
  as that link.
- A link is opened, looked at and read through one descriptor, so its kind and its text belong together. Its text
  becomes components to walk; an absolute one is refused.
- ``..`` stands in link texts only. It takes a name off the canonical path and the walk goes down again from the root
  by the names that remain; the kernel's ``..`` is never asked, for a directory that was moved away would lead out. It
  never takes off the root.
- Two descriptors are open at a time, however deep the path: a deep tree does not starve the process of them.
- What canonically lies at ``.upload`` below the root is not there.

Links on the way *to* the folder's root are the volume's matter, not ours. Mounts below it are crossed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pannier.errors import Offence, OffenceCode, VolumeFailed, show
from pannier.volumes.base import RESERVED, Refused

MAX_LINKS = 40
"""Links followed in one walk, as many as Linux follows."""

MAX_STEPS = 100_000
"""Directories entered in one walk that follows links: 40 links of 4 KiB full of ``..`` cost a blink, not minutes."""

# O_PATH asks for no right to read and has no effect on a FIFO, a device or a lease. Where it is missing (it is Linux')
# the module can be imported, not used: see `supported`.
_THING = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = _THING | os.O_DIRECTORY

_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk ended. The descriptor is valid inside the ``with`` block of `resolve`.

    Attributes:
        source: The canonical path: no link in it.
        status: What the thing is, by fstat of the descriptor that was walked to.
        target: The text of a link, else empty.
        directory: Descriptor (``O_PATH``) of the directory in which ``name`` is the thing.
        name: Its last component; ``.`` for a directory, which then is ``directory`` itself.
    """

    source: bytes
    status: os.stat_result
    target: bytes
    directory: int
    name: bytes


def supported() -> bool:
    """Return whether this platform has what confinement needs."""
    return hasattr(os, "O_PATH")


@contextmanager
def resolve(root: int, path: bytes, *, follow: bool) -> Iterator[Place]:
    """Walk to ``path`` below the directory ``root``, following links on the way, and a last one only with ``follow``.

    Raises:
        Refused: MISSING, UNREADABLE, LINK_OUTSIDE, LINK_DANGLING or LINK_LOOP.
        VolumeFailed: The file system failed otherwise.
        ValueError: The path is not normalised (a bug of the caller).
    """
    walk = _Walk(root, path)
    try:
        yield walk.to_end(follow)
    finally:
        walk.close()


def open_beneath(root: int, source: bytes, flags: int) -> int:
    """Open ``source``, a path that holds no link, below the directory ``root`` and return a descriptor to close.

    Args:
        flags: Of the last component; ``O_NOFOLLOW`` and ``O_CLOEXEC`` are added.

    Raises:
        OSError: As of open(2): ENOENT also for what lies in ``.upload``, ENOTDIR where a link or a file has taken a
            directory's place, ELOOP (or ENOTDIR, asked for a directory) where the last component is a link.
        ValueError: The path is not normalised (a bug of the caller).
    """
    names = _components(source)
    if b"\0" in source or names[:1] == [RESERVED]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    if not names:
        return os.open(b".", flags, dir_fd=root)
    directory = _descend(root, names[:-1])
    try:
        return os.open(names[-1], flags, dir_fd=directory)
    finally:
        if directory != root:
            os.close(directory)


def inspect(directory: int, name: bytes) -> tuple[os.stat_result, bytes]:
    """Return what ``name`` in ``directory`` is and, of a link, its text: both of the same thing, whatever is renamed.

    Raises:
        OSError: It cannot be looked at.
    """
    thing = _open_thing(directory, name)
    try:
        return _tell(thing)
    finally:
        os.close(thing)


def _components(path: bytes) -> list[bytes]:
    names = path.split(b"/") if path else []
    if any(name in (b"", b".", b"..") for name in names):
        raise ValueError(f"the path {show(path)} is not normalised")
    return names


def _descend(root: int, names: list[bytes]) -> int:
    """Open the directory ``names`` below ``root``, no links; the result is ``root`` itself if there are none."""
    at = root
    for name in names:
        try:
            below = os.open(name, _DIRECTORY, dir_fd=at)
        finally:
            if at != root:
                os.close(at)
        at = below
    return at


def _open_thing(directory: int, name: bytes) -> int:
    # As a directory first: that makes the kernel mount what is mounted on demand (autofs, nested NFS exports) there,
    # which a bare O_PATH does not; and most components are directories.
    try:
        return os.open(name, _DIRECTORY, dir_fd=directory)
    except OSError as error:
        if error.errno not in _NOT_A_DIRECTORY:
            raise
    return os.open(name, _THING, dir_fd=directory)


def _tell(thing: int) -> tuple[os.stat_result, bytes]:
    status = os.fstat(thing)
    # the empty name means the descriptor itself: no second look-up by name, so no race
    return status, os.readlink(b"", dir_fd=thing) if stat.S_ISLNK(status.st_mode) else b""


class _Walk:
    """One walk: where it stands (``_names``, all directories) and what is still to be walked (``_pending``)."""

    def __init__(self, root: int, path: bytes) -> None:
        self._root, self._path = root, path
        self._names: list[bytes] = []
        self._at: int | None = root  # None: to be opened again by _names, after a `..`
        # Last in, first out; with each component the link whose text it is from, None for the path asked for.
        self._pending: list[tuple[bytes, bytes | None]] = [(name, None) for name in reversed(_components(path))]
        self._links = self._steps = 0

    def close(self) -> None:
        if self._at is not None and self._at != self._root:
            os.close(self._at)
        self._at = None

    def to_end(self, follow: bool) -> Place:
        if b"\0" in self._path:
            raise self._refused(OffenceCode.MISSING, "nothing is there")
        link: bytes | None = None
        try:
            while self._pending:
                name, link = self._pending.pop()
                if name == b"..":
                    self._up(link)
                elif name not in (b"", b"."):  # those only say that this is a directory, as it is
                    place = self._into(name, follow)
                    if place is not None:
                        return place
            return self._here()
        except OSError as error:
            raise self._cannot(error, link) from error

    def _into(self, name: bytes, follow: bool) -> Place | None:
        """Take one component; a Place if the walk ends with it."""
        if not self._names and name == RESERVED:
            raise self._refused(OffenceCode.MISSING, "nothing is there")
        directory = self._standing()
        thing = _open_thing(directory, name)
        try:
            status, target = _tell(thing)
            if stat.S_ISDIR(status.st_mode):
                self._step(1)
                self.close()
                self._at, thing = thing, -1
                self._names.append(name)
                return None
        finally:
            if thing != -1:
                os.close(thing)
        if stat.S_ISLNK(status.st_mode) and (follow or self._pending):
            self._follow(name, target)
            return None
        if self._pending:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return Place(b"/".join((*self._names, name)), status, target, directory, name)

    def _here(self) -> Place:
        directory = self._standing()
        return Place(b"/".join(self._names), os.fstat(directory), b"", directory, b".")

    def _follow(self, name: bytes, target: bytes) -> None:
        link = b"/".join((*self._names, name))
        self._links += 1
        if self._links > MAX_LINKS:
            raise self._refused(OffenceCode.LINK_LOOP, f"more than {MAX_LINKS} symbolic links, the last {show(link)}")
        if target.startswith(b"/"):
            # its text is not shown: it may well be a path of this server
            what = f"the symbolic link {show(link)} is absolute; make it relative, to a place inside this folder"
            raise self._refused(OffenceCode.LINK_OUTSIDE, what)
        if not target:  # some file systems can hold such links; Linux answers ENOENT
            raise self._refused(OffenceCode.LINK_DANGLING, f"the symbolic link {show(link)} is empty")
        self._pending.extend((part, link) for part in reversed(target.split(b"/")))

    def _up(self, link: bytes | None) -> None:
        if not self._names:
            what = f"the symbolic link {show(link or b'')} leads out of the folder; make it lead to a place inside"
            raise self._refused(OffenceCode.LINK_OUTSIDE, what)
        self.close()
        self._names.pop()

    def _standing(self) -> int:
        """Return the descriptor of the directory the walk stands in."""
        if self._at is None:
            self._step(len(self._names))
            self._at = _descend(self._root, self._names)
        return self._at

    def _step(self, directories: int) -> None:
        self._steps += directories
        if self._links and self._steps > MAX_STEPS:
            what = f"its symbolic links lead through more than {MAX_STEPS:,} directories"
            raise self._refused(OffenceCode.LINK_LOOP, what)

    def _cannot(self, error: OSError, link: bytes | None) -> Refused | VolumeFailed:
        reason = os.strerror(error.errno or errno.EIO)
        if error.errno in _NOT_ALLOWED:
            return self._refused(OffenceCode.UNREADABLE, f"this server may not look there ({reason})")
        if error.errno not in _NOTHING_THERE:
            return VolumeFailed(f"{show(self._path)} cannot be looked up: {reason}")
        if link is None:
            return self._refused(OffenceCode.MISSING, "nothing is there")
        return self._refused(OffenceCode.LINK_DANGLING, f"the symbolic link {show(link)} leads to nothing")

    def _refused(self, code: OffenceCode, detail: str) -> Refused:
        return Refused(Offence(self._path, code, detail))
