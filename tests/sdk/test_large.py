"""Promise: ``pannier get`` of 3 GiB, cut ten times by the network and by kills of either side, gives the same bytes."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pannier.sdk import Backoff, Client
from tests.cli.commands import environment
from tests.e2e.clients import have
from tests.e2e.cutting import Cut, CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_FILES = 48
_LENGTH = _FILES * 64 * MIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 GiB in 48 files, no two of them alike, and a hundred small ones."""
    path = tmp_path_factory.mktemp("large") / "folder"
    path.mkdir()
    chance = random.Random(9)
    piece = chance.randbytes(MIB)
    for number in range(_FILES):
        with (path / f"{number:02}.bin").open("wb") as file:
            for at in range(64):
                file.write(b"%06d" % (number * 64 + at) + piece[6:])
    for number in range(100):
        (path / f"small-{number:03}.txt").write_bytes(chance.randbytes(number * 40))
    return path


@pytest.fixture(scope="module")
def digest(folder: Path) -> str:
    """Of the archive, as it comes without interruption."""
    out = folder.with_name("whole.zip")
    with Pannier(folder, folder.with_name("first-state")) as server:
        subprocess.run(["curl", "-q", "-sS", "--fail", "-o", str(out), server.url()], check=True)
    found = _digest(out)
    out.unlink()
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.parametrize("parallel", [1, 8])
def test_ten_cuts_of_all_kinds(parallel: int, folder: Path, digest: str, tmp_path: Path) -> None:
    chance = random.Random(parallel)
    out = tmp_path / "out.zip"
    kinds = ["network"] * 4 + ["client"] * 3 + ["server"] * 3
    chance.shuffle(kinds)
    points = sorted(chance.randrange(50 * MIB, _LENGTH - 200 * MIB) for _ in kinds)
    with Pannier(folder, tmp_path / "state") as server:
        url = server.url()
        with CuttingProxy(server.client_port, pace=400 * MIB // parallel) as proxy:
            command = [sys.executable, "-m", "pannier", "get", proxy.through(url), "-o", str(out), "-j", str(parallel)]
            process = _begin(command, tmp_path)
            for kind, point in zip(kinds, points, strict=True):
                while have(out.with_name("out.zip.part")) < point:
                    assert process.poll() is None, f"ended with {process.returncode} before {point}"
                    time.sleep(0.005)
                match kind:
                    case "network":
                        proxy.drop()
                    case "client":
                        process.kill()
                        process.wait()
                        process = _begin(command, tmp_path)
                    case "server":
                        server.kill()
                        server.start()
            assert process.wait(300) == 0
    assert _digest(out) == digest


def _begin(command: list[str], home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment(home), cwd=home, stderr=subprocess.DEVNULL)


def test_two_servers_with_cuts(folder: Path, digest: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    out = tmp_path / "out.zip"
    with Pannier(folder, tmp_path / "state") as one, Pannier(folder, one.state) as other:
        cuts = [Cut(chance.randrange(1, 60 * MIB), reset=chance.random() < 0.5) for _ in range(10)]
        with (
            CuttingProxy(one.client_port, cuts[:5]) as first,
            CuttingProxy(other.client_port, cuts[5:]) as second,
            Client(backoff=Backoff(first=0.1)) as client,
        ):
            got = client.download(
                first.through(one.url()), out, servers=[f"http://127.0.0.1:{second.port}"], parallel=8
            )
            assert (first.made, second.made) == (5, 5)
    assert got.resumed
    assert _digest(out) == digest
