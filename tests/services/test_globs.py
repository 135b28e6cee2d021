"""Patterns as in ``.gitignore``: judged by git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pannier.services.globs import BadGlob, Globs, parse
from tests.examples import examples

DIRECTORIES = ("a", "a/b", "b", "a/b/a", "ab", "ab/a", "a.b", "1")
NAMES = ("a", "b", "ab", "a.b", "-", "]", "A", "x y", "1", "\\", "!", "#a", "a*")
TREE = dict.fromkeys(DIRECTORIES, True)
for _directory in ("", *DIRECTORIES):
    for _name in NAMES:
        TREE.setdefault(f"{_directory}/{_name}".lstrip("/"), False)

PARTS = [
    "a",
    "b",
    "ab",
    "A",
    ".",
    "-",
    "1",
    "#",
    "!",
    "*",
    "?",
    "**",
    "**",
    "/",
    "/",
    "/",
    " ",
    r"\a",
    r"\*",
    r"\!",
    r"\#",
]
BRACKETS = ["[ab]", "[!a]", "[^b]", "[a-b]", "[]]", "[]-]", "[a-]", "[b-a]", "[!]a]", "[.-1]", r"[\]]", r"[\-a]"]
CLASSES = ["[[:alpha:]]", "[[:upper:]1]", "[![:alnum:]]", "[[:punct:]]"]
lines = st.lists(st.sampled_from([*PARTS, *BRACKETS, *CLASSES]), min_size=1, max_size=5).map("".join)


class Git:
    """A repository that holds `TREE`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._run("init", "--quiet")
        for path, directory in TREE.items():
            if directory:
                (root / path).mkdir(parents=True, exist_ok=True)
        for path, directory in TREE.items():
            if not directory:
                (root / path).touch()

    def left_out(self, patterns: list[str]) -> set[str]:
        """Ask git what the patterns of an exclude file leave out."""
        (self._root / ".git" / "info").mkdir(exist_ok=True)
        (self._root / ".git" / "info" / "exclude").write_text("\n".join(patterns) + "\n")
        told = self._run("check-ignore", "--no-index", "--stdin", "-z", "-v", "-n", given="\0".join(TREE)).split("\0")
        answers = zip(told[2::4], told[3::4], strict=True)
        return {path for pattern, path in answers if pattern and not pattern.startswith("!")}

    def _run(self, *arguments: str, given: str = "") -> str:
        command = ["git", "-C", str(self._root), "-c", "core.excludesFile=/dev/null", *arguments]
        return subprocess.run(command, input=given, capture_output=True, encoding="utf-8", check=False).stdout


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("git"))


def left_out(patterns: list[str]) -> set[str]:
    """What a walk leaves out, which asks about every directory before it looks into it."""
    globs = Globs(patterns)
    found: set[str] = set()
    for path in sorted(TREE):
        above = path.rpartition("/")[0]
        if above in found or globs.match(path, directory=TREE[path]) is not None:
            found.add(path)
    return found


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(lines, min_size=1, max_size=3))
@example(patterns=["a/**", "!a/b"])
@example(patterns=["*", "!a", "!a/*.b"])
@example(patterns=["/*", "!/ab/"])
@example(patterns=["a", "!a/b"])
@example(patterns=["**/a/**/b"])
@example(patterns=["a/**/"])
@example(patterns=["**/"])
@example(patterns=["a  ", "\\ "])
@example(patterns=["x\\ y  "])
def test_the_same_is_left_out_as_by_git(git: Git, patterns: list[str]) -> None:
    # what git does with ** inside a component depends on where its memory lies (a comparison of unrelated pointers)
    steps = [step for pattern in patterns for step in pattern.rstrip().removeprefix("!").split("/")]
    assume(not any("**" in step and step != "**" for step in steps))
    try:
        ours = left_out(patterns)
    except BadGlob:
        return  # git drops such a line in silence
    assert ours == git.left_out(patterns)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("!", "names nothing"),
        ("/", "names nothing"),
        ("//", "names nothing"),
        ("a//b", "empty part"),
        ("a\\", "backslash"),
        ("a\\/b", "backslash"),
        ("[", "without its ]"),
        ("[a", "without its ]"),
        ("[!", "without its ]"),
        ("[]", "without its ]"),
        ("[a/b]", "without its ]"),
        ("[\\", "backslash"),
        ("[[:nothing:]]", "unknown class"),
        ("[a-[:digit:]]", "class at the end of a range"),
    ],
)
def test_what_git_would_drop_in_silence_is_refused_with_a_reason(line: str, reason: str) -> None:
    with pytest.raises(BadGlob, match=reason):
        parse(line)


@pytest.mark.parametrize("line", ["", "   ", "#", "# a", "#["])
def test_blank_lines_and_comments_are_no_patterns(line: str) -> None:
    assert parse(line) is None


def test_a_question_mark_is_one_character_however_many_bytes_it_has() -> None:
    assert Globs(["?"]).match("é", directory=False) == "?"
    assert Globs(["?.bin"]).match("\udcff.bin", directory=False) == "?.bin"


def test_line_breaks_in_names_are_characters_like_others() -> None:
    globs = Globs(["*.log", "/b/**"])
    assert globs.match("a\nb.log", directory=False) == "*.log"
    assert globs.match("a.log\n", directory=False) is None
    assert globs.match("b/\n", directory=False) == "/b/**"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("*a" * 500 + "*b", "a" * 255),
        ("*?" * 500 + "*b", "a" * 255),
        ("[!b]*" * 200 + "b", "a" * 255),
        ("*" + "a" * 120 + "*b", "a" * 255),
        ("/" + "**/a/" * 200 + "b", "/".join("a" * 1000)),
        ("/" + "**/*a*a/" * 120 + "b", "/".join(["a" * 40] * 100)),
    ],
    ids=["stars", "question marks", "brackets", "a long chunk", "double stars", "both"],
)
@pytest.mark.timeout(20)  # where each star is tried at every place, this takes longer than the universe has
def test_no_pattern_keeps_the_interpreter_busy(line: str, path: str) -> None:
    assert Globs([line]).match(path, directory=False) is None
