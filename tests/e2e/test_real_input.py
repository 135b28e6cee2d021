"""Real folders, a real server, curl, and every reader: what comes out of the archive is what lies in the folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sysconfig
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from tests.e2e.running import Pannier
from tests.readers import READERS, Member, Reader

GIB = 1 << 30
MIB = 1 << 20

every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
EXTRACTING = [reader for reader in READERS if type(reader).__name__ == "_Extracting"]
LISTING = [reader for reader in READERS if reader not in EXTRACTING]
"""They read every byte, and write nothing."""


# ---------------------------------------------------------------- what lies in a folder


def _hashed(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep_all(each: os.DirEntry[bytes]) -> bool:
    return True


def _tree(root: Path, keeps: Callable[[os.DirEntry[bytes]], bool] = _keep_all) -> dict[bytes, Member]:
    """What an archive of a folder has to hold, by path: files, and directories of which nothing is in it."""
    found: dict[bytes, Member] = {}
    base = os.fsencode(root)
    pending = [base]
    while pending:
        parent = pending.pop()
        inside = [each for each in os.scandir(parent) if keeps(each)]
        if not inside:
            found[os.path.relpath(parent, base)] = _member("dir", os.stat(parent), None)
        for each in inside:
            if each.is_dir():
                pending.append(each.path)
            else:
                found[os.path.relpath(each.path, base)] = _member("file", each.stat(), _hashed(each.path))
    return found


def _member(kind: Literal["file", "dir"], status: os.stat_result, sha256: str | None) -> Member:
    size = status.st_size if kind == "file" else 0
    return Member(kind, size, sha256, status.st_mtime_ns // 10**9, stat.S_IMODE(status.st_mode) & 0o777)


def _as_given_by(reader: Reader, members: dict[str, Member]) -> dict[str, Member]:
    """Take away what this reader cannot tell."""
    return {
        unicodedata.normalize("NFC", name) if reader.nfc_names else name: replace(
            member,
            mtime=member.mtime if reader.gives_times else None,
            mode=member.mode & reader.mode_bits if reader.gives_modes and member.mode is not None else None,
        )
        for name, member in members.items()
    }


def _download(url: str, into: Path) -> int:
    """Download with curl, and return the length that was promised."""
    headers = into.with_suffix(".headers")
    subprocess.run(
        ["curl", "--fail-with-body", "--silent", "--show-error", "--dump-header", headers, "--output", into, url],
        check=True,
    )
    lines = dict(
        line.lower().split(": ", 1) for line in headers.read_text(encoding="latin-1").splitlines() if ": " in line
    )
    return int(lines["content-length"])


@dataclass(frozen=True)
class Archive:
    """A downloaded archive, and what has to be in it."""

    path: Path
    expected: dict[str, Member]

    def check(self, reader: Reader, folder: Path) -> None:
        """Hold what a reader gives against the folder."""
        assert _as_given_by(reader, reader.read(self.path, folder)) == _as_given_by(reader, self.expected)


@contextmanager
def _room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of a module's own, gone afterwards: pytest would keep its gigabytes for three runs."""
    folder = tmp_path_factory.mktemp("real")
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)  # it has no trouble with paths of any length


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "into"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


# ---------------------------------------------------------------- the standard library of Python

