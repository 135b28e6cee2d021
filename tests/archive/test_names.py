"""Entry names: what stays, what is replaced, and that nothing unpacked from them can climb, clash or be too long."""

from __future__ import annotations

import random
import unicodedata
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.names import (
    LONGEST,
    LONGEST_COMPONENT,
    Clash,
    Rename,
    Siblings,
    clashes,
    entry_names,
    is_safe,
    safe_component,
)
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection
from pannier.errors import OffenceCode
from pannier.services.clocks import Clock
from pannier.services.progress import Progress, WalkLimits
from pannier.services.selecting import rules
from pannier.services.walking import Walk
from pannier.volumes.memory import MemoryVolume
from tests.archive.strategies import PURE, components, trees, tricky_components, tricky_trees

any_tree = trees | tricky_trees


def _named(paths: list[bytes]) -> list[bytes]:
    """Each path's name, in the order of the paths."""
    renamed = entry_names(paths)
    return [renamed[number][0] if number in renamed else path for number, path in enumerate(paths)]


def _directories(names: list[bytes]) -> set[bytes]:
    return {name[:at] for name in names for at in range(len(name)) if name[at : at + 1] == b"/"}


# ---------------------------------------------------------------- promises about all names of an archive


@PURE
@given(any_tree)
def test_every_name_is_safe(paths: list[bytes]) -> None:
    assert all(is_safe(name) for name in _named(paths))


@PURE
@given(any_tree)
def test_all_names_are_distinct_and_none_stands_where_another_has_a_directory(paths: list[bytes]) -> None:
    names = _named(paths)
    assert len(set(names)) == len(names)
    assert not set(names) & _directories(names)


