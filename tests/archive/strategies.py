"""What hypothesis draws for the archive tests, and the settings they share."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import Layout, render
from pannier.archive.names import entry_names
from pannier.window import Window
from tests.examples import examples

PURE = settings()
"""As many examples as the run asks for (``tests/conftest.py``)."""
FEWER = settings(PURE, max_examples=examples(40), suppress_health_check=[HealthCheck.data_too_large])

GIB = 1 << 30
LATE_ABOVE = 8 * GIB

# ---------------------------------------------------------------- names

_BITS = [b"a", b"A", b"_", b"\\", b"\x01", b"\x7f", b":", b"C", b".", b" ", b"(2)", b"%80", b"\x80", b"\xff", b".txt"]
_BITS += ["é".encode(), "e\u0301".encode(), "\u0085".encode(), "한".encode(), "🚲".encode()]

tricky_components = (
    st.lists(st.sampled_from(_BITS), min_size=1, max_size=5)
    .map(b"".join)
    .filter(lambda bits: bits not in (b".", b".."))
)
"""Few bits, so that names often come to clash after they were renamed."""
long_components = st.builds(
    lambda bit, end: bit * ((255 - len(end)) // len(bit)) + end, st.sampled_from(_BITS), tricky_components
)
byte_components = st.binary(min_size=1, max_size=12)
text_components = st.text(min_size=1, max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass"))
components = (tricky_components | long_components | byte_components | text_components).filter(
    lambda component: component not in (b".", b"..") and not {0, 0x2F} & set(component)
)


def _without_what_is_below_a_leaf(paths: list[tuple[bytes, ...]]) -> list[bytes]:
    leaves = set(paths)
    return [b"/".join(path) for path in paths if not any(path[:i] in leaves for i in range(1, len(path)))]


trees = st.lists(st.lists(components, min_size=1, max_size=4).map(tuple), max_size=14, unique=True).map(
    _without_what_is_below_a_leaf
)
"""The paths of the leaves of a tree: distinct, normalised, none below another."""

tricky_trees = st.lists(st.lists(tricky_components, min_size=1, max_size=3).map(tuple), max_size=14, unique=True).map(
    _without_what_is_below_a_leaf
)

# ---------------------------------------------------------------- entries

_SECONDS = [
    0,
    1,
    315_532_799,
    315_532_800,
    4_354_819_198,
    4_354_819_199,
    (1 << 31) - 1,
    1 << 31,
    -(1 << 31),
    -(1 << 31) - 1,
]
times = st.builds(
    lambda seconds, rest: seconds * 1_000_000_000 + rest,
    st.sampled_from(_SECONDS) | st.integers(-(10**11), 10**11),
    st.integers(0, 999_999_999),
)
"""Nanoseconds since the epoch, also of years that no 64-bit number of nanoseconds reaches."""
modes = st.integers(0, 0o777)
identities = st.binary(max_size=40)

EDGES = [0, 1, 0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000, LATE_ABOVE, LATE_ABOVE + 1, 1 << 44]
huge_sizes = st.sampled_from(EDGES) | st.integers(0, 1 << 44)


@dataclass(frozen=True)
class Sample:
    """Entries, and what is in them."""

    entries: Sequence[Entry]
    contents: dict[bytes, bytes]
    """By name; files only."""

    def render(self, layout: Layout, window: Window | None = None) -> bytes:
        return render(
            layout,
            lambda number, run: self.contents[layout.entries[number].name][run.start : run.stop],
            lambda number: zlib.crc32(self.contents[layout.entries[number].name]),
            window,
        )


@st.composite
def samples(draw: st.DrawFn, paths: st.SearchStrategy[list[bytes]] = trees) -> Sample:
    """A small archive of anything: files, empty directories, stored links."""
    drawn = draw(paths)
    names = entry_names(drawn)
    entries: list[Entry] = []
    contents: dict[bytes, bytes] = {}
    for number, path in enumerate(drawn):
        name = names[number][0] if number in names else path
        kind = draw(st.sampled_from([Kind.FILE, Kind.FILE, Kind.FILE, Kind.DIRECTORY, Kind.LINK]))
        content = b"" if kind is Kind.DIRECTORY else draw(st.binary(min_size=kind is Kind.LINK, max_size=50))
        if kind is Kind.LINK:
            content = content.replace(b"\0", b"/")  # no system has a link with a NUL in it
        entry = Entry(
            path=path,
            name=name + b"/" if kind is Kind.DIRECTORY else name,
            kind=kind,
            size=len(content),
            mtime_ns=draw(times),
            mode=draw(modes),
            identity=draw(identities),
            source=path,
            target=content if kind is Kind.LINK else b"",
        )
        entries.append(entry)
        if kind is Kind.FILE:
            contents[entry.name] = content
    return Sample(entries, contents)


@dataclass(frozen=True)
class Vast:
    """Entries of any size, whose content nobody could hold: zeros, said to have a checksum that tells them apart."""

    entries: Sequence[Entry]

    @staticmethod
    def crc(entry: Entry) -> int:
        return zlib.crc32(entry.name) if entry.size else 0

    def render(self, layout: Layout, window: Window) -> bytes:
        assert window.length < 1 << 20
        return render(
            layout,
            lambda number, run: bytes(run.length),
            lambda number: self.crc(layout.entries[number]),
            window,
        )


def sized(number: int, size: int, *, mtime_ns: int = 0) -> Entry:
    """A file with a name made of its number."""
    name = b"%06d" % number
    return Entry(name, name, Kind.FILE, size, mtime_ns, 0o644, name, name)


vasts = st.lists(st.tuples(huge_sizes, times), max_size=12).map(
    lambda drawn: Vast([sized(number, size, mtime_ns=mtime) for number, (size, mtime) in enumerate(drawn)])
)

lates = st.sampled_from([None, 0xFFFF_FFFE, 0xFFFF_FFFF, LATE_ABOVE])


def windows(length: int) -> st.SearchStrategy[Window]:
    """Windows inside ``length`` bytes, empty ones too."""
    ends = st.integers(0, length)
    return st.tuples(ends, ends).map(lambda pair: Window(min(pair), max(pair)))
