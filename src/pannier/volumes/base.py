"""What a backend promises: volumes, folders, sources.

Everything here blocks and is called from threads, never from the event loop. Paths are bytes, relative to the folder's
root, normalised (no ``.``, ``..``, empty component; the root itself is ``b""``), and every one of them is opened
component by component from the folder's own descriptor: nothing outside the folder is ever reached, whatever is swapped
for a link meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pannier.archive.entries import Kind
from pannier.archive.files import Files
from pannier.errors import Offence
from pannier.volumes.deletions import Trash

if TYPE_CHECKING:  # helper processes read files, and are small: they need no pydantic
    from pannier.dto.ids import FolderId
    from pannier.dto.uploads import Conflict

RESERVED = b".upload"
"""The name at a folder's root that holds unfinished uploads and is never part of anything (WIRE section 2)."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a volume says of one thing, its links not followed.

    ``identity`` is opaque, equal as long as the content may be taken as the same. ``changed_ns`` is the last instant at
    which the identity may have moved (ctime, or the object's time), in nanoseconds since the epoch. ``mode`` holds
    permission bits only. ``readable`` says whether this process may read the content.
    """

    kind: Kind
    size: int
    mtime_ns: int
    mode: int
    identity: bytes
    changed_ns: int
    readable: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a folder: where it really is (``source`` has no link in it), what it is, where a link points."""

    source: bytes
    stat: Stat
    target: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some of what a directory holds: regular files that may be read as columns, all else one by one.

    ``others`` are names with what they are, links not followed, or an ``Offence`` (its path is source/name).
    """

    files: Files
    others: list[tuple[bytes, Found | Offence]]

    def __len__(self) -> int:
        return len(self.files) + len(self.others)

    @classmethod
    def of(cls, things: Iterable[tuple[bytes, Found | Offence]]) -> Batch:
        """Return a batch of things in the byte order of their names."""
        names: list[bytes] = []
        stats: list[Stat] = []
        others: list[tuple[bytes, Found | Offence]] = []
        for name, found in things:
            if isinstance(found, Found) and found.stat.kind is Kind.FILE and found.stat.readable:
                names.append(name)
                stats.append(found.stat)
            else:
                others.append((name, found))
        files = Files(
            names,
            array("Q", [stat.size for stat in stats]),
            [stat.mtime_ns for stat in stats],
            array("H", [stat.mode for stat in stats]),
            [stat.identity for stat in stats],
            [stat.changed_ns for stat in stats],
        )
        return cls(files, others)


class Listing:
    """A directory being listed: to be gone through once, thing by thing or in batches."""

    def __init__(self, source: bytes, batches: Iterable[Batch], looked_ns: int | None = None) -> None:
        """``batches`` of the directory at ``source``: all names of one before those of the next, in byte order.

        ``looked_ns``: when it was looked at, or before, on the clock of the volume; None: as the batches are taken.
        """
        self._source, self._batches = source, batches
        self.looked_ns = looked_ns

    def batches(self) -> Iterator[Batch]:
        """Go through it in batches of at most some thousand; one may be empty while more are being found."""
        return iter(self._batches)

    def close(self) -> None:
        """Let go of the directory, if it was not gone through to its end. Idempotent."""
        if isinstance(self._batches, Generator):
            self._batches.close()

    def __iter__(self) -> Iterator[tuple[bytes, Found | Offence]]:
        prefix = self._source + b"/" if self._source else b""
        for batch in self._batches:
            yield from batch.others
            files = batch.files
            for number, name in enumerate(files.names):
                stat = Stat(
                    kind=Kind.FILE,
                    size=files.sizes[number],
                    mtime_ns=files.mtimes[number],
                    mode=files.modes[number],
                    identity=files.identity(number),
                    changed_ns=files.changed[number],
                    readable=True,
                )
                yield name, Found(prefix + name, stat)


class Refused(Exception):
    """A path cannot be used; carries the offence. Raised by ``Folder.lookup``, caught by the planner."""

    def __init__(self, offence: Offence) -> None:
        super().__init__(str(offence))
        self.offence = offence


class Source(Protocol):
    """One file, opened and found to be what was planned."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to ``length`` bytes at ``offset``; fewer only at the end of the file.

        Raises:
            SourceUnreadable: The backend could not read.
        """

    def check(self) -> None:
        """Compare the open file with the identity it was opened for.

        Raises:
            SourceChanged: It is another file, or was written to, truncated or touched.
            SourceUnreadable: The backend could not tell.
        """

    def changed_ns(self) -> int | None:
        """When anybody last touched it, content or not, as of the last check: nanoseconds, None if unknown."""

    def fileno(self) -> int | None:
        """The descriptor to read from directly, or None where the backend has none. Valid until ``close``."""

    def close(self) -> None:
        """Give the descriptor back. Idempotent."""


class WholeReader(Protocol):
    """Reads small files whole, one after the other. Belongs to one thread at a time."""

    def read(self, files: Iterable[tuple[bytes, bytes, int, bytes]]) -> list[bytes]:
        """Return the contents of regular files, each of which was what was planned when it was read.

        ``files``: source, identity, size in bytes, and the name used in messages, of each.

        Raises:
            SourceChanged: One is gone, is another file or kind, or was changed.
            SourceUnreadable: One may not be read, or the backend failed.
        """

    def root(self) -> int | None:
        """A descriptor of the folder by which another process can read the same, None where there is none.

        Valid until ``close``.
        """

    def close(self) -> None:
        """Give back what is held open. Idempotent."""


class Folder(Protocol):
    """One virtual folder, opened. Usable from several threads at once until closed."""

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        """Find ``path``, following relative links on the way, and a last link only with ``follow``.

        Raises:
            Refused: With MISSING, UNREADABLE, LINK_OUTSIDE, LINK_DANGLING or LINK_LOOP. What leads into ``.upload``
                is MISSING.
            VolumeFailed: The backend failed otherwise.
        """

    def scan(self, source: bytes) -> Listing:
        """List the directory at ``source`` (a path without links): each name with what it is, links not followed.

        ``.upload`` at the root is left out; what vanished between listing and looking is left out. A thing that cannot
        be looked at is an ``Offence`` (its path is source/name).

        Raises:
            Refused: The directory itself is gone, unreadable or now a link.
            VolumeFailed: The backend failed otherwise; also while the listing is gone through.
        """

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        """Return what the things of these names in the directory at ``source`` (a path without links) are now.

        None stands for what is gone, or may not be looked at. Links are not followed.

        Raises:
            Refused: The directory itself is gone, closed or now a link.
            VolumeFailed: The backend failed otherwise.
        """

    def open(self, source: bytes, identity: bytes, path: bytes) -> Source:
        """Open the regular file at ``source`` (a path without links) if it still has this identity.

        ``path`` is the name used in messages. Never blocks on a FIFO, never follows a link.

        Raises:
            SourceChanged: It is gone, is another file or kind, or a link now leads there.
            SourceUnreadable: It may not be read, or the backend failed.
        """

    def whole_reader(self) -> WholeReader:
        """Return a reader of small files; it may be used after the folder is closed."""

    def close(self) -> None:
        """Give back what the folder holds open. Idempotent; open sources stay usable."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing in a directory as people look at it: a link is not followed.

    ``mode`` is the full st_mode. ``target`` is where a link leads if that is inside the folder and there: relative to
    the directory; else empty.
    """

    name: bytes
    mode: int
    size: int
    changed_ns: int
    mtime_ns: int
    target: bytes = b""


@dataclass(frozen=True, slots=True)
class Published:
    """Where an upload appeared, and the identity of the file that it is."""

    path: bytes
    identity: bytes


class StagedUpload(Protocol):
    """An unfinished upload that nobody else writes to. Errors: as of ``FolderEditor``."""

    @property
    def offset(self) -> int:
        """Bytes that are durable."""

    def cut(self) -> None:
        """Drop what is not durable, before more is written."""

    def write(self, data: memoryview, at: int) -> None:
        """Write behind what is there; durable with the next ``commit``."""

    def sync(self) -> None:
        """Have the disk keep what was written so far, beside more writes; no ``commit`` hears of an error it tells."""

    def commit(self, offset: int) -> None:
        """Make the first ``offset`` bytes durable, and say so durably."""

    def note(self) -> bytes:
        """Return what was committed: of an empty upload where its file is, as its content is not in it."""

    def publish(self, path: bytes, conflict: Conflict) -> Published:
        """Have it appear at a path, whole and at once; directories are made.

        Raises:
            TargetExists: Something is there and must not be replaced.
        """

    def discard(self) -> None:
        """Drop it."""


class FolderEditor(Protocol):
    """Shows and changes what is in one virtual folder.

    Links on the way are followed inside the folder, a last one never.

    What the backend refuses is an ``OperationRefused``; a path that leads out, or to ``.upload``, a ``PathOutside``; a
    full backend ``StorageFull``, one that fails ``VolumeFailed``.
    """

    def browse(self, path: bytes, after: bytes, most: int | None) -> tuple[list[Seen], bool]:
        """List a directory: at most so many things by the bytes of their names, behind the name ``after``; and whether
        there are more. What cannot be looked at is left out, and ``.upload`` at the root."""

    def names(self, path: bytes) -> list[bytes]:
        """Return all names in a directory, by bytes, without ``.upload`` at the root."""

    def see(self, path: bytes, names: Sequence[bytes]) -> list[Seen]:
        """Look at some names in a directory; those that cannot be looked at are left out."""

    def make_directory(self, path: bytes, *, parents: bool, exist_ok: bool) -> None:
        """Make a directory, with ``parents`` those on the way too; ``exist_ok``: it may be there."""

    def rename(self, path: bytes, name: bytes) -> None:
        """Give something another name in its directory.

        Raises:
            TargetExists: Something has that name.
        """

    def move(self, source: bytes, target: bytes, *, into: bool = False) -> None:
        """Move something to another path, or into the directory that is there. A file that is there is replaced.

        ``into``: a directory has to be there, so that nothing is ever replaced.

        Raises:
            TargetExists: Something of that name is in the directory already.
        """

    def trash(self) -> Trash:
        """Return what was deleted here and can come back. It belongs to this editor."""

    def kinds(self, paths: Sequence[bytes]) -> list[Kind | None]:
        """Return what is at some paths, None where nothing is."""

    def remove(self, path: bytes) -> None:
        """Remove what is at a path with all below it, if anything is; of the folder itself only what is in it."""

    def take_away(self, paths: Sequence[bytes], aside: bytes) -> None:
        """Have what is at some paths vanish at once, each, to where nobody looks, under one name; as ``remove``."""

    def clear(self, aside: bytes, go_on: Callable[[int], bool]) -> bool:
        """Remove what was taken away under a name.

        Args:
            go_on: Told now and then how many things were removed since; False ends it.

        Returns:
            Whether all of it is gone; otherwise it may be called again.
        """

    def stage(self, session: bytes) -> None:
        """Begin an upload, durably."""

    def collect(self, lifetime: float) -> None:
        """Drop the uploads to which nothing was added for ``lifetime`` seconds, and what else of ours was left."""

    def staged(self, session: bytes, lifetime: float) -> AbstractContextManager[StagedUpload]:
        """Take an unfinished upload, for the block.

        Raises:
            UploadMissing: There is none, or nothing was added to it for ``lifetime`` seconds.
            UploadLeaseHeld: Somebody else has it.
        """

    def close(self) -> None:
        """Give back what is held open. Idempotent."""


class Volume(Protocol):
    """A configured store that holds virtual folders."""

    @property
    def name(self) -> str:
        """The name by which requests call it."""

    @property
    def id(self) -> str:
        """What distinguishes its content from other volumes' in remembered checksums; stable over restarts."""

    @property
    def identity_scheme(self) -> str:
        """The kind of identity it gives: ``inode``, ``object`` or ``size+mtime``. Part of every ETag."""

    @property
    def clock_granularity_ns(self) -> int:
        """Two changes within this time may carry the same identity, in nanoseconds."""

    def now_ns(self) -> int:
        """The clock that stamps its files, nanoseconds since the epoch."""

    def folder(self, folder: FolderId) -> Folder:
        """Open a virtual folder.

        Raises:
            FolderMissing: It has no directory.
            VolumeFailed: The backend failed otherwise.
        """

    def close(self) -> None:
        """Give back what the volume holds open. Idempotent; opened folders stay usable."""


@runtime_checkable
class EditableVolume(Volume, Protocol):
    """A volume whose folders can be changed."""

    def editor(self, folder: FolderId) -> FolderEditor:
        """Open a virtual folder to show and change what is in it; errors as ``folder``."""

    def folders(self) -> Iterator[FolderId]:
        """List the virtual folders, one after the other while it is gone through; what cannot be looked at is left
        out."""