@PURE
@given(any_tree, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order_of_the_paths(paths: list[bytes], chance: random.Random) -> None:
    shuffled = chance.sample(paths, len(paths))
    assert dict(zip(paths, _named(paths), strict=True)) == dict(zip(shuffled, _named(shuffled), strict=True))


@PURE
@given(any_tree)
def test_a_safe_path_is_kept_byte_for_byte(paths: list[bytes]) -> None:
    for path, name in zip(paths, _named(paths), strict=True):
        if is_safe(path):
            assert name == path


@PURE
@given(any_tree)
def test_a_renamed_path_says_why_and_others_are_not_mentioned(paths: list[bytes]) -> None:
    renamed = entry_names(paths)
    for number, path in enumerate(paths):
        assert (number in renamed) == (not is_safe(path))
    for number, (name, reasons) in renamed.items():
        assert name != paths[number]
        assert reasons
        assert len(set(reasons)) == len(reasons)


@PURE
@given(any_tree)
def test_a_tree_keeps_its_form(paths: list[bytes]) -> None:
    """Two paths part in their names where they part themselves: no directory is merged with another one, or split."""
    names = _named(paths)
    for path, name in zip(paths, names, strict=True):
        assert path.count(b"/") == name.count(b"/")
        for other, its in zip(paths, names, strict=True):
            assert _shared(path, other) == _shared(name, its)


def _shared(one: bytes, other: bytes) -> int:
    count = 0
    for left, right in zip(one.split(b"/"), other.split(b"/"), strict=False):
        if left != right:
            break
        count += 1
    return count


@PURE
@given(any_tree)
def test_no_component_grows_beyond_what_a_file_system_takes(paths: list[bytes]) -> None:
    """``%E9`` for one byte makes a name three times as long: one that could be stored must still be unpackable."""
    assert all(len(component) <= 255 for name in _named(paths) for component in name.split(b"/"))


def test_names_of_many_paths_are_found_in_one_pass() -> None:
    """A quadratic search for clashes would need minutes; the test's time limit is the assertion."""
    paths = [b"d/%06d\\x" % number for number in range(50_000)] + [b"d/%06d_x" % number for number in range(50_000)]
    names = _named(paths)
    assert len(set(names)) == 100_000
    assert names[0] == b"d/000000_x (2)"


def test_a_crowd_of_names_that_become_equal_is_numbered_in_one_pass() -> None:
    """Trying each number from the start again would need minutes."""
    controls = [bytes(name) for name in product(range(1, 32), repeat=3)]
    names = _named(controls)
    assert len(names) == 29_791
    assert set(names) == {b"___"} | {b"___ (%d)" % number for number in range(2, 29_792)}


# ---------------------------------------------------------------- one name


@pytest.mark.parametrize(
    ("path", "name", "reasons"),
    [
        (b"a\\b", b"a_b", (Rename.BACKSLASH,)),
        (b"..\\..\\etc\\passwd", b".._.._etc_passwd", (Rename.BACKSLASH,)),
        (b"\\\\server\\share", b"__server_share", (Rename.BACKSLASH,)),
        (b"tab\there", b"tab_here", (Rename.CONTROL,)),
        (b"two\nlines\r", b"two_lines_", (Rename.CONTROL,)),
        (b"\x7f", b"_", (Rename.CONTROL,)),
        ("next\u0085line".encode(), b"next_line", (Rename.CONTROL,)),
        (b"C:x", b"C_x", (Rename.DRIVE,)),
        (b"c:/x", b"c_/x", (Rename.DRIVE,)),
        (b"a:b", b"a_b", (Rename.DRIVE,)),  # what looks like a drive is one, on Windows
        (b"C:\\x", b"C__x", (Rename.BACKSLASH, Rename.DRIVE)),
        (b"caf\xe9.txt", b"caf%E9.txt", (Rename.NOT_UTF8,)),
        (b"\xff\xfe", b"%FF%FE", (Rename.NOT_UTF8,)),
        (b"\xc0\xae\xc0\xae/x", b"%C0%AE%C0%AE/x", (Rename.NOT_UTF8,)),  # an overlong ".." is no ".."
        (b"\xed\xb2\x80", b"%ED%B2%80", (Rename.NOT_UTF8,)),  # a surrogate in UTF-8 is none
        ("한\\".encode() + b"\x01\xe9", "한__%E9".encode(), (Rename.NOT_UTF8, Rename.BACKSLASH, Rename.CONTROL)),
        (b"d\\/C:x", b"d_/C:x", (Rename.BACKSLASH,)),
        (b"d\\1/f\\2", b"d_1/f_2", (Rename.BACKSLASH,)),
        (b"d\t/\xe9", b"d_/%E9", (Rename.CONTROL, Rename.NOT_UTF8)),
    ],
)
def test_what_could_climb_or_confuse_is_replaced_visibly(path: bytes, name: bytes, reasons: tuple[Rename, ...]) -> None:
    assert entry_names([path]) == {0: (name, reasons)}


@pytest.mark.parametrize(
    "path",
    [
        b"plain.txt",
        "한국어/보고서 최종.txt".encode(),
        unicodedata.normalize("NFD", "café").encode(),
        "📦/🚲.gpx".encode(),
        b"...",
        b"..x",
        b" leading and trailing ",
        b"trailing.",
        b"-rf",
        b"100%",
        b"%41",
        b"ab:c",
        b"d/C:x",
        b"1:x",
        b"CON",
        b"quo'te\"d & $HOME `x`",
        b"*?<>|",
        "\u202egpj.exe".encode(),
        b"x" * 255,
    ],
)
def test_what_is_only_unusual_is_kept(path: bytes) -> None:
    assert entry_names([path]) == {}
    assert is_safe(path)


@PURE
@given(tricky_components | components, st.booleans())
def test_a_component_never_becomes_one_that_climbs(component: bytes, first: bool) -> None:
    safe, reasons = safe_component(component, first=first)
    assert safe not in (b"", b".", b"..")
    assert b"/" not in safe
    assert is_safe(safe if first else b"d/" + safe)
    assert bool(reasons) == (safe != component)


@PURE
@given(tricky_components | components, st.booleans())
def test_a_safe_component_is_not_changed_again(component: bytes, first: bool) -> None:
    safe, _ = safe_component(component, first=first)
    assert safe_component(safe, first=first) == (safe, ())


# ---------------------------------------------------------------- names that become equal


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([b"a_b", b"a\\b"], [b"a_b", b"a_b (2)"]),
        ([b"a\\b", b"a\tb"], [b"a_b (2)", b"a_b"]),  # by byte order
        ([b"a_b.txt", b"a\\b.txt"], [b"a_b.txt", b"a_b (2).txt"]),
        ([b"a_b", b"a\\b", b"a_b (2)"], [b"a_b", b"a_b (3)", b"a_b (2)"]),
        ([b".b_", b".b\\"], [b".b_", b".b_ (2)"]),
        ([b"a_b/x", b"a\\b/x"], [b"a_b/x", b"a_b (2)/x"]),
        ([b"a_b/x", b"a\\b"], [b"a_b/x", b"a_b (2)"]),
        ([b"a_b", b"a\\b/x", b"a\\b/y"], [b"a_b", b"a_b (2)/x", b"a_b (2)/y"]),
        ([b"%E9", b"\xe9"], [b"%E9", b"%E9 (2)"]),
        ([b"C_x", b"C:x"], [b"C_x", b"C_x (2)"]),
        ([b"d/a_b", b"e/a\\b"], [b"d/a_b", b"e/a_b"]),
    ],
)
def test_names_made_equal_are_numbered(paths: list[bytes], names: list[bytes]) -> None:
    assert _named(paths) == names
    for number, (name, reasons) in entry_names(paths).items():
        assert (Rename.CLASH in reasons) == (b" (" in name), paths[number]


