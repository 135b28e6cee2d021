"""Every reader gives back what went in: names, bytes, times and modes, empty directories and stored links.

What a reader cannot give, its attributes say (``tests.readers``). Two things are peculiar: bsdtar composes decomposed
names, so its names are compared in NFC; unzip cuts a last ``;`` and number off, see below.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pannier.archive.entries import Entry, Kind
from pannier.archive.layout import render
from pannier.archive.names import entry_names
from pannier.archive.zip import ZipLayout
from tests.readers import READERS, Member, Reader

NOW = 1_700_000_001
"""Odd: a reader that looked at the DOS time alone would be a second off."""

DOS_FIRST, DOS_LAST = 315_532_800, 4_354_819_198

every_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@dataclass(frozen=True)
class Thing:
    """What somebody has, and wants back. A path that ends in ``/`` is an empty directory."""

    path: str | bytes
    content: bytes = b"x\n"
    mtime: int = NOW
    mode: int = 0o644
    target: bytes = b""
    """Not empty: a stored link."""

    @property
    def kind(self) -> Kind:
        if self.raw_path.endswith(b"/"):
            return Kind.DIRECTORY
        return Kind.LINK if self.target else Kind.FILE

    @property
    def raw_path(self) -> bytes:
        return self.path.encode() if isinstance(self.path, str) else self.path

    @property
    def data(self) -> bytes:
        return b"" if self.kind is Kind.DIRECTORY else self.target or self.content


def _entries(things: Sequence[Thing]) -> list[Entry]:
    paths = [thing.raw_path.rstrip(b"/") for thing in things]
    names = entry_names(paths)
    entries = []
    for number, (thing, path) in enumerate(zip(things, paths, strict=True)):
        name = names[number][0] if number in names else path
        entries.append(
            Entry(
                path,
                name + b"/" if thing.kind is Kind.DIRECTORY else name,
                thing.kind,
                len(thing.data),
                thing.mtime * 1_000_000_000 + 999_999_999,
                thing.mode,
                b"",
                path,
                thing.target,
            )
        )
    return entries


def _expected(reader: Reader, things: Sequence[Thing]) -> dict[str, Member]:
    """What this reader should give, by the promises that it states itself."""
    expected = {}
    for thing, entry in zip(things, _entries(things), strict=True):
        name = entry.name.decode().removesuffix("/")
        mtime = thing.mtime if reader.gives_times else None
        mode = thing.mode & reader.mode_bits if reader.gives_modes else None
        sha256 = hashlib.sha256(thing.data).hexdigest()
        match thing.kind:
            case Kind.DIRECTORY:
                member = Member("dir", 0, None, mtime, mode)
            case Kind.LINK if reader.gives_modes:
                member = Member("link", len(thing.data), sha256, None, mode)
            case _:
                member = Member("file", len(thing.data), sha256, mtime, mode)
        expected[name] = member
    return _as_named_by(reader, expected)


def _as_named_by(reader: Reader, members: dict[str, Member]) -> dict[str, Member]:
    if not reader.nfc_names:
        return members
    composed = {unicodedata.normalize("NFC", name): member for name, member in members.items()}
    assert len(composed) == len(members)
    return composed


def _write(things: Sequence[Thing], folder: Path) -> None:
    """Write an archive of ``things``, and make an empty directory beside it."""
    layout = ZipLayout(_entries(things), None)
    contents = {entry.name: thing.data for thing, entry in zip(things, _entries(things), strict=True)}
    (folder / "selection.zip").write_bytes(
        render(
            layout,
            lambda number, window: contents[layout.entries[number].name][window.start : window.stop],
            lambda number: zlib.crc32(contents[layout.entries[number].name]),
        )
    )
    (folder / "into").mkdir()


def _check(reader: Reader, things: Sequence[Thing], folder: Path) -> None:
    _write(things, folder)
    found = reader.read(folder / "selection.zip", folder / "into")
    assert _as_named_by(reader, found) == _expected(reader, things)


# ---------------------------------------------------------------- what people have

HONEST = [
    Thing("readme.txt", b"what a person put there\n" * 40),
    Thing("empty"),
    Thing("empty.bin", b""),
    Thing("run.sh", b"#!/bin/sh\n", mode=0o755),
    Thing("mine alone", mode=0o600),
    Thing("read only", mode=0o444),
    Thing("all may", mode=0o777),
    Thing("nothing in here/", mode=0o750),
    Thing("deep/nothing in here/", mode=0o755),
    Thing("한국어/보고서 최종.hwp", "안녕하세요".encode()),
    Thing("日本語/写真 001.jpg", bytes(range(256)) * 300),
    Thing("ελληνικά/Ωmega.txt"),
    Thing("العربية/ملف.txt"),
    Thing("עברית/קובץ.txt"),
    Thing("русский/Ёж.txt"),
    Thing("ไทย/ไฟล์.txt"),
    Thing("📦/🚲 tour 👩‍👩‍👧.gpx"),
    Thing(unicodedata.normalize("NFC", "café/naïve.txt"), b"composed"),
    Thing(unicodedata.normalize("NFD", "mac/crème brûlée.txt"), b"decomposed"),
    Thing("é" * 127 + "x", b"a component of 255 bytes"),
    Thing("x" * 251 + ".txt"),
    Thing("/".join(f"level {depth:02}" for depth in range(99)) + "/leaf", b"deep"),
    Thing("/".join("d" * 200 for _ in range(17)) + "/leaf", b"3,400 bytes of path"),
]

HOSTILE = [
    Thing(" leading and trailing "),
    Thing("trailing dot."),
    Thing("trailing dot ./child."),
    Thing("..."),
    Thing("..x/..y"),
    Thing(".hidden"),
    Thing("-rf"),
    Thing("--help/-x"),
    Thing("@list"),
    Thing("~"),
    Thing("~root/x"),
    Thing("$HOME `id` $(id) ; & | <x> #"),
    Thing("quo'te\"d"),
    Thing("100%"),
    Thing("%41%2F..%2F"),
    Thing("%s%n%d"),
    Thing("ab:c"),
    Thing("d/C:x"),
    Thing("stream.txt:hidden:$DATA"),
    Thing("a[1]*?{x,y}.txt"),
    Thing("CON"),
    Thing("nul.txt"),
    Thing("\u202egpj.exe"),
    Thing("zero\u200bwidth"),
    Thing("\ufeffbom"),
    Thing("\U0010ffff\ue000"),
    Thing("case"),
    Thing("CASE"),
    Thing("Case/x"),
    Thing("a-b"),
    Thing("a/b"),
    Thing("a.b"),
    # not kept as they are, but by no reader given twice or elsewhere
    Thing("a\\b"),
    Thing("a_b"),
    Thing("..\\..\\climbs"),
    Thing("C:drive"),
    Thing("C_drive"),
    Thing("c:/x"),
    Thing("bell\a and \x1b[31mred"),
    Thing("two\nlines"),
    Thing(b"caf\xe9.txt"),
    Thing(b"caf%E9.txt"),
    Thing(b"\xff" * 255),
    Thing("가".encode("euc-kr") * 120 + b".hwp"),
    Thing(b"\xc0\xae\xc0\xae/climbs"),
    Thing(b"d\\1/f\\2"),
    Thing(b"d\\2/", mode=0o755),
]


def _link(path: str, target: bytes) -> Thing:
    return Thing(path, mode=0o777, target=target)


LINKS = [
    Thing("target.txt", b"behind the links"),
    Thing("dir/inner.txt"),
    _link("to file", b"target.txt"),
    _link("to directory", b"dir"),
    _link("dir/up", b"../target.txt"),
    _link("dir/한글 링크", "../대상.txt".encode()),
    _link("to nothing", b"not there"),
    _link("to bytes", b"caf\xe9"),
    _link("to itself", b"to itself"),
]


@every_reader
@pytest.mark.parametrize("things", [HONEST, HOSTILE, LINKS], ids=["honest", "hostile", "links"])
def test_what_goes_in_comes_out(things: list[Thing], reader: Reader, tmp_path: Path) -> None:
    _check(reader, things, tmp_path)


@every_reader
def test_times_come_back_to_the_second(reader: Reader, tmp_path: Path) -> None:
    """From the epoch, before DOS times begin, to the end of 32 signed bits."""
    times = [0, 1, 315_532_799, 315_532_800, 951_782_399, NOW, 1_711_846_801, 1_730_001_599, (1 << 31) - 1]
    _check(reader, [Thing(f"at {mtime}", mtime=mtime) for mtime in times], tmp_path)


@every_reader
def test_times_that_32_bits_do_not_hold_come_back_as_far_as_dos_times_reach(reader: Reader, tmp_path: Path) -> None:
    """To two seconds, from 1980 to 2107; without the field that some readers take for signed and others do not."""
    times = {
        -(1 << 40): DOS_FIRST,
        -1: DOS_FIRST,
        1 << 31: 1 << 31,
        (1 << 31) + 1: 1 << 31,
        4_000_000_000: 4_000_000_000,
    }
    things = [Thing(f"at {mtime}", mtime=mtime) for mtime in (*times, 1 << 40)]
    _write(things, tmp_path)
    found = reader.read(tmp_path / "selection.zip", tmp_path / "into")
    if found["at -1"].mtime is None:
        return  # it gives no times, or none but those of the field
    assert {mtime: found[f"at {mtime}"].mtime for mtime in times} == times
    last = found[f"at {1 << 40}"].mtime
    assert last is not None
    assert abs(last - DOS_LAST) <= 86_400, "unzip counts 2100 as a leap year"


@every_reader
def test_modes_come_back(reader: Reader, tmp_path: Path) -> None:
    _check(reader, [Thing(f"{mode:03o}", mode=mode) for mode in range(0o400, 0o1000, 3)], tmp_path)


@every_reader
def test_an_archive_of_nothing_but_empty_things_is_read(reader: Reader, tmp_path: Path) -> None:
    _check(reader, [Thing("a/", mode=0o755), Thing("b/c/", mode=0o755), Thing("d", b"")], tmp_path)


@every_reader
def test_archives_inside_an_archive_stay_closed(reader: Reader, tmp_path: Path) -> None:
    """A reader of streams that looked for signatures would find them in a stored archive's content."""
    inner = ZipLayout([Entry(b"n", b"n", Kind.FILE, 0, 0, 0o644, b"", b"n")], None)
    nested = render(inner, lambda *_: b"", lambda _: 0)
    _check(
        reader,
        [Thing("one.zip", nested), Thing("two.zip", nested * 3), Thing("PK\x03\x04", b"PK\x07\x08" * 9), Thing("z")],
        tmp_path,
    )


