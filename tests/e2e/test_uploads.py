"""Uploads into a real server that dies again and again."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.running import Pannier

MIB = 1024 * 1024


def upload(url: str, content: bytes, piece: int, up: threading.Event) -> None:
    """Send all of it as tus clients do: ask where it is, send a piece, and after any failure ask again.

    Only while the server is ``up``: whoever tries a closed port of this host again and again may end up connected to
    himself, and the server cannot listen there any more.
    """
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert up.wait(60)
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        try:
            connection.request("HEAD", target)
            asked = connection.getresponse()
            asked.read()
            if asked.status == 404:
                return  # finished: it is checked by who called
            if asked.status != 200:
                raise ConnectionError(asked.status)
            at = int(asked.headers["Upload-Offset"])
            while at < len(content):
                headers = {"Upload-Offset": str(at), "Tus-Resumable": "1.0.0"}
                connection.request("PATCH", target, content[at : at + piece], headers)
                sent = connection.getresponse()
                sent.read()
                if sent.status != 204:
                    raise ConnectionError(sent.status)
                assert int(sent.headers["Upload-Offset"]) == min(at + piece, len(content))
                at = int(sent.headers["Upload-Offset"])
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError("the upload did not end")


@pytest.mark.parametrize(
    "seed", [1, 2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)]
)
def test_an_upload_survives_kills_of_its_server(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = chance.randbytes(64 * MIB)
    folder = tmp_path / "folder"
    folder.mkdir()
    with Pannier(folder, tmp_path / "state") as server:
        token = server.at_folder("upload", relpath="새 폴더/file.bin", size=str(len(content)))["token"]
        url, up = f"{server.client_url}/upload?token={token}", threading.Event()
        up.set()
        sending = threading.Thread(target=upload, args=(url, content, 5 * MIB, up))
        sending.start()
        for _ in range(3):
            time.sleep(chance.uniform(0.02, 0.2))
            up.clear()
            server.kill()
            server.start()
            up.set()
        sending.join(100)
        assert not sending.is_alive()
    file = folder / "새 폴더" / "file.bin"
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert os.listdir(folder) == ["새 폴더"]
