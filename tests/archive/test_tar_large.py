"""What only some TARs have, under real readers: sizes and times beyond octal fields, crowds, odd links, no entry."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pannier.archive.entries import Entry
from pannier.archive.formats import TAR
from pannier.archive.tar import TarLayout
from pannier.window import Window
from tests.archive import sparse
from tests.archive.strategies import GIB, sized
from tests.archive.tar_parsing import parse
from tests.archive.things import Thing, check, link, write
from tests.readers import TAR_READERS, Reader, ReaderFailed

SIZES = [5, 8 * GIB - 1, 3, 8 * GIB, 0, 12 * GIB, 700]
"""Both sides of what eleven octal digits hold, with small neighbours in between: about 28 GiB."""

TIMES = [-(1 << 40), -(1 << 31) - 1, -1, 0, (1 << 31) - 1, 1 << 31, 1 << 32, 8**11 - 1, 8**11, 10_413_792_000, 1 << 40]
"""2038, 2106, the last and the first second of 2242 that fits and does not, 2300, and far beyond."""

every_reader = pytest.mark.parametrize("reader", TAR_READERS, ids=lambda reader: reader.name)

LISTINGS = {
    "gnu-tar": ["tar", "-tv", "--full-time", "-f"],
    "bsdtar": ["bsdtar", "-tv", "-f"],
    "busybox": ["busybox", "tar", "-tv", "-f"],
}
every_lister = pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(tmp_path)


def _written(folder: Path, sizes: Sequence[int]) -> tuple[TarLayout, Path]:
    layout = TarLayout([sized(number, size) for number, size in enumerate(sizes)])
    archive = folder / "large.tar"
    sparse.write(layout, archive)
    return layout, archive


def _digest(entry: Entry) -> tuple[int, str]:
    return entry.size, hashlib.sha256(sparse.content(entry, Window(0, entry.size))).hexdigest()


def _lines(listing: list[str], archive: Path) -> list[str]:
    done = subprocess.run([*listing, archive], capture_output=True, check=True, env={"TZ": "UTC", "LC_ALL": "C.UTF-8"})
    assert not done.stderr
    return done.stdout.decode().splitlines()


# ---------------------------------------------------------------- sizes


def test_a_file_on_disk_is_as_long_as_foretold(folder: Path) -> None:
    layout, archive = _written(folder, SIZES)
    assert archive.stat().st_size == layout.length > 28 * GIB
    with archive.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        assert [member.size for member in parse(read, layout.length)] == SIZES


@every_lister
def test_sizes_beyond_the_octal_field_are_listed(listing: list[str], folder: Path) -> None:
    _, archive = _written(folder, SIZES)
    found = [
        re.search(r" (\d+) (?:\w{3} +\d+ +)?[\d-]+(?: [\d:]+)? 0000\d\d$", line) for line in _lines(listing, archive)
    ]
    assert [match and int(match[1]) for match in found] == SIZES


def test_python_finds_sizes_beyond_the_octal_field(folder: Path) -> None:
    _, archive = _written(folder, SIZES)
    with tarfile.open(archive, "r:") as opened:
        assert [info.size for info in opened] == SIZES


@pytest.mark.parametrize(
    "reader", [reader for reader in TAR_READERS if reader.name in ("tarfile", "bsdtar", "7z")], ids=lambda r: r.name
)
def test_what_lies_behind_large_files_is_found(reader: Reader, folder: Path) -> None:
    """By readers that skip content without reading it."""
    layout, archive = _written(folder, SIZES)
    for number in (2, 6):
        assert reader.digest(archive, f"{number:06}") == _digest(layout.entries[number])


@pytest.mark.slow
@pytest.mark.timeout(600)
@every_reader
def test_what_lies_behind_large_files_is_found_by_all(reader: Reader, folder: Path) -> None:
    """Also by those that read a pipe, all 28 GiB of it."""
    layout, archive = _written(folder, SIZES)
    assert reader.digest(archive, "000006") == _digest(layout.entries[6])


# ---------------------------------------------------------------- times


def _things_in_time() -> list[Thing]:
    return [Thing(f"at {mtime}", mtime=mtime) for mtime in TIMES]


def test_times_of_any_year_are_listed(tmp_path: Path) -> None:
    """By GNU tar, to the second; years of more than four digits and those before 0 as Python cannot."""
    archive = write(_things_in_time(), TAR, tmp_path)
    lines = _lines(LISTINGS["gnu-tar"], archive)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    for mtime, line in zip(TIMES, lines, strict=True):
        if abs(mtime) < 1 << 40:
            assert f"{epoch + timedelta(seconds=mtime):%Y-%m-%d %H:%M:%S}" in line
    assert " -32873-11-12 23:23:44 " in lines[0]
    assert " 36812-02-20 00:36:16 " in lines[-1]


@every_reader
def test_times_come_back_as_far_as_the_file_system_holds_them(reader: Reader, tmp_path: Path) -> None:
    """Readers that extract are bound by it: ext4 knows 1901 to 2446."""
    on_disk = not reader.name.startswith("tarfile")
    inside = [thing for thing in _things_in_time() if not on_disk or -(1 << 31) <= thing.mtime < 1 << 33]
    check(reader, inside, TAR, tmp_path)


# ---------------------------------------------------------------- crowds, links, nothing


@every_reader
def test_nothing_is_read_as_nothing(reader: Reader, tmp_path: Path) -> None:
    if reader.name != "7z":
        check(reader, [], TAR, tmp_path)
        return
    with pytest.raises(ReaderFailed, match=r"No files to process\s+Everything is Ok"):  # which is all it has to say
        check(reader, [], TAR, tmp_path)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@every_reader
def test_very_many_entries_come_out(reader: Reader, count: int, tmp_path: Path) -> None:
    things = [
        Thing(f"{number % 100:02}/파일 {number:05}.txt", b"%d\n" % number * (number % 300)) for number in range(count)
    ]
    check(reader, things, TAR, tmp_path)


@every_reader
def test_sizes_around_blocks_come_out(reader: Reader, tmp_path: Path) -> None:
    sizes = [block + off for block in (512, 1024, 10_240) for off in (-1, 0, 1)]
    check(reader, [Thing(f"{size}", b"\xa5" * size) for size in (0, 1, *sizes)], TAR, tmp_path)


@every_reader
def test_names_at_the_edges_of_the_fields_come_out(reader: Reader, tmp_path: Path) -> None:
    """100 bytes of name, 155 of prefix, 255 of both; spaces, in any script."""
    paths = ["a" * length for length in (99, 100, 101, 255)]
    paths += ["p" * before + "/" + "a" * after for before in (1, 154, 155, 156) for after in (1, 99, 100, 101)]
    paths += ["b" * 99 + "/", "c" * 100 + "/", "q" * 155 + "/" + "d" * 99 + "/", "q" * 155 + "/" + "d" * 100 + "/"]
    paths += [
        "가" * 33,
        "나" * 34,
        "다" * 52 + "/" + "라" * 34,
        "마/" + "바" * 85,
        " sp ace ",
        " /trailing ",
        "🚲" * 63,
    ]
    check(reader, [Thing(path, mode=0o755) for path in paths], TAR, tmp_path)


@every_reader
def test_long_links_come_back(reader: Reader, tmp_path: Path) -> None:
    targets = [b"t" * 99, b"t" * 100, b"t" * 101, b"../" * 300 + b"up", "대상/".encode() * 80, b"\xff" * 100]
    check(reader, [link(f"link {number}", target) for number, target in enumerate(targets)], TAR, tmp_path)


@every_reader
def test_a_long_link_to_bytes_that_are_no_text_comes_back(reader: Reader, tmp_path: Path) -> None:
    """GNU tar says that it does not know the word ``hdrcharset``, and does the right thing."""
    things = [link("to bytes", b"\xff" * 150)]
    if not reader.name.startswith("gnu-tar"):
        check(reader, things, TAR, tmp_path)
        return
    archive = write(things, TAR, tmp_path)
    done = subprocess.run(["tar", "-x", "-f", archive, "-C", tmp_path / "into"], capture_output=True, check=True)
    assert done.stderr == b"tar: Ignoring unknown extended header keyword 'hdrcharset'\n"
    assert (tmp_path / "into" / "to bytes").readlink() == Path("\udcff" * 150)


def test_gnu_tar_finds_no_difference(tmp_path: Path) -> None:
    """``--compare`` holds the archive against the files: types, sizes, times, modes, links and every byte."""
    things = [Thing("a/b.txt", b"x" * 700), Thing("c/", mode=0o755), link("l", b"a/b.txt"), Thing("한글 " * 30)]
    archive = write(things, TAR, tmp_path)
    into = tmp_path / "into"
    subprocess.run(["tar", "-x", "-p", "--no-same-owner", "-f", archive, "-C", into], check=True)
    (into / "a/b.txt").write_bytes(b"x" * 699 + b"y")
    env = {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(["tar", "--compare", "-f", archive, "-C", into], capture_output=True, check=False, env=env)
    told = {line for line in done.stdout.decode().splitlines() if "id differs" not in line}
    assert told == {"a/b.txt: Mod time differs", "a/b.txt: Contents differ"}