# ---------------------------------------------------------------- a crowd of names


_VMS_VERSION = re.compile(rb";[0-9]*$")


def _crowd() -> list[Thing]:
    """Names of characters from all of Unicode and of any bytes, the same ones in every run."""
    chance = random.Random(2_718)
    blocks = [(0x20, 0x7F), (0xA1, 0x250), (0x370, 0x600), (0x900, 0x1000), (0x3041, 0x3100), (0x4E00, 0x9FFF)]
    blocks += [(0xAC00, 0xD7A4), (0xF900, 0xFA00), (0x1F300, 0x1F600), (0x20000, 0x2A000)]
    found: dict[str, Thing] = {}  # by what is one name to a Mac
    while len(found) < 400:
        block = chance.choice(blocks)
        text = "".join(chr(chance.randrange(*block)) for _ in range(chance.randint(1, 40))).replace("/", "-")
        raw = text.encode() if chance.random() < 0.8 else chance.randbytes(chance.randint(1, 30))
        raw = raw.replace(b"/", b"-").replace(b"\0", b"-")[:255]
        folder = f"{len(found) % 20}/".encode()
        if raw in (b".", b"..") or _VMS_VERSION.search(raw):
            continue
        thing = Thing(folder + raw, chance.randbytes(chance.randint(0, 200)), mtime=chance.randint(315_532_800, NOW))
        found.setdefault(unicodedata.normalize("NFC", _entries([thing])[0].name.decode()), thing)
    return list(found.values())


