"""However a stream ends, what it held goes at once: the garbage collector, which may look rarely, has nothing to find.

A traceback refers to frames, and a frame that keeps the error in a variable makes a ring of all that the frames hold:
buffers, plans, sockets. Only objects of asyncio's own may be left, which are small.
"""

from __future__ import annotations

import asyncio
import gc
import types
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import pannier
from tests.desk.desks import FOLDER, DeskServer, desk
from tests.test_growth import FEW, MANAGER, Guest

OURS = Path(pannier.__file__).parent
LARGE = 6_000_000
TIMES, MANY = 3, 300


async def cut(guest: Guest, **options: Any) -> None:
    """A client that leaves after some bytes."""
    await guest.take(await guest.mint("large", "small", **options), most=100)


async def cut_zip(guest: Guest) -> None:
    await cut(guest)


async def cut_deflate(guest: Guest) -> None:
    await cut(guest, compression="deflate")


async def cut_gzip(guest: Guest) -> None:
    await cut(guest, format="tar.gz")


async def cut_zstd(guest: Guest) -> None:
    await cut(guest, format="tar.zst")


async def cut_single(guest: Guest) -> None:
    await cut(guest, one_time=True)


async def cut_file(guest: Guest) -> None:
    token = (await guest.manage("/folder/file/download", relpath="large")).json["token"]
    async with guest.person.session.get(f"{guest.it.base}/download?token={token}") as response:
        await response.content.readexactly(1_000)


async def cut_upload(guest: Guest) -> None:
    async def some() -> Any:
        yield bytes(100_000)
        await asyncio.sleep(0.1)
        raise ConnectionError("enough")

    token = (await guest.manage("/folder/file/upload", relpath="up", size=LARGE)).json["token"]
    headers = {"Upload-Offset": "0", "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    with suppress(ConnectionError, aiohttp.ClientError):
        await guest.person.ask(
            "PATCH", f"{guest.it.base}/upload?token={token}", data=some(), headers=headers, token=False
        )


async def revoked(guest: Guest) -> None:
    """A stream that the server cuts."""
    minted = await guest.mint("large")
    async with guest.person.session.get(f"{guest.it.base}/download-archive?token={minted['token']}") as response:
        await response.content.readexactly(1_000)
        url = f"{guest.it.listening.manager_url}/sessions/{minted['session']}"
        await guest.person.ask("DELETE", url, headers=MANAGER, token=False)
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def changed(guest: Guest) -> None:
    """A file that changes while it is sent."""
    minted = await guest.mint("large")
    async with guest.person.session.get(f"{guest.it.base}/download-archive?token={minted['token']}") as response:
        await response.content.readexactly(1_000)
        guest.it.write("large", bytes(LARGE))
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def changed_ahead(guest: Guest) -> None:
    """A file that changes while its checksum is computed, before its turn."""
    late = guest.it.root / "late"
    with late.open("wb") as file:
        file.truncate(400_000_000)
    minted = await guest.mint("large", "late")
    async with guest.person.session.get(f"{guest.it.base}/download-archive?token={minted['token']}") as response:
        await response.content.readexactly(100)
        late.write_bytes(b"other")
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def too_many(guest: Guest) -> None:
    """A walk that ends at a limit, with all that it found."""
    wanted = {"volume": "trip", "virtual_folder_id": str(FOLDER), "files": ["many"]}
    url = guest.it.listening.manager_url + "/folder/file/archive-plan"
    assert (await guest.person.ask("POST", url, json=wanted, headers=MANAGER, token=False)).status == 413


async def refused(guest: Guest) -> None:
    for url in ("/download-archive?token=none", "/download?token=none", "/nowhere"):
        assert (await guest.person.ask("GET", guest.it.base + url, token=False)).status >= 400


WAYS: list[Callable[[Guest], Awaitable[None]]] = [
    *(
        cut_zip,
        cut_deflate,
        cut_gzip,
        cut_zstd,
        cut_single,
        cut_file,
        cut_upload,
        revoked,
        changed,
        changed_ahead,
        too_many,
        refused,
    )
]


async def rest(it: DeskServer) -> None:
    """Wait until nothing goes on any more."""
    async with asyncio.timeout(30):
        while it.server.running or any("Sessions." in repr(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)


@contextmanager
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def found() -> Counter[str]:
    """Collect, and say what was garbage: objects and frames of ours, and buffers. The client here makes its own."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    seen: Counter[str] = Counter()
    for each in gc.garbage:
        kind = f"{type(each).__module__}.{type(each).__qualname__}"
        if isinstance(each, types.FrameType):
            if Path(each.f_code.co_filename).is_relative_to(OURS):
                seen[f"frame of {each.f_code.co_qualname}"] += 1
        elif isinstance(each, memoryview) or kind.startswith("pannier."):
            seen[kind] += 1
    gc.garbage.clear()
    return seen


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_stream_that_ends_leaves_no_garbage(tmp_path: Path, way: Callable[[Guest], Awaitable[None]]) -> None:
    async with desk(tmp_path, settings={"limits": {"max_entries": MANY - 1}}, remembered=FEW) as it:
        for number in range(10):
            it.write(f"small/{number}", b"x" * 100 * number)
        for number in range(MANY):
            it.write(f"many/{number}")
        it.write("large", bytes(LARGE))
        guest = Guest(it, await it.owner())
        await way(guest)  # what is made once
        await rest(it)
        with without_collections():
            for _ in range(TIMES):
                await way(guest)
            await rest(it)
            assert found() == Counter()
