"""The access log of a real ``pannier proxy``: a line a request, with what left, what came, and whether it broke off."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.commands import LIMIT, ask, begun
from tests.e2e.proxying import FOLDER, FOLDER_PATH, Proxy, proxying, toml

LARGE = 64 * 1024 * 1024
"""Bytes: many times what sockets of this machine hold."""
HERE = {"volume": "local", "vfid": FOLDER}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volume") / FOLDER_PATH
    path.mkdir(parents=True)
    (path / "small.txt").write_text("small")
    with (path / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    return path


@pytest.fixture(scope="module")
def proxy(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    config = toml(folder.parents[3], client='trusted-proxies = ["127.0.0.2"]')
    with proxying(tmp_path_factory.mktemp("home"), config) as running:
        yield running


def token(proxy: Proxy, route: str, **body: Any) -> str:
    answer = proxy.manage(route, {**HERE, **body})
    assert answer.status == 200, answer.body
    return str(answer.document["token"])


def download(proxy: Proxy, path: str) -> str:
    return f"{proxy.said('client')}/download?token={token(proxy, '/folder/file/download', relpath=path)}"


def line_of(proxy: Proxy, number: str) -> dict[str, Any]:
    """Return the one line of a request by its number; it may come a little after the answer."""

    def lines() -> list[dict[str, Any]]:
        each = [json.loads(text) for text in proxy.err.splitlines(keepends=True) if text.endswith("\n")]
        return [line for line in each if line["event"] == "request" and line["request"] == number]

    proxy.wait_for(lambda: bool(lines()))
    (line,) = lines()
    return line


def test_a_line_has_status_bytes_duration_and_that_nothing_is_missing(proxy: Proxy) -> None:
    """Of a whole answer, a part, a head, a refusal."""
    url, archive = download(proxy, "small.txt"), proxy.archive(proxy.mint("large.bin")["token"])
    for asked, method, headers, status, path in (
        (url, "GET", {}, 200, "/download"),
        (url, "HEAD", {}, 200, "/download"),
        (url, "GET", {"Range": "bytes=1-3"}, 206, "/download"),
        (archive, "GET", {}, 200, "/download-archive"),
        (archive, "GET", {"Range": "bytes=-70000"}, 206, "/download-archive"),
        (url.replace("token=", "token=x"), "GET", {}, 400, "/download"),
        (proxy.said("client") + "/nothing?x=secret-of-the-query", "GET", {}, 404, "/nothing"),
    ):
        answer = ask(asked, method, headers=headers)
        line = line_of(proxy, answer.headers["x-request-id"])
        assert {
            key: line[key] for key in ("status", "method", "path", "listener", "client", "received", "aborted")
        } == {
            "status": status,
            "method": method,
            "path": path,
            "listener": "client",
            "client": "127.0.0.1",
            "received": 0,
            "aborted": False,
        }
        assert (answer.status, line["bytes"]) == (status, len(answer.body))
        assert line["seconds"] >= 0
    assert "secret-of-the-query" not in proxy.err


@pytest.mark.parametrize("kind", ["file", "stored", "packed"])
def test_a_client_that_leaves_in_the_middle_is_told_with_what_it_was_given(proxy: Proxy, kind: str) -> None:
    """One that reads slowly: no less than it read, and no more than its connection holds beyond that."""
    minted = proxy.mint("large.bin", **({"format": "zip", "compression": "deflate"} if kind == "packed" else {}))
    url = download(proxy, "large.bin") if kind == "file" else proxy.archive(minted["token"])
    with begun(url) as response:
        number = response.headers["X-Request-Id"]
        taken = 1 + len(response.read(10_000 if kind == "packed" else 5_000_000))
    line = line_of(proxy, number)
    assert (line["status"], line["aborted"]) == (200, True)
    assert taken <= line["bytes"] < LARGE


def test_a_source_that_changes_is_told_as_broken_off(proxy: Proxy, folder: Path) -> None:
    with (folder / "changes.bin").open("wb") as file:
        file.truncate(LARGE)
    with begun(download(proxy, "changes.bin")) as response:
        (folder / "changes.bin").write_bytes(b"other")
        number = response.headers["X-Request-Id"]
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            response.read()
    line = line_of(proxy, number)
    assert (line["status"], line["aborted"]) == (200, True)
    why = [json.loads(text) for text in proxy.err.splitlines() if number in text]
    assert [each["event"] for each in why] == ["download broken off", "request"]
    assert "changes.bin" in why[0]["cause"]


def test_what_an_upload_brought_is_told(proxy: Proxy) -> None:
    """Whole, and of one that was cut."""
    content = random.Random(4).randbytes(3_000_000)
    url = f"{proxy.said('client')}/upload?token="
    url += token(proxy, "/folder/file/upload", relpath="uploaded.bin", size=len(content))
    parts = urlsplit(url)
    head = f"PATCH {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nX-Request-Id: of-another-%s\r\n"
    with socket.create_connection((parts.hostname, parts.port), LIMIT, source_address=("127.0.0.2", 0)) as client:
        client.sendall((head % "cut" + f"Upload-Offset: 0\r\nContent-Length: {len(content)}\r\n\r\n").encode())
        client.sendall(content[:1_000_000])
    line = line_of(proxy, "of-another-cut")
    assert (line["method"], line["received"], line["aborted"]) == ("PATCH", 1_000_000, True)
    with socket.create_connection((parts.hostname, parts.port), LIMIT, source_address=("127.0.0.2", 0)) as client:
        rest = content[1_000_000:]
        client.sendall((head % "rest" + f"Upload-Offset: 1000000\r\nContent-Length: {len(rest)}\r\n\r\n").encode())
        client.sendall(rest)
        assert client.recv(4096).startswith(b"HTTP/1.1 204")
    line = line_of(proxy, "of-another-rest")
    assert (line["status"], line["received"], line["bytes"], line["aborted"]) == (204, len(rest), 0, False)


def test_a_long_path_does_not_fill_the_log(proxy: Proxy) -> None:
    answer = ask(f"{proxy.said('client')}/{'x' * 20_000}")
    line = line_of(proxy, answer.headers["x-request-id"])
    assert (line["status"], line["path"]) == (404, "/" + "x" * 511 + "…")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("of-the-edge.1:2_3", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("abc", False),
        ("", False),
        ("with space", False),
        ('quote"d', False),
        ("-leading", False),
        ("b\x7f\x1b[31mred", False),
        ("보고서-보고서", False),
    ],
)
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_the_number_of_a_trusted_proxy_is_kept_if_a_log_can_hold_it(
    proxy: Proxy, source: str, given: str, kept: bool
) -> None:
    """Nobody else's: whoever asks could take the number of another's request."""
    parts = urlsplit(proxy.said("client"))
    with socket.create_connection((parts.hostname, parts.port), LIMIT, source_address=(source, 0)) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: " + given.encode() + b"\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(65_536), b"")).decode()
    number = next((each[14:] for each in answer.split("\r\n") if each.startswith("X-Request-Id: ")), "")
    assert number, answer
    assert (number == given) == (kept and source == "127.0.0.2")
    if number != given:
        assert len(number) == 8
    if answer.startswith("HTTP/1.1 200"):
        assert line_of(proxy, number)["status"] == 200
