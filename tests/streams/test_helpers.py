"""Helper processes: what they read is what the server would have read, and without them nothing is missing."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import time
import uuid
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing
from pathlib import Path

import pytest

from pannier.archive.formats import FORMATS
from pannier.archive.plan import Shape
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection
from pannier.errors import SourceChanged
from pannier.services.orders import Order, PlanSettings
from pannier.services.planning import Plans
from pannier.state.checksums import ChecksumMemory
from pannier.streams.ahead import AheadSettings, Background
from pannier.streams.archive import ArchiveReader, Engine
from pannier.streams.encoding import EncodedReader, Encoding
from pannier.streams.hashing import Hashing, Place
from pannier.streams.helpers import Helpers, Ticket, sensible_number
from pannier.streams.helping import PACK, READ, SLOT, SLOTS, request_to_look
from pannier.streams.small import request_of
from pannier.streams.workers import Workers
from pannier.volumes.posix import SingleFolderVolume
from pannier.window import Window
from tests.streams.helping import helping, processes, wait_for
from tests.volumes.process import no_descriptor_kept

FOLDER = FolderId(None, uuid.UUID(int=7))
CHANCE = random.Random(11)
FILES = {
    f"part-{number // 100}/파일 {number:04}.txt": CHANCE.randbytes(CHANCE.randrange(1, 2_000)) + b"text " * 300
    for number in range(1_500)
}


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    with helping(2) as made:
        yield made


def plant(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


class Desk:
    """Readers over a folder of this machine's disk."""

    def __init__(self, folder: Path, helpers: Helpers) -> None:
        self._volume = SingleFolderVolume("v", folder, FOLDER)
        self._place = Place(self._volume, FOLDER)
        self._threads = [Workers(name, 4) for name in ("stream", "hash", "walk", "pack")]
        streaming, hashing, walking, packing = self._threads
        ahead = AheadSettings()
        self.checksums = ChecksumMemory(10_000)
        self._hashing, self._background = Hashing(hashing, self.checksums), Background(ahead)
        self._engine = Engine(streaming, self._hashing, self._background, ahead, helpers=helpers)
        self._encoding = Encoding(packing, 3)
        self._plans = Plans(PlanSettings(fresh_least=0, fresh_most=0), walking)

    async def shape(self, format: str) -> Shape:
        order = Order(self._place, Selection(files=(".",)))
        return await self._plans.shape(order, await self._plans.plan(order), FORMATS[format])

    def reader(self, shape: Shape) -> ArchiveReader | EncodedReader:
        named = {"filename": "a", "session": "s", "on_changed": lambda: None}
        if shape.format.encoding is not None:
            return self._encoding.reader(self._engine, self._place, shape, **named)  # type: ignore[arg-type]
        return ArchiveReader(self._engine, self._place, shape, **named)  # type: ignore[arg-type]

    async def bytes_of(self, shape: Shape, window: Window | None = None) -> bytes:
        parts = []
        async for item in self.reader(shape).read(window):
            assert isinstance(item, bytes)
            parts.append(item)
        return b"".join(parts)

    async def close(self) -> None:
        await self._plans.close()
        await self._background.close()
        await self._hashing.close()
        for workers in self._threads:
            await workers.close()
        self._volume.close()


@asynccontextmanager
async def desk(folder: Path, helpers: Helpers) -> AsyncIterator[Desk]:
    made = Desk(folder, helpers)
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize("format", ["zip", "tar", "zip+deflate"])
async def test_an_archive_has_the_same_bytes_with_and_without_helpers(
    tmp_path: Path, helpers: Helpers, format: str
) -> None:
    plant(tmp_path)
    async with desk(tmp_path, Helpers(0)) as alone, desk(tmp_path, helpers) as helped:
        shape = await alone.shape(format)
        expected = await alone.bytes_of(shape)
        assert await helped.bytes_of(await helped.shape(format)) == expected
        assert await helped.bytes_of(shape) == expected  # with all checksums known


