"""Every format from a real server, judged by the readers and clients that people use."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.e2e.clients import CURL, environment, run
from tests.e2e.running import Pannier
from tests.e2e.trees import KIB, MIB
from tests.e2e.wire import LIMIT
from tests.readers import READERS, TAR_READERS, Reader

BLOCK, SMALL = MIB, 128 * KIB
GIB = 1024 * MIB
HOSTILE = [
    "-rf",
    "a b",
    "quote'\"`",
    "한글 폴더/사진 é.txt",
    "e\u0301.txt",
    "emoji 🧺",
    "star*[x]?.txt",
    "dots...",
    "CON",
    "x" * 200,
    "deep/" * 30 + "end",
]
TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(90_000))
ENCODED = {
    "zip+deflate": {"format": "zip", "compression": "deflate"},
    "tar.gz": {"format": "tar.gz"},
    "tar.zst": {"format": "tar.zst"},
}
UNPACKED_BY = {"tar.gz": ["gzip", "-dc"], "tar.zst": ["zstd", "-dcq"]}


def plant(folder: Path) -> None:
    chance = random.Random(8)
    contents = {f"hostile/{name}": b"in " + name.encode() for name in HOSTILE}
    for size in (SMALL, BLOCK, 2 * BLOCK):
        for more in (-1, 0, 1):
            contents[f"edges/noise {size:08}{more:+}"] = chance.randbytes(size + more)
            contents[f"edges/text {size:08}{more:+}"] = TEXT[: size + more]
    contents |= {f"small/{number:03}": b"small %d " % number * number for number in range(300)}
    contents |= {"empty": b"", "mixed": TEXT[:700_000] + chance.randbytes(900_000)}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "nothing here").mkdir()
    (folder / "empty").chmod(0o755)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("formats")
    (folder / "data").mkdir()
    plant(folder / "data")
    with Pannier(folder / "data", folder / "state") as running:
        yield running


@pytest.fixture(scope="module")
def archives(server: Pannier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every encoded archive of the folder, by curl; and the tars in them, by the programs that unpack such."""
    home = tmp_path_factory.mktemp("archives")
    made = {}
    for label, options in ENCODED.items():
        made[label] = archive = home / f"whole.{label.replace('+', '.')}"
        done = run(["curl", "-q", "-sS", "--fail", "-o", str(archive), server.url(**options)])
        assert done.code == 0, done.said
        if label in UNPACKED_BY:
            made[f"unpacked {label}"] = plain = home / f"{label}.tar"
            with plain.open("wb") as out:
                subprocess.run([*UNPACKED_BY[label], archive], stdout=out, check=True, timeout=LIMIT)
    return made


def wanted(folder: Path) -> dict[str, tuple[int, str]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    }


def check(reader: Reader, archive: Path, folder: Path, into: Path) -> None:
    into.mkdir()
    members = reader.read(archive, into)
    found = {name: (member.size, member.sha256) for name, member in members.items() if member.kind == "file"}
    expected = wanted(folder)
    if reader.nfc_names:
        expected = {unicodedata.normalize("NFC", name): value for name, value in expected.items()}
    assert found == expected
    assert [name for name, member in members.items() if member.kind == "dir"] == ["nothing here"]
    for name, member in members.items():
        if member.kind == "file" and name in expected and not reader.nfc_names:
            status = (folder / name).stat()
            if reader.gives_times:
                assert member.mtime == int(status.st_mtime), name
            if reader.gives_modes:
                assert member.mode == status.st_mode & 0o777 & reader.mode_bits, name


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_every_zip_reader_takes_a_packed_zip(
    reader: Reader, server: Pannier, archives: dict[str, Path], tmp_path: Path
) -> None:
    check(reader, archives["zip+deflate"], server.folder, tmp_path / "into")


@pytest.mark.parametrize("label", UNPACKED_BY)
@pytest.mark.parametrize("reader", TAR_READERS, ids=lambda reader: reader.name)
def test_every_tar_reader_takes_what_the_usual_programs_unpack(
    reader: Reader, label: str, server: Pannier, archives: dict[str, Path], tmp_path: Path
) -> None:
    check(reader, archives[f"unpacked {label}"], server.folder, tmp_path / "into")


@pytest.mark.parametrize("label", UNPACKED_BY)
@pytest.mark.parametrize("name", ["gnu-tar", "bsdtar", "bsdtar-pipe"])
def test_tars_that_unpack_by_themselves_take_it_as_it_is(
    name: str, label: str, server: Pannier, archives: dict[str, Path], tmp_path: Path
) -> None:
    [reader] = [reader for reader in TAR_READERS if reader.name == name]
    check(reader, archives[label], server.folder, tmp_path / "into")


@pytest.mark.parametrize("label", UNPACKED_BY)
def test_7_zip_unpacks_it(label: str, archives: dict[str, Path]) -> None:
    with subprocess.Popen(["7z", "x", "-so", archives[label]], stdout=subprocess.PIPE) as seven_zip:
        assert seven_zip.stdout is not None
        assert sha256(seven_zip.stdout) == sha256_of(archives[f"unpacked {label}"])
    assert seven_zip.returncode == 0


