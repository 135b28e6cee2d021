"""A directory changes places with a link to outside, atomically, again and again, while requests work below it.

Another process does that (``renameat2`` with ``RENAME_EXCHANGE``). Whatever a request is answered, nothing outside is
opened, listed, changed or deleted, and no byte of it is sent. Rounds are bounded; each operation goes on until it was
seen to succeed and to be refused, so that both sides of the race were met.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.api.attacks import FOLDER, NEW, OTHER, Stage
from tests.api.canary import tells, untouched
from tests.api.host import served
from tests.api.live import Answer
from tests.api.ways import ask, spend_archive, spend_download, wait_for_task
from tests.volumes.process import exchanging

LEAST, MOST = 30, 1_500
"""Requests of each kind, at most so many until both outcomes were seen."""
TOGETHER = 4

Once = Callable[[Stage, int], Awaitable[list[Answer]]]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with served(tmp_path) as host:
        stage = Stage.build(host, tmp_path)
        for path in stage.root.iterdir():  # no other way out than the one that is swapped
            if path.is_symlink():
                path.unlink()
        shutil.rmtree(stage.root / "nest")
        yield stage


def lay(directory: Path) -> None:
    """What the directory holds that is swapped: names that the canary has too, and others."""
    for name in ("secret", "inner/secret", "inner/deep/file", "own"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("inside")


async def body(stage: Stage, path: str, **more: object) -> list[Answer]:
    return [await ask(stage, "manager", "POST", path, json={"volume": "m", "vfid": FOLDER, **more})]


async def download(stage: Stage, number: int) -> list[Answer]:
    (minted,) = await body(stage, "/folder/file/download", relpath="way/inner/secret")
    return await spend_download(stage, minted)


async def archive(stage: Stage, number: int) -> list[Answer]:
    selection = {"volume": "m", "virtual_folder_id": FOLDER, "files": ["way"], "links": "store"}
    minted = await ask(stage, "manager", "POST", "/folder/file/archive-download-token", json=selection)
    if minted.status != 200:
        return [minted]
    try:
        return await spend_archive(stage, minted)
    except aiohttp.ClientError:  # cut off, as something changed while it was sent
        return []


async def listing(stage: Stage, number: int) -> list[Answer]:
    return await body(stage, "/folder/file/list", relpath="way/inner")


async def fetch(stage: Stage, number: int) -> list[Answer]:
    return await body(stage, "/folder/file/fetch", relpath="way/secret")


async def mkdir(stage: Stage, number: int) -> list[Answer]:
    return await body(stage, "/folder/file/mkdir", relpath=f"way/made-{number}/below")


async def rename(stage: Stage, number: int) -> list[Answer]:
    there, back = ("own", "moved") if number % 2 else ("moved", "own")
    return await body(stage, "/folder/file/rename", relpath=f"way/{there}", new_name=back)


async def move_in(stage: Stage, number: int) -> list[Answer]:
    (stage.root / f"f{number}").write_text("f")
    return await body(stage, "/folder/file/move", src_relpath=f"f{number}", dst_relpath=f"way/inner/f{number}")


async def move_out(stage: Stage, number: int) -> list[Answer]:
    names = ["way/secret", f"secret-{number}"]
    source, target = names if number % 2 else reversed([names[0], f"secret-{number - 1}"])
    return await body(stage, "/folder/file/move", src_relpath=source, dst_relpath=target)


async def delete(stage: Stage, number: int) -> list[Answer]:
    answers = await body(stage, "/folder/file/delete", relpaths=["way/inner"], recursive=True)
    await body(stage, "/folder/file/mkdir", relpath="way/inner/deep", exist_ok=True)
    return answers


async def delete_in_background(stage: Stage, number: int) -> list[Answer]:
    (begun,) = await body(stage, "/folder/file/delete-async", relpaths=["way/inner", "way/own"], recursive=True)
    await body(stage, "/folder/file/mkdir", relpath="way/inner/deep", exist_ok=True)
    return [begun, *(await wait_for_task(stage, begun) if begun.status == 202 else [])]


async def upload(stage: Stage, number: int) -> list[Answer]:
    (minted,) = await body(stage, "/folder/file/upload", relpath=f"way/inner/new-{number % 7}", size=3)
    if minted.status != 200:
        return [minted]
    query = {"token": minted.json["token"]}
    headers = {"Upload-Offset": "0"}
    return [await ask(stage, "client", "PATCH", "/upload", query=query, data=b"new", headers=headers)]


READING = (download, archive, listing, fetch)
WRITING = (mkdir, rename, move_in, move_out, delete, delete_in_background, upload)
RACES: dict[str, Once] = {each.__name__: each for each in (*READING, *WRITING)}


@pytest.mark.parametrize("operation", RACES)
async def test_a_directory_that_changes_places_with_a_link_lets_nobody_out(stage: Stage, operation: str) -> None:
    way, spare = stage.root / "way", stage.root / "spare"
    lay(way)
    stage.way_out(spare)
    outcomes: set[bool] = set()
    with untouched(stage.outside, stage.neighbour), exchanging(bytes(way), bytes(spare)):
        for number in range(0, MOST, TOGETHER):
            requests = (RACES[operation](stage, number + each) for each in range(TOGETHER))
            for answers in await asyncio.gather(*requests):
                for answer in answers:
                    assert answer.status < 500, (answer.status, answer.body[:300])
                    assert not tells(answer.body), answer.body[:300]
                outcomes.add(bool(answers) and all(answer.status < 300 and answer.status != 207 for answer in answers))
            if number >= LEAST and len(outcomes) == 2:
                break
    if operation not in ("delete", "delete_in_background"):  # where nothing is there, nothing is to be deleted
        assert outcomes == {True, False}


async def test_a_clone_takes_nothing_from_outside(stage: Stage) -> None:
    source = stage.host.where(OTHER)
    lay(source / "way")
    stage.way_out(source / "spare")
    with untouched(stage.outside, stage.neighbour), exchanging(bytes(source / "way"), bytes(source / "spare")):
        for _ in range(25):
            body = {"src_volume": "m", "src_vfid": OTHER, "dst_vfid": NEW}
            begun = await ask(stage, "manager", "POST", "/folder/clone", json=body)
            assert begun.status == 200
            await wait_for_task(stage, begun)
            target = stage.host.where(NEW)
            if target.exists():
                for path in target.rglob("*"):
                    assert path.is_symlink() or path.is_dir() or path.read_text() in ("inside", "other")
                shutil.rmtree(target)


async def test_the_reserved_directory_as_a_link_to_outside_takes_nothing_there(stage: Stage) -> None:
    """Who writes to a folder can put a link in the place of ``.upload``."""
    upload, spare = stage.root / ".upload", stage.root / "spare"
    stage.way_out(spare)
    upload.mkdir()
    (upload / "keep").write_text("so that it stays")
    with untouched(stage.outside, stage.neighbour), exchanging(bytes(upload), bytes(spare)):
        for number in range(40):
            (stage.root / f"d{number}" / "below").mkdir(parents=True)
            for answer in await body(stage, "/folder/file/delete", relpaths=[f"d{number}"], recursive=True):
                assert answer.status < 500, answer.json
            for answer in await delete_in_background(stage, number):
                assert answer.status < 500, answer.json
            for answer in await upload_root(stage, number):
                assert answer.status < 500, answer.json


async def upload_root(stage: Stage, number: int) -> list[Answer]:
    (minted,) = await body(stage, "/folder/file/upload", relpath=f"up-{number}", size=3)
    if minted.status != 200:
        return [minted]
    query = {"token": minted.json["token"]}
    return [await ask(stage, "client", "PATCH", "/upload", query=query, data=b"new", headers={"Upload-Offset": "0"})]