async def test_any_window_is_the_slice_of_the_whole(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        whole = await helped.bytes_of(shape)
        for start in [0, 1, *(CHANCE.randrange(len(whole)) for _ in range(12))]:
            window = Window(start, CHANCE.randrange(start, len(whole)) + 1)
            assert await helped.bytes_of(shape, window) == whole[window.start : window.stop]


async def test_helpers_take_part(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    before = [_cpu(pid) for pid in processes(helpers)]
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        for _ in range(20):
            await helped.bytes_of(shape)
    assert all(_cpu(pid) > ticks for pid, ticks in zip(processes(helpers), before, strict=True))


async def test_what_helpers_read_is_learnt(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        await helped.bytes_of(shape)
        for number, entry in enumerate(shape.layout.entries):
            crc = zlib.crc32(FILES[os.fsdecode(entry.path)])
            assert shape.checksums.get(number) == crc
            assert helped.checksums.recall(helped._volume.id, entry.identity) == crc


@pytest.mark.parametrize("change", ["written to", "gone", "a link"])
async def test_a_file_that_changed_fails_the_download(tmp_path: Path, helpers: Helpers, change: str) -> None:
    plant(tmp_path)
    outside = tmp_path.parent / "outside"
    outside.write_bytes(b"secret")
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        for name in FILES:  # so that whoever reads which of them, a helper meets one
            path = tmp_path / name
            match change:
                case "written to":
                    path.write_bytes(b"x" * path.stat().st_size)
                case "gone":
                    path.unlink()
                case _:
                    path.unlink()
                    path.symlink_to(outside)
        with pytest.raises(SourceChanged):
            await helped.bytes_of(shape)


async def test_a_helper_says_nothing_of_what_is_not_as_planned(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    async with desk(tmp_path, helpers) as helped:
        entries = (await helped.shape("zip")).layout.entries
        request = request_of(entries, range(100))
        assert request is not None
        with closing(helped._volume.folder(FOLDER).whole_reader()) as reader:
            (tmp_path / os.fsdecode(entries.path(57))).write_bytes(b"another")
            ticket = helpers.ask(reader.root(), request)
            assert ticket is not None
            assert ticket.result() is None
            ticket.release()


async def test_a_helper_gives_contents_checksums_and_what_packing_makes_smaller(
    tmp_path: Path, helpers: Helpers
) -> None:
    (tmp_path / "a").write_bytes(b"text " * 100)
    (tmp_path / "b").write_bytes(CHANCE.randbytes(100))
    async with desk(tmp_path, helpers) as helped:
        entries = (await helped.shape("zip")).layout.entries
        with closing(helped._volume.folder(FOLDER).whole_reader()) as reader:
            for order in (READ, PACK):
                request = request_of(entries, range(2), order)
                assert request is not None
                ticket = helpers.ask(reader.root(), request)
                assert ticket is not None
                answer = ticket.result()
                assert answer is not None
                a, b = map(bytes, answer.contents)
                assert b == (tmp_path / "b").read_bytes()
                assert (zlib.decompress(a, -15) if order == PACK else a) == b"text " * 100
                assert bytes(answer.methods) == (b"\x01\x00" if order == PACK else b"\x00\x00")
                assert list(answer.checksums) == [zlib.crc32(b"text " * 100), zlib.crc32(b)]
                ticket.release()


async def test_an_archive_is_whole_when_helpers_are_killed_on_the_way(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        parts = []
        async for item in helped.reader(shape).read():
            assert isinstance(item, bytes)
            parts.append(item)
            for pid in processes(helpers):
                os.kill(pid, signal.SIGKILL)
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


async def test_an_archive_is_whole_when_helpers_hang(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    for pid in processes(helpers):
        os.kill(pid, signal.SIGSTOP)
    try:
        async with desk(tmp_path, helpers) as helped:
            whole = await helped.bytes_of(await helped.shape("zip"))
    finally:
        for pid in processes(helpers):
            os.kill(pid, signal.SIGCONT)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


async def test_helpers_that_hung_help_again(tmp_path: Path) -> None:
    plant(tmp_path)
    with helping(1) as helpers:
        async with desk(tmp_path, helpers) as helped:
            request = request_of((await helped.shape("zip")).layout.entries, range(100))
            assert request is not None
            with closing(helped._volume.folder(FOLDER).whole_reader()) as reader:
                (pid,) = processes(helpers)
                os.kill(pid, signal.SIGSTOP)
                ticket = helpers.ask(reader.root(), request)
                assert ticket is not None
                assert ticket.result() is None
                ticket.release()
                assert helpers.ask(reader.root(), request) is None  # nobody waits behind what hangs
                os.kill(pid, signal.SIGCONT)
                for _ in range(500):
                    if (again := helpers.ask(reader.root(), request)) is not None:
                        break
                    await asyncio.sleep(0.02)
                else:
                    pytest.fail("it never helped again")
                assert again.result() is not None
                again.release()


async def test_more_than_a_helper_takes_is_read_by_others(tmp_path: Path) -> None:
    plant(tmp_path)
    with helping(1) as helpers:
        async with desk(tmp_path, helpers) as helped:
            entries = (await helped.shape("zip")).layout.entries
            with closing(helped._volume.folder(FOLDER).whole_reader()) as reader:
                request = request_of(entries, range(100))
                assert request is not None
                tickets = [helpers.ask(reader.root(), request) for _ in range(SLOTS + 1)]
                assert [ticket is None for ticket in tickets] == [False] * SLOTS + [True]
                for ticket in tickets:
                    if ticket is not None:
                        assert ticket.result() is not None
                        ticket.release()
                large = tmp_path / "large"
                large.write_bytes(bytes(SLOT + 1))
                entries = (await helped.shape("zip")).layout.entries
                number = list(entries.paths()).index(b"large")
                request = request_of(entries, range(number, number + 1))
                assert request is not None
                assert helpers.ask(reader.root(), request) is None


@pytest.mark.parametrize("client", ["waits", "was fast, and waits", "leaves", "is cut off"])
async def test_a_client_keeps_nothing_of_a_helper(tmp_path: Path, client: str) -> None:
    plant(tmp_path)
    with helping(1) as helpers:
        async with desk(tmp_path, helpers) as helped:
            shape = await helped.shape("zip")
            root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
            async with aclosing(helped.reader(shape).read()) as items:
                await anext(items)
                match client:
                    case "was fast, and waits":  # by then helpers are asked for the next piece during this one
                        for _ in range(5):
                            await anext(items)
                    case "leaves":
                        await items.aclose()
                    case "is cut off":
                        for name in FILES:
                            (tmp_path / name).unlink()
                        with pytest.raises(SourceChanged):
                            async for _ in items:
                                pass
                tickets: list[Ticket] = []
                try:
                    async with asyncio.timeout(30):  # what is read ahead of the client takes its time
                        while len(tickets) < SLOTS:
                            if (ticket := helpers.ask(root, request_to_look(b""))) is not None:
                                tickets.append(ticket)
                            await asyncio.sleep(0.01)
                finally:
                    os.close(root)
                    for ticket in tickets:
                        ticket.release()


async def test_nothing_is_kept_open(tmp_path: Path, helpers: Helpers) -> None:
    plant(tmp_path)
    async with desk(tmp_path, helpers) as helped:
        shape = await helped.shape("zip")
        await helped.bytes_of(shape)
        with no_descriptor_kept():
            await helped.bytes_of(shape)
        opened = {pid: os.listdir(f"/proc/{pid}/fd") for pid in processes(helpers)}
        await helped.bytes_of(shape)
        assert {pid: os.listdir(f"/proc/{pid}/fd") for pid in processes(helpers)} == opened


async def test_they_are_started_when_there_is_work_for_them(tmp_path: Path) -> None:
    plant(tmp_path)
    with closing(Helpers(1)) as helpers:
        async with desk(tmp_path, helpers) as helped:
            shape = await helped.shape("zip")
            assert processes(helpers) == []
            whole = await helped.bytes_of(shape)
            while not processes(helpers):  # a machine that is busy may take more than a second for so many
                assert await helped.bytes_of(shape) == whole
            (pid,) = processes(helpers)
            wait_for(helpers)
            before = _cpu(pid)
            for _ in range(50):
                assert await helped.bytes_of(shape) == whole
            assert _cpu(pid) > before


def test_one_that_has_not_said_that_it_is_up_is_asked_nothing() -> None:
    with closing(Helpers(1)) as helpers:
        assert helpers.ready(1_000)
        (pid,) = processes(helpers)
        os.kill(pid, signal.SIGSTOP)
        try:
            root = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
            try:
                assert helpers.ask(root, request_to_look(b"dev")) is None
            finally:
                os.close(root)
        finally:
            os.kill(pid, signal.SIGCONT)


def test_few_files_at_a_time_start_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with closing(Helpers(1)) as helpers:
        for _ in range(100):
            assert not helpers.ready(900)
            now += 1.5
        assert processes(helpers) == []
        assert not Helpers(0).ready(1_000_000)


def test_closing_ends_the_processes() -> None:
    with helping(2) as helpers:
        pids = processes(helpers)
        assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_there_is_one_for_each_processor_but_ours_and_no_crowd() -> None:
    assert 0 <= sensible_number() < len(os.sched_getaffinity(0))
    assert sensible_number() <= 3


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
