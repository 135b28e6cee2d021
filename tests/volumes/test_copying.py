"""Copying a folder: what is kept, what is left out, and that nothing outside is read."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pannier.errors import OperationRefused, StorageFull
from pannier.volumes.copying import Copied, copy_tree
from pannier.volumes.ownership import OURS, Ownership
from tests.volumes.process import NOBODY, exchanging, no_descriptor_kept, unprivileged


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@contextmanager
def opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield number
    finally:
        os.close(number)


def copy(
    source: Path, target: Path, *, ownership: Ownership = OURS, go_on: Callable[[int], bool] = lambda done: True
) -> Copied:
    """Copy into a directory that is made, and leave no descriptor behind."""
    target.mkdir()
    copied = Copied()
    with no_descriptor_kept(), opened(source) as one, opened(target) as other:
        copy_tree(one, other, ownership, go_on, copied)
    return copied


def copy_unprivileged(source: Path, target: Path) -> None:
    """Copy as an ordinary user, who owns both."""
    target.mkdir()
    if os.geteuid() == 0:
        for path in (source, *source.rglob("*"), target):
            os.chown(path, NOBODY, NOBODY)
    with opened(source) as one, opened(target) as other, unprivileged():
        copy_tree(one, other, OURS, lambda done: True, Copied())


@pytest.mark.parametrize("depth", [1, 400], ids=["flat", "deeper than a path may be long"])
def test_a_tree_of_any_depth_is_copied(source: Path, tmp_path: Path, depth: int) -> None:
    name = "d" * 20
    here = os.open(source, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    copied = copy(source, tmp_path / "target")
    assert (copied.entries, copied.whole) == (depth + 1, True)
    here = os.open(tmp_path / "target", os.O_RDONLY)
    for _ in range(depth):
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    assert os.listdir(here) == ["leaf"]
    os.close(here)


@pytest.mark.parametrize("way", ["as the system can", "without sharing", "by reading and writing"])
@pytest.mark.parametrize(
    ("extents", "size"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(0, 4097)], 4097),
        ([], 5_000_000),
        ([(0, 10_000), (40_000_000, 70_000)], 40_070_000),
        ([(1_000_000, 300_000)], 60_000_000),
    ],
    ids=["empty", "a byte", "a block and a byte", "a hole", "a hole between", "holes around"],
)
def test_content_is_kept_and_holes_stay_holes(
    source: Path, tmp_path: Path, extents: list[tuple[int, int]], size: int, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "")

    if way != "as the system can":
        monkeypatch.setattr(fcntl, "ioctl", cannot)
    if way == "by reading and writing":
        monkeypatch.setattr(os, "copy_file_range", cannot)
    with (source / "file").open("wb") as file:
        for at, length in extents:
            file.seek(at)
            file.write(os.urandom(length))
        file.truncate(size)
    copy(source, tmp_path / "target")
    made = tmp_path / "target" / "file"
    assert made.read_bytes() == (source / "file").read_bytes()
    assert made.stat().st_blocks * 512 <= sum(length for _, length in extents) + 64 * 1024


def test_owner_and_group_are_those_of_all_that_is_written(source: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    (source / "directory").mkdir()
    (source / "directory" / "file").write_text("x")
    (source / "link").symlink_to("directory")
    copy(source, tmp_path / "target", ownership=Ownership(1234, 5678))
    made = tmp_path / "target"
    for path in (made, *made.rglob("*")):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (1234, 5678)


def test_directories_that_nobody_may_write_to_are_copied(source: Path, tmp_path: Path) -> None:
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "b" / "c").write_text("x")
    (source / "a" / "b").chmod(0o555)
    (source / "a").chmod(0o555)
    os.utime(source / "a", ns=(0, 12345))
    copy_unprivileged(source, tmp_path / "target")
    made = tmp_path / "target" / "a"
    assert (made / "b" / "c").read_text() == "x"
    assert [path.stat().st_mode & 0o777 for path in (made, made / "b")] == [0o555] * 2
    assert made.stat().st_mtime_ns == 12345


def test_what_may_not_be_read_is_an_error_with_its_path(source: Path, tmp_path: Path) -> None:
    (source / "d").mkdir()
    (source / "d" / "private").write_text("x")
    (source / "d" / "private").chmod(0)
    with pytest.raises(OperationRefused, match=r"^'d/private': Permission denied$"):
        copy_unprivileged(source, tmp_path / "target")


def test_a_full_file_system_is_an_error_with_the_path(source: Path, tmp_path: Path) -> None:
    (source / "large").write_bytes(bytes(100_000))
    target = tmp_path / "target"
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    target.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", target], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with (
            opened(source) as one,
            opened(target) as other,
            pytest.raises(StorageFull, match="'large': No space left"),
        ):
            copy_tree(one, other, OURS, lambda done: True, Copied())
    finally:
        subprocess.run(["umount", target], check=True)


def test_a_copy_ends_when_it_is_told_to(source: Path, tmp_path: Path) -> None:
    for number in range(100):
        (source / f"{number}").write_text("x")
    asked = 0

    def go_on(done: int) -> bool:
        nonlocal asked
        asked += done
        return asked < 10

    copied = copy(source, tmp_path / "target", go_on=go_on)
    assert (copied.entries, copied.whole) == (10, False)
    assert len(list((tmp_path / "target").iterdir())) == 10


def test_a_copy_ends_in_the_middle_of_a_large_file(source: Path, tmp_path: Path) -> None:
    with (source / "large").open("wb") as file:
        for _ in range(8):
            file.write(bytes(16 * 1024 * 1024))
    if _shares(source / "large", tmp_path / "shared"):
        pytest.skip("this file system shares blocks: nothing takes long")
    copied = copy(source, tmp_path / "target", go_on=lambda done: False)
    assert (copied.entries, copied.whole) == (0, False)
    assert (tmp_path / "target" / "large").stat().st_blocks * 512 < 64 * 1024 * 1024


def _shares(source: Path, target: Path) -> bool:
    with source.open("rb") as one, target.open("wb") as other:
        try:
            fcntl.ioctl(other, 0x40049409, one.fileno())
        except OSError:
            return False
    return True


def test_what_vanishes_meanwhile_is_left_out_and_counted(source: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (source / name).mkdir()
        for number in range(10):
            (source / name / f"{number}").write_text("x")

    def go_on(done: int) -> bool:
        for path in source.rglob("*"):
            if path.is_file():
                path.unlink()
        return True

    copied = copy(source, tmp_path / "target", go_on=go_on)
    # one file was copied, and the two directories; the other nine of the first were listed already
    assert (copied.entries, copied.vanished, copied.whole) == (3, 9, True)


def test_names_of_one_file_that_is_written_to_meanwhile_become_two_files(source: Path, tmp_path: Path) -> None:
    (source / "a").write_text("one")
    os.link(source / "a", source / "b")

    def go_on(done: int) -> bool:
        time.sleep(0.02)  # longer than the clock of files takes to tick
        (source / "a").write_text("other")
        return True

    copy(source, tmp_path / "target", go_on=go_on)
    assert {(tmp_path / "target" / name).read_text() for name in ("a", "b")} == {"one", "other"}


@pytest.mark.parametrize("what", ["d", "d/f"], ids=["directory", "file"])
def test_what_is_swapped_for_a_link_to_outside_gives_no_byte_of_it(source: Path, tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    (source / "d").mkdir()
    (source / "d" / "f").write_text("public")
    place = os.fsencode(source / what)
    link = os.fsencode(tmp_path / "link")
    os.symlink(os.fsencode(outside / os.path.relpath(what, "d")), link)
    seen: set[str] = set()
    lost = 0
    with exchanging(place, link):
        end = time.monotonic() + 2
        number = 0
        while time.monotonic() < end or ((lost == 0 or not seen) and time.monotonic() < end + 60):
            number += 1
            target = tmp_path / f"target-{number}"
            lost += copy(source, target).vanished
            seen |= {path.read_text() for path in target.rglob("*") if path.is_file() and not path.is_symlink()}
            shutil.rmtree(target)
    assert seen == {"public"}
    assert lost, "the race was never run"


def test_a_directory_that_becomes_a_link_before_it_is_entered_is_left_out(source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    for name in ("one", "two"):
        (source / name).mkdir()
        (source / name / "f").write_text("public")
    target = tmp_path / "target"

    def go_on(done: int) -> bool:
        for name in ("one", "two"):
            if not (target / name).exists() and not (source / name).is_symlink():
                (source / name).rename(tmp_path / "away")
                (source / name).symlink_to(outside)
        return True

    copied = copy(source, target, go_on=go_on)
    assert (copied.vanished, copied.whole) == (1, True)
    assert len(list(target.iterdir())) == 1
