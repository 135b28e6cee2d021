"""Uploads by the clients that people have: tuspy, tus-js-client and Backend.AI's, cut off and killed at random."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.running import Pannier

MIB = 1024 * 1024
GIB = 1024 * MIB
NAME = "새 폴더/file.bin"
NOT_THERE = 4
"""How the clients' programs end where the upload is finished, or never was."""


def plant(path: Path, size: int, seed: int) -> str:
    """Write a file of random bytes, and return its SHA-256."""
    chance, digest = random.Random(seed), hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 64 * MIB):
            piece = chance.randbytes(min(64 * MIB, size - start))
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


HERE = Path(__file__).resolve().parent
CLIENTS = {
    "tuspy": [sys.executable, str(HERE / "upload_tus.py"), "tuspy"],
    "aiotusclient": [sys.executable, str(HERE / "upload_tus.py"), "aiotusclient"],
    "tus-js-client": ["node", str(HERE.parent / "node" / "upload_tus.mjs")],
}


def upload(client: str, *arguments: str) -> int:
    """Run a client to its end, and return its exit code."""
    ended = subprocess.run([*CLIENTS[client], *arguments], capture_output=True, text=True, timeout=3_000, check=False)
    assert ended.returncode in (0, NOT_THERE), ended.stderr
    return ended.returncode


def run_and_kill(server: Pannier, chance: random.Random, seconds: float, *uploads: Callable[[], int]) -> list[int]:
    """Return what uploads at once return, while the server is killed thrice, each within ``seconds`` of a start."""
    with ThreadPoolExecutor(len(uploads)) as threads:
        sending = [threads.submit(send) for send in uploads]
        for _ in range(3):
            time.sleep(chance.uniform(0.02, seconds))
            if all(each.done() for each in sending):
                break
            server.kill()
            server.start()
        return [each.result(1_200) for each in sending]


def begun(server: Pannier, client: str, route: str, file: Path, chunk: int, name: str) -> Callable[[], int]:
    """Return what sends a file to a new upload, and returns the client's exit code."""
    size = file.stat().st_size
    if route == "/upload":
        token, more = server.at_folder("upload", relpath=name, size=size)["token"], []
    else:
        token, more = server.at_folder("upload", relpath=".", size=size, multiple=True)["token"], [name]
    return partial(upload, client, f"{server.client_url}{route}?token={token}", str(file), str(chunk), *more)


ROUTES = ("/upload", "/uploads")
SURVIVORS = ("tuspy", "tus-js-client")


def test_uploads_by_all_clients_at_once_survive_kills_of_the_server(tmp_path: Path) -> None:
    """Of all sizes and at both routes; with each alone, and larger ones, where there is time for that."""
    (tmp_path / "folder").mkdir()
    files = {size: tmp_path / f"{size}.bin" for size in (0, 1, 40 * MIB)}
    digests = {size: plant(file, size, 1) for size, file in files.items()}
    cases = [(client, route, size) for client in SURVIVORS for route in ROUTES for size in files]
    names = {case: f"새 폴더/{'-'.join(map(str, case)).replace('/', '')}.bin" for case in cases}
    with Pannier(tmp_path / "folder", tmp_path / "state") as server:
        sending = [
            begun(server, client, route, files[size], 5 * MIB, names[client, route, size])
            for client, route, size in cases
        ]
        codes = run_and_kill(server, random.Random(1), 1.5, *sending)
    for case, code in zip(cases, codes, strict=True):
        assert code == 0 or case[1] == "/upload", case  # the wire knows finished uploads no more, as below
        assert sha256(tmp_path / "folder" / names[case]) == digests[case[2]], case


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("route", "size", "seed"),
    [
        (route, size, seed)
        for route in ROUTES
        for size in (0, 1, 100 * MIB, 5 * GIB)
        for seed in range(1, 11 if size < GIB or route == "/uploads" else 2)
    ],
)
@pytest.mark.parametrize("client", SURVIVORS)
def test_uploads_survive_kills_of_the_server(tmp_path: Path, client: str, route: str, size: int, seed: int) -> None:
    chance = random.Random(seed)
    folder, file = tmp_path / "folder", tmp_path / "sent.bin"
    folder.mkdir()
    digest = plant(file, size, seed)
    chunk = chance.choice([5 * MIB, 16 * MIB, 1 * GIB]) if size > 1 else 5 * MIB
    with Pannier(folder, tmp_path / "state") as server:
        sending = begun(server, client, route, file, chunk, NAME)
        [code] = run_and_kill(server, chance, 0.2 + size / (300 * MIB), sending)
    assert code == 0 or route == "/upload"  # the wire knows finished uploads no more: the last answer may be lost
    assert sha256(folder / NAME) == digest
    file.unlink()
    shutil.rmtree(folder)


@pytest.mark.parametrize("sizes", [(0, 1, 100 * MIB), pytest.param((5 * GIB,), marks=pytest.mark.slow)], ids=str)
def test_backend_ais_client_uploads(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    folder, file = tmp_path / "folder", tmp_path / "sent.bin"
    folder.mkdir()
    with Pannier(folder, tmp_path / "state") as server:
        for size in sizes:
            digest = plant(file, size, 0)
            token = server.at_folder("upload", relpath=f"{size}/{NAME}", size=str(size))["token"]
            url = f"{server.client_url}/upload?token={token}"
            assert upload("aiotusclient", url, str(file), str(16 * MIB)) == 0
            assert sha256(folder / f"{size}/{NAME}") == digest, size
    file.unlink()
    shutil.rmtree(folder)
