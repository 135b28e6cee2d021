"""How an upload that is whole becomes a file of its folder: at once, confined, durably, replacing only what it may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pannier.dto.uploads import Conflict
from pannier.errors import TargetExists
from pannier.volumes.base import Published
from pannier.volumes.identities import pack_identity
from pannier.volumes.renaming import rename_new
from pannier.volumes.staging import Staged, Staging, is_at, sync

if TYPE_CHECKING:
    from pannier.volumes.editing import PosixEditor, Spot

_MOST_TRIED = 10_000
"""Names that are tried where those before are taken."""
_LONGEST_NAME = 255
"""Bytes of a name on nearly all file systems (NAME_MAX)."""


@dataclass(frozen=True, slots=True)
class PosixUpload:
    """A ``StagedUpload``: the open file in the staging directory (a descriptor), and its folder."""

    editor: PosixEditor
    session: bytes
    staged: Staged
    directory: int

    @property
    def offset(self) -> int:
        return self.staged.offset

    def cut(self) -> None:
        with self.editor.telling(self.session):
            self.staged.cut()

    def write(self, data: memoryview, at: int) -> None:
        with self.editor.telling(self.session):
            self.staged.write(data, at)

    def sync(self) -> None:
        with self.editor.telling(self.session):
            self.staged.sync()

    def commit(self, offset: int) -> None:
        with self.editor.telling(self.session):
            self.staged.commit(offset)

    def note(self) -> bytes:
        with self.editor.telling(self.session):
            return self.staged.note()

    def publish(self, path: bytes, conflict: Conflict) -> Published:
        above = path.rpartition(b"/")[0]
        with self.editor.telling(path):
            if above:
                self.editor.make_way(above, durable=True)
            with self.editor.spot(path) as spot:
                self.editor.ownership.grant(self.staged.descriptor, self.editor.ownership.file_mode)
                self.staged.finish()
                name = self._appear(spot, conflict)
                sync(spot.directory)
                status = os.fstat(self.staged.descriptor)
        self._tidy()
        identity = pack_identity(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return Published(path[: len(path) - len(spot.name)] + name, identity)

    def discard(self) -> None:
        with self.editor.telling(self.session):
            os.unlink(self.session, dir_fd=self.directory)
        self._tidy()

    def _appear(self, spot: Spot, conflict: Conflict) -> bytes:
        """Give the file its name, and return it: another one than was wanted where the policy says so."""
        if conflict is Conflict.REPLACE:
            os.rename(self.session, spot.name, src_dir_fd=self.directory, dst_dir_fd=spot.directory)
            return spot.name
        status = os.fstat(self.staged.descriptor)
        for name in free_names(spot.name) if conflict is Conflict.RENAME else (spot.name,):
            try:
                rename_new(self.session, name, src_dir_fd=self.directory, dst_dir_fd=spot.directory)
            except FileExistsError:
                if is_at(spot.directory, name, status):  # a crash left it with both names
                    os.unlink(self.session, dir_fd=self.directory)
                    return name
            else:
                return name
        raise TargetExists(spot.path)

    def _tidy(self) -> None:
        with self.editor.root.use() as root:
            Staging(root).tidy()


def free_names(name: bytes) -> Iterator[bytes]:
    """Give a name, then ``name (1).ext``, ``name (2).ext``, …, none longer than file systems take.

    The extension is what follows the last dot, unless the name begins with that dot.
    """
    yield name
    stem, dot, extension = name.rpartition(b".")
    if not stem or len(extension) > 32:
        stem, dot, extension = name, b"", b""
    for number in range(1, _MOST_TRIED):
        ending = b" (%d)%s%s" % (number, dot, extension)
        yield _shortened(stem, _LONGEST_NAME - len(ending)) + ending


def _shortened(name: bytes, most: int) -> bytes:
    """Return at most so many bytes of a name, no character of UTF-8 cut in two."""
    if len(name) <= most:
        return name
    while most and 0x80 <= name[most] < 0xC0:
        most -= 1
    return name[:most]
