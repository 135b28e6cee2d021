"""A directory that is filled by names that others chose: whatever they are, nothing is made outside of it.

Every path is walked component by component from the directory's descriptor, and no step follows a link. Links are made
last, when nothing more is written, and only those that lead to somewhere inside, with all other links taken into
account. Nothing that is there is ever replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pannier.archive.names import is_safe
from pannier.errors import show
from pannier.quantities import show_size
from pannier.sdk.problems import ClientError

_MOST_STEPS = 255
"""How many links a path may lead through, each of them counted; Linux follows 40."""
_LONGEST_TARGET = 4095
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOM_LEFT = 20
"""One part in so many of the free room stays free, whatever an archive unpacks to."""

Path_ = tuple[bytes, ...]


class EntryRefused(ClientError):
    """An archive has an entry that is not unpacked: its name would lead elsewhere, say; nothing was made of it."""

    def __init__(self, name: bytes, reason: str) -> None:
        super().__init__(f"{show(name)}: {reason}; nothing was made of it, and no further entry was unpacked")
        self.name, self.reason = name, reason


@dataclass(slots=True)
class Tree:
    """A new directory; a context manager that closes what it holds open.

    Attributes:
        path: Where it is made; nothing may be there.
        most: Bytes that files may have in all; as many as there is room for unless given.
        written: Bytes that they have by now.
        made: How many entries were made.
    """

    path: Path
    most: int | None = None
    written: int = field(default=0, init=False)
    made: int = field(default=0, init=False)
    _root: int = field(default=-1, init=False)
    _open: list[tuple[bytes, int]] = field(default_factory=list, init=False)
    """The descriptors of the directories that lead to the last parent."""
    _links: dict[Path_, bytes] = field(default_factory=dict, init=False)
    _directories: dict[Path_, tuple[int, int]] = field(default_factory=dict, init=False)

    def __enter__(self) -> Tree:
        os.mkdir(self.path)
        self._root = os.open(self.path, _DIRECTORY)
        if self.most is None:
            system = os.fstatvfs(self._root)
            free = system.f_bavail * system.f_frsize
            self.most = free - free // _ROOM_LEFT
        return self

    def __exit__(self, *_: object) -> None:
        self._leave(0)
        os.close(self._root)

    def file(self, name: bytes, pieces: Iterable[bytes | memoryview], mtime: int, mode: int | None) -> None:
        """Make a file. ``mtime`` is in Unix seconds, ``mode`` are permission bits, if they are known yet.

        Raises:
            EntryRefused: Its name is not taken here, or is there already, or there is too much of it.
        """
        path = self._checked(name)
        with _refusing(name):
            parent = self._parent(path, make=True)
            descriptor = os.open(path[-1], _NEW_FILE, 0o600, dir_fd=parent)
        try:
            for piece in pieces:
                self._count(name, len(piece))
                view = memoryview(piece)
                with _refusing(name):
                    while view:
                        view = view[os.write(descriptor, view) :]
            with _refusing(name):
                os.fchmod(descriptor, 0o644 if mode is None else mode & 0o777)
                os.utime(descriptor, ns=_nanoseconds(mtime))
        finally:
            os.close(descriptor)
        self.made += 1

    def directory(self, name: bytes, mtime: int, mode: int | None) -> None:
        """Make a directory, or take one that files have made; its mode and time are set at the end.

        Raises:
            EntryRefused: Its name is not taken here, or is that of something else.
        """
        path = self._checked(name)
        with _refusing(name):
            self._parent((*path, b""), make=True)
        self._directories[path] = mtime, 0o755 if mode is None else mode & 0o777
        self.made += 1

    def link(self, name: bytes, target: bytes) -> None:
        """Make a symbolic link, at the end.

        Raises:
            EntryRefused: Its name is not taken here.
        """
        path = self._checked(name)
        if path in self._links:
            raise EntryRefused(name, "it is there twice")
        if not target or len(target) > _LONGEST_TARGET or b"\0" in target or target.startswith(b"/"):
            raise EntryRefused(name, "a link that leads outside")
        self._links[path] = target
        self.made += 1

    def become_link(self, name: bytes) -> None:
        """Make a link of what was made as a file, whose content is where the link leads.

        Raises:
            EntryRefused: It leads nowhere that a link may lead.
        """
        path = self._checked(name)
        with _refusing(name):
            parent = self._parent(path, make=False)
            descriptor = os.open(path[-1], _OLD_FILE, dir_fd=parent)
            try:
                target = os.read(descriptor, _LONGEST_TARGET + 1)
            finally:
                os.close(descriptor)
            os.unlink(path[-1], dir_fd=parent)
        self.link(name, target)
        self.made -= 1

    def set_mode(self, name: bytes, mode: int) -> None:
        """Set the permission bits of a file that was made, or of a directory.

        Raises:
            EntryRefused: It is not there.
        """
        path = self._checked(name)
        if name.endswith(b"/"):
            mtime, _ = self._directories[path]
            self._directories[path] = mtime, mode
            return
        with _refusing(name):
            descriptor = os.open(path[-1], _OLD_FILE, dir_fd=self._parent(path, make=False))
            try:
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)

    def finish(self) -> None:
        """Make the links, and give directories their times and modes.

        Raises:
            EntryRefused: A link would lead outside; none is made then.
        """
        for path, target in self._links.items():
            if not self._stays_inside(path[:-1], target):
                raise EntryRefused(b"/".join(path), "a link that leads outside")
        for path, target in self._links.items():
            with _refusing(b"/".join(path)):
                os.symlink(target, path[-1], dir_fd=self._parent(path, make=True))
        for path, (mtime, mode) in sorted(self._directories.items(), key=lambda each: len(each[0]), reverse=True):
            with _refusing(b"/".join(path)):
                descriptor = self._parent((*path, b""), make=False)
                os.utime(descriptor, ns=_nanoseconds(mtime))
                os.fchmod(descriptor, mode)
            self._leave(len(path) - 1)  # it may not be passed through any more

    def _checked(self, name: bytes) -> Path_:
        if not is_safe(name):
            raise EntryRefused(name, "a name that could lead outside, or that not every system takes")
        return tuple(name.removesuffix(b"/").split(b"/"))

    def _count(self, name: bytes, size: int) -> None:
        self.written += size
        assert self.most is not None
        if self.written > self.most:
            raise EntryRefused(name, f"the archive unpacks to more than {show_size(self.most)}, which is the limit")

    def _parent(self, path: Path_, *, make: bool) -> int:
        """Return the descriptor of the directory that a path is in, made as far as it is not there."""
        parents = path[:-1]
        same = 0
        while same < min(len(parents), len(self._open)) and self._open[same][0] == parents[same]:
            same += 1
        self._leave(same)
        for component in parents[same:]:
            at = self._open[-1][1] if self._open else self._root
            if make:
                try:
                    os.mkdir(component, 0o755, dir_fd=at)
                except FileExistsError:
                    pass
            self._open.append((component, os.open(component, _DIRECTORY, dir_fd=at)))
        return self._open[-1][1] if self._open else self._root

    def _leave(self, depth: int) -> None:
        while len(self._open) > depth:
            os.close(self._open.pop()[1])

    def _stays_inside(self, parent: Path_, target: bytes) -> bool:
        """Whether a path, taken from a directory inside, never leaves the tree, through whatever links it leads."""
        here, left, steps = list(parent), list(reversed(target.split(b"/"))), 0
        while left:
            step = left.pop()
            if step in (b"", b"."):
                continue
            if step == b"..":
                if not here:
                    return False
                here.pop()
                continue
            here.append(step)
            through = self._links.get(tuple(here))
            if through is not None:
                steps += 1
                if steps > _MOST_STEPS:
                    return False
                here.pop()
                left += reversed(through.split(b"/"))
        return True


class _refusing:  # noqa: N801 - used like a function
    """Turns what the system says of an entry into a refusal of it."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case FileExistsError():
                raise EntryRefused(self._name, "it is there already, or twice in the archive") from None
            case NotADirectoryError():
                raise EntryRefused(self._name, "it would be inside something that is no directory") from None
            case OSError():
                raise EntryRefused(self._name, f"it cannot be made ({error.strerror})") from None
            case OverflowError():
                raise EntryRefused(self._name, "its time is none that this system knows") from None


def _nanoseconds(seconds: int) -> tuple[int, int]:
    return seconds * 1_000_000_000, seconds * 1_000_000_000
