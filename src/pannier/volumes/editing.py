"""Changing what is in a folder: directories, names, removals. Confined as reading is, and never through a last link."""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pannier.archive.entries import Kind
from pannier.errors import OffenceCode, PathOutside, TargetExists, VolumeFailed
from pannier.volumes.aside import clear, place_aside, take_in
from pannier.volumes.base import RESERVED, Refused, Seen, StagedUpload
from pannier.volumes.confine import Place, inspect, resolve
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.listings import kind_of, names_at, names_in
from pannier.volumes.ownership import Ownership
from pannier.volumes.publishing import PosixUpload
from pannier.volumes.refusals import BROKEN, told, told_of
from pannier.volumes.removal import GoOn, remove_tree
from pannier.volumes.renaming import rename_new
from pannier.volumes.staging import Staging, sync
from pannier.volumes.trash import PosixTrash

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROUNDS = 100
"""How often a way is made again that somebody else makes, or takes away, at the same time."""
_REMOVED = b"removed-"
"""What the names of things that are being removed begin with, in the reserved directory."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a name is or would be: a descriptor (``O_PATH``) of its directory, that directory's path, and the name."""

    directory: int
    source: bytes
    name: bytes

    @property
    def path(self) -> bytes:
        return self.source + b"/" + self.name if self.source else self.name


