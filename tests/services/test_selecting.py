"""From the text of a selection to paths and rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pannier.archive.plan import Omitted
from pannier.dto.archives import ArchiveOptions, LinkPolicy
from pannier.dto.selections import Selection
from pannier.errors import InvalidRequest, OffenceCode
from pannier.services.selecting import Rules, Unusable, ancestors, normalise, roots, rules


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"a", b"a"),
        (b"a/b", b"a/b"),
        (b".", b""),
        (b"./", b""),
        (b"a/..", b""),
        (b"./a", b"a"),
        (b"a/", b"a"),
        (b"a//b", b"a/b"),
        (b"a/./b", b"a/b"),
        (b"a/../b", b"b"),
        (b"a/b/../../c/./d//", b"c/d"),
        (b"...", b"..."),
        (b"..a/a..", b"..a/a.."),
        (b" ", b" "),
        (b"\xff\\\t", b"\xff\\\t"),
    ],
)
def test_a_path_is_normalised(path: bytes, normal: bytes) -> None:
    assert normalise(path) == normal


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"", OffenceCode.UNSAFE_PATH),
        (b"a\0b", OffenceCode.UNSAFE_PATH),
        (b"a\nb", OffenceCode.UNSAFE_PATH),
        (b"a\rb", OffenceCode.UNSAFE_PATH),
        (b"/", OffenceCode.OUTSIDE),
        (b"/etc/passwd", OffenceCode.OUTSIDE),
        (b"//a", OffenceCode.OUTSIDE),
        (b"..", OffenceCode.OUTSIDE),
        (b"../a", OffenceCode.OUTSIDE),
        (b"a/../..", OffenceCode.OUTSIDE),
        (b"a/../../a", OffenceCode.OUTSIDE),
    ],
)
def test_a_path_that_cannot_be_used_says_why(path: bytes, code: OffenceCode) -> None:
    with pytest.raises(Unusable) as refused:
        normalise(path)
    assert (refused.value.offence.path, refused.value.offence.code) == (path, code)


@given(st.lists(st.sampled_from([b"a", b"b", b".", b"..", b"", b"c d"]), min_size=1, max_size=8).map(b"/".join))
def test_what_is_normalised_is_normal_and_inside(path: bytes) -> None:
    try:
        normal = normalise(path)
    except Unusable:
        return
    assert normal == b"" or not {b"", b".", b".."} & set(normal.split(b"/"))
    assert normal == b"" or normalise(normal) == normal


def test_each_path_counts_once_and_each_offence_too() -> None:
    usable, offences = roots(["b", "a/../b", "./b/", "a", "..", "..", "/x", "\udcff"])
    assert usable == [b"a", b"b", b"\xff"]
    assert [(offence.path, offence.code) for offence in offences] == [
        (b"..", OffenceCode.OUTSIDE),
        (b"/x", OffenceCode.OUTSIDE),
    ]


def test_the_directories_above_a_path_begin_with_the_folder() -> None:
    assert ancestors(b"a/b/c") == [b"", b"a", b"a/b"]
    assert ancestors(b"a") == [b""]
    assert ancestors(b"") == []


# ---------------------------------------------------------------- what is left out


def excluding(*globs: str, except_: tuple[str, ...] = ()) -> Rules:
    return rules(Selection.of(("x",), ArchiveOptions(exclude=globs, except_=except_)))


@pytest.mark.parametrize(
    ("globs", "path", "directory", "rule"),
    [
        (("*.log",), b"a.log", False, "*.log"),
        (("*.log",), b"deep/down/a.log", False, "*.log"),
        (("*.log",), b"a.log.gz", False, None),
        (("/a.log",), b"a.log", False, "/a.log"),
        (("/a.log",), b"b/a.log", False, None),
        (("b/a.log",), b"b/a.log", False, "b/a.log"),
        (("b/a.log",), b"c/b/a.log", False, None),
        (("build/",), b"build", True, "build/"),
        (("build/",), b"src/build", True, "build/"),
        (("build/",), b"build", False, None),
        (("**/cache",), b"a/b/cache", True, "**/cache"),
        (("a/**/z",), b"a/z", False, "a/**/z"),
        (("a/**/z",), b"a/b/c/z", False, "a/**/z"),
        (("a/**",), b"a/b", False, "a/**"),
        (("a/**",), b"a", True, None),
        (("a*c",), b"abc", False, "a*c"),
        (("a*c",), b"a/c", False, None),
        (("a?c",), b"abc", False, "a?c"),
        (("a?c",), b"a/c", False, None),
        (("[a-c].txt",), b"b.txt", False, "[a-c].txt"),
        (("[!a-c].txt",), b"b.txt", False, None),
        (("*.log", "!keep.log"), b"keep.log", False, None),
        (("!keep.log", "*.log"), b"keep.log", False, "*.log"),
        (("*.log", "!keep.log", "keep.*"), b"keep.log", False, "keep.*"),
        (("# not a pattern",), b"# not a pattern", False, None),
        ((r"\#a",), b"#a", False, r"\#a"),
        ((r"\!a",), b"!a", False, r"\!a"),
        (("a ",), b"a", False, "a "),
        ((r"a\ ",), b"a ", False, r"a\ "),
        (("보고*",), "보고서".encode(), False, "보고*"),
        (("\udcff*",), b"\xff.bin", False, "\udcff*"),
        (("*",), b"\xfe", False, "*"),
        ((), b"a", False, None),
        (("*",), b"", True, None),
    ],
)
def test_a_glob_leaves_out_and_is_named(globs: tuple[str, ...], path: bytes, directory: bool, rule: str | None) -> None:
    omitted = excluding(*globs).omission(path, directory=directory)
    assert omitted == (None if rule is None else Omitted(path, "exclude", rule))


def test_an_exception_is_an_exact_path_not_a_pattern() -> None:
    chosen = excluding(except_=("*.log", "./a//b/", "\udcff"))
    assert chosen.omission(b"*.log", directory=False) == Omitted(b"*.log", "except", "*.log")
    assert chosen.omission(b"a.log", directory=False) is None
    assert chosen.omission(b"a/b", directory=True) == Omitted(b"a/b", "except", "a/b")
    assert chosen.omission(b"\xff", directory=False) == Omitted(b"\xff", "except", "\udcff")


@pytest.mark.parametrize("glob", ["!", "/", "a\\", "\\"])
def test_a_pattern_that_is_none_is_refused_by_name(glob: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        excluding(glob)
    assert refused.value.field == "exclude"


def test_links_are_followed_unless_asked_otherwise() -> None:
    assert excluding().links is LinkPolicy.FOLLOW
