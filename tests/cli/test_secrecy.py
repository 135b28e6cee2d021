"""A token, a secret or a password is in no command line: not in that of the command, nor of what it starts."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.cli.commands import LIMIT, environment, serving

SECRET = secrets.token_urlsafe(32)


def command_lines() -> dict[int, bytes]:
    """Return what ``ps`` shows of all processes."""
    found = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                found[int(each.name)] = (each / "cmdline").read_bytes()
            except OSError:  # it ended just now
                continue
    return found


@contextmanager
def nobody() -> Iterator[tuple[socket.socket, str]]:
    """A server that takes a connection and never answers, so that whoever asks is there to be looked at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT)
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


def private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


WAYS = {
    "a URL in a file": (("get", "--url-file", "url"), "", {}),
    "a URL on stdin, to be unpacked": (("get", "-", "--extract", "out"), "URL", {}),
    "a secret in the environment": (("ls", "--server", "BASE", "trip"), "", {"PANNIER_SECRET": SECRET}),
    "a secret on stdin": (("ls", "--server", "BASE", "--secret-file", "-", "trip"), SECRET, {}),
    "a token of uploads": (("put", "--profile", "drop", "a.txt", "in"), "", {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_command_is_given_otherwise_is_in_no_command_line(tmp_path: Path, way: str) -> None:
    arguments, stdin, more = WAYS[way]
    with nobody() as (listener, base):
        url = f"{base}/download-archive?token={SECRET}"
        for name, text in {"url": url, "a.txt": "a"}.items():
            private(tmp_path / name, text)
        (tmp_path / ".config/pannier").mkdir(parents=True)
        private(tmp_path / ".config/pannier/drop.token", SECRET)
        profile = f'[profile.drop]\nurl = "{base}"\ntoken-file = "drop.token"\n'
        private(tmp_path / ".config/pannier/client.toml", profile)
        line = [each.replace("BASE", base) for each in arguments]
        given = {name: value.replace("URL", url) for name, value in more.items()}
        with subprocess.Popen(
            [sys.executable, "-m", "pannier", *line],
            env=environment(tmp_path, **given),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert process.stdin is not None
                process.stdin.write(f"{stdin.replace('URL', url)}\n".encode())
                process.stdin.close()
                connection, _ = listener.accept()  # it has read what it was given
                connection.close()
                connection, _ = listener.accept()  # and is still at it
                with connection:
                    lines = command_lines()
            finally:
                process.kill()
    assert process.pid in lines
    assert [line for line in lines.values() if SECRET.encode() in line] == []


def test_nor_is_what_a_server_knows(tmp_path: Path) -> None:
    """Its helpers, too."""
    (tmp_path / "trip").mkdir()
    for number in range(1_200):
        (tmp_path / f"trip/{number}.txt").write_text("so many that a helper is started")
    password = private(tmp_path / "password", SECRET)
    settings = {"PANNIER_ARCHIVE__HELPERS": "1"}
    with serving(tmp_path, tmp_path / "trip", "--password-file", password, settings=settings) as server:
        url = server.url("trip")
        token = url.partition("token=")[2]
        kept = json.loads((server.state / "secrets.json").read_text())
        lines: dict[int, bytes] = {}
        while not any(parent(pid) == server.process.pid for pid in lines):
            urlopen(url, timeout=LIMIT).read()
            lines = command_lines()
    assert server.process.pid in lines
    for secret in (SECRET, token, *kept.values()):
        assert [line for line in lines.values() if secret.encode() in line] == []


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
