"""``pannier put``: what is sent arrives, whoever is killed on the way, and nothing that is there is lost."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import LIMIT, Server, ask, environment, serving
from tests.cli.here import Run, at_home
from tests.e2e.running import Pannier

MIB = 2**20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("trip", "mine/사진/봄", "mine/empty/deep"):
        (home / name).mkdir(parents=True)
    for number in range(60):
        (home / f"mine/사진/봄/꽃 {number}.txt").write_text(f"꽃 {number}")
    (home / "mine/none").touch()
    (home / "mine" / os.fsdecode(b"\xff.bin")).write_bytes(os.urandom(3 * MIB))
    (home / "mine/link").symlink_to("사진/봄/꽃 1.txt")
    os.utime(home / "mine/none", (1_700_000_000, 1_700_000_000))
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home, home / "trip", settings={"PANNIER_STORAGE_PROXY__MAX_UPLOAD_SIZE": "600m"}) as running:
        yield running


@pytest.fixture
def run(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return at_home(home, monkeypatch, capfd)


def tree(root: Path) -> dict[str, bytes]:
    """Return everything below a directory: content of files (through links), and empty directories."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name + "/"] = b""
    return found


def journals(home: Path) -> list[Path]:
    return list((home / ".local/state/pannier/uploads").glob("*.jsonl"))


def test_a_directory_arrives_whole(run: Run, home: Path) -> None:
    """With names in any script, links followed, empty files and empty directories."""
    done = run("put", "mine", "trip/whole")
    assert (done.code, done.err) == (0, "")
    assert done.out == "63 files, 3.00 MiB sent · 0 skipped · 0 renamed\n"
    assert tree(home / "trip/whole/mine") == tree(home / "mine")
    assert journals(home) == []


def test_a_name_that_is_taken_is_kept_replaced_or_skipped(run: Run, home: Path) -> None:
    (home / "note.txt").write_text("old")
    (home / "nothing.txt").touch()
    assert run("put", "note.txt", "nothing.txt", "trip/names/").out == "2 files, 3 bytes sent · 0 skipped · 0 renamed\n"
    (home / "note.txt").write_text("new!")
    kept = run("put", "note.txt", "nothing.txt", "trip/names")
    assert kept.out == "2 files, 4 bytes sent · 0 skipped · 2 renamed (--replace, --skip)\n"
    assert kept.err.splitlines() == [
        "  note.txt -> note (1).txt, name taken",
        "  nothing.txt -> nothing (1).txt, name taken",
    ]
    skipped = run("put", "--skip", "note.txt", "trip/names", "--json").document
    assert (skipped["files"], skipped["skipped"]) == (0, ["note.txt"])
    assert tree(home / "trip/names") == {
        "note.txt": b"old",
        "note (1).txt": b"new!",
        "nothing.txt": b"",
        "nothing (1).txt": b"",
    }
    assert run("put", "--replace", "note.txt", "trip/names").code == 0
    assert (home / "trip/names/note.txt").read_text() == "new!"


def test_one_file_may_get_another_name(run: Run, home: Path) -> None:
    """As with cp: a directory that is there is gone into, anything else is the name."""
    (home / "a.txt").write_text("a")
    (home / "trip/there").mkdir()
    assert run("put", "a.txt", "trip/there").code == run("put", "a.txt", "trip/b.txt").code == 0
    assert (home / "trip/there/a.txt").read_text() == (home / "trip/b.txt").read_text() == "a"


def test_what_cannot_be_sent_refuses_all_of_it(run: Run, home: Path) -> None:
    """Before the first byte, with the line that leaves it out."""
    odd = home / "odd"
    odd.mkdir()
    (odd / "good").write_text("good")
    (odd / "dangling").symlink_to("nowhere")
    (odd / "circle").symlink_to(".")
    os.mkfifo(odd / "fifo")
    done = run("put", "odd", "trip/odd")
    assert (done.code, done.out) == (3, "")
    assert done.err.splitlines() == [
        "refused: 3 of 5 entries cannot be sent; nothing was sent",
        "  odd/circle: link goes in a circle",
        "  odd/dangling: link leads nowhere",
        "  odd/fifo: not a file or folder",
        "leave them out with: --except odd/circle --except odd/dangling --except odd/fifo",
    ]
    assert not (home / "trip/odd").exists()
    assert run("put", "odd", "trip/odd", "--links", "omit", "--except", "odd/fifo").code == 0
    assert tree(home / "trip/odd") == {"odd/good": b"good"}
    assert run("put", "not/there", "trip", "--json").document["problem"]["offenders"][0]["code"] == "missing"


