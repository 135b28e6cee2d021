"""Pannier behind a real nginx and a real Caddy, started by the recipes in `deploy/`, with TLS and HTTP/2 in front.

Each test is one of the words of docs/deploy.md; each goes through both.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import random
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pannier.streams.queues import most_held
from tests.cli.commands import LIMIT, ask
from tests.deploy.fronts import Front, front
from tests.e2e import trees
from tests.e2e.proxying import FOLDER, FOLDER_PATH, Proxy, proxying, toml
from tests.e2e.running import HeldPort
from tests.e2e.test_proxy import signed, upstream_claims

MIB = 1024 * 1024
LARGE = 64 * MIB + 2 * most_held()
"""Bytes: many times what the sockets between client, proxy and server hold."""
QUEUED = 16 * MIB + most_held()
"""Bytes, more than all queues on the way hold."""
PREFIX = "/store"
BEHIND = f'path-prefix = "{PREFIX}"\ntrusted-proxies = ["127.0.0.1/32"]'
TUS = {"Tus-Resumable": "1.0.0"}
SENDING = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("volume")
    folder = root / FOLDER_PATH
    folder.mkdir(parents=True)
    trees.plant(folder / "few", 7, small=20, large=())
    (folder / "medium.bin").write_bytes(random.Random(7).randbytes(3 * MIB))
    with (folder / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    return folder


@pytest.fixture(scope="module")
def proxy(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    root = folder.parents[len(Path(FOLDER_PATH).parts) - 1]
    with proxying(tmp_path_factory.mktemp("home"), toml(root, client=BEHIND)) as it:
        yield it


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def before(request: pytest.FixtureRequest, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    upstream = urlsplit(proxy.said("client")).netloc
    place = tmp_path_factory.mktemp("front") / request.param
    with HeldPort() as port, front(request.param, upstream, port, place) as it:
        yield it
    assert b"eyJ" not in it.written(), "a token stands in the proxy's logs"
    assert PREFIX.encode() in it.written(), "what was asked for does not"


def archive(proxy: Proxy, *files: str, **more: Any) -> str:
    """Return what is asked of the front for an archive."""
    return target(proxy.archive(proxy.mint(*files, **more)["token"]))


def target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + LIMIT
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def requests(proxy: Proxy) -> list[dict[str, Any]]:
    """Return what the access log says so far."""
    lines = [json.loads(line) for line in proxy.err.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in lines if line.get("event") == "request"]


def curl(before: Front, url: str, *more: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = ["curl", "-sS", "--cacert", str(before.trusted), before.url + url, *map(str, more)]
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False)


# ---------------------------------------------------------------- downloads


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_an_archive_comes_with_what_the_server_says_of_it(
    before: Front, proxy: Proxy, folder: Path, version: str, tmp_path: Path
) -> None:
    """Length, validators and caching; nothing is compressed on the way, whatever the client would take."""
    url = archive(proxy, "few", "medium.bin")
    direct = ask(proxy.said("client").removesuffix(PREFIX) + url)
    heads, out = tmp_path / "heads", tmp_path / "out.zip"
    done = curl(before, url, version, "--compressed", "-D", heads, "-o", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == direct.body
    status, *lines = heads.read_text().strip().splitlines()
    assert status.split()[:2] == [version.strip("-").replace("http", "HTTP/"), "200"]
    told = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    for name in (
        "content-length",
        "etag",
        "last-modified",
        "accept-ranges",
        "content-disposition",
        "cache-control",
        "content-type",
        "x-content-type-options",
        "referrer-policy",
    ):
        assert told[name] == direct.headers[name], name
    assert "content-encoding" not in told


def test_head_tells_what_get_would(before: Front, proxy: Proxy) -> None:
    url = archive(proxy, "few", "medium.bin")
    head, got = before.ask(url, "HEAD"), before.ask(url)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "etag", "last-modified", "accept-ranges"):
        assert head.headers[name] == got.headers[name]
    assert int(head.headers["content-length"]) == len(got.body)


def test_ranges_and_conditions_are_the_servers(before: Front, proxy: Proxy) -> None:
    url = archive(proxy, "few", "medium.bin")
    whole = before.ask(url)
    size, etag = len(whole.body), whole.headers["etag"]
    for asked, start, stop in (("0-99", 0, 100), (f"{MIB}-{2 * MIB}", MIB, 2 * MIB + 1), ("-300", size - 300, size)):
        for more in ({}, {"If-Range": etag}):
            part = before.ask(url, headers={"Range": f"bytes={asked}", **more})
            assert (part.status, part.body) == (206, whole.body[start:stop])
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    assert before.ask(url, headers={"Range": "bytes=5-", "If-Range": '"other"'}).status == 200
    assert before.ask(url, headers={"If-None-Match": etag}).status == 304
    beyond = before.ask(url, headers={"Range": f"bytes={size}-", "If-Range": etag})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_cut_download_is_gone_on_with(before: Front, proxy: Proxy, tmp_path: Path) -> None:
    url = archive(proxy, "few", "medium.bin")
    whole = before.ask(url).body
    out = tmp_path / "out.zip"
    out.write_bytes(whole[:1_234_567])
    done = curl(before, url, "-C", "-", "-o", out)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == whole


def test_a_format_without_a_length_comes_in_chunks(before: Front, proxy: Proxy, folder: Path) -> None:
    """A proxy that spoke HTTP/1.0 to the server would be refused (426)."""
    got = before.ask(archive(proxy, "few", format="tar.gz"))
    assert got.status == 200, got.body
    assert "content-length" not in got.headers
    with tarfile.open(fileobj=io.BytesIO(got.body)) as opened:
        names = {each.name for each in opened if each.isfile()}
    assert names == {f"few/{name}" for name in trees.files(folder / "few")}


def test_a_token_that_carries_a_long_list_fits(before: Front, proxy: Proxy, folder: Path) -> None:
    """One of Backend.AI's own is as long as its list of files."""
    files = [f"few/../{'./' * 10}few" for _ in range(1_200)]
    token = signed(upstream_claims(*files, virtual_folder_id=FOLDER))
    assert len(token) > 50_000
    got = before.ask(f"{PREFIX}/download-archive?token={token}")
    assert got.status == 200, got.body[:500]
    assert len(trees.contents(got.body)) == 20