_LEFT_OUT = {"__pycache__", "site-packages", "dist-packages"}
"""The first may be written to while it is read: by any Python that imports something."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    root = Path(sysconfig.get_path("stdlib"))
    expected = _tree(root, lambda each: os.fsdecode(each.name) not in _LEFT_OUT and not each.is_symlink())
    with _room(tmp_path_factory) as room:
        with Pannier(root, room / "state") as pannier:
            minted = pannier.mint(".", exclude=sorted(_LEFT_OUT), links="omit")
            length = _download(f"{pannier.client_url}/download-archive?token={minted['token']}", room / "stdlib.zip")
        assert length == (room / "stdlib.zip").stat().st_size
        assert len(expected) > 500
        yield Archive(room / "stdlib.zip", {name.decode(): member for name, member in expected.items()})


@every_reader
def test_the_standard_library_is_read_back_equal(reader: Reader, library: Archive, into: Path) -> None:
    """Thousands of files that nobody made for a test."""
    library.check(reader, into)


# ---------------------------------------------------------------- names

_EUC_KR = "가나다".encode("euc-kr")

NAMES: dict[bytes, str] = {
    # as they are
    b"plain.txt": "plain.txt",
    "한국어 보고서 (최종).hwp".encode(): "한국어 보고서 (최종).hwp",
    unicodedata.normalize("NFD", "한글 from a Mac.txt").encode(): unicodedata.normalize("NFD", "한글 from a Mac.txt"),
    "📦 🚲.gpx".encode(): "📦 🚲.gpx",
    b" leading and trailing ": " leading and trailing ",
    b"trailing dot.": "trailing dot.",
    b"...": "...",
    b"-rf": "-rf",
    b"--output=x": "--output=x",
    b"100%": "100%",
    b"%2e%2e%2f": "%2e%2e%2f",
    b"quo'te\"d $HOME `id`": "quo'te\"d $HOME `id`",
    b"a[1]*?": "a[1]*?",
    b"x:y": "x_y",
    b"xy:z": "xy:z",
    b"d/C:x": "d/C:x",
    b"\xc3\xa9" * 127 + b"x": "é" * 127 + "x",
    b"y" * 255: "y" * 255,
    b"/".join([b"deep"] * 80) + b"/leaf": "/".join(["deep"] * 80) + "/leaf",
    "\u202egpj.exe".encode(): "\u202egpj.exe",
    # not UTF-8
    b"caf\xe9.txt": "caf%E9.txt",
    _EUC_KR + b".hwp": "%B0%A1%B3%AA%B4%D9.hwp",
    _EUC_KR + b"/inner": "%B0%A1%B3%AA%B4%D9/inner",
    b"\xff" * 255: "%FF" * 85,
    b"\xc0\xae\xc0\xae/passwd": "%C0%AE%C0%AE/passwd",
    # separators and drives of elsewhere
    b"..\\..\\climbs.txt": ".._.._climbs.txt",
    b"\\\\server\\share": "__server_share",
    b"C:x": "C_x",
    b"c:\\autoexec.bat": "c__autoexec.bat",
    # control characters
    b"tab\there": "tab_here",
    b"two\nlines": "two_lines",
    b"bell\x07 and \x1b[31mred": "bell_ and _[31mred",
    b"\x7f": "_",
    "next\u0085line".encode(): "next_line",
    # names that the above makes equal
    b"a_b.txt": "a_b.txt",
    b"a\\b.txt": "a_b (3).txt",
    b"a\tb.txt": "a_b (2).txt",
    b"dir_1/kept": "dir_1/kept",
    b"dir\\1/moved": "dir_1 (2)/moved",
    b"%80": "%80",
    b"\x80": "%80 (2)",
}
"""What lies on a disk, and what it is called in the archive."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with _room(tmp_path_factory) as room:
        root = room / "folder"
        root.mkdir()
        for number, name in enumerate(NAMES):
            path = os.path.join(os.fsencode(root), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(name * (number % 4))
            os.chmod(path, 0o755 if number % 3 else 0o640)
            os.utime(path, (0, 1_000_000_001 + number))
        with Pannier(root, room / "state") as pannier:
            length = _download(pannier.url(), room / "hostile.zip")
        assert length == (room / "hostile.zip").stat().st_size
        tree = _tree(root)
        yield Archive(room / "hostile.zip", {NAMES[path]: member for path, member in tree.items()})


@every_reader
def test_hostile_names_come_out_where_they_should(reader: Reader, hostile: Archive, into: Path) -> None:
    """All below the directory they were unpacked to, each once, each with its own content."""
    assert len(hostile.expected) == len(NAMES)
    hostile.check(reader, into)


def test_a_plan_names_what_it_renames(tmp_path: Path) -> None:
    root = tmp_path / "folder"
    for name in NAMES:
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).touch()
    with Pannier(root, tmp_path / "state") as pannier:
        [runtime] = pannier.state.glob("serve-*.json")
        [folder] = json.loads(runtime.read_text())["folders"]
        body = {"volume": folder["volume"], "virtual_folder_id": folder["folder_id"], "files": ["."]}
        plan = pannier.manage("/folder/file/archive-plan", body)
    assert plan["entries"] == len(NAMES)
    renamed = {os.fsencode(item["path"]): item["name"] for item in plan["renamed"]["items"]}
    assert renamed == {path: name for path, name in NAMES.items() if path != name.encode()}
    assert all(item["reasons"] for item in plan["renamed"]["items"])


