"""Promise: all that holds over plain HTTP holds over TLS: ranges, resuming, uploads, clients that leave or are slow."""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import struct
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.commands import LIMIT, Answer, Chain, ask, chain, wait_until
from tests.e2e import trees
from tests.e2e.clients import ARIA2C, CLIENTS, Client, Ended, environment, have, wait_for
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.proxying import FOLDER, FOLDER_PATH, MANAGER_SECRET, MINT, Proxy, toml
from tests.e2e.running import HeldPort
from tests.e2e.test_upload_clients import CLIENTS as UPLOADERS
from tests.e2e.test_upload_clients import NOT_THERE, plant, sha256
from tests.e2e.trees import MIB

LARGE = 400 * MIB
"""Bytes of a file that takes no room: what is lost of it, and what is kept in memory, cannot be overlooked."""
SLOW = 40
"""Clients that take nothing: more than the server has threads for streams."""
_RESET = struct.pack("ii", 1, 0)


class Site:
    """A proxy with TLS on both listeners, at a port where it is again after a kill; and a client that trusts it."""

    def __init__(self, home: Path, volume: Path, port: int) -> None:
        self.home, self.folder = home, volume / FOLDER_PATH
        self.pki = chain(home)
        lines = f'ssl-enabled = true\nssl-cert = "{self.pki.shown}"\nssl-privkey = "{self.pki.key}"'
        address = f"127.0.0.1:{port}"
        self._config = toml(volume, client=lines, manager=lines, client_addr=address)
        self._trust = ssl.create_default_context(cafile=self.pki.trusted)
        self.proxy = self._started()

    def _started(self) -> Proxy:
        # a helper would be started among what is counted
        proxy = Proxy(self.home, self._config, PANNIER_ARCHIVE__HELPERS="0")
        proxy.wait_said("\n  state ")
        return proxy

    def kill(self) -> None:
        """kill -9, and start again."""
        self.proxy.process.kill()
        self.proxy.end()
        self.proxy = self._started()

    @property
    def port(self) -> int:
        return int(self.proxy.said("client").rpartition(":")[2])

    def ask(self, url: str, method: str = "GET", *, body: object = None, **headers: str) -> Answer:
        """Ask over TLS; names of headers with underscores for dashes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, sent, method=method)
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._trust)
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=LIMIT) as answer:
                return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())

    def manage(self, path: str, body: Mapping[str, Any], method: str = "POST", secret: str = MANAGER_SECRET) -> Answer:
        """Ask the manager-facing listener."""
        headers = {"X-BackendAI-Storage-Auth-Token": secret, "Content-Type": "application/json"}
        return self.ask(self.proxy.said("manager") + path, method, body=body, **headers)

    def token(self, path: str, **body: Any) -> str:
        answer = self.manage(path, {"volume": "local", "vfid": FOLDER, **body})
        assert answer.status == 200, answer.body
        return str(answer.document["token"])

    def archive(self, *files: str, **more: Any) -> str:
        """Return where a selection is downloaded, with a token of its own."""
        return self.proxy.archive(self.token(MINT, virtual_folder_id=FOLDER, files=files, **more))

    def file(self, path: str) -> str:
        """Return where one file is downloaded."""
        return f"{self.proxy.said('client')}/download?token={self.token('/folder/file/download', relpath=path)}"

    def connect(self, *, receive: int | None = None, tls: bool = True) -> socket.socket:
        """Connect to the client-facing listener; ``receive``: bytes of the socket's buffer."""
        raw = socket.socket()
        raw.settimeout(LIMIT)
        if receive is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        raw.connect(("127.0.0.1", self.port))
        return self._trust.wrap_socket(raw, server_hostname="127.0.0.1") if tls else raw

    def begin(self, url: str, *, receive: int | None = None) -> socket.socket:
        """Begin a download, and take one byte of its head."""
        connection, parts = self.connect(receive=receive), urlsplit(url)
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(1) == b"H"
        return connection

    def streams(self) -> float:
        """Return how many answers stream, by the metrics."""
        text = ask(self.proxy.said("internal") + "/metrics").body.decode()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("pannier_streams ")))

    def wait(self, condition: Callable[[], bool], what: Callable[[], object]) -> None:
        wait_until(condition, self.proxy.process, lambda: str(what()))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.proxy.process.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.proxy.process.pid}/task"))

    def resident(self) -> int:
        pages = Path(f"/proc/{self.proxy.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home, volume = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("volume")
    trees.plant(volume / FOLDER_PATH / "trip", 8, small=200, large=(3 * MIB, 9 * MIB + 1, 20 * MIB))
    with (volume / FOLDER_PATH / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    with HeldPort() as port:
        made = Site(home, volume, port)
        try:
            yield made
        finally:
            made.proxy.end()
            said = made.proxy.out + made.proxy.err
            assert not [each for each in (MANAGER_SECRET, "eyJ") if each in said]


@pytest.fixture(scope="module")
def whole(site: Site) -> bytes:
    """The archive of ``trip``, in one go."""
    got = site.ask(site.archive("trip"))
    assert got.status == 200
    names = {f"trip/{name}": data for name, data in trees.files(site.folder / "trip").items()}
    assert trees.contents(got.body) == names
    return got.body


def trusting(client: Client, pki: Chain) -> Client:
    return replace(client, trusts=pki.trusted)


def until_done(client: Client, url: str, out: Path) -> Ended:
    """Run a client again and again until it says that it has all; return how it ended at last."""
    ended = client.run(url, out)
    for _ in range(20):
        if ended.code == 0:
            break
        ended = client.run(url, out)
    return ended


RESUMING = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


# ---------------------------------------------------------------- certificates


@RESUMING
def test_clients_that_know_the_root_alone_trust_the_whole_chain(site: Site, client: Client, tmp_path: Path) -> None:
    """And one that knows another root gets nothing."""
    url, out = site.archive("trip"), tmp_path / "out.zip"
    other = tmp_path / "other"
    other.mkdir()
    assert trusting(client, chain(other)).run(url, out).code != 0
    assert have(out) == 0
    ended = trusting(client, site.pki).run(url, out)
    assert ended.code == 0, ended
    assert zipfile.ZipFile(out).testzip() is None


# ---------------------------------------------------------------- archives


def test_an_archive_has_its_length_its_parts_and_its_validators(site: Site, whole: bytes) -> None:
    url = site.archive("trip")
    head = site.ask(url, "HEAD")
    assert (head.status, head.body, int(head.headers["content-length"])) == (200, b"", len(whole))
    etag = head.headers["etag"]
    for asked, expected in (
        ("bytes=0-0", whole[:1]),
        ("bytes=1234567-", whole[1234567:]),
        ("bytes=-70000", whole[-70000:]),
        (f"bytes=100000-{len(whole) + 9}", whole[100000:]),
    ):
        for more in ({}, {"If_Range": etag}):
            part = site.ask(url, Range=asked, **more)
            assert (part.status, part.body) == (206, expected)
    assert site.ask(url, Range="bytes=5-9", If_Range='"another"').body == whole
    assert site.ask(url, If_None_Match=etag).status == 304
    assert site.ask(url, Range=f"bytes={len(whole)}-").status == 416


@RESUMING
def test_a_client_that_was_cut_off_goes_on(site: Site, whole: bytes, client: Client, tmp_path: Path) -> None:
    """By an end or a reset of the connection in the middle of the encrypted bytes, again and again."""
    chance, out, url = random.Random(client.name), tmp_path / "out.zip", site.archive("trip")
    able = trusting(client, site.pki)
    with CuttingProxy(site.port, encrypted=True) as between:
        cuts = [Cut(chance.randrange(100_000, 6 * MIB), reset=number % 2 == 1) for number in range(6)]
        if client is ARIA2C:
            between.cut(*cuts)
            ended = until_done(able, between.through(url), out)
        else:
            for cut in cuts:
                between.cut(cut)
                ended = able.run(between.through(url), out)
                assert ended.code != 0, ended
            ended = able.run(between.through(url), out)
        assert ended.code == 0, ended
        assert between.made == len(cuts)
    assert sha256(out) == trees.sha256(whole)


def test_a_download_goes_on_after_kill_9_of_the_server(site: Site, whole: bytes, tmp_path: Path) -> None:
    """All clients are at it when it is killed."""
    downloads = [
        (trusting(client, site.pki), site.archive("trip"), tmp_path / f"{client.name}.zip") for client in CLIENTS
    ]
    with CuttingProxy(site.port, pace=4 * MIB, encrypted=True) as slow, ExitStack() as running:
        begun = [running.enter_context(able.running(slow.through(url), out, "4M")) for able, url, out in downloads]
        for process, (able, _, out) in zip(begun, downloads, strict=True):
            assert wait_for(out, 2 * MIB, process), able.name
        assert all(have(out) < len(whole) for _, _, out in downloads)
        site.kill()
        for process in begun:
            process.wait(LIMIT)
    for able, url, out in downloads:
        ended = until_done(able, url, out)
        assert ended.code == 0, f"{able.name}: {ended}"
        assert sha256(out) == trees.sha256(whole)


@pytest.mark.parametrize("packed", ["", "tar.gz"])
def test_a_source_that_changes_is_never_taken_for_a_whole_archive(site: Site, packed: str, tmp_path: Path) -> None:
    """Of known length or in chunks: the connection breaks, and curl says so."""
    victim = site.folder / "victim"
    victim.mkdir(exist_ok=True)
    (victim / "1.bin").write_bytes(random.Random(1).randbytes(8 * MIB))
    (victim / "2.bin").write_bytes(random.Random(2).randbytes(8 * MIB))
    url, out = site.archive("victim", **({"format": packed} if packed else {})), tmp_path / "out"
    command = ["curl", "-q", "-sS", "--fail", "--cacert", str(site.pki.trusted), "--limit-rate", "6M", "-o", str(out)]
    with subprocess.Popen([*command, url], env=environment(), stderr=subprocess.PIPE) as process:
        assert wait_for(out, 1 * MIB, process)
        (victim / "2.bin").write_bytes(b"other")
        assert process.wait(LIMIT) in (18, 56)  # curl's numbers for: less came than was promised; receiving failed


# ---------------------------------------------------------------- single files


def test_a_single_file_has_ranges(site: Site) -> None:
    content = trees.content(5, 3 * MIB + 7)
    (site.folder / "single.bin").write_bytes(content)
    url = site.file("single.bin")
    head, got = site.ask(url, "HEAD"), site.ask(url)
    assert (got.status, got.body) == (200, content)
    assert {k: head.headers[k] for k in ("content-length", "etag", "last-modified", "accept-ranges")} == {
        "content-length": str(len(content)),
        "etag": got.headers["etag"],
        "last-modified": got.headers["last-modified"],
        "accept-ranges": "bytes",
    }
    for asked, expected in (
        ("bytes=0-99", content[:100]),
        ("bytes=1000000-", content[1000000:]),
        ("bytes=-1", content[-1:]),
    ):
        part = site.ask(url, Range=asked, If_Range=head.headers["etag"])
        assert (part.status, part.body) == (206, expected)
    assert site.ask(url, Range=f"bytes={len(content)}-").status == 416


@RESUMING
def test_a_single_file_goes_on_after_a_cut(site: Site, client: Client, tmp_path: Path) -> None:
    content = trees.content(6, 12 * MIB + 7)
    (site.folder / "single.bin").write_bytes(content)
    url, out, able = site.file("single.bin"), tmp_path / "single.bin", trusting(client, site.pki)
    with CuttingProxy(site.port, [Cut(3 * MIB), Cut(2 * MIB, reset=True)], encrypted=True) as between:
        ended = until_done(able, between.through(url), out)
        assert between.made == 2
    assert ended.code == 0, ended
    assert out.read_bytes() == content


# ---------------------------------------------------------------- uploads


def upload(site: Site, client: str, *arguments: str) -> int:
    """Run a client of uploads that trusts the root, and return its exit code."""
    root = str(site.pki.trusted)
    trust = {"REQUESTS_CA_BUNDLE": root, "NODE_EXTRA_CA_CERTS": root}
    command = [*UPLOADERS[client], *arguments]
    ended = subprocess.run(
        command, env={**environment(), **trust}, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode in (0, NOT_THERE), ended.stderr
    return ended.returncode


@pytest.mark.timeout(900)
def test_uploads_go_on_after_kills_of_the_server(site: Site, tmp_path: Path) -> None:
    """By both clients and at both routes at once."""
    size, file, chance = 24 * MIB + 3, tmp_path / "sent.bin", random.Random(6)
    digest = plant(file, size, 3)
    cases = [(client, route) for client in ("tuspy", "tus-js-client") for route in ("/upload", "/uploads")]
    names = {case: f"올린 것/{'-'.join(case).replace('/', '')}.bin" for case in cases}
    with ThreadPoolExecutor(len(cases)) as threads:
        sending = {}
        for client, route in cases:
            name = names[client, route]
            if route == "/upload":
                token, more = site.token("/folder/file/upload", relpath=name, size=size), []
            else:
                token, more = site.token("/folder/file/upload", relpath=".", size=size, multiple=True), [name]
            url = f"{site.proxy.said('client')}{route}?token={token}"
            sending[client, route] = threads.submit(upload, site, client, url, str(file), str(5 * MIB), *more)
        for _ in range(2):
            time.sleep(chance.uniform(0.3, 1.5))
            if not all(each.done() for each in sending.values()):
                site.kill()
        codes = {case: each.result(600) for case, each in sending.items()}
    for case, code in codes.items():
        assert code == 0 or case[1] == "/upload", case  # the wire knows finished uploads no more: it may have been lost
        assert sha256(site.folder / names[case]) == digest, case


def test_a_patch_that_ends_in_the_middle_keeps_what_came(site: Site) -> None:
    """To the byte, where the client ends the connection without a reset."""
    content, name, offset = random.Random(9).randbytes(6 * MIB), "cut upload.bin", 0
    token = site.token("/folder/file/upload", relpath=name, size=len(content))

    def patch(connection: socket.socket, part: int) -> None:
        left = f"Upload-Offset: {offset}\r\nContent-Length: {len(content) - offset}\r\n\r\n"
        connection.sendall(f"PATCH /upload?token={token} HTTP/1.1\r\nHost: x\r\n{left}".encode())
        connection.sendall(content[offset : offset + part])

    url = f"{site.proxy.said('client')}/upload?token={token}"
    for part in (2 * MIB + 5, 1 * MIB):
        with site.connect() as connection:
            patch(connection, part)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
        offset += part
        site.wait(lambda expected=offset: told(site, url) == expected, lambda: told(site, url))  # type: ignore[misc]
    with site.connect() as connection:
        patch(connection, len(content))
        assert connection.recv(4096).startswith(b"HTTP/1.1 204")
    assert (site.folder / name).read_bytes() == content


def told(site: Site, url: str) -> int:
    """Return the offset of an upload; -1 while its last writer still holds it."""
    answer = site.ask(url, "HEAD")
    return int(answer.headers["upload-offset"]) if answer.status == 200 else -1


# ---------------------------------------------------------------- the manager


def test_the_managers_routes_answer(site: Site) -> None:
    """What is made, listed, fetched and deleted; nothing of it without the secret."""
    here = {"volume": "local", "vfid": FOLDER}
    assert site.manage("/volumes", {}, "GET", "wrong").status == 403
    listed = site.ask(site.proxy.said("manager") + "/volumes", X_BackendAI_Storage_Auth_Token=MANAGER_SECRET)
    assert [each["name"] for each in listed.document["volumes"]] == ["local"]
    made = site.manage("/folder/file/mkdir", {**here, "relpath": ["managed/a", "managed/b"]})
    assert (made.status, len(made.document["results"]["success"])) == (200, 2)
    (site.folder / "managed" / "c.bin").write_bytes(b"c" * 300_000)
    items = site.manage("/folder/file/list", {**here, "relpath": "managed"}).document["items"]
    assert sorted(each["name"] for each in items) == ["a", "b", "c.bin"]
    fetched = site.manage("/folder/file/fetch", {**here, "relpath": "managed/c.bin"})
    assert (fetched.status, fetched.body) == (200, b"c" * 300_000)
    deleted = site.manage("/folder/file/delete", {**here, "relpaths": ["managed"], "recursive": True})
    assert (deleted.status, (site.folder / "managed").exists()) == (200, False)
    assert site.manage("/folder/file/list", {**here, "relpath": "managed"}).status == 400


# ---------------------------------------------------------------- those who leave, and those who are slow


def _speaks_plain_http(site: Site) -> None:
    with site.connect(tls=False) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert not connection.recv(4096).startswith(b"HTTP")


def _leaves_in_the_handshake(site: Site) -> None:
    with site.connect(tls=False) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50))


def _only_connects(site: Site) -> None:
    site.connect(tls=False).close()


def _leaves_after_the_handshake(site: Site) -> None:
    site.connect().close()


def _leaves_in_a_download(site: Site) -> None:
    with site.begin(site.archive("large.bin"), receive=65536) as connection:
        assert connection.recv(1 * MIB)


def _resets_in_a_download(site: Site) -> None:
    with site.begin(site.archive("trip"), receive=65536) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _takes_leave_in_a_download(site: Site) -> None:
    """As TLS has it, and then reads what comes until it is over."""
    with site.begin(site.archive("large.bin"), receive=65536) as connection:
        assert isinstance(connection, ssl.SSLSocket)
        connection.settimeout(0.05)
        with suppress(OSError):
            connection.unwrap()


def _closes_one_half(site: Site) -> None:
    with site.begin(site.archive("large.bin"), receive=65536) as connection:
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            connection.recv(1 * MIB)


def _leaves_in_a_packed_download(site: Site) -> None:
    site.begin(site.archive("trip", format="tar.gz"), receive=65536).close()


def _leaves_in_an_upload(site: Site) -> None:
    token = site.token("/folder/file/upload", relpath=f"left-{time.monotonic_ns()}", size=10 * MIB)
    with site.connect() as connection:
        head = f"PATCH /upload?token={token} HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nContent-Length: {10 * MIB}"
        connection.sendall(head.encode() + b"\r\n\r\n" + bytes(2 * MIB))


WAYS = (
    *(_speaks_plain_http, _leaves_in_the_handshake, _only_connects, _leaves_after_the_handshake),
    *(_leaves_in_a_download, _resets_in_a_download, _takes_leave_in_a_download, _closes_one_half),
    *(_leaves_in_a_packed_download, _leaves_in_an_upload),
)


def test_clients_that_leave_leave_nothing_behind(site: Site, whole: bytes) -> None:
    def visit_often(times: int) -> None:
        with ThreadPoolExecutor(8) as clients:
            for each in [clients.submit(WAYS[number % len(WAYS)], site) for number in range(times)]:
                each.result()

    def settled(most: int) -> bool:
        return site.streams() == 0 and site.descriptors() <= most

    visit_often(3 * len(WAYS))
    site.wait(lambda: site.streams() == 0, site.streams)
    time.sleep(1)
    before, resident = site.descriptors(), site.resident()
    visit_often(20 * len(WAYS))
    site.wait(lambda: settled(before), lambda: (before, site.descriptors(), site.streams()))
    # what garbage there was goes when nothing runs, which is looked for every few seconds
    site.wait(lambda: site.resident() < resident + 32 * MIB, lambda: (resident, site.resident()))
    assert site.ask(site.archive("trip")).body == whole
    levels = {json.loads(line)["level"] for line in site.proxy.err.splitlines()}
    assert levels <= {"info", "warning"}, site.proxy.err


def test_slow_clients_hold_no_thread_and_little_memory(site: Site, whole: bytes) -> None:
    """More of them than there are threads wait for room; memory follows neither what they take nor what they asked."""
    urls = [site.archive("large.bin", format="tar") for _ in range(SLOW)]
    assert site.ask(site.archive("trip")).body == whole
    before = site.resident()
    with ExitStack() as open_ones:
        slow = [open_ones.enter_context(site.begin(url, receive=65536)) for url in urls]
        site.wait(lambda: site.streams() == SLOW, site.streams)
        # nobody of them takes anything, and yet others are served
        assert site.ask(site.archive("trip")).body == whole
        stalled = site.resident()
        for connection in slow:
            _take(connection, 8 * MIB)
        taken = site.resident()
        assert site.streams() == SLOW
        assert site.ask(site.archive("trip"), Range="bytes=-1000").body == whole[-1000:]
    assert stalled - before < SLOW * 1.5 * MIB  # asyncio's TLS takes a buffer of 256 KiB for each
    assert taken - stalled < 16 * MIB  # 320 MiB went through
    site.wait(lambda: site.streams() == 0, site.streams)


def _take(connection: socket.socket, length: int) -> None:
    left = length
    while left > 0:
        left -= len(connection.recv(256 * 1024))
