"""The resolver: nothing outside the folder, whatever the tree, whatever the links."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.errors import OffenceCode, VolumeFailed
from pannier.volumes.base import Refused
from pannier.volumes.confine import MAX_STEPS, inspect, open_beneath, resolve, supported
from tests.volumes import trees
from tests.volumes.process import few_descriptors, no_descriptor_kept, unprivileged

SECRET = b"what lies outside"


@contextmanager
def rooted(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_PATH | os.O_DIRECTORY)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def a_folder_among_secrets() -> Iterator[Path]:
    """Give a folder whose surroundings have the names that random links ask for. Nothing there leads back into it."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(os.path.realpath(name)) / "base"
        for place in (base, base / "outer"):
            (place / "a" / "b").mkdir(parents=True)
            (place / "a" / "c").write_bytes(SECRET)
            (place / "b").write_bytes(SECRET)
            (place / ".upload").mkdir()
        folder = base / "outer" / "folder"
        folder.mkdir()
        yield folder


def code_of(root: int, path: bytes, *, follow: bool = True) -> OffenceCode:
    with pytest.raises(Refused) as refused, resolve(root, path, follow=follow):
        pass
    return refused.value.offence.code


@given(trees.trees, st.lists(trees.paths, min_size=1, max_size=10))
def test_a_lookup_ends_inside_the_folder_and_where_the_system_says(tree: list[trees.Thing], asked: list[str]) -> None:
    there = trees.made(tree)
    uploads = any(".upload" in text for path, thing in there.items() for text in (path, thing.link or ""))
    with a_folder_among_secrets() as folder:
        trees.grow(folder, there)
        with no_descriptor_kept(), rooted(folder) as root:
            for path in {*asked, *there}:
                code, source, status = None, b"", None
                try:
                    with resolve(root, path.encode(), follow=True) as place:
                        source, status = place.source, place.status
                except Refused as refused:
                    code = refused.offence.code
                try:
                    expected = Path(os.path.realpath(folder / path, strict=True))
                    os.stat(folder / path)  # realpath makes nothing of a slash behind a file, and counts no links
                except OSError:
                    assert code is not None, f"{path} is not there, but {source!r} was found"
                    continue
                inside = expected.is_relative_to(folder)
                reserved = inside and expected.relative_to(folder).parts[:1] == (".upload",)
                if code is None:
                    assert status is not None
                    assert inside
                    assert not reserved
                    assert source == b"" if expected == folder else source.decode() == str(expected.relative_to(folder))
                    assert os.path.samestat(status, os.lstat(expected))
                elif code is OffenceCode.MISSING:
                    # refused on entering `.upload`, also by a link that would come out of it again
                    assert uploads
                else:
                    assert code is OffenceCode.LINK_OUTSIDE
                    assert not inside


@given(trees.trees, st.lists(trees.paths, min_size=1, max_size=10))
def test_what_is_opened_beneath_has_no_link_on_its_path(tree: list[trees.Thing], asked: list[str]) -> None:
    there = trees.made(tree)
    with a_folder_among_secrets() as folder:
        trees.grow(folder, there)
        with no_descriptor_kept(), rooted(folder) as root:
            for path in {*asked, *there}:
                refused: int | None = None
                number = -1
                try:
                    number = open_beneath(root, path.encode(), os.O_RDONLY)
                except OSError as error:
                    refused = error.errno
                if refused is not None:
                    assert refused in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
                    straight = os.path.realpath(folder / path) == str(folder / path if path else folder)
                    assert not straight or not os.path.exists(folder / path) or path.startswith(".upload")
                    continue
                assert os.path.realpath(folder / path) == str(folder / path if path else folder)
                assert os.path.samestat(os.fstat(number), os.lstat(folder / path))
                os.close(number)


def test_a_link_that_comes_back_into_the_folder_has_left_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "f").write_text("x")
    (folder / "around").symlink_to("../folder/f")
    (folder / "absolute").symlink_to(folder / "f")
    with rooted(folder) as root:
        assert code_of(root, b"around") is OffenceCode.LINK_OUTSIDE
        assert code_of(root, b"absolute") is OffenceCode.LINK_OUTSIDE


def test_a_neighbour_with_the_folders_name_in_front_is_outside(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "share-secret").mkdir()
    (tmp_path / "share" / "link").symlink_to("../share-secret")
    with rooted(tmp_path / "share") as root:
        assert code_of(root, b"link") is OffenceCode.LINK_OUTSIDE


def test_dots_in_a_link_are_taken_from_where_the_link_before_led(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "here").write_text("x")
    (tmp_path / "short").symlink_to("real/deep")
    (tmp_path / "link").symlink_to("short/../here")
    with rooted(tmp_path) as root, resolve(root, b"link", follow=True) as place:
        assert place.source == b"real/here"


def test_dots_behind_a_file_lead_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    for number, target in enumerate(("f/..", "f/.", "f/", "f/../f")):
        (tmp_path / str(number)).symlink_to(target)
    os.symlink("f/", tmp_path / "slash")
    with rooted(tmp_path) as root:
        for path in (b"0", b"2", b"3", b"slash"):
            assert code_of(root, path) is OffenceCode.LINK_DANGLING, path


