"""What every backend promises, as tests: each sentence of ``volumes/base.py``.

A backend's test module subclasses `VolumeContract` and gives a ``stage``: a volume with one virtual folder, and hands
to change what is in it.
"""

from __future__ import annotations

import os
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext

import pytest

from pannier.archive.entries import Kind
from pannier.dto.ids import FolderId
from pannier.errors import FolderMissing, OffenceCode, SourceChanged, SourceUnreadable
from pannier.volumes.base import Folder, Found, Refused, Source, Volume
from tests.volumes.process import no_descriptor_kept

FOLDER = FolderId.parse("user:5e67aac8-ba94-470e-a117-2f603ea62b3a/ce8c695512344567890123456789d89d")
LONG_AGO = 1_600_000_000_123_456_789

NAMES = {
    "Korean": "보고서.txt".encode(),
    "decomposed": b"re\xcc\x81sume\xcc\x81",
    "emoji": "📦🧺".encode(),
    "255 bytes": b"n" * 255,
    "undecodable": b"\xff\xfe\x80",
    "controls": b"line\nbreak\ttab\x7f",
    "blanks and backslash": b" a\\b ",
    "dots": b"...",
    "hidden": b".hidden",
}


class Stage(ABC):
    """A volume with the folder `FOLDER`, which is empty. Paths are those of the folder."""

    @property
    @abstractmethod
    def volume(self) -> Volume: ...

    @abstractmethod
    def again(self) -> Volume:
        """Open the same volume a second time, as after a restart."""

    @abstractmethod
    def write(self, path: bytes, data: bytes, *, mtime_ns: int | None = None, mode: int | None = None) -> None:
        """Write a file, in place if it is there; directories on the way are made."""

    @abstractmethod
    def replace(self, path: bytes, data: bytes, *, mtime_ns: int | None = None) -> None:
        """Rename a new file over it."""

    @abstractmethod
    def mkdir(self, path: bytes) -> None: ...

    @abstractmethod
    def symlink(self, path: bytes, target: bytes) -> None: ...

    @abstractmethod
    def special(self, path: bytes) -> None:
        """Make something that is no file, directory or link; it would block who opens it carelessly."""

    @abstractmethod
    def remove(self, path: bytes) -> None:
        """Remove it and all below it."""

    @abstractmethod
    def deny(self, path: bytes) -> None:
        """Make it unreadable for whoever is `ordinary`."""

    def ordinary(self) -> AbstractContextManager[None]:
        """Be somebody who may not read what was denied."""
        return nullcontext()


def refusal(folder: Folder, path: bytes, *, follow: bool = True) -> OffenceCode:
    """Return the code with which a look-up is refused; the offence names the path asked for."""
    with pytest.raises(Refused) as refused:
        folder.lookup(path, follow=follow)
    assert refused.value.offence.path == path
    assert refused.value.offence.detail
    return refused.value.offence.code


def opened(folder: Folder, path: bytes) -> Source:
    """Open a file as a planner's reader does: with what the look-up said."""
    found = folder.lookup(path, follow=True)
    return folder.open(found.source, found.stat.identity, path)


def changed(folder: Folder, found: Found, path: bytes = b"shown") -> str:
    """Return in what words an open is refused because of a change."""
    with pytest.raises(SourceChanged) as change:
        folder.open(found.source, found.stat.identity, path)
    assert change.value.path == path
    whole = folder.whole_reader()
    with closing(whole), pytest.raises(SourceChanged) as again:
        whole.read([(found.source, found.stat.identity, found.stat.size, path)])
    assert again.value.path == path
    assert again.value.change == change.value.change
    return change.value.change


