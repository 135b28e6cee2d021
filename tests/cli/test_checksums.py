"""``pannier checksums``: real processes over one store, beside a server and without one."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Running, ask, pannier, serving

TOML = """
[storage-proxy]
secret = "0123456789abcdef0123456789abcdef"
session-expire = "1d"
[api.manager]
secret = "0123456789abcdef0123456789abcdeX"
[volume.local]
backend = "posix"
path = "{path}"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a folder ``trip``: 40 small files, a large one, an empty one, a link, and what cannot be archived."""
    make_tree(tmp_path / "trip")
    os.mkfifo(tmp_path / "trip/fifo")
    return tmp_path


def make_tree(root: Path) -> None:
    (root / "sub").mkdir(parents=True)
    data = random.Random(1)
    for number in range(40):
        (root / "sub" / f"{number}.bin").write_bytes(data.randbytes(1_000 + number))
    (root / "large").write_bytes(data.randbytes(1_000_000))
    (root / "empty").touch()
    (root / "link").symlink_to("large")


def stats(home: Path, *arguments: str | Path) -> dict[str, Any]:
    done = pannier("checksums", "stats", "--json", *arguments, home=home)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def spoil(home: Path, number: int) -> None:
    """Have the store keep wrong checksums for some files."""
    with contextlib.closing(sqlite3.connect(home / ".local/state/pannier/checksums.db")) as connection:
        connection.execute(
            "UPDATE checksums SET crc32 = x'00112233' WHERE identity IN "
            f"(SELECT identity FROM checksums ORDER BY identity LIMIT {number})"
        )
        connection.commit()


def test_warm_learns_what_is_not_known_and_says_what_it_left_out(home: Path) -> None:
    done = pannier("checksums", "warm", home / "trip", home=home)
    assert (done.returncode, done.stdout) == (0, "41 checksums learnt, 1 were known\n"), done.stderr
    assert "skipped: trip: 'fifo': a socket, pipe or device cannot be archived" in done.stderr
    assert "is not served now" in done.stderr
    (home / "trip/new").write_text("new")
    done = pannier("checksums", "warm", home / "trip", home=home)
    assert done.stdout == "1 checksum learnt, 42 were known\n"
    assert stats(home)["checksums"] == 42


def test_a_server_uses_what_was_warmed_and_warm_what_the_server_learnt(home: Path) -> None:
    (home / "trip/fifo").unlink()
    assert pannier("checksums", "warm", home / "trip/", home=home).returncode == 0
    with serving(home, home / "trip") as server:
        url = server.url("trip")
        plan = ask(url, "HEAD")
        length = int(plan.headers["content-length"])
        read = _read(server.process.pid)
        tail = ask(url, headers={"Range": f"bytes={length - 3_000}-"})
        assert (tail.status, len(tail.body)) == (206, 3_000)
        assert _read(server.process.pid) - read < 500_000  # of 1,000,000 and 40,000
        (home / "trip/sub/another").write_bytes(b"x" * 200_000)
        assert ask(server.url("trip/sub")).status == 200
        assert server.stop() == 0
    done = pannier("checksums", "warm", home / "trip", home=home)
    assert done.stdout == "0 checksums learnt, 43 were known\n", done.stderr


def test_a_path_inside_a_folder_that_is_served_is_warmed_for_that_folder(home: Path) -> None:
    with serving(home, home / "trip") as server:
        done = pannier("checksums", "warm", home / "trip/sub", home=home)
        assert (done.returncode, done.stdout) == (0, "40 checksums learnt, 0 were known\n"), done.stderr
        assert "not served" not in done.stderr
        assert [(each["name"], each["checksums"]) for each in stats(home)["volumes"]] == [("trip", 40)]
        assert server.stop() == 0


def test_verify_finds_what_is_wrong_and_heals_it(home: Path) -> None:
    assert pannier("checksums", "warm", home / "trip", home=home).returncode == 0
    done = pannier("checksums", "verify", home / "trip", home=home)
    assert (done.returncode, done.stdout) == (0, "41 checksums compared, 0 mismatches\n")
    spoil(home, 3)
    done = pannier("checksums", "verify", home / "trip", home=home)
    assert done.returncode == 1
    assert done.stdout.endswith("41 checksums compared, 3 mismatches\n")
    assert len(re.findall(r"^trip: '.*': the checksum that was kept is not", done.stdout, re.MULTILINE)) == 3
    assert done.stderr.count("was 00112233") == 3
    done = pannier("checksums", "verify", home / "trip", home=home)
    assert (done.returncode, done.stdout) == (0, "41 checksums compared, 0 mismatches\n")
    assert stats(home)["mismatches"] == 3


def test_volumes_of_a_configuration_as_a_whole_and_by_folder(home: Path) -> None:
    ids = [uuid.UUID(int=n * 2**100 + n) for n in (1, 2)]
    owner = uuid.UUID(int=5)
    legacy, scoped = (each.hex for each in ids)
    make_tree(home / "volume" / legacy[:2] / legacy[2:4] / legacy[4:])
    make_tree(home / "volume" / owner.hex / scoped[:2] / scoped[2:4] / scoped[4:])
    (home / "volume/aa/bb").mkdir(parents=True)  # no folder
    config = home / "proxy.toml"
    config.write_text(TOML.format(path=home / "volume"))
    one = pannier("checksums", "warm", "--config", config, f"local/project:{owner}/{ids[1]}", home=home)
    assert (one.returncode, one.stdout) == (0, "41 checksums learnt, 1 were known\n"), one.stderr
    both = pannier("checksums", "warm", "--config", config, "local", home=home)
    assert (both.returncode, both.stdout) == (0, "41 checksums learnt, 43 were known\n"), both.stderr
    (volume,) = stats(home, "--config", config)["volumes"]
    assert (volume["name"], volume["checksums"]) == ("local", 82)
    shown = pannier("checksums", "stats", "--config", config, home=home).stdout
    assert "volume      local: 82" in shown


def test_stats_of_nothing_make_nothing(home: Path) -> None:
    assert stats(home)["checksums"] == 0
    assert "not there yet" in pannier("checksums", "stats", home=home).stdout
    assert not (home / ".local/state/pannier").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("warm", "nothing"), 2, "neither a path nor a configured volume"),
        (("verify", "trip/large"), 2, "is in no served folder"),
        (("warm", "local/x", "--config", "proxy.toml"), 2, "is not a uuid"),
        (("warm", f"local/{uuid.UUID(int=9)}", "--config", "proxy.toml"), 2, "there is no such folder"),
        (("warm",), 2, "missing argument"),
        ((), 2, "missing command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_line(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    (home / "volume").mkdir()
    (home / "proxy.toml").write_text(TOML.format(path=home / "volume"))
    done = pannier("checksums", *arguments, home=home)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("pannier: ")
    assert said in line.lower()


def test_a_store_that_cannot_be_used_is_one_line(home: Path) -> None:
    (home / ".local/state/pannier/checksums.db").mkdir(parents=True)
    for command in (("warm", "trip"), ("stats",)):
        done = pannier("checksums", *command, home=home)
        assert done.returncode == 1
        assert "is not a regular file" in done.stderr.splitlines()[-1]
    done = pannier("checksums", "warm", "trip", home=home, PANNIER_STATE__CHECKSUM_LIMIT="0")
    assert done.returncode == 1
    assert "checksum-limit" in done.stderr


def test_ctrl_c_keeps_what_was_learnt(home: Path) -> None:
    with (home / "trip/huge").open("wb") as file:  # sparse: it takes minutes to read, and no room
        os.truncate(file.fileno(), 1_000 * 2**30)
    running = Running(home, "checksums", "warm", home / "trip")
    try:
        file_of_it = home / ".local/state/pannier/checksums.db"
        running.wait_for(lambda: file_of_it.exists() and stats(home)["checksums"] == 41)
        assert running.stop(signal.SIGINT) == 130
    finally:
        running.end()
    assert "stopped after 42 of 43 files" in running.err
    assert stats(home)["checksums"] == 41


def _read(pid: int) -> int:
    """Bytes that a process has read so far, from wherever."""
    return int(re.findall(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[0])
