"""The readers agree about an archive that is as it should be, and none accepts one that is not."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest

from tests.readers import READERS, TAR_READERS, Member, Reader, ReaderFailed

MTIME = 1_700_000_001  # odd: DOS times are even
CONTENT = b"what a person put there\n" * 40

FILES: dict[str, tuple[bytes, int]] = {
    "notes.txt": (CONTENT, 0o640),
    "run.sh": (b"#!/bin/sh\n", 0o755),
    "setuid": (b"s", 0o4755),
    "empty": (b"", 0o600),
    "한글/보고서 최종.txt": ("안녕하세요".encode(), 0o644),
    unicodedata.normalize("NFD", "café/naïve.txt"): (b"from a Mac", 0o644),
    "📦.bin": (bytes(range(256)), 0o444),
    "/".join(f"level-{depth}" for depth in range(40)) + "/leaf": (b"deep", 0o644),
    "a[1]*?.txt": (b"no pattern", 0o644),
    "-x": (b"no option", 0o644),
    "@list": (b"no list", 0o644),
    'it\'s "$HOME" & co': (b"no shell", 0o644),
}
DIRECTORY = "nothing in here"
LINK, TARGET = "한글/link", b"../notes.txt"


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, (content, mode) in FILES.items():
            _add(made, name, content, stat.S_IFREG | mode)
        _add(made, f"{DIRECTORY}/", b"", stat.S_IFDIR | 0o750)
        _add(made, LINK, TARGET, stat.S_IFLNK | 0o777)


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    info = zipfile.ZipInfo(name, (2023, 11, 14, 22, 13, 20))
    info.create_system = 3
    info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
    info.extra = struct.pack("<HHBi", 0x5455, 5, 1, MTIME)
    archive.writestr(info, content)


def _tar(path: Path) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as made:
        for name, (content, mode) in FILES.items():
            info = _info(name, mode)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        directory = _info(DIRECTORY, 0o750)
        directory.type = tarfile.DIRTYPE
        made.addfile(directory)
        link = _info(LINK, 0o777)
        link.type, link.linkname = tarfile.SYMTYPE, TARGET.decode()
        made.addfile(link)


def _info(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = mode, MTIME
    return info


@pytest.fixture
def archive(reader: Reader, tmp_path: Path) -> Path:
    is_tar = reader in TAR_READERS
    path = tmp_path / f"selection [1].{'tar' if is_tar else 'zip'}"
    (_tar if is_tar else _zip)(path)
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    path = tmp_path / "extracted"
    path.mkdir()
    return path


BUSYBOX_TAR = TAR_READERS[-1]

every_reader = pytest.mark.parametrize(
    "reader",
    [*READERS, *TAR_READERS],
    ids=lambda reader: f"{'tar' if reader in TAR_READERS else 'zip'}-{reader.name}",
)


def _as_given_by(reader: Reader, name: str) -> str:
    return unicodedata.normalize("NFC", name) if reader.nfc_names else name


@every_reader
def test_an_archive_is_read_back_equal(reader: Reader, archive: Path, into: Path) -> None:
    mtime = MTIME if reader.gives_times else None

    def mode(bits: int) -> int | None:
        return bits & reader.mode_bits if reader.gives_modes else None

    expected = {
        name: Member("file", len(content), hashlib.sha256(content).hexdigest(), mtime, mode(bits))
        for name, (content, bits) in FILES.items()
    }
    expected[DIRECTORY] = Member("dir", 0, None, mtime, mode(0o750))
    target = len(TARGET), hashlib.sha256(TARGET).hexdigest()
    expected[LINK] = (
        Member("link", *target, None, mode(0o777)) if reader.gives_modes else Member("file", *target, mtime, None)
    )

    assert reader.read(archive, into) == {_as_given_by(reader, name): member for name, member in expected.items()}


@every_reader
def test_one_member_is_streamed(reader: Reader, archive: Path) -> None:
    for name, (content, _) in FILES.items():
        if reader is BUSYBOX_TAR and "[" in name:
            with pytest.raises(ReaderFailed):  # it takes every name for a pattern
                reader.digest(archive, name)
            continue
        assert reader.digest(archive, name) == (len(content), hashlib.sha256(content).hexdigest()), name


@every_reader
def test_a_flipped_byte_of_content_is_never_taken_for_the_original(reader: Reader, archive: Path, into: Path) -> None:
    whole = bytearray(archive.read_bytes())
    whole[whole.index(CONTENT) + 100] ^= 1
    archive.write_bytes(whole)

    if not reader.checks_content:
        original = hashlib.sha256(CONTENT).hexdigest()
        assert reader.read(archive, into)["notes.txt"].sha256 != original
        assert reader.digest(archive, "notes.txt") != (len(CONTENT), original)
        return
    with pytest.raises(ReaderFailed):
        reader.read(archive, into)
    with pytest.raises(ReaderFailed):
        reader.digest(archive, "notes.txt")


@every_reader
def test_an_archive_cut_in_its_content_is_refused(reader: Reader, archive: Path, into: Path) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[: whole.index(CONTENT) + len(CONTENT) // 2])

    with pytest.raises(ReaderFailed):
        reader.read(archive, into)


@every_reader
def test_a_member_that_is_not_there_is_a_failure(reader: Reader, archive: Path) -> None:
    with pytest.raises(ReaderFailed):
        reader.digest(archive, "no such member")


@every_reader
def test_a_missing_tool_is_a_failure(
    reader: Reader, archive: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reader.name in ("zipfile", "tarfile", "tarfile-pipe"):
        return  # they are part of Python
    monkeypatch.setenv("PATH", str(into))

    with pytest.raises(ReaderFailed, match="not installed"):
        reader.read(archive, into)
    with pytest.raises(ReaderFailed, match="not installed"):
        reader.digest(archive, "notes.txt")
