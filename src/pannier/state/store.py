"""The state database as one keeper of rows uses it: opened, asked, closed; what happens to the file is told one way."""

from __future__ import annotations

from pathlib import Path

from pannier.errors import ConfigInvalid, StateUnavailable
from pannier.state.database import PATIENCE, Database, Schema
from pannier.state.writer import GroupWriter, ResultT, Work

_OPENING = 60.0
"""Seconds: to open may mean to read the whole file once."""


class Store:
    """One connection to the file, with its thread.

    Args:
        path: The file; its directory is made (0700) if need be, the file is 0600.
        collect: Removes some of what is not needed any more; returns whether there is more of it.
        collect_every: Seconds between two collections.
        deadline: Seconds within which calls end.
        mounts: The kernel's table of what is mounted where.
        synced: Whether what is committed survives a power cut, too.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        collect: Work[bool],
        *,
        collect_every: float,
        deadline: float,
        mounts: Path,
        synced: bool = False,
    ) -> None:
        self._path, self._schema, self._collect, self._collect_every = path, schema, collect, collect_every
        self._deadline, self._mounts, self._synced = deadline, mounts, synced
        self._writer: GroupWriter | None = None

    @property
    def generation(self) -> int | None:
        """The count of files so far (``Database.generation``), None while it is not open."""
        return None if self._writer is None else self._writer.generation

    async def open(self) -> None:
        """Open the file, making or mending it if need be.

        Raises:
            ConfigInvalid: It cannot live there: a network file system, or a file that is not ours.
            StateUnavailable: It cannot be opened now.
        """
        patience = min(PATIENCE, self._deadline / 2)
        database = Database(self._path, self._schema, patience=patience, mounts=self._mounts, synced=self._synced)
        self._writer = GroupWriter(database, self._collect, tidy_every=self._collect_every, deadline=self._deadline)
        try:
            await self._writer.ask(lambda _: None, writes=False, deadline=_OPENING)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what was asked and let go of the file. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.close()

    async def ask(self, work: Work[ResultT], *, writes: bool, deadline: float | None = None) -> tuple[ResultT, int]:
        """Run work on the database; see ``GroupWriter.ask``.

        Raises:
            StateUnavailable: It cannot be done now. A write may stand nevertheless.
        """
        if self._writer is None:
            raise StateUnavailable("the state database is not open")
        try:
            return await self._writer.ask(work, writes=writes, deadline=deadline)
        except ConfigInvalid as error:
            # the file was exchanged while we run: for a request that is a store which is away
            raise StateUnavailable("the state database was replaced by a file that cannot be used") from error
