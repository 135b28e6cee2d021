"""The bar on a real terminal, and its absence elsewhere."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import LIMIT, environment
from tests.e2e import trees
from tests.e2e.cutting import CuttingProxy
from tests.e2e.running import Pannier
from tests.e2e.trees import MIB

COLUMNS = 90
PACE = 4 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pannier]:
    folder = tmp_path_factory.mktemp("bar") / "trip"
    trees.plant(folder, 61, small=3, large=(19 * MIB,))
    with Pannier(folder, folder.with_name("state")) as running:
        yield running


def on_a_terminal(home: Path, *arguments: str, **more: str) -> str:
    """Run a command on a terminal of its own, and return all that it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    env = environment(home, **more)
    del env["COLUMNS"]  # the terminal says
    written = bytearray()
    command = [sys.executable, "-m", "pannier", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=home) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # the last end of it was closed
            pass
        assert process.wait(LIMIT) == 0, written
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize("colour", [True, False])
def test_the_bar_shows_share_amount_rate_and_time_left(server: Pannier, tmp_path: Path, colour: bool) -> None:
    more = {} if colour else {"NO_COLOR": "1"}
    with CuttingProxy(server.client_port, pace=PACE) as proxy:
        written = on_a_terminal(tmp_path, "get", proxy.through(server.url()), "-o", "out.zip", "-j", "1", **more)
    bars = re.findall(r"\r\x1b\[K([^\r\n]+)(?=\r\x1b\[K)", written)
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", each) for each in bars]
    assert len(bars) > 10
    assert max(map(len, plain)) < COLUMNS
    tail = r"  [━╸─]{28}  [\d.]+ of 19\.\d MiB(  [\d.]+ [KM]iB/s)?"
    shape = rf"[ \d]{{3}}\.\d %{tail}(  about \d+ s)?|  100 %{tail}"
    assert [each for each in plain if not re.fullmatch(shape, each)] == []
    assert any("iB/s" in each for each in plain)
    assert any("about" in each for each in plain)
    assert "about" not in plain[0]
    shares = [float(each.split()[0]) for each in plain]
    assert shares == sorted(shares)
    assert any("\x1b[36m" in each for each in bars) is colour
    assert re.search(r"\r\x1b\[K  100 %  19\.\d MiB in [\d.]+ s\r\nsaved out\.zip; checked 4 of 4", written)


def test_what_is_no_terminal_gets_plain_lines(server: Pannier, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pannier", "get", server.url(), "-o", "out.zip"]
    done = subprocess.run(command, env=environment(tmp_path), cwd=tmp_path, capture_output=True, timeout=LIMIT)
    assert done.returncode == 0
    assert not {b"\x1b", b"\r"} & {bytes([each]) for each in done.stdout + done.stderr}


def test_silence_draws_nothing(server: Pannier, tmp_path: Path) -> None:
    written = on_a_terminal(tmp_path, "get", server.url(), "-o", "out.zip", "--silent")
    assert written == "saved out.zip; checked 4 of 4 entries, every CRC-32 agrees\r\n"
