"""Promise: one entry of a huge archive is read by a few requests, without the rest of it."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from yarl import URL

from pannier.archive.entries import Entry, Kind
from pannier.cli.serve import served_folders
from pannier.sdk import ArchiveChanged, Backoff, Client, NotFound, Progress, Transport
from pannier.sdk.files import RemoteFile
from pannier.sdk.filesystem import PannierFileSystem
from pannier.sdk.transport import Body
from pannier.sdk.zip_reading import Damaged
from pannier.state.checksum_store import CHECKSUM_FILE, SqliteChecksums
from pannier.volumes.posix import SingleFolderVolume
from pannier.window import Window
from tests.archive import sparse
from tests.e2e import trees
from tests.e2e.running import Pannier
from tests.e2e.trees import KIB, MIB

GIB = 1024 * MIB
MEMBER = random.Random(4).randbytes(10 * KIB)
MEMBER_PATH = "가운데/작은 것.bin"


class Counted:
    """Requests of clients, and the bytes that came."""

    def __init__(self) -> None:
        self.requests = self.bytes = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted, stream, chunks = Counted(), Transport.stream, Body.chunks

    @asynccontextmanager
    async def counting(self: Transport, method: str, path: str | URL, **more: Any) -> AsyncIterator[Body]:
        counted.requests += 1
        async with stream(self, method, path, **more) as body:
            yield body

    async def counting_chunks(self: Body) -> AsyncIterator[bytes]:
        async for piece in chunks(self):
            counted.bytes += len(piece)
            yield piece

    monkeypatch.setattr(Transport, "stream", counting)
    monkeypatch.setattr(Body, "chunks", counting_chunks)
    return counted


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 GiB in holes, and among them a file of 10 KiB."""
    root = tmp_path_factory.mktemp("huge") / "folder"
    (root / "가운데").mkdir(parents=True)
    for number in range(4):
        sparse.write_file(large(number), root / large(number).name.decode())
    (root / MEMBER_PATH).write_bytes(MEMBER)
    return root


def large(number: int) -> Entry:
    name = ("a" if number < 2 else "하").encode() + b"%d.bin" % number
    return Entry(name, name, Kind.FILE, 5 * GIB, 0, 0o644, b"", name)


def teach(folder: Path, state: Path) -> None:
    """Have a server's store know all checksums, as if it had read the files: the zeros are not worth the time."""
    served = served_folders([folder])[0]
    state.mkdir(mode=0o700)
    volume = SingleFolderVolume(served.name, served.path, served.folder_id)
    store = SqliteChecksums(state / CHECKSUM_FILE, 2**20)
    store.open(60)
    opened = volume.folder(served.folder_id)
    for number in range(4):
        found = opened.lookup(large(number).name, follow=False)
        store.put(volume.id, found.stat.identity, sparse.checksum(large(number)))
    opened.close()
    assert store.flush(60)
    store.close()
    volume.close()


@pytest.fixture(scope="module")
def knowing(huge: Path) -> Iterator[Pannier]:
    """A server that knows all checksums of it."""
    state = huge.with_name("knowing")
    teach(huge, state)
    with Pannier(huge, state) as server:
        yield server


@pytest.fixture(scope="module")
def ignorant(huge: Path) -> Iterator[Pannier]:
    """A server that knows none."""
    with Pannier(huge, huge.with_name("ignorant")) as server:
        yield server


def test_a_member_of_20_gib_takes_few_requests_and_bytes(knowing: Pannier, counted: Counted) -> None:
    with Client() as client:
        told: list[Progress] = []
        with zipfile.ZipFile(client.open_archive(knowing.url(), progress=told.append)) as archive:
            assert archive.read(MEMBER_PATH) == MEMBER
            assert sum(each.file_size for each in archive.infolist()) == 20 * GIB + len(MEMBER)
    assert counted.requests <= 6
    assert counted.bytes <= 2 * MIB
    assert told == []


def test_a_member_is_read_at_once_when_no_checksum_is_known(ignorant: Pannier, counted: Counted) -> None:
    url = ignorant.url()
    with Client() as client:
        with client.open_member(url, MEMBER_PATH) as file:
            assert file.read() == MEMBER
        assert counted.requests <= 6
        assert counted.bytes <= 2 * MIB
        with client.open_member(url, "a1.bin") as file:
            file.seek(-32, io.SEEK_END)
            assert file.read() == sparse.content(large(1), Window(5 * GIB - 32, 5 * GIB))
        with pytest.raises(NotFound):
            client.open_member(url, "no such")


