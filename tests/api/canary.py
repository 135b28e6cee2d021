"""What lies outside a folder and may never be noticed: neither read nor listed, changed or deleted."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONTENT = b"CANARY-8d4c1f: nobody outside the server may ever see this line\n"
"""Of every file out there."""
LISTED = "listed-5b21e7"
"""A name that stands in no link and no request: who tells it has listed its directory."""

_EVERYTHING = 0xFFF
"""IN_ALL_EVENTS (inotify(7)): opened, read, listed, written, made, moved, deleted, touched."""
_libc = ctypes.CDLL(None, use_errno=True)


class Canary:
    """A directory that is watched by the kernel: whoever opens anything in it is seen, whatever comes of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for directory in (root, root / "inner", root / "empty"):
            directory.mkdir(parents=True)
            for name in ("secret", LISTED) if directory.name != "empty" else ():
                (directory / name).write_bytes(CONTENT)
        (root / "inner").chmod(0o751)

    def state(self) -> dict[str, tuple[int, ...]]:
        """Everything that a change of anything would move: inode, mode, owner, links, size and times."""
        paths = [self.root, *sorted(self.root.rglob("*"))]
        return {
            str(path): (
                it.st_ino,
                it.st_mode,
                it.st_uid,
                it.st_gid,
                it.st_nlink,
                it.st_size,
                it.st_mtime_ns,
                it.st_ctime_ns,
            )
            for path in paths
            for it in (path.lstat(),)
        }


@contextmanager
def untouched(*canaries: Canary) -> Iterator[Callable[[], list[bytes]]]:
    """See to it that nothing happens to some canaries in a block; gives what tells whether they were opened so far."""
    before = [canary.state() for canary in canaries]
    with _watched([path for state in before for path in state if os.path.isdir(path)]) as seen:
        yield seen
        assert seen() == [], "something outside was opened"
    assert [canary.state() for canary in canaries] == before


@contextmanager
def _watched(directories: list[str]) -> Iterator[Callable[[], list[bytes]]]:
    number = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert number >= 0, os.strerror(ctypes.get_errno())
    try:
        for each in directories:
            assert _libc.inotify_add_watch(number, os.fsencode(each), _EVERYTHING) > 0, os.strerror(ctypes.get_errno())

        def seen() -> list[bytes]:
            try:
                return [os.read(number, 65_536)]
            except BlockingIOError:
                return []

        yield seen
    finally:
        os.close(number)


def tells(text: bytes) -> bool:
    """Whether something that was answered tells of a canary."""
    return CONTENT[:20] in text or LISTED.encode() in text
