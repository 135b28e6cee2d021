"""The data that is measured with: made once, the same everywhere by its seed, used again while its manifest fits."""

from __future__ import annotations

import itertools
import json
import os
import random
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.complaints import Complaint

KIB, MIB, GIB = 2**10, 2**20, 2**30
_VERSION = 1
"""Of what is made; another number makes all data again."""
_SPARE = 256 * MIB
"""Bytes that must stay free on the disk beside the data and one download of it, which is saved to be verified."""
_BLOCK = 4 * KIB
_TEXT_BASE, _SLICE = 16 * MIB, (8 * KIB, 64 * KIB)


@dataclass(frozen=True)
class Spec:
    """What a data set holds; the seed and these numbers decide every byte.

    Attributes:
        directories: Directories on one level; files are spread over them evenly.
        smallest, largest: Bytes of a file.
        random_every: Each n-th file is incompressible, the others are text; 0: all are text; 1: all are incompressible.
    """

    name: str
    seed: int
    directories: int
    files: int
    smallest: int
    largest: int
    random_every: int
    version: int = _VERSION

    @property
    def expected_bytes(self) -> int:
        return self.files * (self.smallest + self.largest) // 2


@dataclass(frozen=True)
class File:
    """A file of a data set: path below its folder, bytes, CRC-32."""

    path: str
    size: int
    crc: int


@dataclass(frozen=True)
class DataSet:
    """Data on the disk."""

    spec: Spec
    folder: Path
    listing: Path
    """Lines of CRC-32 (hexadecimal), size and path."""

    @property
    def name(self) -> str:
        return self.spec.name

    def parts(self) -> list[str]:
        """Return the names of its directories."""
        return [_directory(number) for number in range(self.spec.directories)]

    def files(self, *parts: str) -> list[File]:
        """Return the files that some paths name or hold, or all, in the order in which they were made."""
        below = tuple(f"{part}/" for part in parts if part != ".")
        found = []
        with self.listing.open(encoding="ascii") as lines:
            for line in lines:
                crc, size, path = line.split()
                if not below or f"{path}/".startswith(below):
                    found.append(File(path, int(size), int(crc, 16)))
        return found

    def bytes_of(self, *parts: str) -> int:
        """Return how many bytes its files have."""
        return sum(file.size for file in self.files(*parts))

    def forget_pages(self) -> None:
        """Drop the page cache of every file: the next read comes from the disk."""
        os.sync()  # only what is on the disk can be dropped
        for file in self.files():
            descriptor = os.open(self.folder / file.path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)

    def warm_pages(self) -> None:
        """Read every file once, so that runs find it in the page cache."""
        buffer = bytearray(MIB)
        for file in self.files():
            with (self.folder / file.path).open("rb", buffering=0) as opened:
                while opened.readinto(buffer):
                    pass


