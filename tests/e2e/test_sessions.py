"""Links for a single download, and revoked ones: real clients, a server that is killed, two servers of one state."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pannier.accounts import most
from pannier.services.tallies import UNWRITTEN
from tests.e2e.running import Pannier

MIB = 1024 * 1024
SIZE = 160 * MIB
ON_ITS_WAY = 24 * MIB
"""What a kill makes a link for a single download forget beside what is unwritten: a piece, and the socket's queue."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large file, and small ones."""
    folder = tmp_path_factory.mktemp("sessions") / "folder"
    folder.mkdir()
    chance = random.Random(7)
    with (folder / "big").open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(chance.randbytes(MIB))
    for number in range(200):
        (folder / f"small-{number}").write_bytes(chance.randbytes(2_000))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Pannier]:
    with Pannier(folder, folder.with_name("state")) as server:
        yield server


def url(server: Pannier, **more: Any) -> tuple[str, dict[str, Any]]:
    reply = server.mint(**more)
    return f"{server.client_url}/download-archive?token={reply['token']}", reply


@pytest.fixture(scope="module")
def whole(server: Pannier) -> str:
    """The digest of the archive, as another link gives it."""
    status, _, body = server.fetch(server.url())
    assert status == 200
    return hashlib.sha256(body).hexdigest()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def curl(target: Path, url: str, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["curl", "-sS", "--fail", "-o", str(target), *options, url], stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes]) -> int:
    process.communicate(timeout=120)
    return process.returncode


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_single_download_outlives_kills_and_forgets_no_more_than_is_said(
    server: Pannier, whole: str, tmp_path: Path
) -> None:
    """curl goes on each time; what was delivered is known but for a bounded part."""
    link, reply = url(server, one_time=True)
    part, kills = tmp_path / "part", 3
    for kill in range(1, kills + 1):
        running = curl(part, link, "-C", "-", "--limit-rate", "60m")
        wait_for(lambda kill=kill: size(part) > kill * SIZE // (kills + 1))  # type: ignore[misc]
        server.kill()
        assert ended(running) != 0
        server.start()
        known = server.session(reply["session"])
        assert known["state"] == "active"
        assert known["delivered"]["total"] >= size(part) - kill * (UNWRITTEN + ON_ITS_WAY)
        assert known["delivered"]["bytes"] <= size(part) + kill * ON_ITS_WAY
    assert ended(curl(part, link, "-C", "-")) == 0
    assert size(part) == reply["length"]
    assert digest(part) == whole


def test_what_a_killed_server_forgot_can_be_had_again_but_no_second_copy(server: Pannier, tmp_path: Path) -> None:
    """Whoever kills the server at the end of each download gains what is unwritten, and is spent by the rest."""
    link, reply = url(server, one_time=True)
    copies, taken, attempt = 0, 0, 0
    for attempt in range(8):  # the least that is remembered of each is a third
        part = tmp_path / f"{attempt}"
        running = curl(part, link, "-r", f"0-{reply['length'] - 2}")
        wait_for(lambda part=part, running=running: size(part) > SIZE * 3 // 4 or running.poll() is not None)  # type: ignore[misc]
        if size(part) <= SIZE * 3 // 4:  # the link has no more: a kill right now would be forgotten, too
            wait_for(lambda: server.session(reply["session"])["state"] == "spent")
        server.kill()
        ended(running)
        server.start()
        taken += size(part)
        copies += size(part) == reply["length"] - 1
        if server.session(reply["session"])["state"] == "spent":
            break
    else:
        raise AssertionError("the link was never spent")
    assert copies <= 1
    assert taken <= most(reply["length"]) + (attempt + 1) * (UNWRITTEN + ON_ITS_WAY)
    assert server.fetch(link)[0] == 410


@pytest.mark.skipif(shutil.which("aria2c") is None, reason="aria2c is not installed")
def test_aria2c_takes_a_single_download_over_four_connections(server: Pannier, whole: str, tmp_path: Path) -> None:
    """It opens a whole and three ranges, and throws away what comes too far: the link allows for that, once."""
    link, reply = url(server, one_time=True)
    command = ["aria2c", "-q", "-x4", "-s4", "-k1M", "--file-allocation=none", "-d", str(tmp_path)]
    assert subprocess.run([*command, "-o", "got", link], check=False, timeout=120).returncode == 0
    assert digest(tmp_path / "got") == whole
    known = server.session(reply["session"])
    assert (known["state"], known["delivered"]["ranges"]) == ("spent", [[0, reply["length"]]])
    assert subprocess.run([*command, "-o", "again", link], check=False, timeout=120).returncode != 0
    assert size(tmp_path / "again") == 0
    assert server.fetch(link)[0] == 410


def test_a_client_that_is_slow_to_read_has_not_got_what_it_has_not_acknowledged(
    server: Pannier, whole: str, tmp_path: Path
) -> None:
    """Who leaves early, with all sent that the sockets hold, has not spent the link, and can go on."""
    link, reply = url(server, one_time=True)
    part = tmp_path / "part"
    running = curl(part, link, "--limit-rate", "2m")
    wait_for(lambda: size(part) > 2 * MIB)
    running.kill()
    ended(running)
    wait_for(lambda: server.session(reply["session"])["delivered"]["bytes"] >= size(part))
    known = server.session(reply["session"])
    assert known["state"] == "active"
    assert known["delivered"]["bytes"] < reply["length"] // 2
    assert ended(curl(part, link, "-C", "-")) == 0
    assert digest(part) == whole
    wait_for(lambda: server.session(reply["session"])["state"] == "spent")


def test_two_servers_of_one_state_share_what_was_delivered_and_revoked(folder: Path, tmp_path: Path) -> None:
    """A download is spent by parts from both; what one revokes breaks off at the other."""
    state = tmp_path / "state"
    with Pannier(folder, state) as one, Pannier(folder, state) as other:
        link, reply = url(one, one_time=True)
        elsewhere = link.replace(one.client_url, other.client_url)
        half = reply["length"] // 2
        assert one.fetch(link, Range=f"bytes=0-{half - 1}")[0] == 206
        assert other.fetch(elsewhere, Range=f"bytes={half}-")[0] == 206
        wait_for(lambda: one.session(reply["session"])["state"] == "spent")
        assert (one.fetch(link)[0], other.fetch(elsewhere)[0]) == (410, 410)

        link, reply = url(one)
        part = tmp_path / "part"
        running = curl(part, link, "--limit-rate", "4m")
        wait_for(lambda: size(part) > MIB)
        assert other.session(reply["session"], "DELETE")["state"] == "revoked"
        assert ended(running) in (18, 56)  # a part, or a connection that was reset
        assert size(part) < reply["length"]
        assert one.fetch(link, Range="bytes=5-")[0] == 410
        wait_for(lambda: "this link was revoked" in one.log.read_text())
