"""A real file system: its oddities, and what happens while others change it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from pannier.archive.entries import Kind
from pannier.dto.ids import FolderId
from pannier.errors import (
    FolderMissing,
    Offence,
    OffenceCode,
    SourceChanged,
    SourceUnreadable,
    VolumeFailed,
)
from pannier.volumes.base import Folder, Found, Refused
from pannier.volumes.posix import PosixVolume, SingleFolderVolume
from tests.volumes.contract import FOLDER, VolumeContract, changed, opened, refusal
from tests.volumes.process import no_descriptor_kept, renaming, unprivileged
from tests.volumes.stages import PosixStage

SECRET = b"SECRET, and longer"
PUBLIC = b"public"


class TestPosixContract(VolumeContract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> PosixStage:
        return PosixStage(tmp_path)


@pytest.fixture
def stage(tmp_path: Path) -> PosixStage:
    return PosixStage(tmp_path / "volume")


@pytest.fixture
def folder(stage: PosixStage) -> Folder:
    return stage.volume.folder(FOLDER)


# ---- special files


@contextmanager
def special(place: bytes, kind: str) -> Iterator[None]:
    """Make a special file of a kind; devices need root, so others test with what they can make."""
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "socket":
            here = os.open(os.path.dirname(place), os.O_PATH)  # the name of a socket has 108 bytes
            listener.bind(f"/proc/self/fd/{here}/".encode() + os.path.basename(place))
            os.close(here)
        elif kind == "device" and os.geteuid() == 0:
            os.mknod(place, 0o020666, os.makedev(1, 3))
        else:
            os.mkfifo(place)
        yield


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
def test_a_special_file_in_a_files_place_is_refused_and_does_not_block(
    stage: PosixStage, folder: Folder, kind: str
) -> None:
    stage.write(b"f", b"x")
    found = folder.lookup(b"f", follow=True)
    stage.remove(b"f")
    with no_descriptor_kept(), special(stage.at(b"f"), kind):
        begun = time.monotonic()
        assert folder.lookup(b"f", follow=True).stat.kind is Kind.SPECIAL
        listed = dict(folder.scan(b""))[b"f"]
        assert isinstance(listed, Found)
        assert listed.stat.kind is Kind.SPECIAL
        assert changed(folder, found) == "is now a special file"
        assert changed(folder, listed) == "is now a special file"
        assert time.monotonic() - begun < 5


# ---- permissions, as an ordinary user has them


@pytest.mark.parametrize(
    ("mode", "directory", "readable"),
    [
        (0o604, False, True),
        (0o600, False, False),
        (0o601, False, False),
        (0o705, True, True),
        (0o704, True, False),
        (0o701, True, False),
        (0o700, True, False),
    ],
)
def test_reading_needs_r_and_a_directory_also_x(
    stage: PosixStage, folder: Folder, mode: int, directory: bool, readable: bool
) -> None:
    if directory:
        stage.mkdir(b"it")
    else:
        stage.write(b"it", b"x")
    # for the owner's own tests the bits of others are the owner's
    os.chmod(stage.at(b"it"), mode if os.geteuid() == 0 else (mode & 7) << 6)
    with unprivileged():
        found = folder.lookup(b"it", follow=True)
        assert found.stat.readable is readable
        assert dict(folder.scan(b"")) == {b"it": found}
        assert found.stat.mode == os.stat(stage.at(b"it")).st_mode & 0o777 if os.geteuid() == 0 else True


def test_root_reads_what_nobody_else_may(stage: PosixStage, folder: Folder) -> None:
    stage.write(b"f", b"x")
    os.chmod(stage.at(b"f"), 0)
    readable = folder.lookup(b"f", follow=True).stat.readable
    try:
        opened(folder, b"f").close()
    except SourceUnreadable:
        assert not readable
    else:
        assert readable


def test_a_directory_that_can_be_listed_but_not_entered_gives_an_offence_for_each_name(
    stage: PosixStage, folder: Folder
) -> None:
    stage.write(b"d/one", b"x")
    stage.symlink(b"d/two", b"one")
    os.chmod(stage.at(b"d"), 0o744 if os.geteuid() == 0 else 0o444)
    with unprivileged():
        listed = dict(folder.scan(b"d"))
    reason = "this server may not look there (Permission denied)"
    assert listed == {name: Offence(b"d/" + name, OffenceCode.UNREADABLE, reason) for name in (b"one", b"two")}


def test_a_folder_that_may_not_be_entered_is_a_failure_of_the_volume(stage: PosixStage) -> None:
    scope = Path(os.fsdecode(stage.root)).parents[2]
    os.chmod(scope, 0)
    with unprivileged(), pytest.raises(VolumeFailed) as failed:
        stage.volume.folder(FOLDER)
    os.chmod(scope, 0o755)
    assert str(failed.value) == f"virtual folder {FOLDER} cannot be opened: Permission denied"


def test_an_unprivileged_server_reads_what_it_may(stage: PosixStage) -> None:
    stage.write(b"d/f", b"content")
    with unprivileged():
        folder = stage.volume.folder(FOLDER)
        source = opened(folder, b"d/f")
        assert source.read(0, 100) == b"content"
        source.close()


# ---- while others change it


def test_what_vanishes_between_listing_and_looking_is_left_out(stage: PosixStage, folder: Folder) -> None:
    for number in range(50):
        stage.write(b"d/%d" % number, b"")
        stage.symlink(b"d/link-%d" % number, b"x")
    listing = folder.scan(b"d").batches()
    assert len(next(listing)) == 0, "names are read first, and then looked at"
    for name in os.listdir(stage.at(b"d")):
        if name not in (b"7", b"link-7"):
            os.unlink(stage.at(b"d/" + name))
    [left] = listing
    assert (left.files.names, [name for name, _ in left.others]) == ([b"7"], [b"link-7"])


def test_a_directory_that_moves_out_takes_no_walk_with_it(stage: PosixStage, tmp_path: Path) -> None:
    """The parent of a directory is the one through which the walk came, not the one it has now."""
    stage.write(b"d/sub/f", PUBLIC)
    stage.write(b"d/f", PUBLIC)
    stage.symlink(b"link", b"d/sub/../f")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(SECRET)
    inside, outside = stage.at(b"d/sub"), os.fsencode(tmp_path / "outside" / "sub")
    with renaming((inside, outside), (outside, inside)):
        assert hammer(stage, [b"link"]) == {PUBLIC}


def swapping(stage: PosixStage, name: bytes, target: bytes) -> AbstractContextManager[None]:
    """Put a link in the place of ``name`` and take it away again, all the time."""
    stage.symlink(name + b".link", target)
    place, link, hold = stage.at(name), stage.at(name + b".link"), stage.at(name + b".hold")
    return renaming((place, hold), (link, place), (place, link), (hold, place))


def hammer(stage: PosixStage, paths: list[bytes]) -> set[bytes]:
    """Read the paths in every way for a second; return all contents seen. None is longer than `PUBLIC`."""
    outcomes: set[str] = set()
    seen: set[bytes] = set()
    with no_descriptor_kept():
        folder = stage.volume.folder(FOLDER)
        end = time.monotonic() + 1
        while time.monotonic() < end or (len(outcomes) < 2 and time.monotonic() < end + 20):
            for path in paths:
                try:
                    found = folder.lookup(path, follow=True)
                    assert found.stat.size == len(PUBLIC), "what is outside was looked at"
                    sources = [found, *(it for _, it in folder.scan(found.source.rpartition(b"/")[0]))]
                    for it in sources:
                        if isinstance(it, Found) and it.stat.kind is Kind.FILE:
                            source = folder.open(it.source, it.stat.identity, path)
                            seen.add(source.read(0, 100))
                            source.close()
                    outcomes.add("read")
                except (Refused, SourceChanged):
                    outcomes.add("refused")
        folder.close()
    assert outcomes == {"read", "refused"}, "the race was never run"
    return seen


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_directory_swapped_for_a_link_to_outside_gives_no_byte_of_it(
    stage: PosixStage, tmp_path: Path, absolute: bool
) -> None:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    for place in (outside / "f", outside / "sub" / "f"):
        place.write_bytes(SECRET)
    stage.write(b"d/sub/f", PUBLIC)
    stage.write(b"d/f", PUBLIC)
    stage.symlink(b"hop", b"d/sub/../../d/sub")
    target = os.fsencode(outside) if absolute else b"../../../../../outside"
    with swapping(stage, b"d", target):
        assert hammer(stage, [b"d/f", b"d/sub/f", b"hop/f"]) == {PUBLIC}
    os.symlink(target, stage.at(b"proof"))
    assert os.path.samefile(stage.at(b"proof"), outside)


@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_a_file_swapped_for_a_link_to_outside_gives_no_byte_of_it(
    stage: PosixStage, tmp_path: Path, absolute: bool
) -> None:
    (tmp_path / "outside").write_bytes(SECRET)
    stage.write(b"d/f", PUBLIC)
    target = os.fsencode(tmp_path / "outside") if absolute else b"../../../../../../outside"
    with swapping(stage, b"d/f", target):
        assert hammer(stage, [b"d/f"]) == {PUBLIC}
    os.symlink(target, stage.at(b"d/proof"))
    assert os.path.samefile(stage.at(b"d/proof"), tmp_path / "outside")


def test_a_listing_tells_kind_and_target_of_the_same_thing(stage: PosixStage, folder: Folder) -> None:
    stage.write(b"d/f", PUBLIC)
    kinds = set()
    with swapping(stage, b"d/f", b"elsewhere"):
        end = time.monotonic() + 1
        while time.monotonic() < end:
            for _, it in folder.scan(b"d"):
                assert isinstance(it, Found), it
                kinds.add(it.stat.kind)
                is_link = it.stat.kind is Kind.LINK
                assert it.target == (b"elsewhere" if is_link else b"")
                assert it.stat.size == len(it.target if is_link else PUBLIC)
    assert kinds == {Kind.FILE, Kind.LINK}


def test_a_link_in_place_of_a_directory_after_the_lookup_is_not_followed(stage: PosixStage, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "f").write_bytes(SECRET)
    stage.write(b"d/f", PUBLIC)
    folder = stage.volume.folder(FOLDER)
    found = folder.lookup(b"d/f", follow=True)
    os.rename(stage.at(b"d"), stage.at(b"away"))
    os.symlink(tmp_path / "outside", stage.at(b"d"))
    assert changed(folder, found) == "a directory on the way to it was replaced"
    with pytest.raises(Refused):
        folder.scan(b"d")
    # not even a hard link to the planned file makes it the planned path
    os.link(stage.at(b"away/f"), tmp_path / "outside" / "g")
    assert changed(folder, Found(b"d/g", found.stat))


# ---- the volume


def test_a_link_or_a_file_on_the_way_to_a_folder_is_no_folder(stage: PosixStage, tmp_path: Path) -> None:
    scope = Path(os.fsdecode(stage.root)).parents[2]
    os.rename(scope, tmp_path / "moved")
    scope.symlink_to(tmp_path / "moved")
    with pytest.raises(FolderMissing):
        stage.volume.folder(FOLDER)
    scope.unlink()
    scope.write_text("a file")
    with pytest.raises(FolderMissing):
        stage.volume.folder(FOLDER)


def test_a_legacy_folder_lies_without_a_scope(tmp_path: Path) -> None:
    legacy = FolderId.parse(FOLDER.folder.hex)
    digits = FOLDER.folder.hex
    place = tmp_path / digits[:2] / digits[2:4] / digits[4:]
    place.mkdir(parents=True)
    (place / "f").write_text("x")
    volume = PosixVolume("old", tmp_path)
    assert volume.folder(legacy).lookup(b"f", follow=True).stat.size == 1
    with pytest.raises(FolderMissing):
        volume.folder(FOLDER)


def test_links_on_the_way_to_the_volume_are_followed_once(tmp_path: Path) -> None:
    stage = PosixStage(tmp_path / "real")
    stage.write(b"f", b"x")
    (tmp_path / "link").symlink_to("real")
    volume = PosixVolume("stage", tmp_path / "link")
    assert volume.id == stage.volume.id
    (tmp_path / "link").unlink()
    assert volume.folder(FOLDER).lookup(b"f", follow=True).stat.size == 1


def test_the_id_tells_names_and_places_apart_and_can_be_set(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    volumes = [PosixVolume("x", tmp_path / "a"), PosixVolume("x", tmp_path / "b"), PosixVolume("y", tmp_path / "a")]
    assert len({volume.id for volume in volumes}) == 3
    assert str(tmp_path) not in "".join(volume.id for volume in volumes)
    assert PosixVolume("x", tmp_path / "a", id="mine").id == "mine"


def test_the_clocks_granularity_is_in_seconds(tmp_path: Path) -> None:
    assert PosixVolume("x", tmp_path).clock_granularity_ns == 20_000_000
    assert PosixVolume("x", tmp_path, clock_granularity=2.5).clock_granularity_ns == 2_500_000_000


def test_a_volume_gives_its_root_back(tmp_path: Path) -> None:
    stage = PosixStage(tmp_path)
    with no_descriptor_kept():
        volume = PosixVolume("x", tmp_path)
        folder = volume.folder(FOLDER)
        volume.close()
        volume.close()
        stage.write(b"f", b"x")
        assert folder.lookup(b"f", follow=True).stat.size == 1
        folder.close()
        PosixVolume("forgotten", tmp_path).folder(FOLDER)


def test_what_is_no_directory_is_no_volume(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(NotADirectoryError):
        PosixVolume("x", tmp_path / "f")
    with pytest.raises(FileNotFoundError):
        PosixVolume("x", tmp_path / "none")


def test_a_single_folder_opens_for_its_own_id_alone(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / ".upload").mkdir()
    volume = SingleFolderVolume("files", tmp_path, FOLDER)
    folder = volume.folder(FOLDER)
    assert [name for name, _ in folder.scan(b"")] == [b"f"]
    assert refusal(folder, b".upload") is OffenceCode.MISSING
    source = opened(folder, b"f")
    assert source.read(0, 10) == b"x"
    source.close()
    for stranger in (FolderId(None, FOLDER.folder), FolderId.parse("user:" + "0" * 32 + "/" + "0" * 32)):
        with pytest.raises(FolderMissing):
            volume.folder(stranger)


# ---- the system's odd corners


def test_a_time_after_the_year_2262_is_no_error(stage: PosixStage, folder: Folder) -> None:
    stage.write(b"f", b"x")
    os.utime(stage.at(b"f"), (2**34, 2**34))  # what the file system makes of it is its matter
    opened(folder, b"f").close()


def test_a_disk_error_tells_the_systems_word_and_no_path(stage: PosixStage) -> None:
    # /proc/self/mem is a regular file whose first page cannot be read: the one disk error that can be had anywhere
    volume = SingleFolderVolume("proc", Path("/proc/self"), FOLDER)
    folder = volume.folder(FOLDER)
    found = folder.lookup(b"mem", follow=True)
    source = folder.open(found.source, found.stat.identity, b"mem")
    with pytest.raises(SourceUnreadable) as unreadable:
        source.read(0, 10)
    assert str(unreadable.value) == "'mem' cannot be read: Input/output error"
    source.close()


def test_links_of_the_proc_file_system_are_texts_and_lead_nowhere(stage: PosixStage) -> None:
    volume = SingleFolderVolume("proc", Path("/proc/self"), FOLDER)
    folder = volume.folder(FOLDER)
    assert refusal(folder, b"root/etc/passwd") is OffenceCode.LINK_OUTSIDE
    assert refusal(folder, b"cwd") is OffenceCode.LINK_OUTSIDE
    reader, writer = os.pipe()
    assert refusal(folder, b"fd/%d" % reader) is OffenceCode.LINK_DANGLING
    os.close(reader)
    os.close(writer)


def test_a_descriptor_whose_file_was_closed_under_it_is_unreadable(stage: PosixStage, folder: Folder) -> None:
    stage.write(b"f", b"x")
    source = opened(folder, b"f")
    number = source.fileno()
    assert number is not None
    elsewhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(elsewhere, number)  # another file under the number: the check sees it
    with pytest.raises(SourceChanged):
        source.check()
    os.close(elsewhere)
    source.close()