def test_a_place_says_in_which_directory_it_was_found(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    with rooted(tmp_path) as root:
        for path in (b"", b"d", b"d/f"):
            with resolve(root, path, follow=True) as place:
                seen = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
                assert os.path.samestat(seen, place.status)


def test_deep_paths_beyond_the_systems_limit_are_walked(tmp_path: Path) -> None:
    name = b"n" * 250
    depth = 20  # 5,000 bytes; the system takes 4,096 at once
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    with open(os.open(b"f", os.O_WRONLY | os.O_CREAT, dir_fd=at), "wb") as file:
        file.write(b"deep")
    os.symlink(b"../" * depth + b"top", b"up", dir_fd=at)
    os.close(at)
    (tmp_path / "top").write_text("x")
    deep = b"/".join([name] * depth)
    with rooted(tmp_path) as root:
        with resolve(root, deep + b"/f", follow=True) as place:
            assert place.source == deep + b"/f"
        with resolve(root, deep + b"/up", follow=True) as place:
            assert place.source == b"top"
        number = open_beneath(root, deep + b"/f", os.O_RDONLY)
        assert os.read(number, 100) == b"deep"
        os.close(number)


def test_a_deep_path_takes_no_more_descriptors_than_a_short_one(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 200)
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "up").symlink_to("../" * 100)
    with rooted(tmp_path) as root, few_descriptors(2):
        with resolve(root, deep.encode(), follow=True) as place:
            assert place.source == deep.encode()
        with resolve(root, f"{deep}/up".encode(), follow=True) as place:
            assert place.source.count(b"d") == 100
        os.close(open_beneath(root, deep.encode(), os.O_RDONLY))


def test_a_process_without_descriptors_fails_as_a_volume_does(tmp_path: Path) -> None:
    with rooted(tmp_path) as root, few_descriptors(0):
        (tmp_path / "d").mkdir()
        with pytest.raises(VolumeFailed, match=r"^'d' cannot be looked up: Too many open files$"):
            resolve(root, b"d", follow=True).__enter__()


def test_links_made_to_be_slow_are_given_up(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 150)
    (tmp_path / deep).mkdir(parents=True)
    (tmp_path / deep / "x").mkdir()
    (tmp_path / deep / "slow").symlink_to("x/../" * 800 + "x")
    assert MAX_STEPS < 150 * 800
    with no_descriptor_kept(), rooted(tmp_path) as root:
        assert code_of(root, f"{deep}/slow".encode()) is OffenceCode.LINK_LOOP


def test_every_refusal_gives_its_descriptors_back(tmp_path: Path) -> None:
    (tmp_path / "d" / "closed" / "in").mkdir(parents=True)
    (tmp_path / "d" / "f").write_text("x")
    os.chmod(tmp_path, 0o755)
    os.chmod(tmp_path / "d" / "closed", 0)
    links = {"dangling": "d/none", "outside": "d/../..", "absolute": "/", "loop": "d/../loop", "file": "d/f/x"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    with no_descriptor_kept(), rooted(tmp_path) as root, unprivileged():
        assert code_of(root, b"dangling") is OffenceCode.LINK_DANGLING
        assert code_of(root, b"outside") is OffenceCode.LINK_OUTSIDE
        assert code_of(root, b"absolute") is OffenceCode.LINK_OUTSIDE
        assert code_of(root, b"loop") is OffenceCode.LINK_LOOP
        assert code_of(root, b"file") is OffenceCode.LINK_DANGLING
        assert code_of(root, b"d/f/x") is OffenceCode.MISSING
        assert code_of(root, b"d/none/x") is OffenceCode.MISSING
        assert code_of(root, b"d/closed/in") is OffenceCode.UNREADABLE
        assert code_of(root, b".upload/x") is OffenceCode.MISSING
        assert code_of(root, b"d/\0") is OffenceCode.MISSING
        for source in (b"d/none", b"d/f/x", b"dangling", b"d/closed/in", b".upload", b"d/\0"):
            with pytest.raises(OSError, match="Errno"):
                open_beneath(root, source, os.O_RDONLY)
        for source in (b"..", b"d/..", b"/", b"d//f", b"d/"):
            with pytest.raises(ValueError, match="not normalised"):
                open_beneath(root, source, os.O_RDONLY)


def test_a_block_that_fails_gives_the_descriptors_back(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with no_descriptor_kept(), rooted(tmp_path) as root, pytest.raises(KeyError), resolve(root, b"d", follow=True):
        raise KeyError


def test_a_thing_is_looked_at_without_following_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "f").write_text("x")
    with no_descriptor_kept(), rooted(tmp_path) as root:
        assert inspect(root, b"link")[1] == b"/etc"
        status, target = inspect(root, b"f")
        assert (status.st_size, target) == (1, b"")
        with pytest.raises(FileNotFoundError):
            inspect(root, b"none")


def test_this_platform_can_confine() -> None:
    assert supported()
