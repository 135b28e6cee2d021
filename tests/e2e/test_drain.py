"""Promise: a stop is graceful. What runs ends whole, nothing new is begun, what is cut can be gone on with; exit 0."""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.commands import LIMIT, Answer, ask, begun, certificate, wait_until
from tests.e2e.clients import CURL, environment
from tests.e2e.proxying import FOLDER, FOLDER_PATH, MINT, Proxy, proxying, toml
from tests.e2e.running import HeldPort
from tests.e2e.test_upload_clients import CLIENTS as UPLOADERS
from tests.e2e.test_upload_clients import NOT_THERE, plant, sha256

MIB = 1024 * 1024
LARGE = 48 * MIB
"""Bytes: many times what sockets of this machine hold."""
HERE = {"volume": "local", "vfid": FOLDER}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "volume" / FOLDER_PATH
    path.mkdir(parents=True)
    with (path / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    return path


@pytest.fixture
def port() -> Iterator[int]:
    """Where one server listens after the other."""
    with HeldPort() as port:
        yield port


@contextmanager
def running(folder: Path, drain: str, home: str = "home", **listeners: str) -> Iterator[Proxy]:
    """Run a proxy that drains for so long; in the same home again it is the same one."""
    place = folder.parents[4] / home
    place.mkdir(exist_ok=True)
    config = f'drain-seconds = "{drain}"\n{toml(folder.parents[3], **listeners)}'
    with proxying(place, config) as proxy:
        yield proxy


def token(proxy: Proxy, route: str, **body: Any) -> str:
    answer = proxy.manage(route, {**HERE, **body})
    assert answer.status == 200, answer.body
    return str(answer.document["token"])


def stopping(proxy: Proxy) -> None:
    """Send the signal, and wait until it is obeyed: it says so before it asks anybody to wait."""
    proxy.process.send_signal(signal.SIGTERM)
    proxy.wait_for(lambda: "\nstopping: " in proxy.out)


@dataclass
class Patch:
    """An upload's only ``PATCH``, of which a part is sent."""

    connection: socket.socket
    content: bytes
    sent: int

    def send(self, size: int) -> None:
        self.connection.sendall(self.content[self.sent : self.sent + size])
        self.sent += size

    def answer(self) -> bytes:
        return self.connection.recv(65_536)


@contextmanager
def patching(folder: Path, proxy: Proxy, url: str, content: bytes, part: int) -> Iterator[Patch]:
    """Begin to send an upload into a folder, 1 MiB or more; when the block begins, the server is at work on it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), LIMIT) as connection:
        patch = Patch(connection, content, 0)
        head = f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nTus-Resumable: 1.0.0\r\n"
        connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
        patch.send(part)
        # seen on the disk: to ask with another PATCH would be to be the writer that turns this one away
        wait_until(lambda: _staged(folder) > 0, proxy.process, lambda: proxy.err)
        yield patch


def _staged(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / ".upload").iterdir())


def turned_away(proxy: Proxy, upload: str, minted: str) -> list[Answer]:
    """Ask for new work of every kind."""
    return [
        ask(proxy.archive(minted)),
        ask(proxy.archive(minted), "HEAD"),
        ask(upload, "HEAD"),
        ask(upload, "PATCH", headers={"Upload-Offset": "0"}),
        ask(proxy.said("client") + "/uploads", "POST"),
        proxy.manage(MINT, {}),
        proxy.manage("/folder/delete", HERE),
        proxy.manage("/folder/file/upload", {**HERE, "relpath": "x", "size": 1}),
    ]


def test_an_upload_and_a_download_that_run_end_whole_and_nothing_new_is_begun(folder: Path) -> None:
    """Both at once; the proxy says what it waits for, and that it is not ready."""
    content = random.Random(1).randbytes(8 * MIB)
    with running(folder, "1h") as proxy:
        minted = proxy.mint("large.bin")
        url = f"{proxy.said('client')}/upload?token="
        other = url + token(proxy, "/folder/file/upload", relpath="other.bin", size=5)
        url += token(proxy, "/folder/file/upload", relpath="uploaded.bin", size=len(content))
        with begun(proxy.archive(minted["token"])) as download, patching(folder, proxy, url, content, 3 * MIB) as patch:
            stopping(proxy)
            assert "stopping: 2 requests have up to 3600 s to finish; press again to cut them\n" in proxy.out
            for answer in turned_away(proxy, other, minted["token"]):
                assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
            for path, status in (("/readyz", 503), ("/livez", 200), ("/health", 200)):
                assert ask(proxy.said("manager") + path).status == status
            patch.send(len(content) - patch.sent)
            assert patch.answer().startswith(b"HTTP/1.1 204 ")
            assert (folder / "uploaded.bin").read_bytes() == content
            assert proxy.process.poll() is None, "a download still runs"
            assert 1 + len(download.read()) == minted["length"]
        assert proxy.process.wait(LIMIT) == 0
        assert "cut off" not in proxy.err
    assert folder.exists()


@pytest.mark.parametrize("by", ["the deadline", "a second signal"])
def test_what_is_cut_can_be_gone_on_with(folder: Path, tmp_path: Path, port: int, by: str) -> None:
    """The next server has every byte that had come of an upload, as the log counts them, and the rest of a download."""
    content = random.Random(2).randbytes(8 * MIB)
    (folder / "large.bin").write_bytes(random.Random(3).randbytes(LARGE))
    address, out = f"127.0.0.1:{port}", tmp_path / "out.zip"
    with running(folder, "1s" if by == "the deadline" else "1h", client_addr=address) as proxy:
        download_url = proxy.archive(proxy.mint("large.bin")["token"])
        route = f"/upload?token={token(proxy, '/folder/file/upload', relpath='uploaded.bin', size=len(content))}"
        upload_url = proxy.said("client") + route
        with begun(download_url) as download, patching(folder, proxy, upload_url, content, 3 * MIB + 7):
            stopping(proxy)
            if by == "a second signal":
                proxy.process.send_signal(signal.SIGTERM)
            assert proxy.process.wait(LIMIT) == 0
            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as broken:
                download.read()
            if isinstance(broken.value, http.client.IncompleteRead):
                out.write_bytes(b"P" + broken.value.partial)
        (cut,) = [
            line for line in log(proxy) if line["event"] == "request" and line["received"] > 0 and line["aborted"]
        ]
        assert (cut["method"], cut["path"]) == ("PATCH", "/upload")
        if by == "the deadline":
            assert [line["requests"] for line in log(proxy) if line["event"] == "cut off what was still running"] == [2]
    assert not (folder / "uploaded.bin").exists()
    with running(folder, "1s", client_addr=address) as again:
        offset = int(ask(upload_url, "HEAD").headers["upload-offset"])
        assert 0 < offset == cut["received"] <= 3 * MIB + 7
        parts = urlsplit(upload_url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT)
        connection.request("PATCH", route, content[offset:], {"Upload-Offset": str(offset)})
        assert connection.getresponse().status == 204
        connection.close()
        ended = CURL.run(download_url, out)
        assert ended.code == 0, ended
        whole = ask(again.archive(again.mint("large.bin")["token"])).body
    assert (folder / "uploaded.bin").read_bytes() == content
    assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(whole).digest()


def test_over_tls_what_runs_ends_whole_and_what_is_idle_holds_nothing_up(folder: Path, tmp_path: Path) -> None:
    """A connection kept alive, one in the middle of its handshake, one that never said anything."""
    cert, key = certificate(tmp_path)
    trust = ssl.create_default_context(cafile=cert)
    lines = f'ssl-enabled = true\nssl-cert = "{cert}"\nssl-privkey = "{key}"'
    with running(folder, "1h", client=lines) as proxy:
        minted = proxy.mint("large.bin")
        parts = urlsplit(proxy.archive(minted["token"]))
        silent = socket.create_connection((parts.hostname, parts.port), LIMIT)
        halfway = socket.create_connection((parts.hostname, parts.port), LIMIT)
        halfway.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        idle = http.client.HTTPSConnection(parts.netloc, timeout=LIMIT, context=trust)
        idle.request("GET", "/")
        assert idle.getresponse().read()
        download = http.client.HTTPSConnection(parts.netloc, timeout=LIMIT, context=trust)
        download.request("GET", f"{parts.path}?{parts.query}")
        answer = download.getresponse()
        first = answer.read(1)
        stopping(proxy)
        idle.request("GET", f"{parts.path}?{parts.query}")
        refused = idle.getresponse()
        assert (refused.status, refused.getheader("Retry-After")) == (503, "5")
        assert json.loads(refused.read())["title"] == "The server is stopping."
        assert len(first + answer.read()) == minted["length"]
        assert proxy.process.wait(LIMIT) == 0
        for each in (silent, halfway, idle, download):
            each.close()


@pytest.mark.timeout(600)
def test_clients_of_uploads_do_not_notice_restarts(folder: Path, tmp_path: Path, port: int) -> None:
    """Stopped by SIGTERM again and again, at the same port."""
    size, chance, address = 30 * MIB, random.Random(9), f"127.0.0.1:{port}"
    files = {client: tmp_path / f"{client}.bin" for client in ("tuspy", "tus-js-client")}
    digests = {client: plant(file, size, seed) for seed, (client, file) in enumerate(files.items())}
    with ThreadPoolExecutor(len(files)) as threads:
        with running(folder, "30s", client_addr=address) as proxy:
            sending = {}
            for client, file in files.items():
                url = f"{proxy.said('client')}/upload?token="
                url += token(proxy, "/folder/file/upload", relpath=file.name, size=size)
                command = [*UPLOADERS[client], url, str(file), str(5 * MIB)]
                sending[client] = threads.submit(
                    subprocess.run, command, env=environment(), capture_output=True, text=True, timeout=300, check=False
                )
            time.sleep(chance.uniform(0.2, 0.8))
            assert proxy.stop() == 0
        for _ in range(2):
            with running(folder, "30s", client_addr=address) as proxy:
                time.sleep(chance.uniform(0.2, 0.8))
                assert proxy.stop() == 0
        with running(folder, "30s", client_addr=address):
            ended = {client: each.result(300) for client, each in sending.items()}
    for client, file in files.items():
        assert ended[client].returncode in (0, NOT_THERE), ended[client].stderr
        assert sha256(folder / file.name) == digests[client]


def log(proxy: Proxy) -> list[dict[str, Any]]:
    return [json.loads(line) for line in proxy.err.splitlines()]