class PosixEditor:
    """Changes one virtual folder. Paths as of ``Folder``; links on the way are followed inside the folder, a last one
    never: it is itself what is renamed or removed.

    What the file system refuses is an ``OperationRefused`` with its ``errno``; a path that leads out of the folder, or
    to what is reserved, a ``PathOutside``; a full file system ``StorageFull``; one that fails ``VolumeFailed``.
    """

    def __init__(self, root: Descriptor, ownership: Ownership) -> None:
        """``root`` is the folder's; the editor gives it back."""
        self.root, self.ownership = root, ownership

    def browse(self, path: bytes, after: bytes, most: int | None) -> tuple[list[Seen], bool]:
        """See ``FolderEditor.browse``."""
        with self.telling(path), self._directory_at(path) as (root, place):
            names = [name for name in names_in(place) if name > after]
            seen: list[Seen] = []
            for at, name in enumerate(names):
                if most is not None and len(seen) == most:
                    return seen, at < len(names)
                if (one := self._look_at(root, place, name)) is not None:
                    seen.append(one)
            return seen, False

    def names(self, path: bytes) -> list[bytes]:
        """See ``FolderEditor.names``."""
        with self.telling(path), self._directory_at(path) as (_, place):
            return names_in(place)

    def see(self, path: bytes, names: Sequence[bytes]) -> list[Seen]:
        """See ``FolderEditor.see``."""
        with self.telling(path), self._directory_at(path) as (root, place):
            found = (self._look_at(root, place, name) for name in names)
            return [one for one in found if one is not None]

    def make_directory(self, path: bytes, *, parents: bool, exist_ok: bool) -> None:
        """Make a directory.

        Args:
            parents: Make those on the way to it, too; otherwise they must be there.
            exist_ok: Nothing happens where a directory is already there.
        """
        above = path.rpartition(b"/")[0]
        with self.telling(path):
            if parents and above:
                self.make_way(above)
            if path:
                self.make(path, exist_ok=exist_ok)
            elif not exist_ok:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def rename(self, path: bytes, name: bytes) -> None:
        """Give something another name in its directory.

        Raises:
            TargetExists: Something has that name.
        """
        with self.telling(path), self.spot(path) as spot:
            if not spot.source and name == RESERVED:
                raise _reserved(name)
            try:
                rename_new(spot.name, name, src_dir_fd=spot.directory, dst_dir_fd=spot.directory)
            except FileExistsError:
                raise TargetExists(spot.source + b"/" + name if spot.source else name) from None

    def move(self, source: bytes, target: bytes, *, into: bool = False) -> None:
        """See ``FolderEditor.move``."""
        with self.telling(source, target), self.spot(source) as old:
            directory = self._directory(target)
            if directory is None:
                if into:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
                with self.spot(target) as new:
                    os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
                return
            with self.spot(directory + b"/" + old.name if directory else old.name) as new:
                if new.path == old.path:
                    os.lstat(old.name, dir_fd=old.directory)  # what is missing cannot be moved, not even to its place
                    return
                try:
                    rename_new(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
                except FileExistsError:
                    raise TargetExists(new.path) from None

    def trash(self) -> PosixTrash:
        """See ``FolderEditor.trash``."""
        return PosixTrash(self)

    def kinds(self, paths: Sequence[bytes]) -> list[Kind | None]:
        """Return what is at some paths, None where nothing is."""
        found: list[Kind | None] = []
        for path in paths:
            with self.telling(path):
                if path == RESERVED:
                    raise _reserved(path)
                try:
                    with self.root.use() as root, resolve(root, path, follow=False) as place:
                        found.append(kind_of(place.status))
                except Refused as refused:
                    if refused.offence.code not in (OffenceCode.MISSING, OffenceCode.LINK_DANGLING):
                        raise
                    found.append(None)
        return found

    def remove(self, path: bytes) -> None:
        """Remove what is at a path, a directory with all below it; nothing happens where nothing is.

        The folder itself stays, and what is reserved in it. A directory vanishes at once, before it is emptied.
        """
        with self.telling(path):
            if not path:
                with self.root.use() as root:
                    names = [name for name in map(os.fsencode, names_at(root)) if name != RESERVED]
                for name in names:
                    self.remove(name)
                return
            try:
                with self.spot(path) as spot:
                    self._remove(spot)
            except Refused as refused:
                if refused.offence.code not in (OffenceCode.MISSING, OffenceCode.LINK_DANGLING):
                    raise
            except (FileNotFoundError, NotADirectoryError):  # nothing is below a file, either
                pass

    def take_away(self, paths: Sequence[bytes], aside: bytes) -> None:
        """See ``FolderEditor.take_away``."""
        with self.telling(*paths), self.root.use() as root, take_in(root, RESERVED, aside) as hidden:
            for path in paths:
                if path:
                    self._take_away(path, hidden)
                else:
                    for name in map(os.fsencode, names_at(root)):
                        if name != RESERVED:
                            self._take_away(name, hidden)

    def clear(self, aside: bytes, go_on: GoOn) -> bool:
        """See ``FolderEditor.clear``."""
        with self.telling(b"."), self.root.use() as root:
            return clear(root, RESERVED, aside, go_on)

    # -- uploads

    def stage(self, session: bytes) -> None:
        """See ``FolderEditor.stage``."""
        with self.telling(session), self.root.use() as root:
            Staging(root).create(session)

    def collect(self, lifetime: float) -> None:
        """See ``FolderEditor.collect``."""
        with self.telling(RESERVED), self.root.use() as root:
            Staging(root).collect(lifetime)

    @contextmanager
    def staged(self, session: bytes, lifetime: float) -> Iterator[StagedUpload]:
        """See ``FolderEditor.staged``."""
        with (
            self.telling(session),
            self.root.use() as root,
            Staging(root).open(session, lifetime) as (staged, directory),
        ):
            yield PosixUpload(self, session, staged, directory)

    def close(self) -> None:
        """Give back what is held open. Idempotent."""
        self.root.close()

    # -- one step

    def make(self, path: bytes, *, exist_ok: bool) -> None:
        """Make one directory."""
        with self.spot(path) as spot:
            try:
                # for nobody else until its owner and rights are what they are to be
                os.mkdir(spot.name, 0o700, dir_fd=spot.directory)
            except FileExistsError:
                if exist_ok and self._directory(path) is not None:
                    return
                raise
            os.close(self._enter_made(spot.directory, spot.name))

    def make_way(self, path: bytes, *, durable: bool = False) -> None:
        """Make the directories of a path that are not there, if asked for durably.

        How far the way is there is found by halving, and what is made goes down from its end: from the folder's root
        for each of them, a path of some thousand names would take minutes.
        """
        names = path.split(b"/")
        for last_try in (False,) * _ROUNDS + (True,):
            there = self._there(names)
            if there == len(names):
                return
            try:
                self._make_below(names, there, durable=durable)
                return
            except FileExistsError:  # somebody else has made it meanwhile
                if last_try:
                    raise

    def _there(self, names: Sequence[bytes]) -> int:
        """Return how many of the names, from the first on, lead to something."""
        least, most = 0, len(names)
        middle = most
        while least < most:
            if self.is_there(b"/".join(names[:middle])):
                least = middle
            else:
                most = middle - 1
            middle = (least + most + 1) // 2
        return least

    def _make_below(self, names: Sequence[bytes], there: int, *, durable: bool) -> None:
        with self.root.use() as root, resolve(root, b"/".join(names[:there]), follow=True) as place:
            if kind_of(place.status) is not Kind.DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not place.source and names[there] == RESERVED:
                raise _reserved(b"/".join(names))
            at = place.directory
            try:
                for name in names[there:]:
                    os.mkdir(name, 0o700, dir_fd=at)
                    below = self._enter_made(at, name)
                    above, at = at, below
                    try:
                        if durable:
                            sync(above)
                    finally:
                        if above != place.directory:
                            os.close(above)
            finally:
                if at != place.directory:
                    os.close(at)

    def _enter_made(self, directory: int, name: bytes) -> int:
        """Give a directory that was made just now its owner and rights, and return a descriptor of it to close."""
        made = os.open(name, _OPEN_DIRECTORY, dir_fd=directory)
        try:
            self.ownership.grant(made, self.ownership.directory_mode)
        except BaseException:
            os.close(made)
            raise
        return made

    def _take_away(self, path: bytes, hidden: int) -> None:
        """Have what is at a path vanish into the directory ``hidden``, if anything is there."""
        try:
            with self.spot(path) as spot:
                try:
                    os.rename(spot.name, secrets.token_hex(16).encode(), src_dir_fd=spot.directory, dst_dir_fd=hidden)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    os.unlink(spot.name, dir_fd=spot.directory)  # on what is mounted in the folder
        except Refused as refused:
            if refused.offence.code not in (OffenceCode.MISSING, OffenceCode.LINK_DANGLING):
                raise
        except (FileNotFoundError, NotADirectoryError):
            pass

    def _remove(self, spot: Spot) -> None:
        try:
            os.unlink(spot.name, dir_fd=spot.directory)
            return
        except (IsADirectoryError, PermissionError):  # of a directory the one or the other (unlink(2))
            pass
        hidden = _REMOVED + secrets.token_hex(16).encode()
        while True:
            try:
                with self.root.use() as root, place_aside(root, RESERVED) as reserved:
                    os.rename(spot.name, hidden, src_dir_fd=spot.directory, dst_dir_fd=reserved)
                    remove_tree(reserved, hidden)
                return
            except FileNotFoundError:
                # another removal that ended has taken the reserved directory away under us, unless ours is gone
                os.lstat(spot.name, dir_fd=spot.directory)

    # -- finding

    @contextmanager
    def _directory_at(self, path: bytes) -> Iterator[tuple[int, Place]]:
        """Give the root and the directory at ``path``, for the block."""
        with self.root.use() as root, resolve(root, path, follow=True) as place:
            if kind_of(place.status) is not Kind.DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            yield root, place

    def _look_at(self, root: int, place: Place, name: bytes) -> Seen | None:
        """Return what is at a name; None if that cannot be looked at."""
        try:
            # of most names one call tells all; a directory is opened as well, so that what belongs there is mounted
            status, target = os.stat(name, dir_fd=place.directory, follow_symlinks=False), b""
            if not stat.S_ISREG(status.st_mode):
                status, target = inspect(place.directory, name)
        except OSError as error:
            if error.errno in BROKEN:
                raise
            return None
        if target:
            target = self._leads_to(root, place.source, name)
        return Seen(name, status.st_mode, status.st_size, status.st_ctime_ns, status.st_mtime_ns, target)

    def _leads_to(self, root: int, directory: bytes, name: bytes) -> bytes:
        """Return where a link leads, relative to its directory; empty where that is outside or nowhere."""
        try:
            with resolve(root, directory + b"/" + name if directory else name, follow=True) as place:
                return posixpath.relpath(b"/" + place.source, b"/" + directory)
        except (Refused, VolumeFailed):
            return b""

    def is_there(self, path: bytes) -> bool:
        """Whether anything is at a path."""
        try:
            with self.root.use() as root, resolve(root, path, follow=True):
                return True
        except Refused as refused:
            if refused.offence.code is OffenceCode.MISSING:
                return False
            raise

    def _directory(self, path: bytes) -> bytes | None:
        """Return the path without links of the directory at ``path``, None if something else or nothing is there."""
        try:
            with self.root.use() as root, resolve(root, path, follow=True) as place:
                return place.source if kind_of(place.status) is Kind.DIRECTORY else None
        except Refused as refused:
            if refused.offence.code in (OffenceCode.MISSING, OffenceCode.LINK_DANGLING):
                return None
            raise

    @contextmanager
    def spot(self, path: bytes) -> Iterator[Spot]:
        """Find the directory of a path, for an operation on its last name.

        Raises:
            OSError: The directory is the folder's own place (EBUSY), or no directory.
            PathOutside: The name is reserved.
            Refused: As of ``resolve``.
        """
        above, _, name = path.rpartition(b"/")
        if not name:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        with self.root.use() as root, resolve(root, above, follow=True) as place:
            if kind_of(place.status) is not Kind.DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not place.source and name == RESERVED:
                raise _reserved(path)
            yield Spot(place.directory, place.source, name)

    @contextmanager
    def telling(self, *paths: bytes) -> Iterator[None]:
        """Say what the file system or the resolver refuses in terms of the paths that were asked for."""
        try:
            yield
        except Refused as refused:
            raise told(refused, paths) from refused
        except OSError as error:
            raise told_of(error, paths) from error


def _reserved(path: bytes) -> PathOutside:
    return PathOutside(path, "this name is kept for unfinished uploads; choose another")