def test_files_over_the_limit_are_refused_before_any_byte(run: Run, home: Path) -> None:
    with (home / "huge.iso").open("wb") as file:
        file.truncate(601 * MIB)
    done = run("put", "huge.iso", "note.txt", "trip/huge/")
    assert done.code == 3
    assert done.err.splitlines() == [
        "refused: 1 file over the server's limit of 600 MiB (storage-proxy.max-upload-size); nothing was sent",
        "  huge.iso: 601 MiB",
        "leave them out with: --except huge.iso",
    ]
    assert not (home / "trip/huge").exists()
    assert run("put", "huge.iso", "trip", "--json").document["problem"]["type"] == "limit-exceeded"


@pytest.mark.parametrize("source", ["pipe", "file"])
def test_stdin_is_sent_under_a_name(server: Server, home: Path, source: str) -> None:
    content = os.urandom(2 * MIB + 1)
    (home / "content").write_bytes(content)
    command = [sys.executable, "-m", "pannier", "put", "-", f"trip/from-{source}.bin"]
    shown = "cat content | " if source == "pipe" else ""
    given = "" if source == "pipe" else " <content"
    subprocess.run(
        ["bash", "-euc", f"{shown}{' '.join(command)}{given}"],
        env=environment(home),
        cwd=home,
        check=True,
        timeout=LIMIT,
    )
    assert (home / f"trip/from-{source}.bin").read_bytes() == content


def test_a_file_that_one_file_stands_in_the_way_of_fails_alone(run: Run, home: Path) -> None:
    """The others arrive; the end tells which did not, and the same line tries only that one."""
    (home / "two").mkdir()
    (home / "two/a").write_text("a")
    (home / "two/b").write_text("b")
    (home / "trip/way/two/a").mkdir(parents=True)
    done = run("put", "--replace", "two", "trip/way")
    assert (done.code, done.out) == (1, "1 file, 1 byte sent · 0 skipped\n")
    assert "two/a: " in done.err
    assert done.err.splitlines()[-1] == "pannier: 1 file could not be sent; the same line again tries only those"
    assert len(journals(home)) == 1
    (home / "trip/way/two/a").rmdir()
    assert run("put", "--replace", "two", "trip/way").code == 0
    assert tree(home / "trip/way/two") == {"a": b"a", "b": b"b"}
    assert journals(home) == []


def sparse(path: Path, size: int) -> str:
    """Make a large file of little content, and return its SHA-256."""
    with path.open("wb") as file:
        file.truncate(size)
        for at in range(0, size, 7 * MIB + 13):
            file.seek(at)
            file.write(b"%d" % at)
    return digest(path)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def staged(root: Path) -> int:
    """Return how much of unfinished uploads is in a folder, in bytes."""
    try:
        return sum(path.stat().st_size for path in (root / ".upload").iterdir())
    except FileNotFoundError:
        return 0