def test_a_problem_is_passed_on_as_it_is(before: Front, proxy: Proxy) -> None:
    answer = before.ask(f"{PREFIX}/download-archive?token=none")
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (400, "application/problem+json")
    assert answer.document["error_code"] == "auth_auth_bad-request"


def test_only_what_is_for_clients_is_reached(before: Front, proxy: Proxy) -> None:
    """Nothing beside the prefix, and below it no route of the manager."""
    assert before.ask("/").status == 404
    assert before.ask(f"{PREFIX}/").document["type"] == "client-facing"
    assert before.ask(f"{PREFIX}/sessions").status == 404
    assert before.ask(f"{PREFIX}/folder/file/archive-download-token", "POST", body=b"{}").status == 404


def test_a_download_goes_at_the_clients_pace_and_ends_when_it_leaves(before: Front, proxy: Proxy) -> None:
    """No buffering: of an archive that nobody takes, only what sockets hold leaves the server."""
    minted = proxy.mint("large.bin")
    size = minted["length"]
    with before.connect(receive=64 * 1024) as client:
        client.sendall(f"GET {target(proxy.archive(minted['token']))} HTTP/1.1\r\nHost: {before.host}\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(2.5)  # a proxy that buffers would take all of it meanwhile
        told = proxy.manage(f"/sessions/{minted['session']}", method="GET").document
        assert told["delivered"]["total"] < QUEUED < size / 2, "the proxy takes what its client does not"
        number = sum(line["path"].endswith("/download-archive") for line in requests(proxy))
    ended = wait_for(lambda: [each for each in requests(proxy) if each["path"].endswith("/download-archive")][number:])
    assert ended[0]["aborted"] is True
    assert ended[0]["bytes"] < QUEUED
    assert not [path for path in before.place.rglob("proxy/*") if path.is_file()], "it went through a file"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("format", ["zip", "tar.gz"])
def test_a_download_that_breaks_off_is_no_success(
    before: Front, proxy: Proxy, folder: Path, version: str, format: str, tmp_path: Path
) -> None:
    """With and without a length: the file is cut while it is sent, and the client has to see that."""
    source, out = folder / f"{tmp_path.name}.bin", tmp_path / "out"
    source.write_bytes(os.urandom(24 * MIB))
    url = archive(proxy, source.name, format=format)
    command = ["curl", "-sS", version, "--cacert", str(before.trusted), before.url + url]
    command += ["--limit-rate", "8M", "-o", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
        try:
            wait_for(lambda: out.exists() and out.stat().st_size > MIB)
            os.truncate(source, MIB)
            _, said = running.communicate(timeout=LIMIT)
        finally:
            running.kill()
            source.unlink()
    assert out.stat().st_size < 24 * MIB, said
    if (format, before.name) == ("tar.gz", "caddy") and before.version() < (2, 8):
        with pytest.raises(EOFError), gzip.open(out) as packed:  # told by the file alone: docs/deploy.md
            packed.read()
        return
    assert running.returncode != 0, "a broken download ended well"


# ---------------------------------------------------------------- uploads


def upload(before: Front, proxy: Proxy, relpath: str, size: int) -> str:
    body = {"volume": "local", "vfid": FOLDER, "relpath": relpath, "size": size}
    token = proxy.manage("/folder/file/upload", body).document["token"]
    return f"{PREFIX}/upload?token={token}"


def test_a_large_upload_arrives_in_one_request(before: Front, proxy: Proxy, folder: Path) -> None:
    """nginx alone takes 1 MiB."""
    data = os.urandom(40 * MIB)
    name = f"uploaded-{before.name}"
    done = before.ask(upload(before, proxy, name, len(data)), "PATCH", body=data, headers={"Upload-Offset": "0"})
    assert (done.status, done.headers["upload-offset"]) == (204, str(len(data)))
    assert (folder / name).read_bytes() == data


def test_a_client_begins_an_upload_and_finds_it_where_it_is_told(before: Front, proxy: Proxy, folder: Path) -> None:
    """`Location` has the prefix, so it leads through the proxy."""
    body = {"volume": "local", "vfid": FOLDER, "relpath": "in", "size": MIB, "multiple": True}
    token = proxy.manage("/folder/file/upload", body).document["token"]
    name = f"named-{before.name}"
    told = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": "10", "Upload-Metadata": told}
    begun = before.ask(f"{PREFIX}/uploads?token={token}", "POST", headers=headers)
    assert begun.status == 201
    assert begun.headers["location"].startswith(f"{PREFIX}/uploads?token=")
    sent = before.ask(begun.headers["location"], "PATCH", body=b"0123456789", headers={**SENDING, "Upload-Offset": "0"})
    assert sent.status == 204, sent.body
    assert (folder / "in" / name).read_bytes() == b"0123456789"


def test_an_upload_is_kept_as_it_comes_and_free_when_its_client_leaves(
    before: Front, proxy: Proxy, folder: Path
) -> None:
    """A proxy that gathers requests would have the server see nothing of one that is cut."""
    data = os.urandom(16 * MIB)
    name = f"cut-{before.name}"
    url = upload(before, proxy, name, len(data))
    with before.connect() as client:
        head = f"PATCH {url} HTTP/1.1\r\nHost: {before.host}\r\nUpload-Offset: 0\r\nContent-Length: {len(data)}\r\n\r\n"
        client.sendall(head.encode())
        client.sendall(data[: len(data) // 2])
        staged = folder / ".upload"
        wait_for(lambda: sum(each.stat().st_size for each in staged.iterdir()) >= 2 * MIB)
    direct = proxy.said("client").removesuffix(PREFIX) + url
    began = time.monotonic()

    def free() -> int | None:
        """Where it is, once nobody holds it any more."""
        head = ask(direct, "HEAD")
        if head.status != 200:
            return None
        at = int(head.headers["upload-offset"])
        sent = ask(direct, "PATCH", headers={"Upload-Offset": str(at), "Content-Length": "0"})
        return at if at and sent.status == 204 else None

    at = wait_for(free)
    assert time.monotonic() - began < 25, "the server learned of it by its own patience only"
    sent = before.ask(url, "PATCH", body=data[at:], headers={"Upload-Offset": str(at)})
    assert sent.status == 204, sent.body
    assert (folder / name).read_bytes() == data


# ---------------------------------------------------------------- who asks


def test_the_log_names_the_client_and_believes_nobody_else(before: Front, proxy: Proxy) -> None:
    url = f"{PREFIX}/who-{before.name}"
    before.ask(url, source="127.0.0.9", headers={"X-Forwarded-For": "6.6.6.6", "X-Request-Id": "forged-number"})
    (line,) = wait_for(lambda: [each for each in requests(proxy) if each["path"] == url])
    assert line["client"] == "127.0.0.9"
    assert line["request"] != "forged-number"
    assert len(line["request"]) >= 32, "the proxy's own number, by which its log and ours are joined"