def specs(*, small: bool) -> dict[str, Spec]:
    """Return every data set there is: the real ones, or tiny ones of the same shape."""
    if small:
        made = [
            Spec("mixed", 1, 4, 12, 32 * KIB, 96 * KIB, 2),
            Spec("tree", 2, 10, 200, KIB, 8 * KIB, 0),
            Spec("big", 3, 1, 1, 4 * MIB, 4 * MIB, 1),
            Spec("million", 4, 20, 400, KIB // 2, 3 * KIB // 2, 0),
        ]
    else:
        made = [
            # 300 files, about 2 GiB; in each of four directories the half is text
            Spec("mixed", 1, 4, 300, MIB, 13 * MIB - MIB // 3, 2),
            Spec("tree", 2, 250, 50_000, KIB, 8 * KIB, 0),
            Spec("big", 3, 1, 1, 9 * GIB // 2, 9 * GIB // 2, 1),
            # half a KiB to one and a half: a million files of one block each, so that making them takes minutes
            Spec("million", 4, 1000, 1_000_000, KIB // 2, 3 * KIB // 2, 0),
        ]
    return {spec.name: spec for spec in made}


def ready(spec: Spec, root: Path) -> DataSet:
    """Return a data set below a root folder, made now unless it is there and as it should be.

    Raises:
        Complaint: The disk has no room for it.
    """
    kind = "small" if spec.expected_bytes < 64 * MIB else "full"
    home = root / kind / spec.name
    data = DataSet(spec, home / "files", home / "listing")
    manifest = home / "manifest.json"
    wanted = asdict(spec)
    if manifest.exists():
        kept = json.loads(manifest.read_text())
        if kept["spec"] == wanted and _measured(data.folder) == (kept["files"], kept["bytes"]):
            _check_room(spec, root, made=True)
            return data
    if data.folder.exists():
        raise Complaint(f"{home} holds other data than this version makes: remove that folder, then try again")
    _check_room(spec, root, made=False)
    unfinished = home / "unfinished"
    if unfinished.exists():
        raise Complaint(f"{unfinished} is left from a run that was stopped: remove it, then try again")
    unfinished.mkdir(parents=True)
    print(f"  making '{spec.name}': {spec.files:,} files, {spec.expected_bytes / MIB:,.0f} MiB", flush=True)
    files = size = 0
    with data.listing.open("w", encoding="ascii") as listing:
        for file in _make(spec, unfinished):
            listing.write(f"{file.crc:08x} {file.size} {file.path}\n")
            files, size = files + 1, size + file.size
    unfinished.rename(data.folder)
    os.sync()
    manifest.write_text(json.dumps({"spec": wanted, "files": files, "bytes": size}, indent=1))
    return data


def room_needed(spec: Spec) -> tuple[int, int]:
    """Return the bytes, in whole blocks, and the inodes that a data set takes on a disk."""
    return spec.expected_bytes + spec.files * _BLOCK * 3 // 4, spec.files + spec.directories + 8


def _check_room(spec: Spec, root: Path, *, made: bool) -> None:
    root.mkdir(parents=True, exist_ok=True)
    disk = os.statvfs(root)
    size, inodes = (0, 0) if made else room_needed(spec)
    size += spec.expected_bytes + _SPARE
    if disk.f_bavail * disk.f_frsize < size:
        free = disk.f_bavail * disk.f_frsize / GIB
        raise Complaint(
            f"{root}: {size / GIB:.1f} GiB are needed for '{spec.name}', {free:.1f} are free; try --data DIR"
        )
    if disk.f_files and disk.f_favail < inodes:  # some file systems count no inodes
        raise Complaint(f"{root}: {inodes:,} inodes are needed for '{spec.name}', {disk.f_favail:,} are free")


def _measured(folder: Path) -> tuple[int, int]:
    """Return how many files there are below a folder, and their bytes."""
    if not folder.is_dir():
        return 0, 0
    files = size = 0
    for directory in os.scandir(folder):
        for entry in os.scandir(directory):
            files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
    return files, size


def _directory(number: int) -> str:
    return f"part-{number:04}"


def _make(spec: Spec, folder: Path) -> Iterator[File]:
    chance = random.Random(spec.seed)
    text = _text(chance, min(_TEXT_BASE, 16 * spec.largest + _SLICE[1])) if spec.random_every != 1 else b""
    noise = [chance.randbytes(MIB) for _ in range(16)]
    for number in range(spec.directories):
        (folder / _directory(number)).mkdir()
    for number in range(spec.files):
        incompressible = spec.random_every > 0 and number % spec.random_every == spec.random_every - 1
        kind = "bin" if incompressible else "txt"
        path = f"{_directory(number * spec.directories // spec.files)}/file {number:07}.{kind}".replace(" ", "-")
        size = chance.randint(spec.smallest, spec.largest)
        content = _noise(chance, noise, size) if incompressible else _sliced(chance, text, size)
        crc = written = 0
        with (folder / path).open("wb", buffering=0) as file:
            for piece in content:
                piece = piece[: size - written]
                file.write(piece)
                crc, written = zlib.crc32(piece, crc), written + len(piece)
        yield File(path, written, crc)


def _noise(chance: random.Random, noise: list[bytes], size: int) -> Iterator[bytes]:
    """Yield random megabytes that are used over and over, each with a number of its own: fast, and no two are equal."""
    for _ in range(0, size, MIB):
        yield chance.randbytes(64) + noise[chance.randrange(len(noise))][64:]


def _sliced(chance: random.Random, text: bytes, size: int) -> Iterator[bytes]:
    """Yield slices from anywhere in a long text: farther apart than deflate looks back, so its ratio stays."""
    left = size
    while left > 0:
        length = min(left, chance.randint(*_SLICE), len(text))
        start = chance.randrange(len(text) - length + 1)
        yield text[start : start + length]
        left -= length


def _text(chance: random.Random, size: int) -> bytes:
    """Return lines of made-up words, frequent ones and rare ones as in a language; zlib 6 makes a third of them."""
    syllables = [a + b for a in ("b", "d", "f", "k", "l", "m", "n", "r", "s", "t", "v", "st", "tr") for b in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.choice((1, 2, 3, 3, 4, 5)))) for _ in range(3_000)]
    weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(words))))
    made: list[str] = []
    length = 0
    while length < size:
        line = " ".join(chance.choices(words, cum_weights=weights, k=12)) + (f" {chance.randrange(10**3)}\n")
        made.append(line)
        length += len(line)
    return "".join(made).encode("ascii")[:size]