class VolumeContract:
    """The suite."""

    @pytest.fixture
    def folder(self, stage: Stage) -> Folder:
        return stage.volume.folder(FOLDER)

    # ---- the volume

    def test_a_volume_says_who_it_is(self, stage: Stage) -> None:
        volume = stage.volume
        assert volume.name == "stage"
        assert volume.id
        assert volume.identity_scheme in {"inode", "object", "size+mtime"}
        assert volume.clock_granularity_ns >= 0

    def test_its_id_is_the_same_after_a_restart(self, stage: Stage) -> None:
        assert stage.again().id == stage.volume.id

    def test_its_clock_is_the_one_that_stamps_files(self, stage: Stage, folder: Folder) -> None:
        volume = stage.volume
        before = volume.now_ns()
        stage.write(b"f", b"x")
        found = folder.lookup(b"f", follow=False)
        assert before - volume.clock_granularity_ns <= found.stat.changed_ns <= volume.now_ns()

    def test_a_folder_that_has_no_directory_is_missing(self, stage: Stage) -> None:
        stranger = FolderId(FOLDER.scope, uuid.UUID(int=7))
        with pytest.raises(FolderMissing, match=str(stranger)):
            stage.volume.folder(stranger)

    # ---- lookup: what is found

    def test_the_root_is_found_under_the_empty_path(self, folder: Folder) -> None:
        found = folder.lookup(b"", follow=True)
        assert (found.source, found.stat.kind, found.stat.size, found.target) == (b"", Kind.DIRECTORY, 0, b"")
        assert found.stat.readable

    def test_a_file_is_told_with_size_time_and_permission_bits(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"12345", mtime_ns=LONG_AGO, mode=0o640)
        found = folder.lookup(b"d/f", follow=False)
        assert found.source == b"d/f"
        assert found.target == b""
        assert found.stat.kind is Kind.FILE
        assert found.stat.size == 5
        assert found.stat.mtime_ns == LONG_AGO
        assert found.stat.mode == 0o640
        assert found.stat.readable

    def test_a_directory_has_no_size(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"12345")
        found = folder.lookup(b"d", follow=False)
        assert (found.source, found.stat.kind, found.stat.size) == (b"d", Kind.DIRECTORY, 0)
        assert found.stat.readable

    def test_a_special_file_is_told_as_one(self, stage: Stage, folder: Folder) -> None:
        stage.special(b"pipe")
        assert folder.lookup(b"pipe", follow=True).stat.kind is Kind.SPECIAL

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
    def test_names_are_bytes_and_kept(self, stage: Stage, folder: Folder, name: bytes) -> None:
        path = name + b"/" + name
        stage.write(path, b"content")
        assert folder.lookup(path, follow=True).source == path
        assert [got for got, _ in folder.scan(name)] == [name]
        source = opened(folder, path)
        assert source.read(0, 100) == b"content"
        source.close()

    def test_a_path_that_is_not_normalised_is_a_bug_of_the_caller(self, folder: Folder) -> None:
        for path in (b"..", b"a/../b", b"./a", b"a//b", b"/a", b"a/"):
            with pytest.raises(ValueError, match="not normalised"):
                folder.lookup(path, follow=True)

    # ---- lookup: links

    def test_a_last_link_is_followed_only_if_asked(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"real", b"12345")
        stage.symlink(b"link", b"real")
        followed = folder.lookup(b"link", follow=True)
        assert (followed.source, followed.stat.kind, followed.target) == (b"real", Kind.FILE, b"")
        link = folder.lookup(b"link", follow=False)
        assert (link.source, link.stat.kind, link.target) == (b"link", Kind.LINK, b"real")
        assert link.stat.size == len(b"real")
        assert link.stat.readable

    def test_links_on_the_way_are_followed_and_gone_from_the_source(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"data/2026/f", b"x")
        stage.symlink(b"shortcuts/now", b"../data/./2026/")
        for follow in (True, False):
            assert folder.lookup(b"shortcuts/now/f", follow=follow).source == b"data/2026/f"

    def test_a_link_to_the_root_leads_to_the_root(self, stage: Stage, folder: Folder) -> None:
        stage.symlink(b"d/up", b"..")
        assert folder.lookup(b"d/up", follow=True).source == b""
        assert folder.lookup(b"d/up/d", follow=True).source == b"d"

    def test_up_to_forty_links_are_followed(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"0", b"x")
        for number in range(1, 42):
            stage.symlink(b"%d" % number, b"%d" % (number - 1))
        assert folder.lookup(b"40", follow=True).source == b"0"
        assert refusal(folder, b"41") is OffenceCode.LINK_LOOP

    def test_links_in_a_circle_are_refused(self, stage: Stage, folder: Folder) -> None:
        stage.symlink(b"self", b"self")
        stage.symlink(b"d/one", b"two")
        stage.symlink(b"d/two", b"../d/one")
        assert refusal(folder, b"self") is OffenceCode.LINK_LOOP
        assert refusal(folder, b"self/x", follow=False) is OffenceCode.LINK_LOOP
        assert refusal(folder, b"d/one") is OffenceCode.LINK_LOOP

    @pytest.mark.parametrize("target", [b"/", b"/etc/passwd", b"//a", b"..", b"../", b"d/../../x", b"../../../etc"])
    def test_a_link_that_leaves_the_folder_is_refused(self, stage: Stage, folder: Folder, target: bytes) -> None:
        stage.mkdir(b"d")
        stage.symlink(b"out", target)
        assert refusal(folder, b"out") is OffenceCode.LINK_OUTSIDE
        assert refusal(folder, b"out/more", follow=False) is OffenceCode.LINK_OUTSIDE
        assert folder.lookup(b"out", follow=False).target == target

    def test_a_link_that_leads_to_nothing_dangles(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"file", b"x")
        stage.symlink(b"gone", b"nowhere/at/all")
        stage.symlink(b"through", b"file/below")
        stage.symlink(b"slash", b"file/")
        stage.symlink(b"second", b"gone")
        stage.symlink(b"long", b"n" * 300)
        for path in (b"gone", b"gone/x", b"through", b"slash", b"second", b"long"):
            assert refusal(folder, path) is OffenceCode.LINK_DANGLING, path

    def test_what_is_missing_behind_a_good_link_is_missing(self, stage: Stage, folder: Folder) -> None:
        stage.mkdir(b"d")
        stage.symlink(b"link", b"d")
        assert refusal(folder, b"link/nothing") is OffenceCode.MISSING

    # ---- lookup: refusals

    @pytest.mark.parametrize("path", [b"nothing", b"d/nothing", b"nothing/below", b"f/below", b"n" * 256, b"a\0b"])
    def test_nothing_there_is_missing(self, stage: Stage, folder: Folder, path: bytes) -> None:
        stage.write(b"f", b"x")
        stage.mkdir(b"d")
        assert refusal(folder, path) is OffenceCode.MISSING

    def test_unfinished_uploads_are_not_there(self, stage: Stage, folder: Folder) -> None:
        stage.write(b".upload/session", b"secret")
        stage.symlink(b"in", b".upload/session")
        stage.symlink(b"d/in", b"../.upload")
        stage.symlink(b"d/none", b"../.upload/none")
        for path in (b".upload", b".upload/session", b".upload/none", b"in", b"d/in", b"d/in/session", b"d/none"):
            assert refusal(folder, path) is OffenceCode.MISSING, path
        assert refusal(folder, b".upload", follow=False) is OffenceCode.MISSING

    def test_a_directory_of_that_name_further_down_is_there(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/.upload/f", b"x")
        stage.symlink(b"root/again", b"..")
        assert folder.lookup(b"d/.upload/f", follow=True).source == b"d/.upload/f"
        assert [name for name, _ in folder.scan(b"d")] == [b".upload"]
        assert refusal(folder, b"root/again/.upload") is OffenceCode.MISSING

    def test_what_may_not_be_read_says_so(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        stage.write(b"d/f", b"x")
        stage.deny(b"f")
        stage.deny(b"d")
        with stage.ordinary():
            assert not folder.lookup(b"f", follow=True).stat.readable
            assert not folder.lookup(b"d", follow=True).stat.readable
            assert {name: it.stat.readable for name, it in folder.scan(b"") if isinstance(it, Found)} == {
                b"f": False,
                b"d": False,
            }

    def test_what_lies_behind_a_closed_directory_is_unreadable(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/sub/f", b"x")
        stage.symlink(b"link", b"d/sub")
        found = folder.lookup(b"d/sub/f", follow=True)
        stage.deny(b"d")
        with stage.ordinary():
            for path in (b"d/sub", b"d/sub/f", b"d/nothing", b"link", b"link/f"):
                assert refusal(folder, path) is OffenceCode.UNREADABLE, path
            with pytest.raises(Refused) as refused:
                folder.scan(b"d/sub")
            assert refused.value.offence.code is OffenceCode.UNREADABLE
            with pytest.raises(SourceUnreadable):
                folder.open(found.source, found.stat.identity, b"shown")

    # ---- identities

    def test_an_identity_stays_as_long_as_nothing_changes(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        stage.symlink(b"link", b"f")
        first = folder.lookup(b"f", follow=False).stat
        stage.write(b"other", b"y")
        assert folder.lookup(b"link", follow=True).stat == first
        assert dict(folder.scan(b""))[b"f"] == Found(b"f", first)
        assert stage.volume.folder(FOLDER).lookup(b"f", follow=False).stat == first

    def test_an_identity_moves_with_every_change(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"one", mtime_ns=LONG_AGO)
        identities = [folder.lookup(b"f", follow=False).stat.identity]
        changes: list[Callable[[], None]] = [
            lambda: stage.write(b"f", b"longer", mtime_ns=LONG_AGO),
            lambda: stage.write(b"f", b"LONGER", mtime_ns=LONG_AGO + 1),
            lambda: stage.replace(b"f", b"LONGER", mtime_ns=LONG_AGO + 1),
        ]
        for change in changes:
            change()
            identities.append(folder.lookup(b"f", follow=False).stat.identity)
        assert len(set(identities)) == len(identities)

    # ---- scan

    def test_a_listing_tells_each_thing_without_following(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"12345", mtime_ns=LONG_AGO)
        stage.write(b"d/sub/deep", b"x")
        stage.symlink(b"d/link", b"sub")
        stage.symlink(b"d/out", b"/etc")
        stage.special(b"d/pipe")
        listed = dict(folder.scan(b"d"))
        assert set(listed) == {b"f", b"sub", b"link", b"out", b"pipe"}
        for name, found in listed.items():
            assert isinstance(found, Found)
            assert found == folder.lookup(b"d/" + name, follow=False)
        found = listed[b"link"]
        assert isinstance(found, Found)
        assert (found.source, found.stat.kind, found.target) == (b"d/link", Kind.LINK, b"sub")

    def test_an_empty_directory_lists_nothing(self, stage: Stage, folder: Folder) -> None:
        stage.mkdir(b"d")
        assert list(folder.scan(b"d")) == []
        assert list(folder.scan(b"")) != []

    def test_unfinished_uploads_are_not_listed(self, stage: Stage, folder: Folder) -> None:
        stage.write(b".upload/session", b"secret")
        stage.write(b"f", b"x")
        assert [name for name, _ in folder.scan(b"")] == [b"f"]
        for source in (b".upload", b".upload/session"):
            with pytest.raises(Refused) as refused:
                folder.scan(source)
            assert refused.value.offence.code is OffenceCode.MISSING

    def test_a_directory_that_is_none_any_more_is_refused_at_once(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        stage.mkdir(b"real/sub")
        stage.symlink(b"link", b"real")
        for source in (b"gone", b"f", b"link", b"link/sub", b"f/below"):
            with pytest.raises(Refused) as refused:
                folder.scan(source)
            assert refused.value.offence.code is OffenceCode.MISSING, source
            assert refused.value.offence.path == source

    def test_a_directory_that_may_not_be_listed_is_refused(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"x")
        stage.deny(b"d")
        with stage.ordinary(), pytest.raises(Refused) as refused:
            folder.scan(b"d")
        assert refused.value.offence.code is OffenceCode.UNREADABLE

    def test_a_big_directory_is_listed_whole(self, stage: Stage, folder: Folder) -> None:
        names = {b"%05d" % number for number in range(3000)}
        for name in names:
            stage.write(b"d/" + name, b"")
        assert {name for name, _ in folder.scan(b"d")} == names

    # ---- scan in batches, and looking again

    def test_batches_hold_every_thing_once_and_names_in_order(self, stage: Stage, folder: Folder) -> None:
        """Readable files as columns, all else one by one; no name of a batch comes after one of the next."""
        for number in range(2_500):
            stage.write(b"d/%d" % (number * 7 % 2_500), b"x" * (number % 3), mtime_ns=LONG_AGO + number)
        stage.mkdir(b"d/1000-directory")
        stage.symlink(b"d/2-link", b"1")
        stage.special(b"d/99-pipe")
        seen: list[bytes] = []
        for batch in folder.scan(b"d").batches():
            names = [*batch.files.names, *(name for name, _ in batch.others)]
            assert batch.files.names == sorted(batch.files.names)
            assert not names or not seen or min(names) > max(seen)
            seen += names
            for number, name in enumerate(batch.files.names):
                stat = folder.lookup(b"d/" + name, follow=False).stat
                files = batch.files
                assert (files.sizes[number], files.mtimes[number], files.modes[number]) == (
                    stat.size,
                    stat.mtime_ns,
                    stat.mode,
                )
                assert (files.identity(number), files.changed[number]) == (stat.identity, stat.changed_ns)
            for name, found in batch.others:
                assert found == folder.lookup(b"d/" + name, follow=False)
        assert len(seen) == len(set(seen)) == 2_503

    def test_identities_are_those_of_the_things_that_are_there(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"12345")
        stage.mkdir(b"d/sub")
        stage.symlink(b"d/link", b"f")
        names = [b"link", b"gone", b"f", b"sub"]
        expected = [
            None if name == b"gone" else folder.lookup(b"d/" + name, follow=False).stat.identity for name in names
        ]
        assert folder.identities(b"d", names) == expected
        stage.replace(b"d/f", b"12345")
        assert folder.identities(b"d", [b"f"]) != [expected[2]]
        assert folder.identities(b"", [b"d"]) == [folder.lookup(b"d", follow=False).stat.identity]

    def test_identities_are_not_looked_for_through_links(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"real/f", b"x")
        stage.write(b".upload/f", b"x")
        stage.symlink(b"link", b"real")
        for source in (b"link", b"gone", b"real/f", b".upload"):
            with pytest.raises(Refused) as refused:
                folder.identities(source, [b"f"])
            assert refused.value.offence.code is OffenceCode.MISSING

    # ---- open and read

    def test_a_source_reads_any_range(self, stage: Stage, folder: Folder) -> None:
        content = bytes(range(256)) * 400
        stage.write(b"f", content)
        source = opened(folder, b"f")
        for offset, length in ((0, 10), (5, 0), (1000, 70_000), (102_390, 100), (102_400, 1), (10**12, 5)):
            assert source.read(offset, length) == content[offset : offset + length]
        source.check()
        source.close()

    def test_a_descriptor_if_there_is_one_reads_the_same(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"content")
        source = opened(folder, b"f")
        number = source.fileno()
        assert number is None or os.pread(number, 100, 0) == b"content"
        source.close()

    def test_closing_a_source_twice_is_fine_and_reading_it_then_is_a_bug(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"content")
        source = opened(folder, b"f")
        source.close()
        source.close()
        for use in (lambda: source.read(0, 1), source.check, source.fileno):
            with pytest.raises(ValueError, match="closed"):
                use()

    def test_what_changed_since_the_plan_is_not_opened(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"0123456789", mtime_ns=LONG_AGO)
        found = folder.lookup(b"f", follow=True)
        stage.write(b"f", b"0123456789" * 2, mtime_ns=LONG_AGO)
        assert changed(folder, found) == "size 10 → 20 bytes"
        stage.write(b"f", b"9876543210", mtime_ns=LONG_AGO + 1)
        assert changed(folder, found) == "modified"
        stage.replace(b"f", b"0123456789", mtime_ns=LONG_AGO)
        assert changed(folder, found) == "replaced by another file"

    def test_a_change_that_sets_the_time_back_is_seen(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"0123456789", mtime_ns=LONG_AGO)
        found = folder.lookup(b"f", follow=True)
        after_a_tick(stage)
        stage.write(b"f", b"9876543210", mtime_ns=LONG_AGO)
        assert changed(folder, found).startswith("touched")

    def test_what_is_no_file_any_more_is_not_opened(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        found = folder.lookup(b"f", follow=True)
        stage.remove(b"f")
        assert changed(folder, found) == "is gone"
        stage.mkdir(b"f")
        assert changed(folder, found) == "is now a directory"
        stage.remove(b"f")
        stage.special(b"f")
        assert changed(folder, found) == "is now a special file"
        stage.remove(b"f")
        stage.write(b"other", b"x")
        stage.symlink(b"f", b"other")
        assert changed(folder, found) == "is now a symbolic link"

    def test_a_link_on_the_way_is_not_followed_by_open(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"real/f", b"x")
        found = folder.lookup(b"real/f", follow=True)
        stage.symlink(b"link", b"real")
        assert changed(folder, Found(b"link/f", found.stat))

    def test_unfinished_uploads_are_not_opened(self, stage: Stage, folder: Folder) -> None:
        stage.write(b".upload/session", b"secret")
        stage.write(b"f", b"x")
        stat = folder.lookup(b"f", follow=True).stat
        assert changed(folder, Found(b".upload/session", stat)) == "is gone"

    def test_an_identity_of_another_kind_does_not_open(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        with pytest.raises(SourceChanged):
            folder.open(b"f", b"an etag", b"shown")

    def test_a_file_that_may_not_be_read_is_not_opened(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        stage.deny(b"f")
        found = folder.lookup(b"f", follow=True)
        with stage.ordinary(), pytest.raises(SourceUnreadable) as refused:
            folder.open(found.source, found.stat.identity, b"shown")
        assert refused.value.path == b"shown"
        assert refused.value.reason == "Permission denied"

    # ---- check

    def test_an_unchanged_source_passes_its_check(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        source = opened(folder, b"f")
        stage.write(b"other", b"y")
        for _ in range(3):
            source.check()
        source.close()

    def test_a_rewrite_in_place_is_read_and_found(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"old content", mtime_ns=LONG_AGO)
        source = opened(folder, b"f")
        stage.write(b"f", b"new content", mtime_ns=LONG_AGO + 1)
        assert source.read(0, 100) == b"new content"
        with pytest.raises(SourceChanged) as change:
            source.check()
        assert change.value.change == "modified"
        assert change.value.path == b"f"
        source.close()

    def test_a_truncated_file_reads_short_and_is_found(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"0123456789")
        source = opened(folder, b"f")
        stage.write(b"f", b"0123")
        assert source.read(2, 100) == b"23"
        with pytest.raises(SourceChanged, match="size 10 → 4 bytes"):
            source.check()
        source.close()

    @pytest.mark.parametrize("how", ["replace", "remove"])
    def test_a_file_whose_name_is_taken_reads_on_and_is_found(self, stage: Stage, folder: Folder, how: str) -> None:
        stage.write(b"f", b"old content")
        source = opened(folder, b"f")
        after_a_tick(stage)
        stage.remove(b"f") if how == "remove" else stage.replace(b"f", b"new content")
        assert source.read(0, 100) == b"old content"
        with pytest.raises(SourceChanged, match="is gone or was replaced"):
            source.check()
        source.close()

    def test_taking_the_right_to_read_is_found_too(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"content")
        source = opened(folder, b"f")
        after_a_tick(stage)
        stage.deny(b"f")
        assert source.read(0, 100) == b"content"
        with pytest.raises(SourceChanged, match="touched"):
            source.check()
        source.close()

    # ---- reading whole

    def test_small_files_are_read_whole_from_any_directory(self, stage: Stage, folder: Folder) -> None:
        contents = {b"a": b"one", b"d/b": b"", b"d/c": b"x" * 70_000, b"d/e/f": b"two", b"z": b"three"}
        for path, data in contents.items():
            stage.write(path, data)
        with no_descriptor_kept(), closing(folder.whole_reader()) as whole:
            for path in (*contents, *reversed(contents)):
                found = folder.lookup(path, follow=True)
                assert whole.read([(found.source, found.stat.identity, found.stat.size, path)]) == [contents[path]]

    def test_what_changes_between_two_reads_is_found(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"content")
        found = folder.lookup(b"d/f", follow=True)
        with closing(folder.whole_reader()) as whole:
            assert whole.read([(found.source, found.stat.identity, found.stat.size, b"d/f")]) == [b"content"]
            after_a_tick(stage)
            stage.write(b"d/f", b"CONTENT")
            with pytest.raises(SourceChanged, match="modified"):
                whole.read([(found.source, found.stat.identity, found.stat.size, b"d/f")])

    def test_what_may_not_be_read_is_not_read_whole(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        stage.deny(b"f")
        found = folder.lookup(b"f", follow=True)
        with stage.ordinary(), closing(folder.whole_reader()) as whole, pytest.raises(SourceUnreadable) as refused:
            whole.read([(found.source, found.stat.identity, found.stat.size, b"shown")])
        assert refused.value.reason == "Permission denied"

    # ---- close

    def test_closing_a_folder_leaves_what_was_opened_usable(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"d/f", b"content")
        source = opened(folder, b"d/f")
        listing = folder.scan(b"d")
        folder.close()
        folder.close()
        assert source.read(0, 100) == b"content"
        source.check()
        source.close()
        assert [name for name, _ in listing] == [b"f"]

    def test_using_a_closed_folder_is_a_bug(self, stage: Stage, folder: Folder) -> None:
        stage.write(b"f", b"x")
        found = folder.lookup(b"f", follow=True)
        folder.close()
        uses: list[Callable[[], object]] = [
            lambda: folder.lookup(b"f", follow=True),
            lambda: folder.scan(b""),
            lambda: folder.identities(b"", []),
            lambda: folder.open(b"f", found.stat.identity, b"f"),
        ]
        for use in uses:
            with pytest.raises(ValueError, match="closed"):
                use()
        other = stage.volume.folder(FOLDER)
        assert other.lookup(b"f", follow=True) == found
        other.close()

    def test_several_threads_use_a_folder_while_one_closes_it(self, stage: Stage) -> None:
        for number in range(20):
            stage.write(b"d/%d" % number, b"content")
        for _ in range(20):
            folder = stage.volume.folder(FOLDER)
            begun = threading.Barrier(5)
            bugs: list[BaseException] = []

            def work(
                folder: Folder = folder, begun: threading.Barrier = begun, bugs: list[BaseException] = bugs
            ) -> None:
                try:
                    begun.wait()
                    while True:
                        assert len(list(folder.scan(b"d"))) == 20
                        source = opened(folder, b"d/7")
                        assert source.read(0, 100) == b"content"
                        source.close()
                except ValueError as closed:
                    if "closed" not in str(closed):
                        bugs.append(closed)
                except BaseException as bug:  # noqa: BLE001 - reported by the assertion below
                    bugs.append(bug)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            begun.wait()
            folder.close()
            for thread in threads:
                thread.join()
            assert bugs == []

    def test_nothing_is_left_open(self, stage: Stage) -> None:
        stage.write(b"d/f", b"x")
        stage.symlink(b"link", b"d/../d")
        stage.symlink(b"out", b"d/../..")
        stage.symlink(b"loop", b"d/../loop")
        with no_descriptor_kept():
            folder = stage.volume.folder(FOLDER)
            found = folder.lookup(b"link/f", follow=True)
            for path in (b"", b"d", b"link"):
                folder.lookup(path, follow=False)
            for path in (b"none", b"d/f/x", b"out", b"loop", b".upload", b"d/none"):
                refusal(folder, path)
            list(folder.scan(b""))
            folder.scan(b"d")  # not begun
            for _ in folder.scan(b""):
                break  # not ended
            with pytest.raises(Refused):
                folder.scan(b"link")
            folder.open(b"d/f", found.stat.identity, b"f").close()
            for source in (b"d", b"link", b"link/f", b"none"):
                with pytest.raises(SourceChanged):
                    folder.open(source, found.stat.identity, b"f")
            folder.close()

    def test_no_message_names_a_place_of_this_machine(self, stage: Stage, folder: Folder) -> None:
        stage.symlink(b"out", b"/secret/place")
        stage.write(b"f", b"x")
        found = folder.lookup(b"f", follow=True)
        stage.remove(b"f")
        messages = []
        for path in (b"out", b"none", b"out/x", b"f"):
            with pytest.raises(Refused) as refused:
                folder.lookup(path, follow=True)
            messages.append(str(refused.value))
        with pytest.raises(SourceChanged) as change:
            folder.open(found.source, found.stat.identity, b"f")
        messages.append(str(change.value))
        assert not [message for message in messages if "'/" in message or " /" in message or "secret" in message]


def after_a_tick(stage: Stage) -> None:
    """Wait until a change shows in the clock: two within its granularity may look the same."""
    start = stage.volume.now_ns()
    while stage.volume.now_ns() <= start + stage.volume.clock_granularity_ns:
        threading.Event().wait(0.002)
