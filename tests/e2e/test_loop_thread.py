"""The event loop never waits for a disk: its thread makes no call into the file system while archives are served."""

from __future__ import annotations

import io
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import FOLDER, live

CALLS = (
    *("open", "close", "read", "pread", "preadv", "fstat", "stat", "lstat", "scandir", "listdir", "access"),
    *(
        "readlink",
        "sendfile",
        "write",
        "pwrite",
        "fsync",
        "fdatasync",
        "rename",
        "unlink",
        "mkdir",
        "statvfs",
        "path.realpath",
    ),
)
CHANCE = random.Random(3)


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[tuple[str, bool]]]:
    """Count calls of ``os``, each with whether the event loop's thread made it."""
    loop, counted = threading.get_ident(), Counter[tuple[str, bool]]()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            counted[name, threading.get_ident() == loop] += 1
            return function(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            module, _, attribute = f"os.{name}".rpartition(".")
            there: Any = os.path if module == "os.path" else os
            patch.setattr(there, attribute, counting(name, getattr(there, attribute)))
        yield counted


def fill(root: Path) -> None:
    """Small files in directories, large ones old enough to go by sendfile, and one just written."""
    for number in range(300):
        path = root / f"d{number % 7}" / f"small-{number}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CHANCE.randbytes(CHANCE.randint(0, 9_000)))
    (root / "large.bin").write_bytes(CHANCE.randbytes(40_000_000))
    (root / "link").symlink_to("large.bin")


@pytest.mark.parametrize("more", [{}, {"format": "tar"}, {"compression": "deflate"}, {"format": "tar.zst"}], ids=str)
async def test_no_file_is_touched_by_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    fill(root)
    volume = SingleFolderVolume("m", root, FOLDER)
    settings: dict[str, Any] = {"archive": {"zero_copy_min_age": 0}}
    async with live(tmp_path / "state", volume=volume, **settings) as it:
        with watched(monkeypatch) as counted:
            token = await it.mint(**more)
            assert (await it.get(token)).status == 200  # checksums unknown, then known
            whole = await it.get(token)
            assert whole.status == 200
            assert (await it.ask("HEAD", it.url(token))).status == 200
            if whole.headers["Accept-Ranges"] == "bytes":
                for first in (0, 10_000_000, len(whole.body) - 5_000):
                    part = await it.get(token, Range=f"bytes={first}-", If_Range=whole.headers["ETag"])
                    assert (part.status, part.body) == (206, whole.body[first:])
    volume.close()
    elsewhere = {name for name, on_loop in counted if not on_loop}
    assert elsewhere >= {"open", "read", "fstat", "close", "scandir"}  # what is counted is what is used
    assert {name: count for (name, on_loop), count in counted.items() if on_loop} == {}


async def test_no_file_is_touched_by_the_event_loop_while_folders_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads, and what a manager does to files."""
    root = tmp_path / "root"
    root.mkdir()
    fill(root)
    volume = SingleFolderVolume("m", root, FOLDER)
    async with live(tmp_path / "state", volume=volume) as it:

        async def ask(operation: str, expected: int, **body: Any) -> Any:
            answer = await it.manage(f"/folder/file/{operation}", {"volume": "m", "vfid": str(FOLDER), **body})
            assert answer.status == expected, answer.json
            return answer.json

        with watched(monkeypatch) as counted:
            for relpath, size in (("new/up.bin", 3_000_000), ("empty", 0)):
                token = (await ask("upload", 200, relpath=relpath, size=size))["token"]
                url = f"{it.listening.client_url}/upload?token={token}"
                assert (await it.ask("HEAD", url)).status == 200
                body = io.BytesIO(bytes(size))
                assert (await it.ask("PATCH", url, data=body, Upload_Offset="0")).status == 204
            await ask("mkdir", 200, relpath=["a/b", "c"])
            await ask("rename", 204, relpath="c", new_name="d")
            await ask("move", 204, src_relpath="new/up.bin", dst_relpath="a/b")
            await ask("list", 200, relpath=".")
            await ask("delete", 200, relpaths=["a", "empty"], recursive=True)
            token = (await ask("download", 200, relpath="large.bin"))["token"]
            assert (await it.ask("GET", f"{it.listening.client_url}/download?token={token}")).status == 200
    volume.close()
    elsewhere = {name for name, on_loop in counted if not on_loop}
    assert elsewhere >= {"open", "mkdir", "rename", "fsync", "unlink", "scandir"}
    assert {name: count for (name, on_loop), count in counted.items() if on_loop} == {}