def test_the_end_is_waited_for_while_checksums_are_pending(tmp_path: Path) -> None:
    folder = tmp_path / "pending"
    trees.plant(folder, 32, small=5, large=(30 * MIB,))
    told: list[str] = []
    with (
        Pannier(folder, tmp_path / "state", toml='[archive]\npending-above = "1m"\n') as server,
        Client(backoff=Backoff(first=0.1)) as client,
        client.open_archive(server.url(), progress=lambda progress: told.append(progress.note or "")) as file,
        zipfile.ZipFile(file) as archive,
    ):
        assert {each.filename for each in archive.infolist()} == set(trees.files(folder))
    assert told
    assert all(note.startswith("the server is still reading what the end of the archive needs") for note in told)


class TestSmall:
    """What a file of Python does, on a small archive."""

    @pytest.fixture(scope="class")
    @staticmethod
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
        root = tmp_path_factory.mktemp("small") / "folder"
        trees.plant(root, 31, small=50, large=(3 * MIB,))
        with Pannier(root, root.with_name("state")) as server:
            yield server

    def test_every_read_is_that_of_the_whole(self, server: Pannier) -> None:
        url, chance = server.url(), random.Random(6)
        whole = server.fetch(url)[2]
        with Client() as client, client.open_archive(url, cache=256 * KIB) as file:
            here = io.BytesIO(whole)
            assert (file.length, file.readable(), file.seekable(), file.writable()) == (len(whole), True, True, False)
            for _ in range(120):
                offset, whence = chance.choice(
                    [
                        (chance.randrange(len(whole)), io.SEEK_SET),
                        (-chance.randrange(300 * KIB), io.SEEK_END),
                        (chance.randrange(5_000), io.SEEK_CUR),
                        (0, io.SEEK_CUR),
                    ]
                )
                assert file.seek(offset, whence) == here.seek(offset, whence)
                size = chance.choice([1, 100, 70_000, 400 * KIB])
                assert file.read(size) == here.read(size)
                assert file.tell() == here.tell()
            file.seek(0)
            assert file.read() == whole
            assert file.read(1) == b""
            with pytest.raises(ValueError, match="negative"):
                file.seek(-1)

    def test_what_is_read_in_order_is_fetched_ahead(self, server: Pannier, counted: Counted) -> None:
        with Client() as client, client.open_archive(server.url()) as file:
            while file.read(8 * KIB):
                pass
            assert counted.requests < 20

    def test_a_tar_is_read_like_that_too(self, server: Pannier) -> None:
        with (
            Client() as client,
            client.open_archive(server.url(format="tar")) as file,
            tarfile.open(fileobj=file) as archive,
        ):
            members = {each.name: archive.extractfile(each) for each in archive if each.isfile()}
            found = {name: content.read() for name, content in members.items() if content is not None}
        assert found == trees.files(server.folder)

    def test_fsspec_opens_entries(self, server: Pannier) -> None:
        fsspec.register_implementation("pannier", PannierFileSystem, clobber=True)
        archive = fsspec.filesystem("pannier", url=server.url())
        files = trees.files(server.folder)
        assert {name: archive.cat_file(name) for name in archive.find("")} == files
        directory = next(name for name in files if "/" in name).partition("/")[0]
        assert archive.isdir(directory)
        assert [entry["name"] for entry in archive.ls(directory)] == [
            name for name in sorted(files) if name.startswith(f"{directory}/")
        ]
        with pytest.raises(FileNotFoundError):
            archive.open("no such")

    def test_a_wrong_checksum_is_told_at_the_end(self, server: Pannier) -> None:
        url = server.url()
        name, content = max(trees.files(server.folder).items(), key=lambda each: len(each[1]))
        with Client() as client:
            ranges, member = client.find_member(url, name)
            window = Window(member.offset, member.offset + member.size)
            with RemoteFile(ranges, window, checksum=1) as file:
                assert file.read(len(content) - 1) == content[:-1]
                with pytest.raises(Damaged):
                    file.read(1)
            with RemoteFile(ranges, window, checksum=member.crc32) as file:
                assert file.read() == content

    def test_a_change_is_an_error_and_no_mixture(self, server: Pannier, tmp_path: Path) -> None:
        folder = tmp_path / "changing"
        trees.plant(folder, 3, small=3, large=(2 * MIB,))
        with (
            Pannier(folder, tmp_path / "state") as changing,
            Client(backoff=Backoff(tries=2, first=0.01)) as client,
            client.open_archive(changing.url()) as file,
        ):
            file.read(10)
            trees.large_files(folder)[0].write_bytes(bytes(2 * MIB))
            file.seek(MIB)
            with pytest.raises(ArchiveChanged):
                file.read(10)
