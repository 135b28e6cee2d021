"""The unit in `deploy/`: systemd's own judgement of it, and whether Pannier can live with what it leaves.

Which system calls the unit allows is what systemd says; a real server, from its start to its end, has no others, no
capability and no memory that can be written and run, and strace(1) tells what it asked for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import LIMIT, REPOSITORY, Answer, ask
from tests.e2e import trees
from tests.e2e.proxying import FOLDER, FOLDER_PATH, Proxy, toml

UNIT = REPOSITORY / "deploy" / "pannier.service"
MOST_EXPOSED = 20
"""Tenths of systemd's measure, which goes from 0.0 to 10.0; up to 2.0 it says OK."""
_CALL = re.compile(r"^\d+ +([a-z_][a-z0-9_]*)\(", re.MULTILINE)
_FAMILY = re.compile(r"^\d+ +(?:socket|socketpair)\((AF_[A-Z0-9]+)", re.MULTILINE)
_OPENED = re.compile(r'^\d+ +openat\(AT_FDCWD, "(/[^"]*)", ([A-Z_|]+)', re.MULTILINE)
LARGE = 34 * 1024 * 1024
"""Bytes of a file: enough for sendfile."""
OTHER = FOLDER[:-4] + "0000"
CLONE = FOLDER[:-4] + "1111"


def values(name: str) -> list[str]:
    """Return the values of a setting of the service, in their order."""
    return [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]