def begin(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pannier", "put", *arguments]
    return subprocess.Popen(command, env=environment(home), cwd=home, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def wait_for(process: subprocess.Popen[bytes], root: Path, size: int) -> None:
    """Wait until so much more of unfinished uploads is there."""
    before, deadline = staged(root), time.monotonic() + LIMIT
    while staged(root) < before + size:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_client_that_was_killed_goes_on_with_the_same_line(run: Run, server: Server, home: Path) -> None:
    """Nothing that was acknowledged is sent again, nothing arrives twice, the bytes are equal."""
    others = staged(home / "trip")  # of other tests, which share the server
    (home / "many").mkdir()
    for number in range(20):
        (home / f"many/{number:02}").write_text(str(number))
    size = 200 * MIB
    wanted = sparse(home / "many/z.bin", size)
    with begin(home, "many", "trip/killed", "--parallel", "2") as client:
        wait_for(client, home / "trip", 48 * MIB)
        client.kill()
    (journal,) = journals(home)
    assert journal.stat().st_mode & 0o777 == 0o600
    before = len(server.err.splitlines())
    done = run("put", "many", "trip/killed", "--parallel", "2")
    assert (done.code, done.out) == (0, "21 files, 200 MiB sent · 0 skipped · 0 renamed\n")
    assert sorted(path.name for path in (home / "trip/killed/many").iterdir()) == [
        *(f"{n:02}" for n in range(20)),
        "z.bin",
    ]
    assert digest(home / "trip/killed/many/z.bin") == wanted
    lines = [json.loads(line) for line in server.err.splitlines()[before:]]
    assert sum(line["received"] for line in lines if line.get("status") == 204) <= size - 24 * MIB
    assert journals(home) == []
    assert staged(home / "trip") == others


def test_a_server_that_was_killed_is_waited_for(tmp_path: Path) -> None:
    """The command goes on by itself when it is back."""
    (tmp_path / "folder").mkdir()
    wanted = sparse(tmp_path / "z.bin", 160 * MIB)
    state = tmp_path / "state"
    with (
        Pannier(tmp_path / "folder", state) as server,
        begin(tmp_path, "z.bin", "folder", "--state", str(state)) as client,
    ):
        wait_for(client, tmp_path / "folder", 48 * MIB)
        server.kill()
        server.start()
        out, err = client.communicate(timeout=LIMIT)
    assert client.returncode == 0, err
    assert b"next try in" in err
    assert out.startswith(b"1 file, 160 MiB sent")
    assert digest(tmp_path / "folder/z.bin") == wanted


def test_a_server_that_stays_away_ends_with_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And the same line goes on, though the server is at another port by then."""
    (tmp_path / "folder").mkdir()
    wanted = sparse(tmp_path / "z.bin", 120 * MIB)
    state = tmp_path / "state"
    command = ["put", "z.bin", "folder", "--state", str(state)]
    with (
        Pannier(tmp_path / "folder", state) as server,
        begin(tmp_path, *command[1:], "--tries", "2", "--json") as client,
    ):
        wait_for(client, tmp_path / "folder", 24 * MIB)
        server.kill()
        out, _ = client.communicate(timeout=LIMIT)
    assert client.returncode == 4
    assert json.loads(out)["problem"]["type"] == "interrupted"
    with Pannier(tmp_path / "folder", state):
        assert at_home(tmp_path, monkeypatch, capfd)(*command).code == 0
    assert digest(tmp_path / "folder/z.bin") == wanted


def test_a_file_that_changes_while_it_is_sent_never_arrives(run: Run, home: Path) -> None:
    others = staged(home / "trip")  # of other tests, which share the server
    (home / "changing").mkdir()
    path = home / "changing/f.bin"
    sparse(path, 160 * MIB)
    with begin(home, "changing", "trip/changed") as client:
        wait_for(client, home / "trip", 24 * MIB)
        with path.open("r+b") as file:
            file.write(b"another")
        _, err = client.communicate(timeout=LIMIT)
    assert client.returncode == 1
    assert b"changed while it was sent" in err
    assert not (home / "trip/changed/changing/f.bin").exists()
    assert staged(home / "trip") == others
    assert run("put", "changing", "trip/changed").code == 0
    assert digest(home / "trip/changed/changing/f.bin") == digest(path)


def test_ctrl_c_leaves_what_the_same_line_goes_on_with(run: Run, home: Path) -> None:
    wanted = sparse(home / "stopped.bin", 480 * MIB)
    with begin(home, "stopped.bin", "trip/stopped/") as client:
        wait_for(client, home / "trip", 24 * MIB)
        client.send_signal(2)
        _, err = client.communicate(timeout=LIMIT)
    assert client.returncode == 130
    assert b"Traceback" not in err
    assert b"run the same line again to go on" in err
    assert staged(home / "trip") >= 8 * MIB
    assert run("put", "stopped.bin", "trip/stopped/").code == 0
    assert digest(home / "trip/stopped/stopped.bin") == wanted


def test_two_of_the_same_at_once_are_one(run: Run, home: Path) -> None:
    sparse(home / "twice.bin", 160 * MIB)
    with begin(home, "twice.bin", "trip/twice/") as client:
        wait_for(client, home / "trip", MIB)
        done = run("put", "twice.bin", "trip/twice/")
        assert client.wait(LIMIT) == 0
    assert (done.code, done.err) == (
        1,
        "pannier: the same is being sent by another process; wait for it, or end it\n",
    )
    assert [path.name for path in (home / "trip/twice").iterdir()] == ["twice.bin"]


@pytest.mark.slow
def test_thousands_of_small_files_with_korean_names(run: Run, home: Path) -> None:
    """Killed in the middle, and gone on with: each is there once; and unpacked while it comes, it is what it was."""
    source = home / "수천"
    for number in range(4_000):
        path = source / f"모음 {number % 40}" / f"파일 {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}")
    with begin(home, "수천", "trip/수천", "--parallel", "8") as client:
        deadline = time.monotonic() + LIMIT
        while sum(1 for _ in (home / "trip/수천").rglob("*.txt")) < 800:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.kill()
    assert run("put", "수천", "trip/수천", "--parallel", "8").code == 0
    assert tree(home / "trip/수천/수천") == tree(source)
    url = run("link", "--token", "trip/수천").out.strip()
    done = run("get", url, "--extract", "back")
    assert (done.code, done.out.startswith("unpacked 4,000 entries to back, ")) == (0, True)
    (first,) = (home / "back").rglob("모음 0")
    assert tree(first.parent) == tree(source)


def test_what_is_finally_refused_leaves_nothing_at_the_server(run: Run, home: Path) -> None:
    """A name that is taken shows after the last byte; what came until then is given up, not kept for a day."""
    others = staged(home / "trip")
    (home / "late").mkdir()
    (home / "late/large.bin").write_bytes(os.urandom(3 * MIB))
    (home / "trip/late/late/large.bin").mkdir(parents=True)
    done = run("put", "--replace", "late", "trip/late")
    assert (done.code, "late/large.bin: " in done.err) == (1, True)
    assert staged(home / "trip") == others
    assert run("put", "--skip", "late", "trip/late", "--json").document["skipped"] == ["late/large.bin"]
    assert staged(home / "trip") == others


def test_a_quota_refuses_with_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """507 ends the whole, as the next file would not fit either; with room, the same line goes on."""
    scope, folder = f"user:{uuid.uuid4()}", uuid.uuid4().hex
    (tmp_path / "volume").mkdir()
    (tmp_path / "trip").mkdir()
    (tmp_path / "many").mkdir()
    for number in range(4):
        (tmp_path / f"many/{number}.bin").write_bytes(os.urandom(3 * MIB))
    settings = {"PANNIER_VOLUME__SHARED__BACKEND": "posix", "PANNIER_VOLUME__SHARED__PATH": str(tmp_path / "volume")}
    with serving(tmp_path, tmp_path / "trip", settings=settings) as server:
        told = server.runtime()
        headers = {"X-BackendAI-Storage-Auth-Token": told["manager_secret"], "Content-Type": "application/json"}

        def limit(size: int) -> None:
            body = {"volume": "shared", "qsid": scope, "options": {"limit_bytes": size}}
            assert ask(f"{told['manager_url']}/quota-scope", "PATCH", body=body, headers=headers).status == 204

        limit(8 * MIB)
        body = {"volume": "shared", "vfid": f"{scope}/{folder}"}
        assert ask(f"{told['manager_url']}/folder/create", "POST", body=body, headers=headers).status == 204
        run = at_home(tmp_path, monkeypatch, capfd)
        line = ("put", "many", f"shared/{scope}/{folder}/in", "--parallel", "1")
        done = run(*line)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith("pannier: no room: ")
        assert done.err.endswith("; make room, and run the same line again to go on\n")
        problem = run(*line, "--json").document["problem"]
        assert (problem["type"], problem["status"], problem["limit"]) == ("quota-exceeded", 507, 8 * MIB)
        limit(20 * MIB)
        assert run(*line).out == "4 files, 12.0 MiB sent · 0 skipped · 0 renamed\n"
    (arrived,) = (tmp_path / "volume").rglob("in")
    assert tree(arrived / "many") == tree(tmp_path / "many")
