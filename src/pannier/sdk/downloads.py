"""Downloads to a file: plain or by ranges, from one server or several, gone on with after whatever cut them off."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from pannier.quantities import show_bytes, show_size
from pannier.sdk.fetching import Fetching
from pannier.sdk.parts import Begun, Part, TargetUnusable, begun
from pannier.sdk.problems import Unexpected
from pannier.sdk.progress import Progress, ProgressCallback, ignore
from pannier.sdk.ranged import Ranged
from pannier.sdk.remote import ArchiveChanged, Places, Version, is_archive, look
from pannier.sdk.standing import failed_entry
from pannier.sdk.threads import in_thread
from pannier.sdk.transport import Transport
from pannier.sdk.verification import Checked, check_of
from pannier.sdk.whole import Whole

_MOST_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A download that is whole.

    Attributes:
        path: Where it is.
        version: What it is.
        length: In bytes.
        came: Bytes that came in this run.
        seconds: Of this run.
        resumed: How often something was gone on with.
        checked: What of its inside was checked, beside length and ETag.
    """

    path: Path
    version: Version
    length: int
    came: int
    seconds: float
    resumed: int
    checked: Checked


@dataclass(slots=True)
class Download:
    """One download, from what it is asked for to its end.

    Attributes:
        transport: What it speaks by.
        places: Where it is had.
        target: The file, or a directory that is there, in which the server names it; the current one unless given.
        resume: Whether to go on with what is there of it; else it must not be there.
        restart: Whether what is there, a part or the whole, is replaced.
        parallel: How many ranges are fetched at the same time, where there are ranges.
        progress: Told of what happens.
    """

    transport: Transport
    places: Places
    target: Path | None = None
    resume: bool = True
    restart: bool = False
    parallel: int = 8
    progress: ProgressCallback = ignore
    _resumed: int = field(default=0, init=False)
    _done: int = field(default=0, init=False)
    _total: int | None = field(default=None, init=False)

    async def run(self) -> Downloaded:
        """Download, and return what came.

        Raises:
            ArchiveChanged: The part that is there is of another archive; it stays.
            PartUnusable: Nothing says of what the part that is there is one.
            TargetUnusable: The file cannot be written, or is there already.
            EntriesDamaged, Damaged: What came is not sound inside.
            Declined, Unreachable: The server says no, or does not answer any more; what came stays.
        """
        for left in reversed(range(_MOST_LOOKS)):
            version, target, found = await self._begin()
            try:
                return await self._fetch(version, target, found)
            except ArchiveChanged as error:
                # between the look and the first byte: what is there now may as well be had
                if found is not None or self._done or not left:
                    raise await explained(error, self.transport, self.places, self._done) from error
        raise AssertionError("the last look returns or raises")

    async def _begin(self) -> tuple[Version, Path, Begun | None]:
        """Find out what to get, where it goes, and what of it is there."""
        target, version = self.target, None
        if target is None or target.is_dir():
            version = await self._look()
            target = (target or Path()) / version.filename
        found = await in_thread(self._find, target)
        if found is not None:
            return found.version, target, found
        return version or await self._look(), target, None

    def _find(self, target: Path) -> Begun | None:
        if self.restart:
            return None
        if target.exists() or target.is_symlink():
            raise TargetUnusable(f"{str(target)!r} is there already")
        found = begun(target)
        if found is not None and not self.resume:
            raise TargetUnusable(f"a part of {str(target)!r} is there already")
        return found

    async def _look(self) -> Version:
        return await look(self.transport, self.places, lambda error, wait, failures: self._tell(f"{error}; waiting"))

    async def _fetch(self, version: Version, target: Path, found: Begun | None) -> Downloaded:
        started = time.monotonic()
        part = await in_thread(Part, target, version, found)
        try:
            before = self._done = part.done.length
            self._total = version.length
            if found is not None:
                self._resumed += 1
                self._tell(f"going on from {show_bytes(before)}")
            checked = await self._fill(part)
            size = await in_thread(part.size)
            if version.length not in (None, size):
                raise Unexpected(f"{show_bytes(size)} came, and {show_bytes(version.length or 0)} were said")
            await in_thread(part.finish)
        except BaseException:
            if not part.done.windows:
                await in_thread(part.discard)  # nobody could go on with it
            raise
        finally:
            await in_thread(part.close)
        return Downloaded(target, version, size, size - before, time.monotonic() - started, self._resumed, checked)

    async def _fill(self, part: Part) -> Checked:
        version, places = part.version, self.places
        check = check_of(version.media_type, archive=is_archive(places.first))
        if not version.resumable:
            return await Whole(part, self.transport, places, check, wrote=self._wrote, tell=self._tell).run()
        fetching = Fetching(self.transport, places, version, self._tell)
        try:
            return await Ranged(part, fetching, check, parallel=self.parallel, wrote=self._wrote).run()
        finally:
            self._resumed += fetching.resumed

    def _wrote(self, size: int) -> None:
        self._done += size
        self.progress(Progress(self._done, self._total))

    def _tell(self, note: str) -> None:
        self.progress(Progress(self._done, self._total, note))


async def explained(error: ArchiveChanged, transport: Transport, places: Places, received: int) -> ArchiveChanged:
    """Return the error with the name of the file that changed, if the server knows it."""
    entry = await failed_entry(transport, places.first)
    if entry is None:
        return error
    reason = f"{entry!r} changed on the server since {show_size(received)} were received"
    return ArchiveChanged(f"{reason}; the parts must not mix", entry)
