"""``pannier checksums``: over one store, beside a server and without one."""

from __future__ import annotations

import contextlib
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
from tests.cli.here import Run, at_home

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


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return at_home(home, monkeypatch, capfd)


def make_tree(root: Path) -> None:
    (root / "sub").mkdir(parents=True)
    data = random.Random(1)
    for number in range(40):
        (root / "sub" / f"{number}.bin").write_bytes(data.randbytes(1_000 + number))
    (root / "large").write_bytes(data.randbytes(1_000_000))
    (root / "empty").touch()
    (root / "link").symlink_to("large")


def stats(run: Run, *arguments: str | Path) -> dict[str, Any]:
    done = run("checksums", "stats", "--json", *arguments)
    assert done.code == 0, done.err
    return done.document


def spoil(home: Path, number: int) -> None:
    """Have the store keep wrong checksums for some files."""
    with contextlib.closing(sqlite3.connect(home / ".local/state/pannier/checksums.db")) as connection:
        connection.execute(
            "UPDATE checksums SET crc32 = x'00112233' WHERE identity IN "
            f"(SELECT identity FROM checksums ORDER BY identity LIMIT {number})"
        )
        connection.commit()


def test_warm_learns_what_is_not_known_and_says_what_it_left_out(run: Run, home: Path) -> None:
    done = run("checksums", "warm", home / "trip")
    assert (done.code, done.out) == (0, "41 checksums learnt, 1 were known\n"), done.err
    assert "skipped: trip: 'fifo': a socket, pipe or device cannot be archived" in done.err
    assert "is not served now" in done.err
    (home / "trip/new").write_text("new")
    done = run("checksums", "warm", home / "trip")
    assert done.out == "1 checksum learnt, 42 were known\n"
    assert stats(run)["checksums"] == 42


def test_a_server_uses_what_was_warmed_and_warm_what_the_server_learnt(run: Run, home: Path) -> None:
    (home / "trip/fifo").unlink()
    assert run("checksums", "warm", home / "trip/").code == 0
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
    done = run("checksums", "warm", home / "trip")
    assert done.out == "0 checksums learnt, 43 were known\n", done.err


def test_a_path_inside_a_folder_that_is_served_is_warmed_for_that_folder(run: Run, home: Path) -> None:
    with serving(home, home / "trip") as server:
        done = run("checksums", "warm", home / "trip/sub")
        assert (done.code, done.out) == (0, "40 checksums learnt, 0 were known\n"), done.err
        assert "not served" not in done.err
        assert [(each["name"], each["checksums"]) for each in stats(run)["volumes"]] == [("trip", 40)]
        assert server.stop() == 0


def test_verify_finds_what_is_wrong_and_heals_it(run: Run, home: Path) -> None:
    assert run("checksums", "warm", home / "trip").code == 0
    done = run("checksums", "verify", home / "trip")
    assert (done.code, done.out) == (0, "41 checksums compared, 0 mismatches\n")
    spoil(home, 3)
    process = pannier("checksums", "verify", home / "trip", home=home, apart=True)  # one of its own, for its log
    assert process.returncode == 1
    assert process.stdout.endswith("41 checksums compared, 3 mismatches\n")
    assert len(re.findall(r"^trip: '.*': the checksum that was kept is not", process.stdout, re.MULTILINE)) == 3
    assert process.stderr.count("was 00112233") == 3
    done = run("checksums", "verify", home / "trip")
    assert (done.code, done.out) == (0, "41 checksums compared, 0 mismatches\n")
    assert stats(run)["mismatches"] == 3


def test_volumes_of_a_configuration_as_a_whole_and_by_folder(run: Run, home: Path) -> None:
    ids = [uuid.UUID(int=n * 2**100 + n) for n in (1, 2)]
    owner = uuid.UUID(int=5)
    legacy, scoped = (each.hex for each in ids)
    make_tree(home / "volume" / legacy[:2] / legacy[2:4] / legacy[4:])
    make_tree(home / "volume" / owner.hex / scoped[:2] / scoped[2:4] / scoped[4:])
    (home / "volume/aa/bb").mkdir(parents=True)  # no folder
    config = home / "proxy.toml"
    config.write_text(TOML.format(path=home / "volume"))
    one = run("checksums", "warm", "--config", config, f"local/project:{owner}/{ids[1]}")
    assert (one.code, one.out) == (0, "41 checksums learnt, 1 were known\n"), one.err
    both = run("checksums", "warm", "--config", config, "local")
    assert (both.code, both.out) == (0, "41 checksums learnt, 43 were known\n"), both.err
    (volume,) = stats(run, "--config", config)["volumes"]
    assert (volume["name"], volume["checksums"]) == ("local", 82)
    shown = run("checksums", "stats", "--config", config).out
    assert "volume      local: 82" in shown


def test_stats_of_nothing_make_nothing(run: Run, home: Path) -> None:
    assert stats(run)["checksums"] == 0
    assert "not there yet" in run("checksums", "stats").out
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
def test_what_cannot_be_done_is_one_line(
    run: Run, home: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (home / "volume").mkdir()
    (home / "proxy.toml").write_text(TOML.format(path=home / "volume"))
    done = run("checksums", *arguments)
    assert done.code == code
    (line,) = done.err.splitlines()
    assert line.startswith("pannier: ")
    assert said in line.lower()


def test_a_store_that_cannot_be_used_is_one_line(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".local/state/pannier/checksums.db").mkdir(parents=True)
    for command in (("warm", "trip"), ("stats",)):
        done = run("checksums", *command)
        assert done.code == 1
        assert "is not a regular file" in done.err.splitlines()[-1]
    monkeypatch.setenv("PANNIER_STATE__CHECKSUM_LIMIT", "0")
    done = run("checksums", "warm", "trip")
    assert done.code == 1
    assert "checksum-limit" in done.err


def test_ctrl_c_keeps_what_was_learnt(run: Run, home: Path) -> None:
    with (home / "trip/huge").open("wb") as file:  # sparse: it takes minutes to read, and no room
        os.truncate(file.fileno(), 1_000 * 2**30)
    running = Running(home, "checksums", "warm", home / "trip")
    try:
        file_of_it = home / ".local/state/pannier/checksums.db"
        running.wait_for(lambda: file_of_it.exists() and stats(run)["checksums"] == 41)
        assert running.stop(signal.SIGINT) == 130
    finally:
        running.end()
    assert "stopped after 42 of 43 files" in running.err
    assert stats(run)["checksums"] == 41


def _read(pid: int) -> int:
    """Bytes that a process has read so far, from wherever."""
    return int(re.findall(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[0])
