"""A virtual folder of a file system, as it is read. Linux only."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import closing

from pannier.errors import Offence, OffenceCode, VolumeFailed, show
from pannier.volumes.base import Found, Listing, Refused
from pannier.volumes.confine import open_beneath, resolve
from pannier.volumes.descriptors import Descriptor
from pannier.volumes.listings import batches, identities, looked_batches, reason, stat_of
from pannier.volumes.looking import Looked
from pannier.volumes.sources import ENTER, READ, PosixSource, PosixWholeReader, not_opened

_LIST = os.O_RDONLY | os.O_DIRECTORY
_GONE = (errno.ENOENT, errno.ENAMETOOLONG)
_NOT_A_DIRECTORY = (errno.ENOTDIR, errno.ELOOP)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)


class PosixFolder:
    """One virtual folder, held by the descriptor of its root."""

    def __init__(self, root: Descriptor) -> None:
        self._root = root

    def lookup(self, path: bytes, *, follow: bool) -> Found:
        with self._root.use() as root, resolve(root, path, follow=follow) as place:
            return Found(place.source, stat_of(place.status, place.target, place.directory, place.name), place.target)

    def scan(self, source: bytes) -> Listing:
        # opened here, so that what is wrong with the directory is raised now, not at the first name
        return Listing(source, batches(self._enter(source, _LIST), source))

    def root(self) -> int:
        return self._root.number()

    def listing(self, source: bytes, looked: Looked, looked_ns: int) -> Listing:
        return Listing(source, looked_batches(self._enter(source, _LIST), source, looked), looked_ns)

    def identities(self, source: bytes, names: Sequence[bytes]) -> list[bytes | None]:
        with closing(self._enter(source, ENTER)) as directory, directory.use() as number:
            try:
                return identities(number, names)
            except OSError as error:
                raise VolumeFailed(f"directory {show(source)} cannot be looked at: {reason(error)}") from error

    def _enter(self, source: bytes, flags: int) -> Descriptor:
        try:
            with self._root.use() as root:
                return Descriptor(open_beneath(root, source, flags))
        except OSError as error:
            raise _not_listed(source, error) from error

    def open(self, source: bytes, identity: bytes, path: bytes) -> PosixSource:
        try:
            with self._root.use() as root:
                file = Descriptor(open_beneath(root, source, READ))
        except OSError as error:
            raise not_opened(path, error) from error
        opened = PosixSource(file, identity, path)
        try:
            opened.check()
        except BaseException:
            opened.close()
            raise
        return opened

    def whole_reader(self) -> PosixWholeReader:
        with self._root.use() as root:
            return PosixWholeReader(os.dup(root))

    def close(self) -> None:
        self._root.close()


def _not_listed(source: bytes, error: OSError) -> Refused | VolumeFailed:
    if error.errno in _GONE:
        return Refused(Offence(source, OffenceCode.MISSING, "nothing is there"))
    if error.errno in _NOT_A_DIRECTORY:
        return Refused(Offence(source, OffenceCode.MISSING, "no directory is there any more"))
    if error.errno in _NOT_ALLOWED:
        return Refused(Offence(source, OffenceCode.UNREADABLE, f"this server may not list it ({reason(error)})"))
    return VolumeFailed(f"directory {show(source)} cannot be listed: {reason(error)}")
