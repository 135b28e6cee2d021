"""A file that is read while it is written: from memory where a piece is next, else from the file."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pannier.coverage import Coverage
from pannier.sdk.following import Following
from pannier.sdk.intake import Exactly, Stopped
from pannier.sdk.parts import Part
from pannier.sdk.remote import Version

CONTENT = random.Random(5).randbytes(1_000_003)
PATIENCE = 60.0


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Part]:
    version = Version('"x"', len(CONTENT), True, "application/zip", "it.zip")
    part = Part(tmp_path / "it.zip", version, None)
    yield part
    part.close()


def pieces(seed: int) -> list[tuple[int, memoryview]]:
    """Cut the content, each piece with where it stands."""
    chance, found, at = random.Random(seed), [], 0
    while at < len(CONTENT):
        size = chance.choice((1, 7, 1000, 65_536, 200_000))
        found.append((at, memoryview(bytearray(CONTENT[at : at + size]))))
        at += size
    return found


def write(part: Part, following: Following, at: int, piece: memoryview) -> None:
    window = part.write(piece, at)
    following.lend(piece, at)
    piece[:] = bytes(len(piece))  # it was only lent
    part.done = part.done.add(window)
    following.advance(part.done)


def read(following: Following, seed: int) -> bytes:
    chance, source, taken = random.Random(seed), Exactly(following), bytearray()
    try:
        while some := (source.some(chance.randint(1, 300_000)) if chance.random() < 0.5 else source.take(3)):
            taken += some
    except EOFError:
        taken += CONTENT[len(taken) :] if len(CONTENT) - len(taken) < 3 else b"cut off"
    finally:
        following.leave()
    return bytes(taken)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_read_is_what_was_written_in_whatever_order(part: Part, seed: int) -> None:
    following, order = Following(part), pieces(seed)
    if seed % 3 == 1:  # several connections: each in order, all of them mixed
        lanes = [order[lane::3] for lane in range(3)]
        random.Random(seed).shuffle(lanes)
        order = [piece for lane in lanes for piece in lane]
    with ThreadPoolExecutor(4) as threads:
        reading = threads.submit(read, following, seed)
        if seed % 3 == 2:  # three write at the same time
            lock = threading.Lock()

            def one(lane: int) -> None:
                for at, piece in order[lane::3]:
                    window = part.write(piece, at)
                    following.lend(piece, at)
                    piece[:] = bytes(len(piece))
                    with lock:
                        part.done = part.done.add(window)
                        following.advance(part.done)

            for done in [threads.submit(one, lane) for lane in range(3)]:
                done.result(PATIENCE)
        else:
            for at, piece in order:
                write(part, following, at, piece)
        following.end()
        assert reading.result(PATIENCE) == CONTENT


def test_what_was_there_before_is_read_from_the_file(part: Part) -> None:
    part.write(memoryview(CONTENT[:500_000]), 0)
    part.done = Coverage().add(part.write(memoryview(CONTENT[:500_000]), 0))
    following = Following(part)
    following.advance(part.done)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read, following, 1)
        write(part, following, 500_000, memoryview(bytearray(CONTENT[500_000:])))
        following.end()
        assert reading.result(PATIENCE) == CONTENT


def test_who_lends_does_not_wait_for_a_reader_that_has_left_or_was_stopped(part: Part) -> None:
    for leave in (Following.leave, Following.stop):
        following = Following(part)
        with ThreadPoolExecutor(1) as threads:
            lending = threads.submit(following.lend, memoryview(b"piece"), 0)
            if leave is Following.leave:
                following.leave()
            else:
                following.stop()
                with pytest.raises(Stopped):
                    following.read(5)
                following.leave()
            lending.result(PATIENCE)
        following.lend(memoryview(b"piece"), 0)
