"""Downloads that are unpacked while they come: no archive is ever on the disk."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pannier.sdk.intake import Intake
from pannier.sdk.packed import ToolMissing
from pannier.sdk.parts import TargetUnusable, part_path
from pannier.sdk.remote import Version
from pannier.sdk.streaming import Stream
from pannier.sdk.threads import in_thread
from pannier.sdk.tree import Tree
from pannier.sdk.unpacking import Unpack, unpack_of
from pannier.sdk.verification import Checked


@dataclass(frozen=True, slots=True)
class Extracted:
    """An archive that was unpacked.

    Attributes:
        path: The directory.
        version: What it was.
        entries: How many entries were made.
        length: Bytes that came.
        written: Bytes that the files have.
        seconds: How long it took.
        resumed: How often it was gone on with.
        checked: What of its inside was checked.
    """

    path: Path
    version: Version
    entries: int
    length: int
    written: int
    seconds: float
    resumed: int
    checked: Checked


async def extract(stream: Stream, target: Path, *, restart: bool = False, most: int | None = None) -> Extracted:
    """Unpack what a stream gives into a directory that is not there yet, or is empty.

    It is ``NAME.part`` until all is there. ``most`` bounds the bytes of all files; the room on the disk does anyway.

    Raises:
        TargetUnusable: The directory, or one that was begun, is there; ``restart`` removes what was begun.
        UnknownFormat: It is no archive that is unpacked here.
        EntryRefused: An entry would lead outside, or is of another kind.
        Damaged: It is not sound.
        ArchiveChanged, Declined, Unreachable: It cannot come to its end.
    """
    started = time.monotonic()
    await in_thread(_check, target, restart)
    version = await stream.look()
    tree = Tree(part_path(target), most)
    checked = await stream.feed(version, partial(_unpack, unpack_of(version.media_type), tree))
    await in_thread(_name, target)
    seconds = time.monotonic() - started
    return Extracted(target, version, tree.made, stream.came, tree.written, seconds, stream.resumed, checked)


def _check(target: Path, restart: bool) -> None:
    part = part_path(target)
    if os.path.lexists(target) and (target.is_symlink() or not target.is_dir() or any(target.iterdir())):
        raise TargetUnusable(f"{str(target)!r} is there already, and not an empty directory; name a new one")
    if os.path.lexists(part):
        if not restart:
            raise TargetUnusable(f"{str(part)!r} is there already, from a download that did not come to its end")
        shutil.rmtree(part)


def _unpack(unpack: Unpack, tree: Tree, intake: Intake) -> Checked:
    try:
        with tree:
            return unpack(intake, tree)
    except ToolMissing:
        tree.path.rmdir()  # nothing was made in it
        raise
    except OSError as error:
        raise TargetUnusable(f"{str(tree.path)!r} cannot be written ({error.strerror})") from None


def _name(target: Path) -> None:
    try:
        part_path(target).rename(target)
    except OSError as error:
        raise TargetUnusable(f"{str(target)!r} cannot be made ({error.strerror})") from None
