r"""Patterns as in ``.gitignore`` (gitignore(5)), held against one path at a time. Values only.

Our own, because a pattern comes from outside and is held against millions of names: what libraries compile it to
(tried: pathspec) backtracks, and a dozen ``*`` in one pattern would stop the whole process.

A walk asks about every directory before it looks into it, so a pattern only ever has to match the path itself: ``a/**``
leaves the directory ``a`` alone, and ``!a/keep`` can bring back what lies in it.

No pattern can keep the interpreter busy: each ``*`` takes the first place where what follows it fits, and never comes
back to try another (that is enough: what fits further on fits after the first place too), and so does each ``**``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r" \t",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_WITHOUT_LAST_SPACES = re.compile(r"(?:\\.|[^\\ ]| (?! *\Z))*", re.DOTALL)
_ANYTHING = re.compile(".*", re.DOTALL)


class BadGlob(ValueError):
    """A text is no pattern; says why."""


@dataclass(frozen=True, slots=True)
class Glob:
    """One pattern. ``parts`` match one component each; None is ``**``, any number of them."""

    text: str
    negated: bool
    directories_only: bool
    parts: tuple[re.Pattern[str] | None, ...]

    def matches(self, components: Sequence[str], *, directory: bool) -> bool:
        if self.directories_only and not directory:
            return False
        parts, stars = self.parts, -1
        at = part = resume = 0
        while at < len(components):
            here = parts[part] if part < len(parts) else _END
            if here is None:
                stars, resume = part, at
                part += 1
            elif here.fullmatch(components[at]):
                part += 1
                at += 1
            elif stars >= 0:
                part = stars + 1
                resume += 1
                at = resume
            else:
                return False
        return part == len(parts)


_END = re.compile("(?!)")


class Globs:
    """Patterns in order; of those that match a path, the last one decides."""

    def __init__(self, lines: Sequence[str]) -> None:
        """Read lines.

        Raises:
            BadGlob: A line is no pattern.
        """
        self._last_first = [glob for line in reversed(lines) if (glob := parse(line)) is not None]

    def match(self, path: str, *, directory: bool) -> str | None:
        """Return the pattern that leaves ``path`` out, or None. What is above the path was asked about before."""
        components = path.split("/")
        for glob in self._last_first:
            if glob.matches(components, directory=directory):
                return None if glob.negated else glob.text
        return None


def parse(line: str) -> Glob | None:
    """Read a line; None for a blank one and a comment.

    Raises:
        BadGlob: It is no pattern.
    """
    found = _WITHOUT_LAST_SPACES.match(line)
    text = found[0] if found else ""
    if line[len(text) :].startswith("\\"):
        raise BadGlob(f"{line!a} ends with a backslash, which has nothing to stand before")
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    bare = text[negated:]
    directories_only = bare.endswith("/")
    bare = bare[: len(bare) - directories_only]
    if not bare.strip("/"):
        raise BadGlob(f"{line!a} names nothing")
    anchored = "/" in bare
    steps = bare.removeprefix("/").split("/")
    if "" in steps:
        raise BadGlob(f"{line!a} has an empty part between two slashes")
    parts: list[re.Pattern[str] | None] = [] if anchored else [None]
    for number, step in enumerate(steps):
        if step == "**" and anchored:
            parts.append(None)
            if number == len(steps) - 1:  # at the end it stands for what is inside, not for the directory itself
                parts.append(_ANYTHING)
        else:
            parts.append(re.compile(_component(step), re.DOTALL))
    return Glob(line, negated, directories_only, tuple(parts))


def _component(step: str) -> str:
    """Return the regular expression of a component."""
    chunks = [""]
    for atom in _atoms(step):
        if atom == "*":
            chunks.append("")
        else:
            chunks[-1] += atom
    first, *others = chunks
    if not others:
        return first
    *inner, last = others
    return first + "".join(f"(?>.*?{chunk})" for chunk in inner if chunk) + f".*{last}"


def _atoms(step: str) -> Iterator[str]:
    """The expressions of single characters, and ``*`` as itself."""
    at = 0
    while at < len(step):
        character = step[at]
        at += 1
        if character == "*":
            yield "*"
        elif character == "?":
            yield "."
        elif character == "[":
            expression, at = _bracket(step, at)
            yield expression
        elif character == "\\":
            if at == len(step):
                raise BadGlob(f"{step!a} ends with a backslash, which has nothing to stand before")
            yield re.escape(step[at])
            at += 1
        else:
            yield re.escape(character)


def _bracket(step: str, at: int) -> tuple[str, int]:
    """Read ``[…]`` after its first character; return its expression and where it ends."""
    negated = step[at : at + 1] in ("!", "^")
    at += negated
    members = ""
    first = True
    while True:
        low, at = _member(step, at)
        if low == "]" and step[at - 2] != "\\" and not first:
            break
        first = False
        if len(low) > 1:
            members += _CLASSES[low]
        elif step[at : at + 1] == "-" and step[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(step, at + 1)
            if len(high) > 1:
                raise BadGlob(f"{step!a} has a class at the end of a range")
            members += f"{re.escape(low)}-{re.escape(high)}" if low <= high else re.escape(low)
        else:
            members += re.escape(low)
    if not members:
        return ("." if negated else "(?!)"), at
    return f"[{'^' if negated else ''}{members}]", at


def _member(step: str, at: int) -> tuple[str, int]:
    """Read a character, escaped or not, or the name of a class; return it and what comes after."""
    if step.startswith("[:", at) and (end := step.find(":]", at + 2)) >= 0:
        name = step[at + 2 : end]
        if name not in _CLASSES:
            raise BadGlob(f"{step!a} has an unknown class {name!a}")
        return name, end + 2
    at += step[at : at + 1] == "\\"
    if at >= len(step):
        raise BadGlob(f"{step!a} has a [ without its ]")
    return step[at], at + 1