# ---------------------------------------------------------------- names made too long


def test_a_name_that_renaming_makes_too_long_is_shortened_and_keeps_its_suffix() -> None:
    """85 Korean syllables in EUC-KR, the longest that such a volume takes."""
    path = "가".encode("euc-kr") * 125 + b".hwp"
    name, reasons = entry_names([path])[0]
    assert reasons == (Rename.NOT_UTF8, Rename.SHORTENED)
    assert 250 < len(name) <= LONGEST_COMPONENT
    assert name.startswith(b"%B0%A1%B0%A1")
    assert name.endswith(b".hwp")


def test_names_that_shortening_makes_equal_are_numbered() -> None:
    paths = [b"\xe9" * 253 + b"1x", b"\xe9" * 253 + b"2x", b"\xe9" * 253 + b"3x"]
    names = _named(paths)
    assert len(set(names)) == 3
    assert [name[-4:] for name in names[1:]] == [b" (2)", b" (3)"]
    assert all(len(name) <= LONGEST_COMPONENT for name in names)


def test_a_number_that_makes_a_name_too_long_shortens_it() -> None:
    paths = [b"x" * 254 + b"_", b"x" * 254 + b"\\"]
    assert _named(paths) == [paths[0], b"x" * 251 + b" (2)"]


def test_a_shortened_name_ends_between_characters() -> None:
    path = "가".encode() * 60 + b"\xe9" * 75
    name = _named([path])[0]
    assert len(name) <= LONGEST_COMPONENT
    assert name.decode().startswith("가" * 60)
    wide = b"\xe9" * 2 + "가".encode() * 84
    assert _named([wide])[0].decode() == "%E9%E9" + "가" * 83


@pytest.mark.parametrize("length", [256, 1024])
def test_a_long_name_that_needs_no_other_change_is_kept(length: int) -> None:
    """An object store may hold it; who unpacks it where that cannot be is told so by the reader."""
    assert entry_names([b"x" * length]) == {}


@pytest.mark.parametrize("leaf", [b"leaf", b"\xff"], ids=["kept", "renamed"])
@pytest.mark.parametrize("depth", [255, 256])
def test_a_name_too_long_for_a_record_refuses_the_selection(depth: int, leaf: bytes) -> None:
    """Before the first byte; 16 bits hold its length. Limits of depth this large are possible, if not usual."""
    path = b"/".join([b"d" * 255] * depth) + b"/" + leaf
    folder = FolderId.parse("00000000-0000-4000-8000-000000000001")
    volume = MemoryVolume("deep")
    volume.make_folder(folder)
    volume.write(folder, path, b"x")
    selection = Selection(files=(".",))
    walk = Walk(volume.folder(folder), rules(selection), WalkLimits(depth=1000), Clock(volume.now_ns, 0), Progress())
    codes = [offence.code for offence in walk.run([b""]).offences]
    assert codes == ([] if len(path) <= LONGEST else [OffenceCode.NAME_TOO_LONG])


# ---------------------------------------------------------------- is_safe


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"/",
        b"/etc/passwd",
        b"//x",
        b"a//b",
        b"..",
        b"../x",
        b"a/../b",
        b"a/..",
        b"a/../",
        b".",
        b"./x",
        b"a/./b",
        b"..\\x",
        b"a\\b",
        b"C:x",
        b"c:/x",
        b"\x00",
        b"a\nb",
        b"a\x7f",
        b"\xff",
        b"\xc0\xae\xc0\xae/x",
        b"x" * (LONGEST + 1),
    ],
)
def test_a_name_that_could_leave_or_confuse_is_not_safe(name: bytes) -> None:
    assert not is_safe(name)


