"""What people have, and want back from any archive: names, bytes, times and modes of any kind."""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pannier.archive.entries import Entry, Kind
from pannier.archive.formats import Format
from pannier.archive.layout import render
from pannier.archive.names import entry_names
from tests.readers import Member, Reader

NOW = 1_700_000_001
"""Odd: a reader that looked at the DOS time alone would be a second off."""


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


def entries_of(things: Sequence[Thing]) -> list[Entry]:
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


def expected(reader: Reader, things: Sequence[Thing]) -> dict[str, Member]:
    """What this reader should give, by the promises that it states itself."""
    found = {}
    for thing, entry in zip(things, entries_of(things), strict=True):
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
        found[name] = member
    return as_named_by(reader, found)


def as_named_by(reader: Reader, members: dict[str, Member]) -> dict[str, Member]:
    if not reader.nfc_names:
        return members
    composed = {unicodedata.normalize("NFC", name): member for name, member in members.items()}
    assert len(composed) == len(members)
    return composed


def write(things: Sequence[Thing], made: Format, folder: Path) -> Path:
    """Write an archive of ``things``, and make an empty directory beside it."""
    entries = entries_of(things)
    layout = made.layout(entries, None)
    contents = {entry.name: thing.data for thing, entry in zip(things, entries, strict=True)}
    archive = folder / f"selection{made.extension}"
    archive.write_bytes(
        render(
            layout,
            lambda number, window: contents[layout.entries[number].name][window.start : window.stop],
            lambda number: zlib.crc32(contents[layout.entries[number].name]),
        )
    )
    (folder / "into").mkdir()
    return archive


def check(reader: Reader, things: Sequence[Thing], made: Format, folder: Path) -> None:
    """Write ``things``, and compare what a reader finds with what it says that it can give."""
    found = as_named_by(reader, reader.read(write(things, made, folder), folder / "into"))
    wanted = expected(reader, things)
    assert found == wanted, (
        f"given or wanted, but not both: {sorted(set(found.items()) ^ set(wanted.items()), key=repr)}"
    )


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


def link(path: str, target: bytes) -> Thing:
    return Thing(path, mode=0o777, target=target)


LINKS = [
    Thing("target.txt", b"behind the links"),
    Thing("dir/inner.txt"),
    link("to file", b"target.txt"),
    link("to directory", b"dir"),
    link("dir/up", b"../target.txt"),
    link("dir/한글 링크", "../대상.txt".encode()),
    link("to nothing", b"not there"),
    link("to bytes", b"caf\xe9"),
    link("to itself", b"to itself"),
]


# ---------------------------------------------------------------- a crowd of names


_VMS_VERSION = re.compile(rb";[0-9]*$")


def crowd() -> list[Thing]:
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
        found.setdefault(unicodedata.normalize("NFC", entries_of([thing])[0].name.decode()), thing)
    return list(found.values())