def test_formats_that_are_stored_come_in_full(server: Pannier, tmp_path: Path) -> None:
    tar = tmp_path / "whole.tar"
    assert run(["curl", "-q", "-sS", "--fail", "-o", str(tar), server.url(format="tar")]).code == 0
    [reader] = [reader for reader in TAR_READERS if reader.name == "gnu-tar"]
    check(reader, tar, server.folder, tmp_path / "into")


def test_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    archive = tmp_path / "archive"
    with Pannier(tmp_path / "data", tmp_path / "state") as server:
        for label, options in ENCODED.items():
            assert run(["curl", "-q", "-sS", "--fail", "-o", str(archive), server.url(**options)]).code == 0
            reader = ["bsdtar", "-tf"] if label in UNPACKED_BY else ["7z", "l", "-ba"]
            listed = subprocess.run([*reader, archive], capture_output=True, check=True, timeout=LIMIT)
            assert (listed.stdout.strip(), listed.stderr) == (b"", b""), label


def test_curl_goes_on_with_a_tar(server: Pannier, tmp_path: Path) -> None:
    url, whole, cut = server.url(format="tar"), tmp_path / "whole.tar", tmp_path / "cut.tar"
    assert CURL.run(url, whole).code == 0
    for size in (1, 511, 1_000_000, whole.stat().st_size - 1):
        cut.write_bytes(whole.read_bytes()[:size])
        assert CURL.run(url, cut).code == 0
        assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("label", ENCODED)
def test_curl_cannot_go_on_with_what_is_packed_and_says_so(label: str, server: Pannier, tmp_path: Path) -> None:
    """What it has stays as it is: nothing is appended."""
    out = tmp_path / "cut"
    out.write_bytes(b"what came before")
    ended = CURL.run(server.url(**ENCODED[label]), out)
    assert ended.code == 33, ended.said  # "HTTP server does not seem to support byte ranges"
    assert out.read_bytes() == b"what came before"


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    """A server whose folder has a directory for each test."""
    folder = tmp_path_factory.mktemp("changing")
    (folder / "data").mkdir()
    with Pannier(folder / "data", folder / "state") as running:
        yield running


@pytest.mark.parametrize("label", ENCODED)
@pytest.mark.parametrize("change", ["rewrite", "truncate", "remove"])
def test_a_source_that_changes_midway_is_a_failure_that_curl_sees(
    label: str, change: str, changing: Pannier, tmp_path: Path
) -> None:
    folder, size = changing.folder / f"{label} {change}", 12 * MIB
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}").write_bytes(random.Random(number).randbytes(size))
    out, url = tmp_path / "out", changing.url(folder.name, **ENCODED[label])
    command = ["curl", "-q", "-sS", "--fail", "--limit-rate", "10M", "-o", str(out), url]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment()) as curl:
        deadline = time.monotonic() + LIMIT
        while not out.exists() or out.stat().st_size < MIB:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        last = folder / "3"
        match change:
            case "rewrite":
                last.write_bytes(random.Random(9).randbytes(size))
            case "truncate":
                last.write_bytes(b"")
            case _:
                last.unlink()
        assert curl.wait(LIMIT) in (18, 56)  # partial file, or the connection reset
    assert out.stat().st_size < 4 * size


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("label", ENCODED)
def test_more_than_4_gib_of_one_file(label: str, tmp_path: Path) -> None:
    """Sparse, with something at both ends; before and after it, others."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_bytes(b"before")
    with (folder / "large").open("wb") as large:
        large.write(TEXT)
        large.seek(4 * GIB + 12_345)
        large.write(TEXT)
    (folder / "z").write_bytes(b"after")
    size, digest = large_digest(folder / "large")
    archive = tmp_path / "archive"
    with Pannier(folder, tmp_path / "state") as server:
        done = subprocess.run(
            ["curl", "-q", "-sS", "--fail", "-o", archive, server.url(**ENCODED[label])], timeout=600, check=False
        )
        assert done.returncode == 0
        assert resident(server.pid) < 200 * MIB
    readers = (
        [reader for reader in READERS if reader.zip64]
        if label == "zip+deflate"
        else [reader for reader in TAR_READERS if reader.name in ("gnu-tar", "bsdtar-pipe")]
    )
    for reader in readers:
        assert reader.digest(archive, "large") == (size, digest), reader.name
        assert reader.digest(archive, "z") == (5, hashlib.sha256(b"after").hexdigest()), reader.name


def large_digest(path: Path) -> tuple[int, str]:
    with path.open("rb") as content:
        return path.stat().st_size, sha256(content)


def resident(pid: int) -> int:
    """The most memory that a process has had, in bytes."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * KIB


def sha256_of(path: Path) -> str:
    with path.open("rb") as content:
        return sha256(content)


def sha256(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := content.read(MIB):
        digest.update(data)
    return digest.hexdigest()
