"""A volume in memory, for tests and demonstrations: the same promises, and hands to change the world under a reader.

It is a small model of a POSIX tree: names lead to inodes, an open source holds its inode. ``write`` changes a file in
place (an open source reads the new bytes, its ``check`` raises), ``replace`` puts another inode under the name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pannier.archive.entries import Kind
from pannier.dto.ids import FolderId
from pannier.errors import (
    FolderMissing,
    Offence,
    OffenceCode,
    SourceChanged,
    SourceUnreadable,
    show,
)
from pannier.volumes.base import RESERVED, Batch, Found, Listing, Refused, Stat
from pannier.volumes.identities import change_between, now_is, pack_identity
from pannier.volumes.specs import VolumeSpec
from pannier.volumes.whole import OpeningReader

_MAX_LINKS = 40
_MAX_NAME = 255
_AT_ONCE = 1000


@dataclass(slots=True, eq=False)
class _Node:
    """One inode. ``names`` counts what leads to it; ``changed`` is its ctime."""

    inode: int
    kind: Kind
    mode: int
    mtime_ns: int
    changed: int
    data: bytes = b""
    """A file's content, a link's target."""
    below: dict[bytes, _Node] = field(default_factory=dict)
    names: int = 1
    denied: bool = False
    broken: tuple[int, str] | None = None
    """From which offset on reading fails, and what the backend says then."""

    def identity(self) -> bytes:
        return pack_identity(self.inode, len(self.data), self.mtime_ns, self.changed)

    def stat(self) -> Stat:
        return Stat(
            kind=self.kind,
            size=len(self.data),
            mtime_ns=self.mtime_ns,
            mode=self.mode,
            identity=self.identity(),
            changed_ns=self.changed,
            readable=not self.denied,
        )

    def found(self, source: bytes) -> Found:
        return Found(source, self.stat(), self.data if self.kind is Kind.LINK else b"")


class MemorySource:
    """An open file: holds the inode, as a descriptor would."""

    def __init__(self, lock: threading.RLock, node: _Node, identity: bytes, path: bytes) -> None:
        self._lock, self._node, self._identity, self._path = lock, node, identity, path
        self._closed = False

    def read(self, offset: int, length: int) -> bytes:
        self._need_open()
        with self._lock:
            if self._node.broken is not None and offset + length > self._node.broken[0]:
                raise SourceUnreadable(self._path, self._node.broken[1])
            return self._node.data[offset : offset + length]

    def check(self) -> None:
        self._need_open()
        with self._lock:
            change = change_between(self._identity, self._node.identity())
            if change is not None:
                raise SourceChanged(self._path, change if self._node.names else "is gone or was replaced")

    def changed_ns(self) -> int | None:
        return None

    def fileno(self) -> int | None:
        self._need_open()
        return None

    def close(self) -> None:
        self._closed = True

    def _need_open(self) -> None:
        if self._closed:
            raise ValueError("used after it was closed")


class MemoryFolder:
    """One virtual folder in memory."""

    def __init__(self, lock: threading.RLock, root: _Node) -> None:
        self._lock, self._root = lock, root
        self._closed = False

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        self._need_open()
        with self._lock:
            return self._walk(path, follow)

    def scan(self, source: bytes) -> Listing:
        self._need_open()
        with self._lock:
            below = self._directory(source).below
            prefix = source + b"/" if source else b""
            found = [(name, below[name].found(prefix + name)) for name in sorted(below) if source or name != RESERVED]
        return Listing(source, [Batch.of(found[at : at + _AT_ONCE]) for at in range(0, len(found), _AT_ONCE)])

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        self._need_open()
        with self._lock:
            below = self._directory(source).below
            return [node.identity() if (node := below.get(name)) is not None else None for name in names]

    def open(self, source: bytes, identity: bytes, path: bytes) -> MemorySource:
        self._need_open()
        with self._lock:
            try:
                node = self._straight(source)
            except PermissionError:
                raise SourceUnreadable(path, "Permission denied") from None
            if node is None:
                raise SourceChanged(path, "is gone")
            if node.kind is not Kind.FILE:
                raise SourceChanged(path, now_is(node.kind))
            if node.denied:
                raise SourceUnreadable(path, "Permission denied")
            opened = MemorySource(self._lock, node, identity, path)
            opened.check()
            return opened

    def whole_reader(self) -> OpeningReader:
        return OpeningReader(self)

    def close(self) -> None:
        self._closed = True

    def _need_open(self) -> None:
        if self._closed:
            raise ValueError("used after it was closed")

    def _directory(self, source: bytes) -> _Node:
        """Return the directory at a path without links, to be listed."""
        try:
            node = self._straight(source)
        except PermissionError:
            raise _refused(source, OffenceCode.UNREADABLE, "this server may not look there") from None
        if node is None:
            raise _refused(source, OffenceCode.MISSING, "nothing is there")
        if node.kind is not Kind.DIRECTORY:
            raise _refused(source, OffenceCode.MISSING, "no directory is there any more")
        if node.denied:
            raise _refused(source, OffenceCode.UNREADABLE, "this server may not list it")
        return node

    def _straight(self, source: bytes) -> _Node | None:
        """Return what is at a path without links, None if a link or nothing is on the way.

        Raises:
            PermissionError: A directory on the way is denied.
        """
        names = _components(source)
        if names[:1] == [RESERVED]:
            return None
        node: _Node | None = self._root
        for name in names:
            if node is None:
                return None
            if node.denied:
                raise PermissionError
            node = node.below.get(name)
        return node

    def _walk(self, path: bytes, follow: bool) -> Found:
        # the rules of `confine`, on a model; tests hold the two against each other
        pending: list[tuple[bytes, bytes | None]] = [(name, None) for name in reversed(_components(path))]
        names: list[bytes] = []
        nodes = [self._root]
        links = 0
        while pending:
            name, link = pending.pop()
            if name in (b"", b"."):
                continue
            if name == b"..":
                if not names:
                    what = f"the symbolic link {show(link or b'')} leads out of the folder"
                    raise _refused(path, OffenceCode.LINK_OUTSIDE, what)
                names.pop()
                nodes.pop()
                continue
            if not names and name == RESERVED:
                raise _refused(path, OffenceCode.MISSING, "nothing is there")
            if nodes[-1].denied:
                raise _refused(path, OffenceCode.UNREADABLE, "this server may not look there")
            node = nodes[-1].below.get(name)
            here = b"/".join((*names, name))
            if node is not None and node.kind is Kind.DIRECTORY:
                names.append(name)
                nodes.append(node)
            elif node is not None and node.kind is Kind.LINK and (follow or pending):
                links += 1
                if links > _MAX_LINKS:
                    raise _refused(path, OffenceCode.LINK_LOOP, f"more than {_MAX_LINKS} symbolic links")
                if node.data.startswith(b"/"):
                    raise _refused(path, OffenceCode.LINK_OUTSIDE, f"the symbolic link {show(here)} is absolute")
                pending.extend((part, here) for part in reversed(node.data.split(b"/")))
            elif node is not None and not pending:
                return node.found(here)
            elif link is None:
                raise _refused(path, OffenceCode.MISSING, "nothing is there")
            else:
                raise _refused(path, OffenceCode.LINK_DANGLING, f"the symbolic link {show(link)} leads to nothing")
        return nodes[-1].found(b"/".join(names))


class MemoryVolume:
    """Virtual folders in memory.

    Every change has an instant of its own (``clock``, or the last one plus a nanosecond), which is the ctime: no two
    contents share an identity, so the granularity is 0.
    """

    identity_scheme = "inode"
    clock_granularity_ns = 0

    def __init__(self, name: str, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Make an empty volume; ``clock`` gives nanoseconds since the epoch."""
        self.name, self.id = name, f"memory:{name}"
        self._clock, self._last, self._inodes = clock, 0, 0
        self._lock = threading.RLock()
        self._folders: dict[FolderId, _Node] = {}

    def now_ns(self) -> int:
        with self._lock:
            return max(self._clock(), self._last)

    def folder(self, folder: FolderId) -> MemoryFolder:
        return MemoryFolder(self._lock, self._root(folder))

    def close(self) -> None:
        pass  # memory needs no giving back

    def make_folder(self, folder: FolderId) -> None:
        """Make an empty virtual folder; one that is there stays as it is."""
        with self._lock:
            if folder not in self._folders:
                self._folders[folder] = self._node(Kind.DIRECTORY, 0o755, None)

    def write(
        self, folder: FolderId, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int | None = None
    ) -> None:
        """Write a file, in place if there is one (new ones get mode 0644); directories on the way are made."""
        with self._lock:
            node = self._parent(folder, path).below.get(_last(path))
            if node is None:
                self._put(folder, path, self._node(Kind.FILE, 0o644 if mode is None else mode, mtime_ns, data))
                return
            if node.kind is not Kind.FILE:
                raise ValueError(f"{show(path)} is a {node.kind.name.lower()}")
            node.changed = self._tick()
            node.data = data
            node.mtime_ns = node.changed if mtime_ns is None else mtime_ns
            node.mode = node.mode if mode is None else mode

    def replace(
        self, folder: FolderId, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int = 0o644
    ) -> None:
        """Put a new file under the name, as a rename over it would."""
        self._put(folder, path, self._node(Kind.FILE, mode, mtime_ns, data))

    def mkdir(self, folder: FolderId, path: bytes, *, mode: int = 0o755) -> None:
        """Make a directory, and those on the way to it."""
        with self._lock:
            there = self._parent(folder, path).below.get(_last(path))
            if there is None or there.kind is not Kind.DIRECTORY:
                self._put(folder, path, self._node(Kind.DIRECTORY, mode, None))

    def symlink(self, folder: FolderId, path: bytes, target: bytes) -> None:
        """Put a symbolic link under the name."""
        self._put(folder, path, self._node(Kind.LINK, 0o777, None, target))

    def special(self, folder: FolderId, path: bytes) -> None:
        """Put something under the name that is no file, directory or link."""
        self._put(folder, path, self._node(Kind.SPECIAL, 0o644, None))

    def remove(self, folder: FolderId, path: bytes) -> None:
        """Take away the name and what is below it; what is open stays readable, and is found changed."""
        with self._lock:
            parent = self._existing(folder, path.rpartition(b"/")[0])
            self._forget(parent.below.pop(_last(path)))
            parent.mtime_ns = parent.changed = self._tick()

    def deny(self, folder: FolderId, path: bytes) -> None:
        """Make a file or directory unreadable, as ``chmod 0`` does for an ordinary user."""
        with self._lock:
            node = self._existing(folder, path)
            node.denied, node.mode, node.changed = True, 0, self._tick()

    def break_reads(self, folder: FolderId, path: bytes, *, at: int = 0, reason: str = "Input/output error") -> None:
        """Let every read that touches a byte at or after ``at`` fail, as a bad disk does; nothing else changes."""
        with self._lock:
            self._existing(folder, path).broken = (at, reason)

    def _tick(self) -> int:
        self._last = max(self._clock(), self._last + 1)
        return self._last

    def _node(self, kind: Kind, mode: int, mtime_ns: int | None, data: bytes = b"") -> _Node:
        with self._lock:
            self._inodes += 1
            now = self._tick()
            return _Node(self._inodes, kind, mode, now if mtime_ns is None else mtime_ns, now, data)

    def _root(self, folder: FolderId) -> _Node:
        try:
            return self._folders[folder]
        except KeyError:
            raise FolderMissing(str(folder)) from None

    def _existing(self, folder: FolderId, path: bytes) -> _Node:
        node = self._root(folder)
        for name in _components(path):
            node = node.below[name]
        return node

    def _parent(self, folder: FolderId, path: bytes) -> _Node:
        """Return the directory that is to hold ``path``, made if it is not there."""
        node = self._root(folder)
        for name in _components(path)[:-1]:
            if name not in node.below:
                node.below[name] = self._node(Kind.DIRECTORY, 0o755, None)
                node.mtime_ns = node.changed = self._tick()
            node = node.below[name]
            if node.kind is not Kind.DIRECTORY:
                raise ValueError(f"{show(path)} leads through a {node.kind.name.lower()}")
        return node

    def _put(self, folder: FolderId, path: bytes, node: _Node) -> None:
        with self._lock:
            name = _last(path)
            if not 0 < len(name) <= _MAX_NAME or b"\0" in name:
                raise ValueError(f"{show(path)} is no name for a file")
            parent = self._parent(folder, path)
            if name in parent.below:
                self._forget(parent.below[name])
            parent.below[name] = node
            parent.mtime_ns = parent.changed = self._tick()

    def _forget(self, node: _Node) -> None:
        node.names, node.changed = 0, self._tick()
        for below in node.below.values():
            self._forget(below)


def from_spec(spec: VolumeSpec) -> MemoryVolume:
    """Make the volume that the settings describe.

    Raises:
        ConfigInvalid: It has a path or an option.
    """
    spec.only(())
    if spec.path is not None:
        raise spec.invalid("path", f"{str(spec.path)!r}: a memory volume has no path", "leave it out")
    return MemoryVolume(spec.name)


def _components(path: bytes) -> list[bytes]:
    names = path.split(b"/") if path else []
    if any(name in (b"", b".", b"..") for name in names):
        raise ValueError(f"the path {show(path)} is not normalised")
    return names


def _last(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _refused(path: bytes, code: OffenceCode, detail: str) -> Refused:
    return Refused(Offence(path, code, detail))