def systemd(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: tests/tools.sh installs it"
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The unit with a program of this machine: systemd looks whether it is there."""
    text, copy = UNIT.read_text(), tmp_path / "pannier.service"
    assert text.count("ExecStart=/opt/pannier/bin/pannier ") == 1
    copy.write_text(text.replace("ExecStart=/opt/pannier/bin/pannier ", f"ExecStart={sys.executable} -m pannier "))
    return copy


def test_systemd_understands_every_line(here: Path) -> None:
    done = systemd("verify", here)
    said = [line for line in (done.stdout + done.stderr).splitlines() if "pannier" in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_finds_little_exposed(here: Path) -> None:
    done = systemd("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OK" in done.stdout.splitlines()[-1]


def allowed_calls() -> set[str]:
    """Return the system calls that the unit lets through."""
    listed = systemd("syscall-filter", "--no-pager")
    assert listed.returncode == 0, listed.stderr
    groups: dict[str, list[str]] = {}
    name = ""
    for line in listed.stdout.splitlines():
        member = line.strip()
        if line.startswith("@"):
            groups[name := member] = []
        elif line.startswith(" ") and member and not member.startswith("#"):
            groups[name].append(member)

    def calls(word: str) -> set[str]:
        return {call for member in groups[word] for call in calls(member)} if word.startswith("@") else {word}

    allowed = calls("@default")
    for line in values("SystemCallFilter"):
        for word in line.removeprefix("~").split():
            allowed = allowed - calls(word) if line.startswith("~") else allowed | calls(word)
    return allowed


class Confined(Proxy):
    """A proxy that has only what the unit leaves it, and is watched."""

    def manager(self, path: str, method: str = "POST", **body: Any) -> Answer:
        answer = self.manage(path, {"volume": "local", **body}, method=method)
        assert answer.status < 300, (path, answer.body)
        return answer

    def at(self, operation: str, **body: Any) -> dict[str, Any]:
        answer = self.manager(f"/folder/file/{operation}", vfid=FOLDER, **body)
        return answer.document if answer.body else {}

    def task(self, answer: Answer) -> None:
        id = answer.document["bgtask_id"]
        self.wait_for(lambda: bool(self.manage(f"/tasks/{id}", method="GET").document["ended_at"]))
        assert self.manage(f"/tasks/{id}", method="GET").document["state"] == "done"


def use(it: Confined) -> None:
    """Ask for everything that does something to the system; all of it has to succeed."""
    client = it.said("client")
    for more in ({}, {"format": "tar"}, {"format": "tar.gz"}, {"format": "tar.zst"}, {"compression": "deflate"}):
        minted = it.mint("." if not more else "few", **more)
        url = it.archive(minted["token"])
        head = ask(url, "HEAD")
        got = ask(url)
        assert (head.status, got.status) == (200, 200), got.body[:300]
        if not more:
            assert len(trees.contents(got.body)) == 301
            assert ask(url).body == got.body  # now its checksums are known
            assert ask(url, headers={"Range": "bytes=1000-2999"}).body == got.body[1000:3000]
        it.manager(f"/sessions/{minted['session']}", "DELETE")
    token = it.at("download", relpath="large.bin")["token"]
    assert len(ask(f"{client}/download?token={token}").body) == LARGE
    token = it.at("upload", relpath="new/file", size=10)["token"]
    sent = ask(f"{client}/upload?token={token}", "PATCH", body="12345678", headers={"Upload-Offset": "0"})
    assert sent.status == 204, sent.body  # the quotes of the JSON text count
    it.at("mkdir", relpath="made", exist_ok=True)
    it.at("rename", relpath="new/file", new_name="renamed")
    it.at("move", src_relpath="new/renamed", dst_relpath="made/moved")
    assert it.at("list", relpath="made")["items"]
    it.at("delete", relpaths=["made"], recursive=True)
    it.manager("/folder/create", vfid=OTHER)
    it.task(it.manage("/folder/clone", {"src_volume": "local", "src_vfid": FOLDER, "dst_vfid": CLONE}))
    it.task(it.manage("/folder/delete", {"volume": "local", "vfid": CLONE}))
    it.manager("/folder/usage", "GET", vfid=FOLDER)
    it.manager("/folder/fs-usage", "GET")
    it.manager("/volume/performance-metric", "GET")
    assert b"process_open_fds" in ask(it.said("internal") + "/metrics").body


def test_the_server_does_everything_with_what_the_unit_leaves_it(tmp_path: Path) -> None:
    root, trace, allowed = tmp_path / "volume", tmp_path / "trace", tmp_path / "allowed"
    trees.plant(root / FOLDER_PATH / "few", 3, small=300, large=())
    with (root / FOLDER_PATH / "large.bin").open("wb") as file:
        file.truncate(LARGE)
    for path in (root / FOLDER_PATH).rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    calls = allowed_calls()
    allowed.write_text("\n".join(sorted(calls)))
    program = Path(__file__).with_name("confined.py")
    # -D: the server stays the process that was started
    Confined.around = ["strace", "-D", "-f", "-qq", "-s", "256", "-o", trace, sys.executable, program, allowed]
    more = '[archive]\nhelpers = 1\nzero-copy-min-age = "0s"\n'
    it = Confined(tmp_path, toml(root) + more, PYTHONDONTWRITEBYTECODE="1")
    try:
        it.wait_said("\n  state ")
        use(it)
        assert it.stop() == 0, it.err
    finally:
        it.end()
    levels = {json.loads(line)["level"] for line in it.err.splitlines() if line.startswith("{")}
    assert levels <= {"info"}, it.err
    seen = trace.read_text(errors="replace")
    seen = seen[seen.rindex("seccomp(") :]  # before, the filter was made
    made = set(_CALL.findall(seen))
    assert made >= {"memfd_create", "renameat2", "fsync", "sendto", "getdents64", "sendfile", "flock"}, (
        "not all was seen"
    )
    if os.geteuid() == 0:
        made.discard("fchown")  # SQLite gives its files the database's owner where it is root; the unit's user is not
    assert made - calls == set(), "the unit refuses what the server asks for"
    assert set(_FAMILY.findall(seen)) <= set(values("RestrictAddressFamilies")[0].split())
    written = {Path(path) for path, flags in _OPENED.findall(seen) if "O_RDWR" in flags or "O_WRONLY" in flags}
    assert written, "its state"
    assert not [path for path in written if not path.is_relative_to(tmp_path) and path != Path("/dev/null")]
