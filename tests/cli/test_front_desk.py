"""``pannier serve`` and its front desk: what its options mean, and sign-in addresses by keys of the terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import LIMIT, ask, environment, pannier, serving

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    folder = tmp_path / "trip"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    return folder


def test_without_the_desk_there_is_no_page(tmp_path: Path, trip: Path) -> None:
    with serving(tmp_path, trip, "--no-desk") as server:
        base = server.runtime()["client_url"]
        assert "sign in" not in server.out
        assert "  page " not in server.out
        assert ask(f"{base}/enter", headers=BROWSER).status == 404
        assert ask(f"{base}/", headers=BROWSER).document["type"] == "client-facing"


def test_what_is_open_is_said(tmp_path: Path, trip: Path) -> None:
    with serving(tmp_path, trip, "--public", "--read-only") as server:
        first = server.out.splitlines()[0]
        assert first.endswith(": 1 folder, read only, public: anyone who can reach this address can read")
        page = ask(f"{server.runtime()['client_url']}/f/trip/", headers=BROWSER)
        assert b"a.txt" in page.body
        assert b"Anyone who can reach this address can read these files." in page.body


def test_a_password_comes_from_a_file_and_is_told_to_nobody(tmp_path: Path, trip: Path) -> None:
    (tmp_path / "secret").write_text("correct horse\n", encoding="utf-8")
    with serving(tmp_path, trip, "--password-file", tmp_path / "secret") as server:
        base = server.runtime()["client_url"]
        assert b"current-password" in ask(f"{base}/enter", headers=BROWSER).body
        command = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", f"{base}/enter"]
        for password, status in (("wrong", "401"), ("correct horse", "303")):
            done = subprocess.run([*command, "-d", f"password={password}"], capture_output=True, text=True, check=True)
            assert done.stdout == status
        assert "correct horse" not in server.out + server.err
        kept = b"".join(each.read_bytes() for each in server.state.iterdir())
        assert b"correct horse" not in kept


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--password"], "there is no terminal to ask on"),
        (["--password-file", "none"], "cannot be read"),
        (["--password-file", os.devnull], "it has 1 to 256 characters"),
        (["--no-desk", "--public"], "without the page"),
    ],
)
def test_what_cannot_be_meant_is_said(tmp_path: Path, trip: Path, options: list[str], said: str) -> None:
    done = pannier("serve", trip, *options, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_keys_of_the_terminal_make_sign_in_addresses(tmp_path: Path, trip: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pannier", "serve", str(trip), "--port", "0", "--manager-port", "0"]
    with subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(tmp_path),
        start_new_session=True,
        preexec_fn=_take_terminal,
        text=True,
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        try:
            addresses = [_said(process.stdout)]
            os.write(ours, b"\n")
            addresses.append(_said(process.stdout))
            os.write(ours, b"q\n")
            addresses.append(_said(process.stdout))
            assert "█" in process.stdout.readline()
            assert len(set(addresses)) == 3
            for address in addresses:
                assert b"One-time key" in ask(address, headers=BROWSER).body
        finally:
            process.terminate()
            process.wait(LIMIT)
            os.close(ours)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _said(lines: object) -> str:
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        found = re.search(r"  sign in   (\S+)", lines.readline())  # type: ignore[attr-defined]
        if found:
            return found[1]
    raise AssertionError("no sign-in address was shown")
