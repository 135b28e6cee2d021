"""Runs of small files: all of them, in order, whoever reads them; and what helpers are asked for, and given back."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pannier.archive.formats import FORMATS
from pannier.archive.plan import Shape
from pannier.dto.selections import Selection
from pannier.errors import SourceChanged
from pannier.services.orders import Order, PlanSettings
from pannier.services.planning import Plans
from pannier.streams.hashing import SMALL, Place
from pannier.streams.helpers import Helpers
from pannier.streams.helping import SLOTS
from pannier.streams.runs import _ASKED, Contents, Runs
from pannier.streams.workers import Workers
from pannier.volumes.posix import SingleFolderVolume
from tests.streams.bench import FOLDER
from tests.streams.helping import helping

PIECE = 1024 * 1024
FILES = {f"{number:04}": os.urandom(1_000 + 17 * (number % 300)) for number in range(1_600)}


@contextmanager
def runs(folder: Path, shape: Shape, helpers: Helpers) -> Iterator[Runs]:
    with (
        closing(SingleFolderVolume("v", folder, FOLDER)) as volume,
        closing(volume.folder(FOLDER).whole_reader()) as whole,
        closing(Runs(shape, helpers, whole)) as made,
    ):
        yield made


async def planted(folder: Path, files: dict[str, bytes] = FILES) -> Shape:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    workers = Workers("walk", 1)
    with closing(SingleFolderVolume("v", folder, FOLDER)) as volume:
        plans = Plans(PlanSettings(), workers)
        order = Order(Place(volume, FOLDER), Selection(files=(".",)))
        shape = await plans.shape(order, await plans.plan(order), FORMATS["zip"])
        await plans.close()
    await workers.close()
    return shape


def taken(made: Runs, shape: Shape, piece: int, *, ahead: bool) -> tuple[list[range], list[bytes]]:
    """Take all runs, a piece after the other, and return which files they were, and what they held."""
    numbers: list[range] = []
    contents: list[bytes] = []
    made.begin(range(len(shape.layout.entries)))
    ended = False
    while not ended:
        made.expect(piece, ahead=ahead)
        left = piece
        while left > 0:
            if (run := made.take(left)) is None:
                ended = True
                break
            numbers.append(run[0])
            contents += [bytes(content) for content in run[1].contents]
            left -= sum(shape.layout.entries.sizes[run[0].start : run[0].stop])
        made.release()
    return numbers, contents


def asked(helpers: Helpers) -> int:
    return sum(helper.load() for helper in helpers._helpers)


def free(helpers: Helpers) -> int:
    return sum(len(helper._free) for helper in helpers._helpers)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("piece", [4_000, 64 * 1024, PIECE])
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_all_files_come_in_order_whoever_reads_them(tmp_path: Path, number: int, piece: int, ahead: bool) -> None:
    shape = await planted(tmp_path)
    with helping(number) as helpers, runs(tmp_path, shape, helpers) as made:
        numbers, contents = taken(made, shape, piece, ahead=ahead)
        assert [each for run in numbers for each in run] == list(range(len(FILES)))
        for name, content in zip(sorted(FILES), contents, strict=True):
            assert content.endswith(FILES[name])  # what a helper made has the header before it
        assert made.stop == len(FILES)
        assert free(helpers) == number * SLOTS


async def test_runs_end_before_a_large_file(tmp_path: Path) -> None:
    files = {"a": b"a" * 100, "b": b"b" * SMALL, "c": b"c" * (SMALL + 1), "d": b"d"}
    shape = await planted(tmp_path, files)
    with runs(tmp_path, shape, Helpers(0)) as made:
        made.begin(range(4))
        made.expect(PIECE, ahead=True)
        assert made.take(PIECE) == (range(2), Contents([files["a"], files["b"]], _crcs(files["a"], files["b"])))
        assert made.take(PIECE) is None
        assert made.stop == 2


async def test_helpers_are_asked_for_the_next_piece_where_it_will_follow_at_once(tmp_path: Path) -> None:
    shape = await planted(tmp_path)
    with helping(1) as helpers, runs(tmp_path, shape, helpers) as made:
        made.begin(range(len(FILES)))
        made.expect(300_000, ahead=True)
        first = made.take(300_000)
        assert first is not None
        assert free(helpers) == SLOTS - _ASKED  # one piece has two runs, of which this process reads one
        made.release()
        made.rest()
        second = made.take(300_000)  # and what they were asked for is not lost
        assert second is not None
        assert second[0].start == first[0].stop


async def test_helpers_are_asked_for_no_more_than_a_piece_where_the_client_may_wait(tmp_path: Path) -> None:
    shape = await planted(tmp_path)
    with helping(1) as helpers, runs(tmp_path, shape, helpers) as made:
        made.begin(range(len(FILES)))
        made.expect(600_000, ahead=False)
        left, offset_of = 600_000, shape.layout.entry_offset
        while left > 0:
            run = made.take(left)
            assert run is not None
            left -= offset_of(run[0].stop) - offset_of(run[0].start)
        made.release()
        assert asked(helpers) == 0
        assert free(helpers) == SLOTS


async def test_a_change_in_a_run_that_is_read_ahead_is_told(tmp_path: Path) -> None:
    shape = await planted(tmp_path)
    for number in range(1_000, 1_600):
        (tmp_path / f"{number:04}").write_bytes(b"other")
    with helping(1) as helpers, runs(tmp_path, shape, helpers) as made:
        with pytest.raises(SourceChanged):
            taken(made, shape, PIECE, ahead=True)
        made.close()
        assert asked(helpers) + free(helpers) == SLOTS


def _crcs(*contents: bytes) -> list[int]:
    return [zlib.crc32(content) for content in contents]
