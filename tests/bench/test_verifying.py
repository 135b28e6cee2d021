"""A wrong download must not pass, nor data that is not what it was."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.complaints import Complaint
from bench.data import DataSet, Spec, ready
from bench.verifying import Wrong, check_zip, verify

SPEC = Spec("tiny", 7, 2, 6, 500, 3000, 3)


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return ready(SPEC, tmp_path / "cache")


def zipped(data: DataSet, path: Path, *, prefix: str = "", leave_out: int = 0, spoil: bool = False) -> Path:
    """Make an archive of the data, right or wrong."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in data.files()[leave_out:]:
            content = (data.folder / file.path).read_bytes()
            archive.writestr(prefix + file.path, content[:-1] + b"\0" if spoil else content)
    return path


@pytest.mark.parametrize("prefix", ["", "top/", "a/b/"])
def test_the_data_passes_below_any_folder(data: DataSet, tmp_path: Path, prefix: str) -> None:
    archive = zipped(data, tmp_path / "a.zip", prefix=prefix)
    assert "6 entries" in verify("zip", archive, data, (".",))
    check_zip(archive, data.files())


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def flip(path: Path) -> None:
    """Change a byte of content, and nothing that describes it."""
    damaged = bytearray(path.read_bytes())
    damaged[200] ^= 1
    path.write_bytes(damaged)


@pytest.mark.parametrize("damage", [cut, flip], ids=lambda damage: damage.__name__)
def test_damage_is_found(data: DataSet, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    archive = zipped(data, tmp_path / "a.zip")
    damage(archive)
    with pytest.raises(Wrong):
        verify("zip", archive, data, (".",))


@pytest.mark.parametrize("wrong", [{"leave_out": 1}, {"spoil": True}], ids=["missing", "other content"])
def test_other_content_is_found(data: DataSet, tmp_path: Path, wrong: dict[str, int]) -> None:
    archive = zipped(data, tmp_path / "a.zip", leave_out=wrong.get("leave_out", 0), spoil=bool(wrong.get("spoil")))
    with pytest.raises(Wrong):
        verify("zip", archive, data, (".",))


def test_a_tar_is_compared_with_the_files(data: DataSet, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "-cf", archive, "-C", data.folder, "."], check=True)
    assert verify("tar", archive, data, (".",)) == "tar -d, 6 files"
    subprocess.run(["tar", "-cf", archive, "-C", data.folder, "part-0000"], check=True)
    with pytest.raises(Wrong, match="entries of 6"):
        verify("tar", archive, data, (".",))


def test_data_is_the_same_everywhere_and_used_again(data: DataSet, tmp_path: Path) -> None:
    assert ready(SPEC, tmp_path / "cache").files() == data.files()
    assert ready(SPEC, tmp_path / "elsewhere").listing.read_text() == data.listing.read_text()
    assert data.bytes_of("part-0000") + data.bytes_of("part-0001") == data.bytes_of(".")
    (data.folder / data.files()[0].path).write_bytes(b"short")
    with pytest.raises(Complaint, match="remove that folder"):
        ready(SPEC, tmp_path / "cache")


def test_a_full_disk_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Complaint, match=r"GiB are needed for 'vast'"):
        ready(Spec("vast", 1, 1, 10, 2**50, 2**50, 1), tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == []
