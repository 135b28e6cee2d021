"""The composition root: settings in, a running server out, and nothing left of it afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import aiohttp
import pytest

from pannier.api.connections import Connection
from pannier.config import Settings, load
from pannier.dto.ids import FolderId
from pannier.errors import ConfigInvalid, StateUnavailable
from pannier.parts import ServedFolder, open_volumes
from pannier.server import Server
from pannier.volumes.memory import MemoryVolume
from tests.api.live import MINT, PLAN, live
from tests.api.test_connections import NOT_HTTP
from tests.api.wire import exchange
from tests.dto.examples import FOLDER_TEXT
from tests.e2e.running import Pannier

FREE = {"host": "127.0.0.1", "port": 0}


def settings(state: Path, *, client: Any = FREE, **more: Any) -> Settings:
    return load(
        None,
        storage_proxy={"secret": "k" * 32, "session_expire": "1h"},
        api={
            "client": {"service_addr": client, **more.pop("client_more", {})},
            "manager": {"service_addr": FREE, "internal_addr": FREE, "secret": "m" * 32},
        },
        state={"path": state},
        **more,
    )


def ours() -> set[str]:
    """The threads of servers in this process."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("pannier-")}


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status


# ---------------------------------------------------------------- starting


async def test_of_many_who_come_at_once_a_few_are_taken_at_a_time_and_all_are_answered(tmp_path: Path) -> None:
    """Nobody who is there already waits until all of them have been taken."""
    server = Server(settings(tmp_path), {})
    address = urlsplit((await server.start()).client_url)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    many = []
    try:
        for _ in range(300):  # the event loop does nothing meanwhile: the system lets them wait
            many.append(socket.create_connection((address.hostname, address.port), timeout=10))
            many[-1].sendall(request)
            many[-1].setblocking(False)
        taken = [0]
        while taken[-1] < 300:
            await asyncio.sleep(0)
            taken.append(sum(isinstance(each, Connection) for each in gc.get_objects()))
        assert max(after - before for before, after in pairwise(taken)) < 40
        loop = asyncio.get_running_loop()
        answers = [await loop.sock_recv(each, 1_000) for each in many]
        assert {answer[:15] for answer in answers} == {b"HTTP/1.1 200 OK"}
    finally:
        for each in many:
            each.close()
        await server.stop()


async def test_a_server_says_where_it_is_reached(tmp_path: Path) -> None:
    server = Server(settings(tmp_path), {})
    listening = await server.start()
    try:
        assert listening.internal_url is not None
        urls = (listening.client_url, listening.manager_url, listening.internal_url)
        assert len({urlsplit(url).port for url in urls}) == 3
        assert [await status(f"{url}/") for url in urls] == [200] * 3
    finally:
        await server.stop()


async def test_the_internal_listener_can_be_left_out(tmp_path: Path) -> None:
    server = Server(settings(tmp_path), {}, internal=False)
    assert (await server.start()).internal_url is None
    await server.stop()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        pytest.param("::1", "[::1]", marks=needs_ipv6),
        pytest.param("::", "[::1]", marks=needs_ipv6),
    ],
)
async def test_the_address_that_is_told_can_be_reached_from_this_machine(tmp_path: Path, host: str, shown: str) -> None:
    server = Server(settings(tmp_path, client={"host": host, "port": 0}), {}, internal=False)
    listening = await server.start()
    try:
        assert listening.client_url.startswith(f"http://{shown}:")
        assert await status(f"{listening.client_url}/") == 200
    finally:
        await server.stop()


async def test_behind_a_proxy_the_address_is_the_one_that_clients_know(tmp_path: Path) -> None:
    more = {"public_url": "https://files.example.com/", "path_prefix": "/store"}
    server = Server(settings(tmp_path, client_more=more), {})
    assert (await server.start()).client_url == "https://files.example.com/store"
    await server.stop()


async def test_a_port_in_use_is_named_with_its_setting_and_nothing_stays(tmp_path: Path) -> None:
    before, descriptors_before = ours(), descriptors()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigInvalid) as refused:
            await Server(settings(tmp_path, client={"host": "127.0.0.1", "port": port}), {}).start()
    assert (refused.value.key, refused.value.reason) == ("api.client.service-addr", f"127.0.0.1:{port} is in use")
    assert ours() == before
    assert descriptors() == descriptors_before


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid"])
async def test_an_address_that_is_not_ours_is_named(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigInvalid, match="cannot listen at") as refused:
        await Server(settings(tmp_path, client={"host": host, "port": 0}), {}).start()
    assert refused.value.key == "api.client.service-addr"


async def test_a_state_that_cannot_live_where_it_should_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = ours()
    with pytest.raises((ConfigInvalid, StateUnavailable)):
        await Server(settings(tmp_path / "file"), {}).start()
    assert ours() == before


async def test_a_certificate_is_used_for_https(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    make += ["-keyout", str(key), "-out", str(certificate)]
    process = await asyncio.create_subprocess_exec(*make, stderr=subprocess.DEVNULL)
    assert await process.wait() == 0
    more = {"ssl_enabled": True, "ssl_cert": certificate, "ssl_privkey": key}
    server = Server(settings(tmp_path, client_more=more), {})
    listening = await server.start()
    try:
        assert listening.client_url.startswith("https://")
        assert listening.manager_url.startswith("http://")
        connector = aiohttp.TCPConnector(ssl=False)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"{listening.client_url}/") as got,
        ):
            assert got.status == 200
    finally:
        await server.stop()


# ---------------------------------------------------------------- volumes


def test_directories_are_folders_of_their_own(tmp_path: Path) -> None:
    folder_id = FolderId.parse(FOLDER_TEXT)
    volumes = open_volumes(settings(tmp_path / "state"), [ServedFolder("trip", tmp_path, folder_id)])
    (tmp_path / "a").write_text("1")
    assert volumes["trip"].folder(folder_id).lookup(b"a", follow=False).stat.size == 1
    volumes["trip"].close()


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be served: No such file"):
        open_volumes(settings(tmp_path), [ServedFolder("trip", tmp_path / "gone", FolderId.parse(FOLDER_TEXT))])


def test_a_directory_never_takes_the_place_of_a_configured_volume(tmp_path: Path) -> None:
    configured = settings(tmp_path / "state", volume={"trip": {"backend": "posix", "path": tmp_path}})
    with pytest.raises(ConfigInvalid, match="also the name of a directory"):
        open_volumes(configured, [ServedFolder("trip", tmp_path, FolderId.parse(FOLDER_TEXT))])


# ---------------------------------------------------------------- stopping


async def test_a_stopped_server_leaves_nothing_behind(tmp_path: Path) -> None:
    async def once() -> None:
        async with live(tmp_path) as it:
            it.write("a", b"x" * 300_000)
            it.write("b", b"y")
            token = await it.mint()
            assert (await it.get(token)).status == 200
            assert (await it.get(token, Range="bytes=0-9")).status == 206
            assert (await it.get("garbage")).status == 400
            await exchange(it.listening.client_url, b"nonsense\r\n\r\n")

    await once()  # what a process makes once, it has now
    threads, tasks, open_before = ours(), asyncio.all_tasks(), descriptors()
    for _ in range(5):
        await once()
    assert ours() == threads == set()
    assert asyncio.all_tasks() == tasks
    assert descriptors() <= open_before


