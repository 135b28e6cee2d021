"""Whom new files and directories belong to, and who may use them, whatever the umask of the process."""

from __future__ import annotations

import os
from dataclasses import dataclass

_FILE, _DIRECTORY = 0o666, 0o777


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is given to everything that is written.

    Attributes:
        owner, group: Ids; None leaves what the system gives (the process's, or a setgid directory's).
        umask: Permissions that are not given.
    """

    owner: int | None = None
    group: int | None = None
    umask: int = 0o002

    @property
    def file_mode(self) -> int:
        """The permissions of a new file."""
        return _FILE & ~self.umask

    @property
    def directory_mode(self) -> int:
        """The permissions of a new directory."""
        return _DIRECTORY & ~self.umask

    def grant(self, descriptor: int, mode: int) -> None:
        """Give an open, new file or directory its owner, group and permissions, whatever the process's umask took.

        Raises:
            OSError: The process may not do that.
        """
        if self.owner is not None or self.group is not None:
            os.fchown(descriptor, -1 if self.owner is None else self.owner, -1 if self.group is None else self.group)
        os.fchmod(descriptor, mode)  # after fchown, which takes setuid and setgid away

    def grant_link(self, directory: int, name: bytes) -> None:
        """Give a new symbolic link its owner and group; it has no permissions of its own.

        Raises:
            OSError: The process may not do that.
        """
        if self.owner is not None or self.group is not None:
            owner, group = -1 if self.owner is None else self.owner, -1 if self.group is None else self.group
            os.chown(name, owner, group, dir_fd=directory, follow_symlinks=False)


OURS = Ownership()
"""The process's own user and group, and rights for the group as upstream gives them (WIRE section 2)."""