@every_reader
def test_a_crowd_of_names_comes_out(reader: Reader, tmp_path: Path) -> None:
    _check(reader, _crowd(), tmp_path)


# ---------------------------------------------------------------- what only one reader does


@every_reader
def test_unzip_takes_a_last_semicolon_for_a_version_of_vms(reader: Reader, tmp_path: Path) -> None:
    """Unless it is given ``-V``. The name stands in the archive as it is: the others give it back."""
    if reader.name != "unzip":
        _check(reader, [Thing("draft;2"), Thing("note;"), Thing("a;b")], tmp_path)
        return
    with pytest.raises(AssertionError, match="draft"):
        _check(reader, [Thing("draft;2"), Thing("a;b")], tmp_path)


def test_7_zip_ignores_a_link_that_climbs_unless_told_otherwise(tmp_path: Path) -> None:
    """Even inside the tree; an empty file is left in its place. (``READERS`` has it told otherwise.)"""
    _write([_link("dir/up", b"../target.txt"), Thing("target.txt")], tmp_path)
    done = subprocess.run(
        ["7z", "x", f"-o{tmp_path / 'into'}", tmp_path / "selection.zip"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"Dangerous link path was ignored : dir/up" in done.stderr + done.stdout
    assert (tmp_path / "into" / "dir" / "up").read_bytes() == b""