CHOSEN = [b"caf\xe9.txt", b"C:x", b"a\\b", b"tab\there", b"-rf", b"100%", "한글".encode()]


def test_one_file_can_be_chosen_by_its_own_name(tmp_path: Path) -> None:
    """Whatever it is called in the archive: bytes that are no UTF-8 cross JSON and token as lone surrogates."""
    root = tmp_path / "folder"
    root.mkdir()
    for name in CHOSEN:
        with open(os.path.join(os.fsencode(root), name), "wb") as file:
            file.write(name)
    with Pannier(root, tmp_path / "state") as pannier:
        for number, name in enumerate(CHOSEN):
            into = tmp_path / str(number)
            into.mkdir()
            _download(pannier.url(os.fsdecode(name)), into / "one.zip")
            [found] = READERS[0].read(into / "one.zip", into).values()
            assert found.sha256 == hashlib.sha256(name).hexdigest(), name


def test_times_that_few_file_systems_hold_are_no_trouble(tmp_path: Path) -> None:
    """ext4 reaches 2446, tmpfs any year: more than 64 bits of nanoseconds, 32 bits of seconds and HTTP's dates hold."""
    root = tmp_path / "folder"
    root.mkdir()
    for seconds in (-(1 << 31), -1, 0, 1 << 31, 1 << 33, 13_569_465_600, 1 << 40):
        path = root / str(seconds)
        path.write_text(path.name)
        os.utime(path, (0, seconds))
    with Pannier(root, tmp_path / "state") as pannier:
        _download(pannier.url(), tmp_path / "times.zip")
    found = READERS[0].read(tmp_path / "times.zip", tmp_path)
    assert {name: member.sha256 for name, member in found.items()} == {
        path.name: hashlib.sha256(path.name.encode()).hexdigest() for path in root.iterdir()
    }


# ---------------------------------------------------------------- large

EDGE = 4096


def _sparse(path: Path, size: int) -> None:
    """Write a file of zeros between a few bytes that tell it apart, taking no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(path.name.encode()).digest() * (EDGE // 32)
    with path.open("wb") as file:
        file.write(mark[: min(size, EDGE)])
        if size > 2 * EDGE:
            file.seek(size - EDGE)
            file.write(mark)
        file.truncate(size)


@contextmanager
def _served(tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int], **options: str) -> Iterator[Archive]:
    """Serve sparse files, download them with curl, and yield the archive."""
    with _room(tmp_path_factory) as room:
        root = room / "folder"
        for name, size in sizes.items():
            _sparse(root / name, size)
        with Pannier(root, room / "state") as pannier:
            url = pannier.url(**options)
            length = _download(url, room / "large.zip")
            assert length == (room / "large.zip").stat().st_size
            _check_windows(pannier, url, room / "large.zip")
        yield Archive(room / "large.zip", {name.decode(): member for name, member in _tree(root).items()})


def _check_windows(pannier: Pannier, url: str, archive: Path) -> None:
    """Ask again for some bytes around 2**32 and at both ends: the same ones."""
    length = archive.stat().st_size
    with archive.open("rb") as file:
        for start in (0, (1 << 31) - 500, (1 << 32) - 500, length - 1000):
            file.seek(start)
            expected = file.read(1000)
            status, headers, body = pannier.fetch(url, Range=f"bytes={start}-{start + 999}")
            assert (status, body) == (206, expected)
            assert headers["content-range"] == f"bytes {start}-{start + 999}/{length}"


def _digests(reader: Reader, archive: Archive, names: Sequence[str]) -> None:
    for name in names:
        member = archive.expected[name]
        assert reader.digest(archive.path, name) == (member.size, member.sha256), name


@pytest.fixture(scope="module")
def one_large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A file over 4 GiB, and neighbours behind it: their offsets pass 2**32."""
    sizes = {"a/large.bin": 4 * GIB + 123_456, "b/behind.txt": 5000, "c/empty": 0, "d/last 한글.bin": 300_000}
    with _served(tmp_path_factory, sizes) as archive:
        yield archive


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reader", [reader for reader in READERS if reader.zip64], ids=lambda reader: reader.name)
def test_a_file_over_4_gib_and_what_lies_behind_it(reader: Reader, one_large: Archive) -> None:
    _digests(reader, one_large, ["a/large.bin", "b/behind.txt", "d/last 한글.bin"])


