"""Promise: what is unpacked is what was selected, with times and modes, and nothing is ever made outside."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pannier.archive.zip_records import end_records
from pannier.sdk import Backoff, Client, ConnectionLost, Progress
from pannier.sdk.parts import TargetUnusable
from pannier.sdk.problems import ClientError
from pannier.sdk.tree import EntryRefused, Tree
from pannier.sdk.unpacking import unpack_of
from pannier.sdk.verification import check_zip
from pannier.sdk.zip_reading import Damaged
from tests.e2e import trees
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import KIB, MIB

QUICK = Backoff(first=0.02)
FORMATS = [{}, {"compression": "deflate"}, {"format": "tar"}, {"format": "tar.gz"}, {"format": "tar.zst"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Korean names, odd modes and times, links, empty directories, and files large enough to be cut."""
    path = tmp_path_factory.mktemp("extraction") / "여행"
    trees.plant(path, 21, small=40, large=(3 * MIB, 5 * MIB + 1))
    (path / "사진" / "둘째 날").mkdir(parents=True)
    (path / "사진" / "둘째 날" / "바다.txt").write_text("파도")
    (path / "비어 있음").mkdir()
    (path / "비어 있음").chmod(0o711)
    (path / "run.sh").write_text("#!/bin/sh\n")
    (path / "run.sh").chmod(0o750)
    (path / "read-only").write_bytes(b"")
    (path / "read-only").chmod(0o444)
    (path / "zeros").write_bytes(bytes(600 * KIB))
    (path / "사진" / "link").symlink_to("../run.sh")
    for number, each in enumerate(sorted(path.rglob("*"))):
        os.utime(each, (1_500_000_000 + number, 1_500_000_000 + 100 * number), follow_symlinks=False)
    os.utime(path / "run.sh", (0, 315_532_800 - 86_400 * 365 * 5))
    return path


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


def described(root: Path) -> dict[str, tuple[object, ...]]:
    """What an archive keeps of a tree: of files and empty directories all, of others nothing, of links their target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        name, status = str(path.relative_to(root)), path.lstat()
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_file():
            found[name] = (path.read_bytes(), stat.S_IMODE(status.st_mode), int(status.st_mtime))
        elif not any(path.iterdir()):
            found[name] = ("directory", stat.S_IMODE(status.st_mode), int(status.st_mtime))
    return found


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_an_honest_tree_is_equal(format: dict[str, str], server: Pannier, folder: Path, tmp_path: Path) -> None:
    with Client() as client:
        got = client.extract(server.url(links="store", **format), tmp_path / "out")
    assert described(tmp_path / "out") == described(folder)
    assert got.entries == len(described(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("format", ["zip", "tar"])
def test_cuts_leave_no_trace(format: str, server: Pannier, folder: Path, tmp_path: Path) -> None:
    cuts = [Cut(offset) for offset in (100, 33, MIB, 2 * MIB + 17, 900 * KIB, 1)]
    with CuttingProxy(server.client_port, cuts) as proxy, Client(backoff=QUICK) as client:
        got = client.extract(proxy.through(server.url(links="store", format=format)), tmp_path / "out")
        assert proxy.made == len(cuts)
    assert 4 <= got.resumed <= len(cuts)  # a reset may take back the single byte of a try
    assert described(tmp_path / "out") == described(folder)


@pytest.mark.parametrize("format", ["tar.gz", "tar.zst"])
def test_what_is_packed_begins_again_only_before_its_first_byte(
    format: str, server: Pannier, folder: Path, tmp_path: Path
) -> None:
    """A server that is busy or away is waited for; after a byte was given out nothing could go on with the rest."""
    told: list[str] = []

    def note(progress: Progress) -> None:
        told.extend([progress.note] if progress.note else [])

    with CuttingProxy(server.client_port, [Cut(0), Cut(0)]) as proxy, Client(backoff=QUICK) as client:
        url = proxy.through(server.url(links="store", format=format))
        client.extract(url, tmp_path / "out", progress=note)
        assert proxy.made == 2
    assert [note.partition(": ")[2] for note in told] == ["the connection was closed; waiting"] * 2
    assert described(tmp_path / "out") == described(folder)
    with CuttingProxy(server.client_port, [Cut(MIB)]) as proxy, Client(backoff=QUICK) as client:
        url = proxy.through(server.url(links="store", format=format))
        with pytest.raises(ConnectionLost, match=r"was closed at [\d,]+\sbytes; this format cannot be gone on with"):
            client.extract(url, tmp_path / "cut")
    assert not (tmp_path / "cut").exists()


def test_a_directory_that_is_there_stays_as_it_is(server: Pannier, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    url = server.url("run.sh")
    with Client() as client:
        client.extract(url, out)  # it is empty
        with pytest.raises(TargetUnusable, match="name a new one"):
            client.extract(url, out)
        (tmp_path / "new.part").mkdir()
        with pytest.raises(TargetUnusable, match="did not come to its end"):
            client.extract(url, tmp_path / "new")
        client.extract(url, tmp_path / "new", restart=True)
    assert (tmp_path / "new" / "run.sh").read_text() == "#!/bin/sh\n"


# ---------------------------------------------------------------- hostile archives


class Bytes:
    """An intake of bytes that are there, in pieces of odd sizes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)
        self._number = 0

    def read(self, most: int) -> bytes:
        self._number += 1
        return self._data.read(min(most, 1 + self._number * 37 % 4096))


