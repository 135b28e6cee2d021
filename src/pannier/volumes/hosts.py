"""Volumes on file systems of this host: what a manager asks of them beyond their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pannier.dto.ids import FolderId, QuotaScope
from pannier.volumes.base import EditableVolume
from pannier.volumes.copying import Copied


@dataclass(frozen=True, slots=True)
class Measure:
    """What a folder holds: things of every kind below it, bytes of their contents, bytes they take on the disk.

    A file with several names counts once among the bytes on the disk, as with du(1).
    """

    entries: int
    bytes: int
    allocated: int


@dataclass(frozen=True, slots=True)
class Space:
    """A file system: all bytes, and those that are not available."""

    capacity: int
    used: int


@dataclass(frozen=True, slots=True)
class DiskWork:
    """What a device did since the machine started: operations, bytes, microseconds."""

    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    read_us: int = 0
    write_us: int = 0


@runtime_checkable
class ProbedVolume(Protocol):
    """A volume that can be asked whether it answers."""

    def probe(self) -> None:
        """Look at its root. Blocks, for ever where its file system hangs.

        Raises:
            VolumeFailed: It does not answer as it should.
        """


@runtime_checkable
class HostVolume(EditableVolume, Protocol):
    """A volume on a file system of this host, which the manager mounts and looks after. Everything here blocks."""

    @property
    def path(self) -> str:
        """Where its root is on the host."""

    def make_folder(self, folder: FolderId, mode: int, *, make_scope: bool) -> None:
        """Make a folder with these permissions, durably; its quota scope too, where that is allowed.

        Raises:
            FolderExists: It is there.
            QuotaScopeMissing: Its scope is not there, and may not be made.
            OperationUnsupported: The volume is one folder itself.
            OperationRefused, StorageFull, VolumeFailed: As they say.
        """

    def remove_folder(self, folder: FolderId, aside: bytes) -> None:
        """Have a folder vanish at once and whole, durably, to where nobody looks, under a name; ``clear`` removes it.

        Nothing happens where no folder is. The directories above it go too when nothing else is in them, not its scope.

        Raises:
            OperationUnsupported: The volume is one folder itself.
            OperationRefused, StorageFull, VolumeFailed: As they say.
        """

    def clear(self, folder: FolderId, aside: bytes, go_on: Callable[[int], bool]) -> bool:
        """Remove what stands aside for a folder under a name: see ``FolderEditor.clear``."""

    def prepare_clone(self, source: FolderId, target: FolderId, *, make_scope: bool) -> None:
        """Look whether a folder can be cloned; the target's quota scope is made, where that is allowed.

        Raises:
            FolderMissing: Of the source.
            FolderExists, QuotaScopeMissing: Of the target.
            OperationUnsupported: The volume is one folder itself.
            OperationRefused, StorageFull, VolumeFailed: As they say.
        """

    def copy_folder(
        self, source: FolderId, target: FolderId, aside: bytes, go_on: Callable[[int], bool], copied: Copied
    ) -> None:
        """Copy a folder to where nobody looks, under a name where nothing is, durably: see ``copy_tree``; errors too.

        Raises:
            FolderMissing: Of the source.
        """

    def publish_folder(self, target: FolderId, aside: bytes) -> bool:
        """Have what was copied be a folder, whole and at once, durably; False if nothing is there under that name.

        Raises:
            FolderExists: Something has the target's place.
            QuotaScopeMissing, OperationRefused, StorageFull, VolumeFailed: As they say.
        """

    def folder_path(self, folder: FolderId) -> str:
        """Return where a folder is on the host; errors as ``folder``."""

    def measure(self, folder: FolderId, seconds: float) -> Measure | None:
        """Count what is in a folder; None if that takes longer. Errors as ``folder``."""

    def space(self) -> Space:
        """Return how full its file system is."""

    def disk_work(self) -> DiskWork:
        """Return what its device did."""


@runtime_checkable
class ScopedVolume(Protocol):
    """A volume whose folders belong to quota scopes, each with a limit of its own. Everything here blocks.

    ``limit`` is in bytes, None is none. Errors of all: ``QuotaScopeMissing`` where the scope is not there,
    ``OperationUnsupported`` where the volume is one folder itself, ``OperationRefused``, ``StorageFull``,
    ``VolumeFailed``.
    """

    def make_scope(self, scope: QuotaScope, limit: int | None) -> None:
        """Make a scope with its limit, both at once and durably.

        Raises:
            QuotaScopeExists: It is there.
        """

    def scope_limit(self, scope: QuotaScope) -> int | None:
        """Return the limit as it is on the volume now."""

    def set_scope_limit(self, scope: QuotaScope, limit: int | None) -> None:
        """Set the limit, or take it away, durably."""

    def measure_scope(self, scope: QuotaScope, going_on: Callable[[], bool]) -> Measure | None:
        """Count all that is in a scope; None when ``going_on`` says no, which is asked at each thing."""
