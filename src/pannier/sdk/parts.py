"""A download that is not whole yet: ``NAME.part``, and ``NAME.part.json``, which says what of it is there.

The second file holds the ETag and the length of what was begun, and the windows that were written, so that any URL of
the same archive can go on. It is written after the bytes that it tells of were made durable, by a rename: whenever
power is lost, it tells of no byte that is not there. The whole file gets its name last.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pannier.coverage import Coverage
from pannier.quantities import show_size
from pannier.sdk.problems import ClientError
from pannier.sdk.remote import Version
from pannier.window import Window

_LARGEST_LEDGER = 2**24


class PartUnusable(ClientError):
    """What is there of a download cannot be gone on with."""


class TargetUnusable(ClientError):
    """The file cannot be written where it should be."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What the ledger of a part says."""

    version: Version
    done: Coverage

    def document(self) -> dict[str, Any]:
        """Return it as it is kept."""
        version = self.version
        return {
            "v": 1,
            "etag": version.etag,
            "length": version.length,
            "media_type": version.media_type,
            "filename": version.filename,
            "done": str(self.done),
        }

    @classmethod
    def read(cls, document: object) -> Begun | None:
        """Return what a ledger says; None if it is none that this version of Pannier wrote."""
        match document:
            case {
                "v": 1,
                "etag": str(etag),
                "length": int(length),
                "media_type": str(media_type),
                "filename": str(filename),
                "done": str(done),
            }:
                with suppress(ValueError):
                    coverage = Coverage.parse(done)
                    if length >= 0 and (not coverage.windows or coverage.windows[-1].stop <= length):
                        return cls(Version(etag, length, True, media_type, filename), coverage)
        return None


def part_path(target: Path) -> Path:
    """Where a download lies until it is whole."""
    return target.with_name(f"{target.name}.part")


def ledger_path(target: Path) -> Path:
    """Where is written what of it is there."""
    return target.with_name(f"{target.name}.part.json")


def begun(target: Path) -> Begun | None:
    """Return what was begun of a target; None if nothing was.

    Raises:
        PartUnusable: Something is there, but nothing says of what it is a part.
    """
    part = part_path(target)
    if not part.exists():
        return None
    try:
        with ledger_path(target).open("rb") as file:
            found = Begun.read(json.loads(file.read(_LARGEST_LEDGER)))
    except (OSError, ValueError, RecursionError):
        found = None
    if found is None:
        raise PartUnusable(f"{str(part)!r} is there, but nothing says which archive it is a part of")
    if found.done.windows and part.stat().st_size < found.done.windows[-1].stop:
        raise PartUnusable(f"{str(part)!r} is shorter than it was left")
    return found


class Part:
    """The file of a download that runs. All methods block, and any thread may call them.

    Of a version that cannot be resumed there is no ledger: such a part goes when the download breaks off.
    """

    def __init__(self, target: Path, version: Version, found: Begun | None) -> None:
        """Open what is there (``found``), or begin.

        Raises:
            TargetUnusable: It cannot be written, is being written by somebody else, or would not fit.
        """
        self.target, self.version = target, version
        self.done = found.done if found is not None else Coverage()
        self._path, self._ledger = part_path(target), ledger_path(target)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._descriptor = os.open(self._path, flags, 0o666)
        except OSError as error:
            raise TargetUnusable(f"{str(self._path)!r} cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if found is None:
                os.ftruncate(self._descriptor, 0)
            self._check_room()
            if found is None and version.resumable:
                self.checkpoint()
        except OSError as error:
            os.close(self._descriptor)
            what = "is being written by another download" if isinstance(error, BlockingIOError) else error.strerror
            raise TargetUnusable(f"{str(self._path)!r}: {what}") from None
        except BaseException:
            os.close(self._descriptor)
            raise

    def _check_room(self) -> None:
        if self.version.length is None:
            return
        system = os.fstatvfs(self._descriptor)
        needed, free = self.version.length - self.done.length, system.f_bavail * system.f_frsize
        if needed > free:
            raise TargetUnusable(
                f"{str(self.target)!r} needs {show_size(needed)}, and {show_size(free)} are free there; make room first"
            )

    def write(self, piece: memoryview, at: int) -> Window:
        """Write a piece, and return where it is now.

        Raises:
            TargetUnusable: It cannot be written.
        """
        done = 0
        try:
            while done < len(piece):
                done += os.pwrite(self._descriptor, piece[done:], at + done)
        except OSError as error:
            raise TargetUnusable(f"{str(self._path)!r} cannot be written ({error.strerror})") from None
        return Window(at, at + done)

    def read(self, at: int, length: int) -> bytes:
        """Return bytes that were written."""
        return os.pread(self._descriptor, length, at)

    def checkpoint(self) -> None:
        """Make durable what is ``done`` now, and say so.

        Raises:
            TargetUnusable: It cannot be.
        """
        if not self.version.resumable:
            return
        document = Begun(self.version, self.done).document()
        new = self._ledger.with_name(f"{self._ledger.name}.new")
        try:
            os.fdatasync(self._descriptor)
            with new.open("w", encoding="ascii") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._ledger)
        except OSError as error:
            raise TargetUnusable(f"{str(self._ledger)!r} cannot be written ({error.strerror})") from None

    def finish(self) -> None:
        """Give the whole file its name, durably.

        Raises:
            TargetUnusable: It cannot be.
        """
        try:
            os.fsync(self._descriptor)
            self._path.replace(self.target)
            self._ledger.unlink(missing_ok=True)
            directory = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise TargetUnusable(f"{str(self.target)!r} cannot be written ({error.strerror})") from None

    def forget(self, window: Window) -> None:
        """Count some bytes as missing."""
        kept = (Coverage((window,)).missing(each).windows for each in self.done.windows)
        self.done = Coverage(tuple(piece for pieces in kept for piece in pieces))

    def clear(self) -> None:
        """Begin again."""
        self.done = Coverage()
        os.ftruncate(self._descriptor, 0)

    def size(self) -> int:
        """Return the length of the file."""
        return os.fstat(self._descriptor).st_size

    def discard(self) -> None:
        """Remove what nobody can go on with."""
        self._path.unlink(missing_ok=True)
        self._ledger.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)