def zip_of(entries: list[tuple[str, bytes, int]], *, method: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP of names, contents and file types with modes, as Python writes it to a pipe."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
            info.external_attr, info.create_system, info.compress_type = mode << 16, 3, method
            archive.writestr(info, content)
    return made.getvalue()


def tar_of(entries: list[tuple[str, bytes, int]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, mode in entries:
            info = tarfile.TarInfo(name)
            info.mode = mode & 0o777
            if stat.S_ISLNK(mode):
                info.type, info.linkname = tarfile.SYMTYPE, content.decode()
            elif stat.S_ISDIR(mode):
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


FILE, LINK, DIRECTORY = 0o100644, 0o120777, 0o040755
MAKERS: dict[str, Callable[[list[tuple[str, bytes, int]]], bytes]] = {
    "application/zip": zip_of,
    "application/x-tar": tar_of,
}


def unpack(media_type: str, archive: bytes, out: Path, most: int | None = None) -> None:
    with Tree(out, most) as tree:
        unpack_of(media_type)(Bytes(archive), tree)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """Something beside the directory; nothing of it, or beside it, may be another after the test."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_text("as it was")
    yield tmp_path / "victim"
    assert (tmp_path / "victim" / "file").read_text() == "as it was"
    assert sorted(path.name for path in (tmp_path / "victim").iterdir()) == ["file"]
    assert {path.name for path in tmp_path.iterdir()} <= {"victim", "out"}


@pytest.mark.parametrize("media_type", MAKERS)
@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("../victim/new", b"x", FILE)], id="climbs"),
        pytest.param([("a/../../victim/file", b"x", FILE)], id="climbs-in-the-middle"),
        pytest.param([("a/..", b"x", FILE)], id="dots-at-the-end"),
        pytest.param([("./a", b"x", FILE)], id="dot"),
        pytest.param([("a//b", b"x", FILE)], id="empty-component"),
        pytest.param([("/{outside}/file", b"x", FILE)], id="absolute"),
        pytest.param([("..\\victim\\file", b"x", FILE)], id="backslashes"),
        pytest.param([("C:/victim", b"x", FILE)], id="drive"),
        pytest.param([("a\x07b", b"x", FILE)], id="control-character"),
        pytest.param([("l", b"../victim", LINK), ("l/file", b"x", FILE)], id="file-through-a-link-out"),
        pytest.param([("l", b"{outside}", LINK), ("l/file", b"x", FILE)], id="file-through-an-absolute-link"),
        pytest.param([("l", b"../victim/file", LINK), ("l", b"x", FILE)], id="link-then-a-file-of-its-name"),
        pytest.param([("l", b"../victim/file", LINK)], id="link-out"),
        pytest.param([("l", b"{outside}/file", LINK)], id="absolute-link"),
        pytest.param([("a/l", b"../../victim", LINK)], id="link-that-climbs"),
        pytest.param([("a/s", b"..", LINK), ("a/t", b"s/../victim", LINK)], id="link-that-climbs-through-a-link"),
        pytest.param([("s", b"t", LINK), ("t", b"s", LINK)], id="links-in-a-circle"),
        pytest.param([("s", b"", LINK)], id="link-to-nothing"),
        pytest.param([("s", b"a" * 5000, LINK)], id="link-that-is-too-long"),
        pytest.param([("a", b"x", FILE), ("a", b"y", FILE)], id="twice"),
        pytest.param([("a", b"x", FILE), ("a/b", b"y", FILE)], id="file-in-a-file"),
        pytest.param([("a/b", b"x", FILE), ("a", b"y", FILE)], id="file-for-a-directory"),
        pytest.param([("a", b"x", FILE), ("a/", b"", DIRECTORY)], id="directory-for-a-file"),
        pytest.param([("n" * 300, b"x", FILE)], id="too-long-a-name"),
        pytest.param([("n" * 300 + "/a", b"x", FILE)], id="too-long-a-directory"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_nothing_is_made_outside(
    media_type: str, entries: list[tuple[str, bytes, int]], outside: Path, tmp_path: Path
) -> None:
    where = str(outside)
    there = [
        (name.replace("/{outside}", where), content.replace(b"{outside}", where.encode()), mode)
        for name, content, mode in entries
    ]
    with pytest.raises(EntryRefused):
        unpack(media_type, MAKERS[media_type](there), tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize("media_type", MAKERS)
def test_links_that_stay_inside_are_made(media_type: str, tmp_path: Path) -> None:
    entries = [
        ("a/b/up", b"../../c/d", LINK),
        ("a/here", b".", LINK),
        ("a/through", b"here/b/../..//c/./d", LINK),
        ("c/d", b"reached", FILE),
        ("nothing", b"c/e/f", LINK),
    ]
    unpack(media_type, MAKERS[media_type](entries), tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b" / "up").read_text() == "reached"
    assert (tmp_path / "out" / "a" / "through").read_text() == "reached"
    assert os.readlink(tmp_path / "out" / "nothing") == "c/e/f"


@pytest.mark.parametrize(
    ("kind", "link"),
    [(tarfile.LNKTYPE, "victim/file"), (tarfile.CHRTYPE, ""), (tarfile.FIFOTYPE, ""), (tarfile.CONTTYPE, "")],
)
def test_of_a_tar_only_files_directories_and_links_are_made(kind: bytes, link: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        info = tarfile.TarInfo("special")
        info.type, info.linkname = kind, link
        archive.addfile(info)
    if kind == tarfile.CONTTYPE:  # a contiguous file is a file
        unpack("application/x-tar", made.getvalue(), tmp_path / "out")
        return
    with pytest.raises(EntryRefused, match="neither a file"):
        unpack("application/x-tar", made.getvalue(), tmp_path / "out")


def test_bits_that_give_rights_are_not_taken(tmp_path: Path) -> None:
    for media_type, make in MAKERS.items():
        out = tmp_path / make.__name__
        unpack(media_type, make([("a", b"x", 0o104755), ("b/", b"", 0o041777)]), out)
        assert stat.S_IMODE((out / "a").stat().st_mode) == 0o755
        assert stat.S_IMODE((out / "b").stat().st_mode) == 0o777


class TestBombs:
    """What unpacks to more than it says, or than there is room for."""

    def test_more_than_the_limit(self, tmp_path: Path) -> None:
        zeros = [("zeros", bytes(20 * MIB), FILE)]
        tar = tar_of(zeros)
        for number, (media_type, archive) in enumerate(
            {
                "application/zip": zip_of(zeros, method=zipfile.ZIP_DEFLATED),
                "application/x-tar": tar,
                "application/gzip": gzip.compress(tar),
            }.items()
        ):
            assert len(archive) < MIB or media_type == "application/x-tar"
            with pytest.raises(EntryRefused, match="which is the limit"):
                unpack(media_type, archive, tmp_path / str(number), most=2 * MIB)
            assert trees_size(tmp_path / str(number)) <= 2 * MIB

    def test_more_than_its_header_says(self, tmp_path: Path) -> None:
        archive = bytearray(zip_of([("zeros", bytes(20 * MIB), FILE)], method=zipfile.ZIP_DEFLATED))
        archive[22:26] = struct.pack("<I", 1000)
        with pytest.raises(Damaged, match="larger than its header says"):
            unpack("application/zip", bytes(archive), tmp_path / "out")
        assert trees_size(tmp_path / "out") <= 2 * MIB

    def test_a_header_that_would_fill_the_memory(self, tmp_path: Path) -> None:
        header = bytearray(tarfile.TarInfo("x").tobuf())
        header[124:136] = b"%011o\0" % 2**32
        header[156:157] = tarfile.XHDTYPE
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        with pytest.raises(Damaged, match="header of"):
            unpack("application/x-tar", bytes(header) + bytes(MIB), tmp_path / "out")

    def test_entries_that_share_their_content(self, tmp_path: Path) -> None:
        """One content under many names of the directory: readers of directories would unpack it as often."""
        archive = zip_of([("a", bytes(1000), FILE)], method=zipfile.ZIP_DEFLATED)
        at = archive.index(b"PK\x01\x02")
        central = archive[at : archive.index(b"PK\x05\x06")]
        more = central * 100
        forged = archive[:at] + more + end_records(100, at, len(more))
        with pytest.raises(Damaged, match="1 entries, and its directory 100"):
            unpack("application/zip", forged, tmp_path / "out")


def trees_size(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


class TestDamage:
    """Whatever byte of an archive is another one, or missing, is seen; nobody is told that all is well."""

    ENTRIES = (("a.txt", b"one" * 50, FILE), ("b/c", b"two" * 70, FILE), ("b/d", b"", FILE))

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_each_cut_of_a_zip_is_seen(self, method: int) -> None:
        archive = zip_of(list(self.ENTRIES), method=method)
        assert check_zip(Bytes(archive)).entries == 3
        for length in range(len(archive)):
            with pytest.raises(Damaged):
                check_zip(Bytes(archive[:length]))

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_each_changed_byte_of_a_zip_is_seen_or_means_nothing(self, method: int) -> None:
        """Fields that say nothing about names, contents, sizes, places and kinds are the only ones that may differ."""
        archive = zip_of(list(self.ENTRIES), method=method)
        blind = []
        for at in range(len(archive)):
            changed = bytearray(archive)
            changed[at] ^= 0x55
            try:
                check_zip(Bytes(bytes(changed)))
            except ClientError:
                continue
            blind.append(at)
        for at in blind:
            start = max(archive.rfind(b"PK\x03\x04", 0, at + 1), archive.rfind(b"PK\x01\x02", 0, at + 1))
            field = at - start
            is_local = archive[start : start + 4] == b"PK\x03\x04"
            versions_flags_times = (4, 5, 6, 7, 10, 11, 12, 13) if is_local else (4, 5, 6, 7, 8, 9, 12, 13, 14, 15)
            assert field in (*versions_flags_times, *(() if is_local else range(36, 42))), (at, field)

    @pytest.mark.parametrize("packed", [False, True])
    def test_a_tar_that_is_cut_off_or_followed_by_something_is_not_unpacked(self, packed: bool, tmp_path: Path) -> None:
        tar = tar_of([("a", b"x" * 2000, FILE)])
        archive, media_type = (gzip.compress(tar), "application/gzip") if packed else (tar, "application/x-tar")
        for number, length in enumerate((0, 10, 512, 1024, 2000) if not packed else range(0, len(archive), 7)):
            with pytest.raises(Damaged):
                unpack(media_type, archive[:length], tmp_path / f"out{number}")

    def test_a_zip_with_bits_that_hide_its_content_is_told(self, tmp_path: Path) -> None:
        archive = bytearray(zip_of(list(self.ENTRIES)))
        archive[6] |= 1
        with pytest.raises(Damaged, match="encrypted"):
            unpack("application/zip", bytes(archive), tmp_path / "out")

    def test_other_software_is_read_too(self, tmp_path: Path) -> None:
        """Python's own writer to a pipe: data descriptors behind deflated contents."""

        class Pipe(io.RawIOBase):
            def __init__(self) -> None:
                self.data = bytearray()

            def writable(self) -> bool:
                return True

            def write(self, data: object) -> int:
                self.data += data  # type: ignore[arg-type]
                return len(data)  # type: ignore[arg-type]

        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/b.txt", b"hello " * 1000)
        unpack("application/zip", bytes(pipe.data), tmp_path / "out")
        assert (tmp_path / "out" / "a" / "b.txt").read_bytes() == b"hello " * 1000
        assert zlib.crc32(b"hello " * 1000)
        assert (tmp_path / "out" / "a" / "b.txt").stat().st_mtime <= time.time() + 86_400
