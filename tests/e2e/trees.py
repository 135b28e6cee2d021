"""Folders to download, the same for the same seed, and what is wrong with an archive of one."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

KIB, MIB = 1024, 1024 * 1024


def plant(folder: Path, seed: int, *, small: int, large: Sequence[int]) -> None:
    """Make a folder: many small files (some empty, some in directories), and among them large ones."""
    chance = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(small):
        directory = folder / f"{number:04}-in" if number % 7 == 3 else folder
        directory.mkdir(exist_ok=True)
        size = chance.choice([0, 1, chance.randrange(300), chance.randrange(4 * KIB), chance.randrange(30 * KIB)])
        if number % 50 == 49:
            size = 128 * KIB + chance.randrange(-1, 2)
        (directory / f"{number:04}-файл.txt").write_bytes(chance.randbytes(size))
    for i, size in enumerate(large):
        (folder / f"{(i + 1) * small // (len(large) + 1):04}-large.bin").write_bytes(chance.randbytes(size))


def content(seed: int, size: int) -> bytes:
    """Return bytes that look like nothing else, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(folder: Path) -> dict[str, bytes]:
    """Return what an archive of a folder has to hold: the content of each file by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def contents(archive: bytes) -> dict[str, bytes]:
    """Return what an archive holds; raises ``zipfile.BadZipFile`` if it is not sound."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {each.filename: opened.read(each) for each in opened.infolist() if not each.is_dir()}


def large_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*-large.bin"))


def cuts_of_all_kinds(chance: random.Random, archive: bytes, each: int) -> list[int]:
    """Return offsets in an archive, ascending: in local headers, small and large contents, directory and end record."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        entries, directory = opened.infolist(), opened.start_dir
    header = {entry: 30 + len(entry.filename.encode()) for entry in entries}
    held = [entry for entry in entries if entry.file_size]
    large = [entry for entry in entries if entry.file_size > MIB]
    found: set[int] = set()
    for _ in range(each):
        some = chance.choice(entries)
        found.add(some.header_offset + chance.randrange(header[some]))
        found.add(chance.choice(held).header_offset + 14 + chance.randrange(5))  # around the checksum
        for kind in (held, large):
            some = chance.choice(kind)
            found.add(some.header_offset + header[some] + chance.randrange(some.file_size))
        found.add(chance.randrange(directory, len(archive) - 22))
    found |= {directory, len(archive) - chance.randrange(1, 22)}
    return sorted(found - {0})
