"""The walk: what a selection comes to, and what stands in its way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pannier.archive.entries import Kind
from pannier.archive.names import Clash, Rename
from pannier.archive.plan import Omitted, Renamed, Warned
from pannier.dto.archives import LinkPolicy
from pannier.errors import FolderMissing, InvalidRequest, LimitExceeded, OffenceCode, SelectionRefused
from pannier.services.progress import Progress, WalkLimits
from pannier.volumes.memory import MemoryVolume
from tests.dto.examples import FOLDER
from tests.services.watched import (
    CoarseVolume,
    Hands,
    Watched,
    grow,
    inside_of,
    memory,
    names,
    order,
    plan,
    planner,
    refused,
)

OMIT, STORE, REFUSE = LinkPolicy.OMIT, LinkPolicy.STORE, LinkPolicy.REFUSE


def limited(**limits: Any) -> dict[str, Any]:
    return {"walk": WalkLimits(**limits)}


# ---------------------------------------------------------------- what a selection comes to


async def test_files_and_directories_expand_in_path_order() -> None:
    volume = grow(memory(), b"a/z", b"a/b/c", b"a-b", b"a.txt", b"a/empty/", b"b", b"not selected")
    found = await plan(volume, "b", "a", "a.txt", "a-b")
    assert names(found) == [b"a-b", b"a.txt", b"a/b/c", b"a/empty/", b"a/z", b"b"]
    assert found.content_bytes == sum(entry.size for entry in found.entries)
    assert not found.offences


async def test_a_dot_is_the_whole_folder_without_unfinished_uploads() -> None:
    volume = grow(memory(), b"a", b"d/.upload/kept", b".upload/session", b".uploads")
    assert names(await plan(volume, ".")) == [b".uploads", b"a", b"d/.upload/kept"]


async def test_an_empty_folder_is_an_archive_without_entries() -> None:
    found = await plan(memory(), ".")
    assert found.shape is not None
    assert (names(found), found.shape.layout.length, found.shape.last_modified) == ([], 22, 0)


async def test_a_path_is_normalised_before_anything_is_looked_up() -> None:
    volume = grow(memory(), b"b", b"c/d")
    assert names(await plan(volume, "no-such/../b", "./c//./d/")) == [b"b", b"c/d"]


async def test_duplicates_and_overlaps_are_entries_once() -> None:
    volume = grow(memory(), b"a/x", b"a/b/y", b"a-b/z", b"c")
    wanted = ["a/b/y", "a", "a/", "a/b", "./a", "a/x", "c", "c", "a-b/z", "a-b"]
    assert names(await plan(volume, *wanted)) == [b"a-b/z", b"a/b/y", b"a/x", b"c"]


async def test_a_base_is_what_paths_are_seen_from_and_files_are_where_they_are() -> None:
    volume = grow(
        memory(), b"d/e/x", b"d/e/C:z", b"d/e/sub/y", b"d/e/empty/", b"d/e/.upload/kept", b"d/elsewhere", b"far/z"
    )
    volume.symlink(FOLDER, b"d/e/up", b"../elsewhere")
    volume.symlink(FOLDER, b"d/e/away", b"../../far")
    volume.symlink(FOLDER, b"way", b"d/e")
    async with planner() as plans:
        by_name = await plans.plan(inside_of(volume, b"d/e"))
        by_link = await plans.plan(inside_of(volume, b"way"))
    wanted = [b".upload/kept", b"C_z", b"away/z", b"empty/", b"sub/y", b"up", b"x"]
    assert names(by_name) == names(by_link) == wanted
    assert by_name.tag == by_link.tag != "refused"
    sources = [b"d/e/.upload/kept", b"d/e/C:z", b"far/z", b"d/e/empty", b"d/e/sub/y", b"d/elsewhere", b"d/e/x"]
    assert [entry.source for entry in by_name.entries] == [entry.source for entry in by_link.entries] == sources


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        (b"d", {b"out": "link-outside", b"self": "link-loop"}),
        (b"file", {b"": "missing"}),
        (b"none", {b"": "missing"}),
        (b".upload", {b"": "missing"}),
        (b"d/out", {b"": "link-outside"}),
    ],
)
async def test_offenders_are_seen_from_the_base_too(base: bytes, expected: dict[bytes, str]) -> None:
    volume = grow(memory(), b"d/fine", b"file", b".upload/x")
    volume.symlink(FOLDER, b"d/out", b"../../x")
    volume.symlink(FOLDER, b"d/self", b".")
    async with planner() as plans:
        assert refused(await plans.plan(inside_of(volume, base))) == expected


async def test_undecodable_names_are_entries_like_others() -> None:
    volume = grow(memory(), b"\xff/\xfe", b"d/\xe9")
    found = await plan(volume, "\udcff", "d/\udce9")
    assert [entry.path for entry in found.entries] == [b"d/\xe9", b"\xff/\xfe"]


async def test_entries_carry_what_reaches_a_record() -> None:
    volume = memory()
    volume.write(FOLDER, b"f", b"12345", mtime_ns=1_600_000_000_123_456_789, mode=0o4755)
    found = await plan(volume, "f")
    entry = found.entries[0]
    assert (entry.size, entry.mtime_ns, entry.mode, entry.kind) == (5, 1_600_000_000_123_456_789, 0o755, Kind.FILE)
    assert found.shape is not None
    assert found.shape.last_modified == 1_600_000_000


async def test_very_many_children_come_in_path_order_too() -> None:
    volume = memory()
    for number in range(20_050):
        volume.write(FOLDER, b"d/%d" % (number * 7919 % 20_050), b"")
    found = await plan(volume, "d")
    assert names(found) == sorted(names(found))
    assert len(found.entries) == 20_050


async def test_a_missing_folder_is_told_as_such() -> None:
    with pytest.raises(FolderMissing):
        await plan(MemoryVolume("v"), "a")


# ---------------------------------------------------------------- all or nothing


async def test_one_offender_refuses_the_whole_and_all_are_listed_in_path_order() -> None:
    volume = grow(memory(), b"good", b"d/secret", b"d/fine")
    volume.special(FOLDER, b"d/socket")
    volume.deny(FOLDER, b"d/secret")
    volume.symlink(FOLDER, b"d/out", b"../../etc/passwd")
    volume.symlink(FOLDER, b"d/abs", b"/etc/passwd")
    volume.symlink(FOLDER, b"d/gone", b"nowhere")
    volume.symlink(FOLDER, b"d/loop", b"loop")
    volume.symlink(FOLDER, b"d/up", b"..")
    found = await plan(
        volume, "good", "d", "missing", "", "../x", "/y", "n\0l", "new\nline", "file/below", "good/below"
    )
    assert refused(found) == {
        b"": OffenceCode.UNSAFE_PATH,
        b"../x": OffenceCode.OUTSIDE,
        b"/y": OffenceCode.OUTSIDE,
        b"d/abs": OffenceCode.LINK_OUTSIDE,
        b"d/gone": OffenceCode.LINK_DANGLING,
        b"d/loop": OffenceCode.LINK_LOOP,
        b"d/out": OffenceCode.LINK_OUTSIDE,
        b"d/secret": OffenceCode.UNREADABLE,
        b"d/socket": OffenceCode.SPECIAL,
        b"d/up/d": OffenceCode.LINK_LOOP,
        b"file/below": OffenceCode.MISSING,
        b"good/below": OffenceCode.MISSING,
        b"missing": OffenceCode.MISSING,
        b"n\0l": OffenceCode.UNSAFE_PATH,
        b"new\nline": OffenceCode.UNSAFE_PATH,
    }
    assert list(found.offences) == sorted(found.offences)
    with pytest.raises(SelectionRefused) as refusal:
        found.demand()
    assert refusal.value.total == len(found.offences)


async def test_a_refusal_shows_the_first_thousand_and_knows_of_all() -> None:
    found = await plan(memory(), *(f"gone/{number:04}" for number in range(1_500)), "zzz\0")
    with pytest.raises(SelectionRefused) as refusal:
        found.demand()
    assert (len(refusal.value.offences), refusal.value.total) == (1_000, 1_501)
    assert refusal.value.codes == {OffenceCode.MISSING, OffenceCode.UNSAFE_PATH}


async def test_a_link_that_cannot_be_followed_names_the_ways_out() -> None:
    volume = memory()
    volume.symlink(FOLDER, b"gone", b"nowhere")
    found = await plan(volume, "gone")
    assert "leave it out with except, or choose links: omit" in found.offences[0].detail


async def test_unreadable_directories_are_offenders_selected_or_below() -> None:
    volume = grow(memory(), b"a/x", b"b/c/y")
    volume.deny(FOLDER, b"a")
    volume.deny(FOLDER, b"b/c")
    assert refused(await plan(volume, "a", "b")) == {b"a": OffenceCode.UNREADABLE, b"b/c": OffenceCode.UNREADABLE}
    assert refused(await plan(volume, "a/x")) == {b"a/x": OffenceCode.UNREADABLE}


@pytest.mark.parametrize("path", [".upload", ".upload/session", "link", "link/session", "back/.upload"])
async def test_unfinished_uploads_are_not_there_by_whatever_way(path: str) -> None:
    volume = grow(memory(), b".upload/session", b"a")
    volume.symlink(FOLDER, b"link", b".upload")
    volume.symlink(FOLDER, b"back", b".")
    codes = set(refused(await plan(volume, path)).values())
    assert codes <= {OffenceCode.MISSING, OffenceCode.LINK_DANGLING}
    assert codes


async def test_unfinished_uploads_are_not_reached_through_a_link_to_the_folder() -> None:
    volume = grow(memory(), b".upload/session", b"sub/a")
    volume.symlink(FOLDER, b"other/root", b"..")
    volume.remove(FOLDER, b"other/root")
    volume.symlink(FOLDER, b"sub/up", b"../sub2")
    volume.symlink(FOLDER, b"sub2/root", b"..")
    found = await plan(volume, "sub2/root", except_=("sub2/root/sub2", "sub2/root/sub/up"))
    assert names(found) == [b"sub2/root/other/", b"sub2/root/sub/a"]


# ---------------------------------------------------------------- links


def linked() -> MemoryVolume:
    volume = grow(memory(), b"data/f", b"data/sub/g", b"real")
    volume.symlink(FOLDER, b"d/file", b"../real")
    volume.symlink(FOLDER, b"d/directory", b"../data")
    return volume


async def test_links_are_followed_to_files_and_directories() -> None:
    found = await plan(linked(), "d")
    assert names(found) == [b"d/directory/f", b"d/directory/sub/g", b"d/file"]
    assert [entry.source for entry in found.entries] == [b"data/f", b"data/sub/g", b"real"]
    assert {entry.kind for entry in found.entries} == {Kind.FILE}


async def test_omitted_links_are_listed_wherever_they_stand() -> None:
    volume = linked()
    volume.symlink(FOLDER, b"d/gone", b"nowhere")
    found = await plan(volume, "d", "real", links=OMIT)
    assert names(found) == [b"d/", b"real"]
    assert [(each.path, each.reason) for each in found.omitted] == [
        (b"d/directory", "link"),
        (b"d/file", "link"),
        (b"d/gone", "link"),
    ]
    on_the_way = await plan(volume, "d/directory/f", "d/directory/sub", "d/file", links=OMIT)
    assert names(on_the_way) == []
    assert [each.path for each in on_the_way.omitted] == [b"d/directory", b"d/file"]


async def test_stored_links_are_entries_with_their_text() -> None:
    volume = linked()
    found = await plan(volume, "d", links=STORE)
    assert [(entry.name, entry.kind, entry.target, entry.size) for entry in found.entries] == [
        (b"d/directory", Kind.LINK, b"../data", 7),
        (b"d/file", Kind.LINK, b"../real", 7),
    ]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"nowhere", OffenceCode.LINK_DANGLING),
        (b"../../x", OffenceCode.LINK_OUTSIDE),
        (b"/real", OffenceCode.LINK_OUTSIDE),
        (b"link", OffenceCode.LINK_LOOP),
        # inside the folder, but only by way of another link: unpacked, the text alone would lead out
        (b"hop/../../../real", OffenceCode.LINK_OUTSIDE),
    ],
)
async def test_a_stored_link_leads_to_something_inside(target: bytes, code: OffenceCode) -> None:
    volume = grow(memory(), b"real", b"deep/er/still/x")
    volume.symlink(FOLDER, b"d/hop", b"../deep/er/still")
    volume.symlink(FOLDER, b"d/link", target)
    found = await plan(volume, "d/link", links=STORE)
    assert refused(found) == {b"d/link": code}


async def test_a_refused_link_is_an_offender_also_on_the_way() -> None:
    found = await plan(linked(), "d", "d/directory/f", links=REFUSE)
    assert refused(found) == {b"d/directory": OffenceCode.LINK_REFUSED, b"d/file": OffenceCode.LINK_REFUSED}
    on_the_way = await plan(linked(), "d/directory/f", links=REFUSE)
    assert refused(on_the_way) == {b"d/directory/f": OffenceCode.LINK_REFUSED}


async def test_a_stored_link_is_not_a_way_to_what_is_behind_it() -> None:
    found = await plan(linked(), "d/directory/f", links=STORE)
    assert refused(found) == {b"d/directory/f": OffenceCode.LINK_REFUSED}


async def test_the_same_directory_behind_two_links_is_there_twice_and_a_circle_is_refused() -> None:
    volume = grow(memory(), b"data/f")
    volume.symlink(FOLDER, b"one", b"data")
    volume.symlink(FOLDER, b"two", b"data")
    assert names(await plan(volume, ".")) == [b"data/f", b"one/f", b"two/f"]
    volume.symlink(FOLDER, b"data/back", b"../data")
    assert refused(await plan(volume, "data")) == {b"data/back": OffenceCode.LINK_LOOP}


async def test_links_to_each_other_are_a_loop() -> None:
    volume = memory()
    volume.symlink(FOLDER, b"a", b"b")
    volume.symlink(FOLDER, b"b", b"a")
    assert refused(await plan(volume, ".")) == {b"a": OffenceCode.LINK_LOOP, b"b": OffenceCode.LINK_LOOP}


async def test_a_followed_link_to_something_special_or_unreadable_is_an_offender() -> None:
    volume = grow(memory(), b"x/secret")
    volume.special(FOLDER, b"x/pipe")
    volume.deny(FOLDER, b"x/secret")
    volume.symlink(FOLDER, b"d/a", b"../x/pipe")
    volume.symlink(FOLDER, b"d/b", b"../x/secret")
    assert refused(await plan(volume, "d")) == {b"d/a": OffenceCode.SPECIAL, b"d/b": OffenceCode.UNREADABLE}


# ---------------------------------------------------------------- what is left out


async def test_excluded_things_are_left_out_with_all_below_and_listed_once_each() -> None:
    volume = grow(memory(), b"src/a.py", b"src/a.pyc", b"src/cache/x", b"src/cache/y", b"src/keep.pyc", b"b.pyc")
    found = await plan(volume, "src", "b.pyc", "src/cache/x", exclude=("*.pyc", "!keep.pyc", "cache/"))
    assert names(found) == [b"src/a.py", b"src/keep.pyc"]
    assert list(found.omitted) == [
        Omitted(b"b.pyc", "exclude", "*.pyc"),
        Omitted(b"src/a.pyc", "exclude", "*.pyc"),
        Omitted(b"src/cache", "exclude", "cache/"),
    ]


async def test_everything_but_what_is_named_may_be_left_out() -> None:
    volume = grow(memory(), b"a", b"b", b"d/c", b"d/e")
    assert names(await plan(volume, ".", exclude=("*", "!a"))) == [b"a"]
    assert names(await plan(volume, ".", exclude=("d/**", "!d/c"))) == [b"a", b"b", b"d/c"]


async def test_a_directory_of_which_nothing_is_left_is_an_empty_one() -> None:
    assert names(await plan(grow(memory(), b"d/x.log"), "d", exclude=("*.log",))) == [b"d/"]


async def test_offenders_can_be_left_out_knowingly_and_unknown_exceptions_do_no_harm() -> None:
    volume = grow(memory(), b"d/fine", b"d/secret", b"locked/x")
    volume.deny(FOLDER, b"d/secret")
    volume.deny(FOLDER, b"locked")
    volume.special(FOLDER, b"d/pipe")
    volume.symlink(FOLDER, b"d/gone", b"nowhere")
    selected = ("d", "missing", "locked", "../out", "/abs", "n\0l")
    offenders = tuple(offence.path.decode() for offence in (await plan(volume, *selected)).offences)
    assert len(offenders) == 8
    found = await plan(volume, *selected, except_=(*offenders, "never/seen", "../never"))
    assert names(found) == [b"d/fine"]
    assert {each.path.decode() for each in found.omitted} == set(offenders)


async def test_an_exception_leaves_out_what_is_below_it_and_even_what_is_selected() -> None:
    volume = grow(memory(), b"a/b/c", b"a/d", b"e")
    found = await plan(volume, "a", "a/b/c", "e", except_=("a/b", "e"))
    assert names(found) == [b"a/d"]
    assert [each.path for each in found.omitted] == [b"a/b", b"e"]


async def test_a_glob_for_directories_leaves_out_a_followed_link_to_one() -> None:
    volume = linked()
    found = await plan(volume, "d", exclude=("directory/",))
    assert names(found) == [b"d/file"]


async def test_a_pattern_that_is_none_is_refused_as_the_callers_mistake() -> None:
    with pytest.raises(InvalidRequest, match=r"exclude: not a pattern as in \.gitignore"):
        await plan(memory(a=b""), "a", exclude=("[",))


# ---------------------------------------------------------------- limits


async def test_too_many_entries_name_limit_measure_and_setting() -> None:
    volume = grow(memory(), *(b"d/%d" % number for number in range(11)))
    assert len((await plan(volume, "d", settings=limited(entries=11))).entries) == 11
    with pytest.raises(LimitExceeded) as refusal:
        await plan(volume, "d", settings=limited(entries=10))
    assert (refusal.value.what, refusal.value.measured, refusal.value.limit) == ("entries", 11, 10)
    assert refusal.value.setting == "limits.max-entries"
    assert "11" in str(refusal.value)
    assert "limits.max-entries" in str(refusal.value)


async def test_a_huge_directory_is_not_listed_to_its_end() -> None:
    volume = Watched(grow(memory(), *(b"%05d" % number for number in range(5_000)), b"z/never listed"))
    with pytest.raises(LimitExceeded):
        await plan(volume, ".", settings=limited(entries=100))
    assert volume.scanned == [b""]


async def test_what_is_left_out_or_refused_counts_too() -> None:
    volume = grow(memory(), *(b"d/%d" % number for number in range(30)))
    with pytest.raises(LimitExceeded, match=r"limits\.max-entries"):
        await plan(volume, "d", exclude=("d/*",), settings=limited(entries=10))
    with pytest.raises(LimitExceeded, match=r"limits\.max-entries"):
        await plan(volume, *(f"missing/{number}" for number in range(30)), settings=limited(entries=10))


async def test_a_path_too_deep_names_limit_measure_and_setting() -> None:
    volume = grow(memory(), b"a/b/c/d")
    assert names(await plan(volume, "a", settings=limited(depth=4))) == [b"a/b/c/d"]
    with pytest.raises(LimitExceeded) as refusal:
        await plan(volume, "a", settings=limited(depth=3))
    assert (refusal.value.measured, refusal.value.limit, refusal.value.setting) == (4, 3, "limits.max-depth")
    with pytest.raises(LimitExceeded, match=r"limits\.max-depth"):
        await plan(volume, ".", settings=limited(depth=3))


async def test_a_slow_walk_names_limit_measure_and_setting() -> None:
    volume = grow(memory(), b"a", b"b")
    with pytest.raises(LimitExceeded) as refusal:
        await plan(volume, ".", settings=limited(seconds=0.0))
    assert (refusal.value.what, refusal.value.setting) == ("seconds of planning", "limits.plan-seconds")


async def test_a_name_too_long_for_a_record_is_an_offender() -> None:
    volume = memory()
    deep = b"/".join([b"n" * 255] * 257)
    volume.write(FOLDER, deep, b"")
    found = await plan(volume, ".", settings=limited(depth=1_000))
    assert refused(found) == {deep: OffenceCode.NAME_TOO_LONG}


# ---------------------------------------------------------------- a world that moves


def coarse(clock: Hands, *paths: bytes) -> CoarseVolume:
    volume = CoarseVolume("v", clock=clock)
    volume.make_folder(FOLDER)
    grow(volume, *paths)
    return volume


async def test_an_entry_written_just_now_is_looked_at_again_before_the_plan_is_sealed() -> None:
    clock = Hands()
    inner = coarse(clock, b"a", b"z/last")
    volume = Watched(inner)

    def write_when_z_is_listed(source: bytes) -> None:
        if source == b"z":
            inner.write(FOLDER, b"a", b"longer than it was")
            clock.now += 1_000_000_000

    volume.before_scan = write_when_z_is_listed
    found = await plan(volume, ".")
    entry = found.entries[0]
    assert entry.size == len(b"longer than it was")
    assert entry.identity == inner.folder(FOLDER).lookup(b"a", follow=False).stat.identity
    assert found.content_bytes == sum(entry.size for entry in found.entries)
    assert volume.looked_up.count(b"a") == 1
    assert found.shape is not None
    assert not found.shape.unsettled


async def test_an_entry_that_never_settles_is_marked() -> None:
    clock = Hands()
    volume = coarse(clock, b"b")
    clock.now += 1_000_000_000
    grow(volume, b"a")  # and now the clock stands still
    found = await plan(volume, ".")
    assert found.shape is not None
    assert {found.shape.entry(number).path for number in found.shape.unsettled} == {b"a"}


async def test_what_is_older_than_the_clocks_steps_is_looked_at_once() -> None:
    clock = Hands()
    volume = Watched(coarse(clock, b"a"))
    clock.now += 1_000_000_000
    await plan(volume, ".")
    assert b"a" not in volume.looked_up


async def test_a_young_entry_that_goes_away_is_an_offender() -> None:
    clock = Hands()
    inner = coarse(clock, b"a", b"b", b"z/last")
    volume = Watched(inner)

    def take_away(source: bytes) -> None:
        if source == b"z":
            inner.remove(FOLDER, b"a")
            inner.remove(FOLDER, b"b")
            inner.mkdir(FOLDER, b"b")

    volume.before_scan = take_away
    assert refused(await plan(volume, ".")) == {b"a": OffenceCode.MISSING, b"b": OffenceCode.MISSING}


async def test_a_directory_that_goes_away_while_it_is_counted_is_an_offender() -> None:
    inner = grow(memory(), b"a/x", b"b/y")
    volume = Watched(inner)

    def take_away(source: bytes) -> None:
        if source == b"b":
            inner.remove(FOLDER, b"b")

    volume.before_scan = take_away
    assert refused(await plan(volume, ".")) == {b"b": OffenceCode.MISSING}


async def test_the_folder_is_given_back_however_the_walk_ends() -> None:
    volume = Watched(grow(memory(), b"d/a", b"d/b"))
    await plan(volume, "d")
    with pytest.raises(LimitExceeded):
        await plan(volume, "d", settings=limited(entries=1))
    with pytest.raises(InvalidRequest):
        await plan(volume, "d", exclude=("[",))
    assert volume.walks == 3
    assert volume.open_folders == 0


# ---------------------------------------------------------------- what is worth saying


async def test_warnings_name_what_some_platform_cannot_hold() -> None:
    volume = grow(
        memory(), b"d/README", b"d/readme", b"d/aux.txt", b"d/re\xcc\x81sume\xcc\x81", "d/résumé".encode(), b"d/x"
    )
    found = await plan(volume, "d")
    assert set(found.warnings) == {
        Warned(b"d/readme", Clash.CASE),
        Warned(b"d/aux.txt", Clash.WINDOWS),
        Warned("d/résumé".encode(), Clash.NORMAL_FORM),
    }
    assert names(found) == sorted(entry.path for entry in found.entries)


async def test_selected_paths_are_held_against_each_other_too() -> None:
    volume = grow(memory(), b"a/X", b"a/x", b"b/x", b"B/x", b"con/y", b"d/aux", b"d/D/e", b"d/d/e")
    found = await plan(volume, "a/X", "a/x", "b", "B", "con/y", "d/aux", "d/D/e", "d/d/e")
    assert set(found.warnings) == {
        Warned(b"a/x", Clash.CASE),
        Warned(b"b", Clash.CASE),
        Warned(b"con", Clash.WINDOWS),
        Warned(b"d/aux", Clash.WINDOWS),
        Warned(b"d/d", Clash.CASE),
    }
    assert len(found.warnings) == 5
    assert not (await plan(volume, "a/x", "b/x", "d/d/e")).warnings


async def test_renames_are_listed_with_their_reasons() -> None:
    volume = grow(memory(), b"d/a\\b", b"d/a_b", b"d/\xff", b"d/line\nbreak", b"C:/x")
    found = await plan(volume, "d", "C:")
    assert {each.path: each for each in found.renamed} == {
        b"C:/x": Renamed(b"C:/x", b"C_/x", (Rename.DRIVE,)),
        b"d/a\\b": Renamed(b"d/a\\b", b"d/a_b (2)", (Rename.BACKSLASH, Rename.CLASH)),
        b"d/\xff": Renamed(b"d/\xff", b"d/%FF", (Rename.NOT_UTF8,)),
        b"d/line\nbreak": Renamed(b"d/line\nbreak", b"d/line_break", (Rename.CONTROL,)),
    }


async def test_an_empty_directory_that_is_renamed_stays_one() -> None:
    found = await plan(grow(memory(), b"a\\b/"), ".")
    assert names(found) == [b"a_b/"]


# ---------------------------------------------------------------- counting, and stopping


async def test_a_walk_can_be_watched_and_stopped() -> None:
    volume = Watched(grow(memory(), b"a/1", b"a/2", b"b/3"))
    progress: list[Progress] = []

    def stop_at_b(source: bytes) -> None:
        if source == b"b":
            seen = progress[0]
            counted.append((seen.entries, seen.bytes, seen.named.is_set()))
            seen.cancelled.set()

    counted: list[tuple[int, int, bool]] = []
    volume.before_scan = stop_at_b
    async with planner(linger=0.0) as plans:
        planning = asyncio.create_task(plans.plan(order(volume, "a", "b"), watch=progress.append))
        await asyncio.wait({planning}, timeout=20)
        assert planning.done()
        assert planning.exception() is not None
        assert counted == [(2, len(b"content of a/1") * 2, True)]
        assert plans.walks == 0
    assert volume.open_folders == 0