async def test_stopping_cuts_what_still_runs(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        it.write("big", b"x" * 40_000_000)
        async with it.session.get(it.url(await it.mint())) as response:
            await response.content.readexactly(1_000)
            await it.server.stop()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
    assert ours() == set()


async def test_a_server_that_was_stopped_may_be_stopped_again(tmp_path: Path) -> None:
    server = Server(settings(tmp_path), {"v": MemoryVolume("v")})
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


# ---------------------------------------------------------------- the state store


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state database as another process would that writes and never ends."""
    with contextlib.closing(sqlite3.connect(state / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def test_a_store_that_is_locked_puts_off_first_responses_only(tmp_path: Path) -> None:
    async with live(tmp_path) as it:
        names = [f"a directory with a long name/{number:04}" for number in range(200)]
        for name in names:
            it.write(name, b"x")
        begun, fresh = await it.mint(), await it.mint()
        whole = await it.get(begun)
        with locked(tmp_path):
            # whoever has begun goes on, from memory
            assert (await it.get(begun, Range="bytes=5-")).body == whole.body[5:]
            # who has not is told to come back, before a byte of an archive that nobody would remember
            first, head, minted = await asyncio.gather(
                it.get(fresh), it.ask("HEAD", it.url(fresh)), it.manage(MINT, it.order(*names))
            )
            for answer in (first, minted):
                assert (answer.status, answer.json["error_code"]) == (503, "storage-proxy_generic_unavailable")
            assert head.status == 503
            assert {int(answer.headers["Retry-After"]) > 0 for answer in (first, head, minted)} == {True}
        assert (await it.get(fresh)).body == whole.body
        assert (await it.manage(MINT, it.order(*names))).status == 200


# ---------------------------------------------------------------- signals, to a real process


@contextlib.contextmanager
def downloading(url: str, expected: int) -> Iterator[socket.socket]:
    """Begin a download and leave it unread: more is waiting than fits into any buffer."""
    where = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.settimeout(30)
    with connection:
        connection.connect((where.hostname, where.port))
        connection.sendall(f"GET {where.path}?{where.query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = connection.recv(4_096, socket.MSG_PEEK)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(1 << 20):
            received += data
    return bytes(received)


def ask(url: str) -> tuple[int, dict[str, str], bytes]:
    """GET, and return status, headers and body, of refusals too."""
    try:
        with urlopen(url, timeout=30) as answer:
            return answer.status, dict(answer.headers.items()), answer.read()
    except HTTPError as error:
        with error:
            return error.code, dict(error.headers.items()), error.read()


def until_draining(url: str) -> tuple[int, dict[str, str], bytes]:
    """Ask until the answer is a refusal, and return it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (answer := ask(url))[0] != 200:
            return answer
        time.sleep(0.02)
    raise AssertionError("the server goes on as if nobody had told it to stop")


class Running(Pannier):
    """A real process, and more of what it says of itself."""

    @property
    def manager_url(self) -> str:
        return str(self._runtime["manager_url"])

    def secrets(self) -> list[str]:
        """The manager secret and the key of its tokens."""
        return [str(value) for value in json.loads((self.state / "secrets.json").read_text()).values()]

    def refused(self, path: str, files: list[str]) -> bytes:
        """Ask the manager API for something, and return what is answered, whatever it is."""
        try:
            return json.dumps(self.manage(path, self.body(files))).encode()
        except HTTPError as error:
            with error:
                return error.read()

    def body(self, files: list[str]) -> dict[str, Any]:
        folder = self._runtime["folders"][0]
        return {"volume": folder["volume"], "virtual_folder_id": folder["folder_id"], "files": files}

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until it has ended, and return its exit code."""
        assert self._process is not None
        return self._process.wait(30)


SIZE = 60_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "big").write_bytes(os.urandom(1_000_000) * (SIZE // 1_000_000))
    (folder / "small").write_text("small")
    return folder


def test_the_first_signal_lets_downloads_finish_and_refuses_new_ones(tmp_path: Path, tree: Path) -> None:
    with Running(tree, tmp_path / "state") as server:
        minted = server.mint("big")
        url, small = f"{server.client_url}/download-archive?token={minted['token']}", server.url("small")
        with downloading(url, minted["length"]) as connection:
            server.signal(signal.SIGTERM)
            status, headers, body = until_draining(small)
            assert status == 503
            assert int(headers["Retry-After"]) > 0
            assert b"urn:pannier:problem:unavailable" in body
            assert ask(f"{server.manager_url}/readyz")[0] == 503
            assert ask(f"{server.manager_url}/livez")[0] == 200
            received = read_all(connection)
        assert len(received.partition(b"\r\n\r\n")[2]) == minted["length"]
        assert server.wait() == 0


def test_the_second_signal_cuts(tmp_path: Path, tree: Path) -> None:
    with Running(tree, tmp_path / "state") as server:
        minted = server.mint("big")
        with downloading(
            f"{server.client_url}/download-archive?token={minted['token']}", minted["length"]
        ) as connection:
            server.signal(signal.SIGTERM)
            until_draining(f"{server.manager_url}/readyz")
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            received = read_all(connection)
        assert len(received.partition(b"\r\n\r\n")[2]) < minted["length"]


def test_an_idle_server_stops_at_once(tmp_path: Path, tree: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with Running(tree, tmp_path / number.name) as server:
            server.signal(number)
            assert server.wait() == 0


# ---------------------------------------------------------------- what is never told


def test_no_token_secret_or_path_of_the_server_is_in_any_log_line_or_body(tmp_path: Path, tree: Path) -> None:
    os.symlink("/etc/passwd", tree / "absolute")
    os.symlink("../../out", tree / "outside")
    os.mkfifo(tree / "pipe")
    bodies: list[bytes] = []
    with Running(tree, tmp_path / "state", toml='[log]\nlevel = "debug"\n') as server:
        token = str(server.mint("small")["token"])
        signature = token.rpartition(".")[2]
        link = f"{server.client_url}/download-archive"
        for url in (
            f"{link}?token={token}",
            f"{link}?token={token}x",
            f"{link}?token={token[:-2]}",
            f"{link}?a=b&token={token}&c=d",
            f"{link}/{token}",
            f"{server.client_url}/?token={token}",
            f"{server.client_url}/nothing?token={token}",
            f"{link}?token=%65yJ{token[3:]}",
            f"{link}?token={token[:40]}",
        ):
            for sent in ({}, {"Range": "bytes=5-"}, {"Authorization": f"Bearer {token}"}, {"If_Match": '"x"'}):
                bodies += [server.fetch(url, **sent)[2]]
        for files in (["absolute"], ["outside"], ["pipe"], ["."], ["gone"], ["../x"], ["/etc"], ["a\0"]):
            bodies += [server.refused(path, files) for path in (MINT, PLAN, "/nothing")]
        for request in NOT_HTTP.values():
            line = request.replace("eyJhbGciOiJIUzI1NiJ9.eyJzZWNyZXQiOjF9.c2lnbmF0dXJlLW9mLXRoaXMtdG9rZW4", token)
            bodies += [asyncio.run(exchange(server.client_url, line.encode("latin-1")))]
        secrets = server.secrets()
    log = server.log.read_bytes()
    assert log.count(b"\n") > 60
    for told in (*bodies, log):
        for secret in (token, signature, token[:60], *secrets, str(tmp_path), "/etc/passwd"):
            assert secret.encode() not in told, told
