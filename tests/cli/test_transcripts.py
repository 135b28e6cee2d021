"""What ``docs/cli.md`` shows is what the commands say; ``TRANSCRIPTS=write`` (``make transcripts``) writes it again."""

from __future__ import annotations

import io
import os
import re
import shlex
import socket
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pannier.cli import main
from tests.cli.commands import REPOSITORY, serving
from tests.cli.here import at_home

PAGE = REPOSITORY / "docs" / "cli.md"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_SAME = [
    (
        re.compile(r"http://127\.0\.0\.1:\d+/download-archive\?token=\S+"),
        "http://127.0.0.1:6021/download-archive?token=eyJ…",
    ),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:6021"),
    (re.compile(r"(until|since) \d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d"), r"\1 2026-11-29 14:05 +00:00"),
    (re.compile(r"^[0-9a-zA-Z_-]{12} · ", re.MULTILINE), "9c1e5b7d20af · "),
    (re.compile(r"revoke [0-9A-Za-z_-]{22}"), "revoke K7fQ2mJr0aYv5cT9WxLd3A"),
    (re.compile(r"/s/[0-9A-Za-z_-]{22}"), "/s/K7fQ2mJr0aYv5cT9WxLd3A"),
    (re.compile(r'"request": "[0-9a-f]{8}"'), '"request": "9b1e52c0"'),
    (re.compile(r" in \d+\.\d s$", re.MULTILINE), " in 0.1 s"),
    (re.compile("\N{NO-BREAK SPACE}"), " "),
]
"""What differs each time, and what stands for it."""


def prepare(home: Path) -> None:
    """Make what the page speaks of."""
    for name in ("trip/2026/photos", "trip/2026/notes", "trip/data", "trip/run", "Fotos"):
        (home / name).mkdir(parents=True)
    for number in range(9):
        (home / f"trip/2026/photos/{number}.jpg").write_bytes(b"\xff" * (700_000 + number))
    (home / "trip/2026/notes/todo.txt").write_text("go\n")
    (home / "trip/2026/notes/a\\b.txt").write_text("b\n")
    (home / "trip/data/track.gpx").write_bytes(b"g" * 123_456)
    (home / "trip/README.md").write_bytes(b"r" * 2_212)
    (home / "trip/run/raw").symlink_to("../../elsewhere")
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(_short(home))
    (home / "video.mov").write_bytes(b"v" * 5_000_000)
    for name in ("a.jpg", "b.jpg"):
        (home / "Fotos" / name).write_bytes(b"j" * 40_000)
    for number, path in enumerate(sorted(home.rglob("*"))):
        os.utime(path, (1_795_000_000 + 60 * number,) * 2, follow_symlinks=False)


def _short(home: Path) -> str:
    """Return a path of the socket that is short enough for one."""
    place = Path(f"/proc/self/fd/{os.open(home / 'trip/run', os.O_RDONLY)}")
    return str(place / "agent.sock")


def run(command: str) -> str:
    """Run a line of the page, and return what it says; a comment tells its exit code."""
    line, _, wanted = command.partition("# exit ")
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(said), redirect_stderr(said):
        code = main(shlex.split(line)[1:])
    told = said.buffer.getvalue().decode()
    assert code == int(wanted or 0), (command, told)
    for pattern, same in _SAME:
        told = pattern.sub(same, told)
    return told


def test_the_transcripts_are_what_the_commands_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    at_home(tmp_path, monkeypatch, capfd)
    page = PAGE.read_text(encoding="utf-8")
    with serving(tmp_path, tmp_path / "trip") as server:
        (tmp_path / "link.txt").write_text(server.url("trip/2026/photos"))

        def again(block: re.Match[str]) -> str:
            commands = [line[2:] for line in block[1].splitlines() if line.startswith("$ ")]
            return "```console\n" + "".join(f"$ {each}\n{run(each)}" for each in commands) + "```"

        written = _BLOCK.sub(again, page)
    if os.environ.get("TRANSCRIPTS") == "write":
        PAGE.write_text(written, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == written
