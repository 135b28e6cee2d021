"""Uploads that nobody goes on with, and trash whose day is over, collected in the background.

What there is to collect stands on the disks alone.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterator
from contextlib import closing

from pannier.dto.ids import FolderId
from pannier.errors import PannierError
from pannier.services.places import Places
from pannier.streams.workers import Workers
from pannier.volumes.base import EditableVolume

_FIRST = 60.0
"""Seconds after the start at which the first round begins."""
_EVERY = 6 * 3600.0
"""Seconds between two rounds: each looks at every folder."""
_AT_ONCE = 64
_PAUSE = 0.05

_log = logging.getLogger(__name__)


class Collecting:
    """Rounds through all folders of all volumes that can be changed.

    Args:
        workers: Threads that wait for storage.
        lifetime: Seconds without progress after which an upload is nobody's, and those that the trash is kept.
        first: Seconds until the first round.
        every: Seconds between two rounds.
    """

    def __init__(
        self, places: Places, workers: Workers, *, lifetime: float, first: float = _FIRST, every: float = _EVERY
    ) -> None:
        self._places, self._workers, self._lifetime = places, workers, lifetime
        self._first, self._every = first, every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait for the first round."""
        self._task = asyncio.create_task(self._go_on())

    async def close(self) -> None:
        """End it, in the middle of a round too. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def round(self) -> None:
        """Look at each folder once, a few at a time, with pauses: nobody waits for this."""
        for volume in self._places.volumes().values():
            if not isinstance(volume, EditableVolume):
                continue
            folders = volume.folders()
            try:
                more = True
                while more:
                    more = await self._workers.run(self._some, volume, folders)
                    await asyncio.sleep(_PAUSE)
            except PannierError as error:
                _log.warning("unfinished uploads of volume %s were not collected: %s", volume.name, error)

    async def _go_on(self) -> None:
        wait = self._first
        while True:
            await asyncio.sleep(wait)
            wait = self._every
            try:
                await self.round()
            except Exception:  # noqa: BLE001 - a bug must not end what nobody watches
                _log.exception("unfinished uploads were not collected")

    def _some(self, volume: EditableVolume, folders: Iterator[FolderId]) -> bool:
        some = list(itertools.islice(folders, _AT_ONCE))
        for folder in some:
            try:
                with closing(volume.editor(folder)) as editor:
                    editor.collect(self._lifetime)
                    editor.trash().collect(self._lifetime, time.time())
            except PannierError as error:  # it is gone, or closed to us: the next round sees
                _log.debug("folder %s: %s", folder, error)
        return len(some) == _AT_ONCE
