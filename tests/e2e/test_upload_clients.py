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


def run_and_kill(server: Pannier, chance: random.Random, seconds: float, send: Callable[[], int]) -> int:
    """Return what ``send`` returns, while the server is killed three times, each within ``seconds`` of its start."""
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(send)
        for _ in range(3):
            time.sleep(chance.uniform(0.02, seconds))
            if sending.done():
                break
            server.kill()
            server.start()
        return sending.result(1_200)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    ("route", "size", "seed"),
    [
        pytest.param(route, size, seed, marks=[pytest.mark.slow] if seed > 1 or size > GIB else [])
        for route in ("/upload", "/uploads")
        for size in (0, 1, 100 * MIB, 5 * GIB)
        for seed in range(1, 11 if size < GIB or route == "/uploads" else 2)
    ],
)
@pytest.mark.parametrize("client", ["tuspy", "tus-js-client"])
def test_uploads_survive_kills_of_the_server(tmp_path: Path, client: str, route: str, size: int, seed: int) -> None:
    chance = random.Random(seed)
    folder, file = tmp_path / "folder", tmp_path / "sent.bin"
    folder.mkdir()
    digest = plant(file, size, seed)
    chunk = chance.choice([5 * MIB, 16 * MIB, 1 * GIB]) if size > 1 else 5 * MIB
    with Pannier(folder, tmp_path / "state") as server:
        if route == "/upload":
            token = server.at_folder("upload", relpath=NAME, size=size)["token"]
            arguments = [f"{server.client_url}/upload?token={token}", str(file), str(chunk)]
        else:
            token = server.at_folder("upload", relpath=".", size=size, multiple=True)["token"]
            arguments = [f"{server.client_url}/uploads?token={token}", str(file), str(chunk), NAME]
        seconds = 0.2 + size / (300 * MIB)
        code = run_and_kill(server, chance, seconds, lambda: upload(client, *arguments))
    assert code == 0 or route == "/upload"  # the wire knows finished uploads no more: the last answer may be lost
    assert sha256(folder / NAME) == digest
    file.unlink()
    shutil.rmtree(folder)


@pytest.mark.parametrize("size", [0, 1, 100 * MIB, pytest.param(5 * GIB, marks=pytest.mark.slow)])
def test_backend_ais_client_uploads(tmp_path: Path, size: int) -> None:
    folder, file = tmp_path / "folder", tmp_path / "sent.bin"
    folder.mkdir()
    digest = plant(file, size, 0)
    with Pannier(folder, tmp_path / "state") as server:
        token = server.at_folder("upload", relpath=NAME, size=str(size))["token"]

        url = f"{server.client_url}/upload?token={token}"
        assert upload("aiotusclient", url, str(file), str(16 * MIB)) == 0
    assert sha256(folder / NAME) == digest
    file.unlink()
    shutil.rmtree(folder)
