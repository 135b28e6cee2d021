"""Archives of many quiet files: their pages leave unread, and none of them may change before the client has it."""

from __future__ import annotations

import asyncio
import io
import os
import random
import socket
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pannier.streams.base import COPIED
from pannier.streams.passing import LEAST_UNREAD
from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import FOLDER, Live, live

MIB = 1024 * 1024
CHANCE = random.Random(8)
SIZES = [CHANCE.randint(LEAST_UNREAD // 2, 3 * LEAST_UNREAD) for _ in range(36)]
CONTENTS = {f"{number:02}.bin": CHANCE.randbytes(size) for number, size in enumerate(SIZES)}
CONTENTS |= {f"{number:02}.txt": CHANCE.randbytes(5_000) for number in range(36)}
TOTAL = sum(map(len, CONTENTS.values()))


@asynccontextmanager
async def quiet(tmp_path: Path) -> AsyncIterator[tuple[Live, Path, str, bytes]]:
    """A server whose files are quiet at once and whose checksums are known; a token and its archive."""
    root = tmp_path / "root"
    root.mkdir()
    for name, content in CONTENTS.items():
        (root / name).write_bytes(content)
    volume = SingleFolderVolume("m", root, FOLDER)
    async with live(tmp_path / "state", volume=volume, archive={"zero_copy_min_age": 0}) as it:
        token = await it.mint()
        yield it, root, token, (await it.get(token)).body
    volume.close()


class Sent:
    """What left by ``sendfile``, how much of it was asked for at once, and how many descriptors were open then."""

    def __init__(self) -> None:
        self.bytes = self.most_at_once = self.most_open = 0


@contextmanager
def sendfile_watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    sent, lock, real = Sent(), threading.Lock(), os.sendfile

    def sendfile(out: int, file: int, offset: int, count: int) -> int:
        got = real(out, file, offset, count)
        with lock:
            sent.bytes += got
            sent.most_at_once = max(sent.most_at_once, count)
            sent.most_open = max(sent.most_open, len(os.listdir("/proc/self/fd")))
        return got

    with monkeypatch.context() as patch:
        patch.setattr(os, "sendfile", sendfile)
        yield sent


async def test_their_pages_leave_unread_but_for_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with quiet(tmp_path) as (it, _, token, whole):
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == CONTENTS
        before = len(os.listdir("/proc/self/fd"))
        with sendfile_watched(monkeypatch) as sent:
            assert (await it.get(token)).body == whole
        small = sum(len(content) for content in CONTENTS.values() if len(content) < LEAST_UNREAD)
        assert TOTAL - COPIED - small - 3 * LEAST_UNREAD <= sent.bytes <= TOTAL - COPIED
        assert sent.most_open - before <= COPIED // LEAST_UNREAD + 8
        await closed(before)
        for first, last in ((0, TOTAL // 2), (3_000_000, 30_000_000), (TOTAL // 3, len(whole) - 1)):
            answer = await it.get(token, Range=f"bytes={first}-{last}")
            assert (answer.status, answer.body) == (206, whole[first : last + 1])
        with sendfile_watched(monkeypatch) as sent:
            assert (await it.get(token, Range=f"bytes={len(whole) - COPIED}-")).status == 206
        assert sent.bytes == 0


async def test_the_middle_of_one_whose_checksum_nobody_knows_leaves_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    content = CHANCE.randbytes(4 * COPIED)
    (root / "large.bin").write_bytes(content)
    volume = SingleFolderVolume("m", root, FOLDER)
    async with live(tmp_path / "state", volume=volume, archive={"zero_copy_min_age": 0}) as it:
        token = await it.mint()
        etag = (await it.get(token, Range="bytes=0-9")).headers["ETag"]
        with sendfile_watched(monkeypatch) as sent:
            answer = await it.get(token, Range=f"bytes={COPIED}-{3 * COPIED - 1}", **{"If-Range": etag})
        assert (answer.status, len(answer.body)) == (206, 2 * COPIED)
        assert sent.bytes == COPIED
        assert sent.most_at_once <= 8 * MIB, "a call that a slow disk and a fast client make long"
        with sendfile_watched(monkeypatch) as sent:
            whole = (await it.get(token)).body
        assert sent.bytes, "the checksum of the whole is known before its first byte leaves"
        assert whole[COPIED : 3 * COPIED] == answer.body
        assert content in whole
    volume.close()


async def test_one_that_changes_before_the_client_has_it_breaks_the_download(tmp_path: Path) -> None:
    async with quiet(tmp_path) as (it, root, token, whole):
        client = Client(it.url(token))
        got = await asyncio.to_thread(client.take, MIB)
        (root / "00.bin").write_bytes(bytes(len(CONTENTS["00.bin"])))
        got += await asyncio.to_thread(client.take, len(whole))
        assert len(got) < len(whole)
        await asyncio.to_thread(client.close)
        assert it.server.running == 0


async def test_one_that_changes_when_the_client_has_it_changes_nothing(tmp_path: Path) -> None:
    async with quiet(tmp_path) as (it, root, token, whole):
        client = Client(it.url(token))
        got = await asyncio.to_thread(client.take, len(whole) - 10 * MIB)
        (root / "00.bin").write_bytes(bytes(len(CONTENTS["00.bin"])))
        got += await asyncio.to_thread(client.take, len(whole))
        assert got == whole
        await asyncio.to_thread(client.close)


async def test_a_client_that_leaves_leaves_no_file_open(tmp_path: Path) -> None:
    async with quiet(tmp_path) as (it, _, token, _):
        before = len(os.listdir("/proc/self/fd"))
        for size in (MIB, 20 * MIB, 40 * MIB):
            client = Client(it.url(token))
            await asyncio.to_thread(client.take, size)
            await asyncio.to_thread(client.close)
            await closed(before)


class Client:
    """Takes a response bit by bit, with a small buffer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._socket.connect((parts.hostname, parts.port))
        self._socket.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        self._head = b""

    def take(self, length: int) -> bytes:
        """Return so many bytes of the body, fewer at its end."""
        while b"\r\n\r\n" not in self._head:
            self._head += self._socket.recv(1)
        got = bytearray()
        try:
            while len(got) < length and (more := self._socket.recv(min(100_000, length - len(got)))):
                got += more
        except ConnectionResetError:
            pass
        return bytes(got)

    def close(self) -> None:
        self._socket.close()


async def closed(before: int) -> None:
    async with asyncio.timeout(10):
        while len(os.listdir("/proc/self/fd")) > before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
