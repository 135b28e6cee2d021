"""The memory volume keeps the contract, and is the same model of the world as a real file system."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.entries import Kind
from pannier.errors import FolderMissing, SourceUnreadable
from pannier.volumes.base import Folder, Found, Refused
from pannier.volumes.memory import MemoryVolume
from tests.volumes import trees
from tests.volumes.contract import FOLDER, VolumeContract, opened
from tests.volumes.stages import MemoryStage, PosixStage


class TestMemoryContract(VolumeContract):
    @pytest.fixture
    def stage(self) -> MemoryStage:
        return MemoryStage()


def outcome(folder: Folder, path: bytes, follow: bool) -> object:
    """Return what a look-up says, without what two volumes cannot have in common."""
    try:
        found = folder.lookup(path, follow=follow)
    except Refused as refused:
        return refused.offence.path, refused.offence.code
    return found.source, found.stat.kind, found.stat.size, found.target


def listing(folder: Folder, source: bytes) -> object:
    try:
        listed = dict(folder.scan(source))
    except Refused as refused:
        return refused.offence.path, refused.offence.code
    return {
        name: (it.source, it.stat.kind, it.stat.size, it.target) if isinstance(it, Found) else it
        for name, it in listed.items()
    }


@given(trees.trees, st.lists(trees.paths, min_size=1, max_size=12))
def test_memory_and_a_real_file_system_say_the_same_of_any_tree(tree: list[trees.Thing], asked: list[str]) -> None:
    there = trees.made(tree)
    memory = MemoryStage()
    for path, thing in there.items():
        if thing.link is not None:
            memory.symlink(path.encode(), thing.link.encode())
        elif thing.directory:
            memory.mkdir(path.encode())
        else:
            memory.write(path.encode(), path.encode())
    with tempfile.TemporaryDirectory() as base:
        posix = PosixStage(Path(base))
        trees.grow(Path(os.fsdecode(posix.root)), there)
        real, model = posix.volume.folder(FOLDER), memory.volume.folder(FOLDER)
        for name in {*asked, *there, ""}:
            asked_for = name.encode()
            for follow in (True, False):
                assert outcome(model, asked_for, follow) == outcome(real, asked_for, follow)
            assert listing(model, asked_for) == listing(real, asked_for)
        real.close()
        posix.volume.close()


def test_changes_have_instants_of_their_own_even_if_the_clock_stands_still() -> None:
    volume = MemoryVolume("stage", clock=lambda: 1000)
    volume.make_folder(FOLDER)
    folder = volume.folder(FOLDER)
    seen = set()
    for _ in range(10):
        volume.write(FOLDER, b"f", b"same", mtime_ns=5)
        seen.add(folder.lookup(b"f", follow=False).stat.identity)
    assert len(seen) == 10
    assert volume.now_ns() > 1000


def test_making_a_folder_again_keeps_what_is_in_it() -> None:
    stage = MemoryStage()
    stage.write(b"f", b"x")
    stage.volume.make_folder(FOLDER)
    assert stage.volume.folder(FOLDER).lookup(b"f", follow=True).stat.size == 1


def test_directories_on_the_way_are_made() -> None:
    stage = MemoryStage()
    stage.write(b"a/b/c", b"x")
    assert stage.volume.folder(FOLDER).lookup(b"a/b", follow=True).stat.kind is Kind.DIRECTORY


@pytest.mark.parametrize("path", [b"", b"a/", b"..", b"n" * 256, b"a\0b"])
def test_what_no_file_system_could_name_is_refused(path: bytes) -> None:
    with pytest.raises(ValueError, match=r"name|normalised"):
        MemoryStage().write(path, b"x")


def test_a_file_cannot_be_written_over_or_below_something_else() -> None:
    stage = MemoryStage()
    stage.mkdir(b"d")
    stage.write(b"f", b"x")
    for path in (b"d", b"f/below"):
        with pytest.raises(ValueError, match=r"is a directory|leads through a file"):
            stage.write(path, b"x")


def test_a_broken_file_fails_where_it_is_broken() -> None:
    stage = MemoryStage()
    stage.write(b"f", b"0123456789")
    source = opened(stage.volume.folder(FOLDER), b"f")
    stage.volume.break_reads(FOLDER, b"f", at=5)
    assert source.read(0, 5) == b"01234"
    with pytest.raises(SourceUnreadable, match="'f' cannot be read: Input/output error"):
        source.read(4, 2)
    source.check()


def test_looking_for_a_folder_does_not_make_it() -> None:
    volume = MemoryVolume("empty")
    for use in (lambda: volume.folder(FOLDER), lambda: volume.write(FOLDER, b"f", b"x")):
        with pytest.raises(FolderMissing):
            use()