@pytest.fixture(scope="module")
def many_large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive over 4 GiB in which no file is large: Zip64 in the directory alone."""
    with _served(tmp_path_factory, {f"{number:03}.bin": 15 * MIB + number for number in range(300)}) as archive:
        yield archive


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reader", LISTING, ids=lambda reader: reader.name)
def test_an_archive_over_4_gib_of_many_files_is_read_back_equal(
    reader: Reader, many_large: Archive, into: Path
) -> None:
    many_large.check(reader, into)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("reader", [reader for reader in EXTRACTING if reader.zip64], ids=lambda reader: reader.name)
def test_the_first_and_the_last_files_of_an_archive_over_4_gib(reader: Reader, many_large: Archive) -> None:
    """One by one: all of them would have to be written to a disk."""
    _digests(reader, many_large, ["000.bin", "273.bin", "299.bin"])


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A file over 8 GiB: its checksum comes after it."""
    with _served(tmp_path_factory, {"a.txt": 7, "b.bin": 8 * GIB + 1, "c.txt": 5000}) as archive:
        yield archive


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "reader",
    # java-stream: "only DEFLATED entries can have EXT descriptor"; `layout: plain` is for it, see the next test
    [reader for reader in READERS if reader.zip64 and reader.name != "java-stream"],
    ids=lambda reader: reader.name,
)
def test_a_file_over_8_gib_whose_checksum_comes_after_it(reader: Reader, late: Archive) -> None:
    _digests(reader, late, ["a.txt", "b.bin", "c.txt"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_plain_layout_is_read_by_java_streams_whatever_the_size(tmp_path_factory: pytest.TempPathFactory) -> None:
    [java] = [reader for reader in READERS if reader.name == "java-stream"]
    with _served(tmp_path_factory, {"a.txt": 7, "b.bin": 8 * GIB + 1, "c.txt": 5000}, layout="plain") as archive:
        _digests(java, archive, ["b.bin", "c.txt"])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """70,000 small files: more than 16 bits can count."""
    with _room(tmp_path_factory) as room:
        root = room / "folder"
        for number in range(70_000):
            path = root / f"{number % 70:02}" / f"{number:05}.txt"
            if number < 70:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%d\n" % number * (number % 5))
        with Pannier(root, room / "state") as pannier:
            length = _download(pannier.url(), room / "crowd.zip")
        assert length == (room / "crowd.zip").stat().st_size
        yield Archive(room / "crowd.zip", {name.decode(): member for name, member in _tree(root).items()})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("reader", [reader for reader in READERS if reader.zip64], ids=lambda reader: reader.name)
def test_70_000_small_files_are_read_back_equal(reader: Reader, crowd: Archive, into: Path) -> None:
    assert len(crowd.expected) == 70_000
    crowd.check(reader, into)
