"""Every reader of a format gives back what went in: names, bytes, times and modes, empty directories and stored links.

What a reader cannot give, its attributes say (``tests.readers``). Two things are peculiar: bsdtar composes decomposed
names, so its names are compared in NFC; unzip cuts a last ``;`` and number off, see below.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pannier.archive.entries import Entry, Kind
from pannier.archive.formats import TAR, ZIP, Format
from pannier.archive.layout import render
from pannier.archive.zip import ZipLayout
from tests.archive.things import HONEST, HOSTILE, LINKS, NOW, Thing, check, crowd, link, write
from tests.readers import READERS, TAR_READERS, Reader

DOS_FIRST, DOS_LAST = 315_532_800, 4_354_819_198

every_reader = pytest.mark.parametrize(
    ("made", "reader"),
    [(ZIP, reader) for reader in READERS] + [(TAR, reader) for reader in TAR_READERS],
    ids=lambda value: value.name,
)
every_zip_reader = pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)


@every_reader
@pytest.mark.parametrize("things", [HONEST, HOSTILE, LINKS], ids=["honest", "hostile", "links"])
def test_what_goes_in_comes_out(things: list[Thing], made: Format, reader: Reader, tmp_path: Path) -> None:
    check(reader, things, made, tmp_path)


@every_reader
def test_times_come_back_to_the_second(made: Format, reader: Reader, tmp_path: Path) -> None:
    """From the epoch, before DOS times begin, to the end of 32 signed bits."""
    times = [0, 1, 315_532_799, 315_532_800, 951_782_399, NOW, 1_711_846_801, 1_730_001_599, (1 << 31) - 1]
    check(reader, [Thing(f"at {mtime}", mtime=mtime) for mtime in times], made, tmp_path)


@every_zip_reader
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
    write(things, ZIP, tmp_path)
    found = reader.read(tmp_path / "selection.zip", tmp_path / "into")
    if found["at -1"].mtime is None:
        return  # it gives no times, or none but those of the field
    assert {mtime: found[f"at {mtime}"].mtime for mtime in times} == times
    last = found[f"at {1 << 40}"].mtime
    assert last is not None
    assert abs(last - DOS_LAST) <= 86_400, "unzip counts 2100 as a leap year"


@every_reader
def test_modes_come_back(made: Format, reader: Reader, tmp_path: Path) -> None:
    check(reader, [Thing(f"{mode:03o}", mode=mode) for mode in range(0o400, 0o1000, 3)], made, tmp_path)


@every_reader
def test_an_archive_of_nothing_but_empty_things_is_read(made: Format, reader: Reader, tmp_path: Path) -> None:
    check(reader, [Thing("a/", mode=0o755), Thing("b/c/", mode=0o755), Thing("d", b"")], made, tmp_path)


@every_reader
def test_archives_inside_an_archive_stay_closed(made: Format, reader: Reader, tmp_path: Path) -> None:
    """A reader of streams that looked for signatures would find them in a stored archive's content."""
    inner = ZipLayout([Entry(b"n", b"n", Kind.FILE, 0, 0, 0o644, b"", b"n")], None)
    nested = render(inner, lambda *_: b"", lambda _: 0)
    check(
        reader,
        [Thing("one.zip", nested), Thing("two.zip", nested * 3), Thing("PK\x03\x04", b"PK\x07\x08" * 9), Thing("z")],
        made,
        tmp_path,
    )


@every_reader
def test_a_crowd_of_names_comes_out(made: Format, reader: Reader, tmp_path: Path) -> None:
    check(reader, crowd(), made, tmp_path)


# ---------------------------------------------------------------- what only one reader does


@every_zip_reader
def test_unzip_takes_a_last_semicolon_for_a_version_of_vms(reader: Reader, tmp_path: Path) -> None:
    """Unless it is given ``-V``. The name stands in the archive as it is: the others give it back."""
    if reader.name != "unzip":
        check(reader, [Thing("draft;2"), Thing("note;"), Thing("a;b")], ZIP, tmp_path)
        return
    with pytest.raises(AssertionError, match="draft"):
        check(reader, [Thing("draft;2"), Thing("a;b")], ZIP, tmp_path)


def test_7_zip_ignores_a_link_that_climbs_unless_told_otherwise(tmp_path: Path) -> None:
    """Even inside the tree; an empty file is left in its place. (``READERS`` has it told otherwise.)"""
    write([link("dir/up", b"../target.txt"), Thing("target.txt")], ZIP, tmp_path)
    done = subprocess.run(
        ["7z", "x", f"-o{tmp_path / 'into'}", tmp_path / "selection.zip"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"Dangerous link path was ignored : dir/up" in done.stderr + done.stdout
    assert (tmp_path / "into" / "dir" / "up").read_bytes() == b""