@pytest.mark.parametrize("name", [b"x", b"x/", b"a/b/c", b"...", b"..x/y", b"x" * LONGEST, "한/글/".encode()])
def test_an_ordinary_name_is_safe(name: bytes) -> None:
    assert is_safe(name)


# ---------------------------------------------------------------- clashes


@pytest.mark.parametrize(
    ("siblings", "expected"),
    [
        ([b"a", b"b"], []),
        ([b"README", b"readme"], [(b"readme", Clash.CASE)]),
        ([b"a", b"A", b"aa", b"Aa", b"AA"], [(b"Aa", Clash.CASE), (b"a", Clash.CASE), (b"aa", Clash.CASE)]),
        (["caf\u00e9".encode(), b"cafe\xcc\x81"], [("caf\u00e9".encode(), Clash.NORMAL_FORM)]),
        ([b"STRASSE", "straße".encode()], [("straße".encode(), Clash.CASE)]),
        ([b"a:b"], [(b"a:b", Clash.WINDOWS)]),
        ([b"end."], [(b"end.", Clash.WINDOWS)]),
        ([b"end "], [(b"end ", Clash.WINDOWS)]),
        ([b"con"], [(b"con", Clash.WINDOWS)]),
        ([b"NUL.txt"], [(b"NUL.txt", Clash.WINDOWS)]),
        (["COM¹".encode()], [("COM¹".encode(), Clash.WINDOWS)]),
        ([b"console", b"nulla", b"com", b"com10x"], []),
        ([b'"', b"*", b"<", b">", b"?", b"|"], [(c, Clash.WINDOWS) for c in (b'"', b"*", b"<", b">", b"?", b"|")]),
        ([b"\xff"], []),
    ],
)
def test_what_some_platform_cannot_hold_is_a_warning(
    siblings: list[bytes], expected: list[tuple[bytes, Clash]]
) -> None:
    assert list(clashes(siblings)) == expected
    assert list(clashes(reversed(siblings))) == expected


@PURE
@given(st.lists(tricky_components | st.text("aAéÉe\u0301ßs", min_size=1).map(str.encode), unique=True, max_size=12))
def test_what_is_left_without_the_warned_names_clashes_with_nothing(siblings: list[bytes]) -> None:
    """The warning is about the later ones of each clash, so at least one of them is not mentioned."""
    found = {name for name, clash in clashes(siblings) if clash is not Clash.WINDOWS}
    rest = [name for name in siblings if name not in found]
    assert bool(rest) == bool(siblings)
    assert not [name for name, clash in clashes(rest) if clash is not Clash.WINDOWS]


# ---------------------------------------------------------------- many at once


@PURE
@given(
    st.lists(st.sampled_from([b"a", b"A", b"con", b"Com1.x", b"x.", b"y ", b"a?"]) | components, unique=True), st.data()
)
def test_no_trouble_is_overlooked_in_passing(names: list[bytes], data: st.DataObject) -> None:
    """What is looked at many at a time must never hide a clash or a rename; it may be too careful."""
    cut = data.draw(st.integers(0, len(names)))
    siblings = Siblings()
    siblings.add(names[:cut])
    siblings.add(names[cut:])
    siblings.end()
    assert siblings.to_warn or not list(clashes(names))
    assert siblings.to_rename or not entry_names(names)


def test_ordinary_names_need_no_closer_look() -> None:
    """Or a million of them would."""
    siblings = Siblings()
    siblings.add([b"IMG_%05d.JPG" % number for number in range(20_000)])
    siblings.add([f"보고서 {number}.txt".encode() for number in range(100)])
    siblings.add([b"constants.py", b"nullable", "café".encode(), b"a-b.tar.gz"])
    siblings.end()
    assert (siblings.to_rename, siblings.to_warn) == (False, False)


def test_two_names_far_apart_are_held_against_each_other() -> None:
    siblings = Siblings()
    siblings.add([b"%05d" % number for number in range(20_000)] + [b"readme"])
    siblings.add([b"README"])
    siblings.end()
    assert siblings.to_warn
