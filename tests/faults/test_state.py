"""A state store that is locked, full, broken or gone under a real server: what clients are told, and its way back."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.proxying import FOLDER
from tests.faults.served import Answer, Served, served

STATE = Path(".local/state/pannier/state.db")
UNAVAILABLE = (503, "unavailable")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as it:
        yield it


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, "broken" if answer.broken else answer.problem


def in_order(it: Served, answer: Answer) -> bool:
    """Whether an answer is the whole folder."""
    return answer.status == 200 and trees.contents(answer.body).keys() >= trees.files(it.folder).keys()


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Another process of this host writes, and comes to no end."""
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def what_needs_it(it: Served, begun: str, etag: str) -> dict[str, Callable[[], Answer]]:
    """Requests that have to remember something, or to be sure of it; their tokens are made before."""
    fresh, large = it.archive(), it.archive("small.txt", **{"except": ["x" * 200 + str(n) for n in range(200)]})
    return {
        "a first download": lambda: it.ask(fresh),
        "a bare range": lambda: it.ask(begun, Range="bytes=5-"),
        "a large selection": lambda: it.ask(large),
        "a task": lambda: it.at("delete-async", relpaths=["nothing"]),
    }


def what_does_without(it: Served, begun: str, etag: str) -> dict[str, Callable[[], Answer]]:
    """Requests that need no state, or only what this process remembers."""
    return {
        "a token": lambda: it.at("download", relpath="small.txt"),
        "a listing": lambda: it.at("list", relpath="."),
        "the whole of what was begun": lambda: it.ask(begun),
        "a range of it with its ETag": lambda: it.ask(begun, Range="bytes=5-", If_Range=etag),
        "a change": lambda: it.at("mkdir", relpath="new", exist_ok=True),
    }


def test_while_it_is_locked_what_has_to_be_remembered_waits_its_turn_and_is_refused(server: Served) -> None:
    begun = server.archive()
    etag = server.ask(begun).headers["etag"]
    before = server.told_well(begun, "complete")["delivered"]["total"]
    untouched = server.archive()
    needing, others = what_needs_it(server, begun, etag), what_does_without(server, begun, etag)
    descriptors, log = server.descriptors(), len(server.proxy.err)
    with locked(server.proxy.home / STATE):
        # it can be read while another one writes: what was kept is found, so a bare range is served, and a selection
        for name in ("a first download", "a task"):
            answer = needing[name]()
            assert told(answer) == UNAVAILABLE, name
            assert int(answer.headers["retry-after"]) > 0
            assert "database is locked" in answer.body.decode(), answer.body
        refused = server.ask(untouched)
        assert told(refused) == UNAVAILABLE
        for name, ask in others.items():
            assert ask().status in (200, 206), name
        assert server.proxy.manage("/readyz", method="GET").status == 503
        assert server.session(untouched).status == 200, "nothing is to be written, so it can be told"
    for name, ask in needing.items():
        answer = ask()
        assert answer.status in (200, 202, 206), (name, answer.body[:300])
    assert server.proxy.manage("/readyz", method="GET").status == 200
    # what was delivered meanwhile is told once it could be written; what was refused has delivered nothing
    assert server.told(begun, lambda told: told["delivered"]["total"] > 2 * before)["failure"] is None
    assert server.told_well(untouched, "new")["delivered"]["total"] == 0
    server.rests(descriptors)
    assert "Traceback" not in server.log_since(log)


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A file system of its own that holds little; needs the right to mount."""
    path.mkdir(parents=True, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "none", path], check=True, timeout=30)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True, timeout=30)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_while_its_disk_is_full_what_has_to_be_remembered_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / STATE.parent, "8m"), served(tmp_path) as server:
        begun = server.archive()
        etag = server.ask(begun).headers["etag"]
        needing, others = what_needs_it(server, begun, etag), what_does_without(server, begun, etag)
        filler = fill(tmp_path / STATE.parent)
        refused = {}
        for _ in range(300):  # pages that the log holds already may take some more rows
            refused = {name: told(ask()) for name, ask in needing.items() if name in ("a first download", "a task")}
            if UNAVAILABLE in refused.values():
                break
            needing = what_needs_it_but(server, begun, etag)
        assert UNAVAILABLE in refused.values(), refused
        for name, ask in others.items():
            assert ask().status in (200, 206), name
        filler.unlink()
        again = server.archive()
        assert in_order(server, server.ask(again))
        assert server.at("delete-async", relpaths=["nothing"]).status == 202
        server.told_well(again, "complete")
        # what was delivered while it could not be written is told now
        assert server.told(begun, lambda told: told["delivered"]["total"] > told["length"])["failure"] is None


def what_needs_it_but(it: Served, begun: str, etag: str) -> dict[str, Callable[[], Answer]]:
    """The same with a new token, of which nothing is remembered; without the large selection, which is kept at once."""
    fresh = it.archive()
    return {"a first download": lambda: it.ask(fresh), "a task": lambda: it.at("delete-async", relpaths=["nothing"])}


def test_one_that_is_broken_is_put_aside_and_a_new_one_is_begun(server: Served) -> None:
    for how in ("noise", "cut", "zeros", "another's"):
        one_is_broken(server, how)


def one_is_broken(server: Served, how: str) -> None:
    aside, log = set((server.proxy.home / STATE).parent.glob("state.db.corrupt-*")), len(server.proxy.err)
    begun = server.archive()
    etag = server.ask(begun).headers["etag"]
    state = server.proxy.home / STATE
    broken = state.with_name("broken")
    match how:
        case "noise":
            broken.write_bytes(os.urandom(50_000))
        case "cut":
            with closing(sqlite3.connect(state)) as other:
                other.execute("PRAGMA wal_checkpoint(FULL)")
            shutil.copy(state, broken)
            os.truncate(broken, 5_000)
        case "zeros":
            broken.write_bytes(b"SQLite format 3\0" + bytes(40_000))
        case _:
            with closing(sqlite3.connect(broken)) as other:
                other.execute("CREATE TABLE theirs (a)")
    for suffix in ("-wal", "-shm"):  # with its log alone SQLite would make it whole again
        state.with_name(f"{state.name}{suffix}").unlink(missing_ok=True)
    broken.rename(state)
    answers = [server.ask(begun, Range="bytes=5-") for _ in range(2)]
    if how == "another's":
        assert told(answers[-1]) == UNAVAILABLE, "nothing of others is overwritten"
        assert "replaced" in answers[-1].body.decode()
        state.unlink()
        assert in_order(server, server.ask(server.archive()))
        return
    assert told(answers[-1]) == (409, "resume-unverified"), "that it is not known any more is no reason to guess"
    knows_what_it_can(server, begun, etag)
    assert set(state.parent.glob("state.db.corrupt-*")) > aside, how
    assert "was moved to" in server.log_since(log), how


def knows_what_it_can(it: Served, begun: str, etag: str) -> None:
    """A link whose session was lost goes on with its ETag, and tells what came since; another one is as ever."""
    part = it.ask(begun, Range="bytes=5-", If_Range=etag)
    assert part.status == 206
    told = it.told(begun, lambda told: told["delivered"]["total"] >= len(part.body))
    assert (told["etag"], told["failure"]) == (etag, None), told
    # all of it, where what came before had not been written yet, and so was not lost
    whole = len(part.body) + 5
    assert (told["state"], told["delivered"]["ranges"]) in (("active", [[5, whole]]), ("complete", [[0, whole]])), told
    another = it.archive()
    assert in_order(it, it.ask(another))
    it.told_well(another, "complete")


def test_one_that_is_gone_is_begun_anew(server: Served) -> None:
    for what in ("the file", "the directory"):
        one_is_gone(server, what)


def one_is_gone(server: Served, what: str) -> None:
    begun = server.archive()
    etag = server.ask(begun).headers["etag"]
    state = server.proxy.home / STATE
    if what == "the file":
        for path in state.parent.glob("state.db*"):
            path.unlink()
    else:
        shutil.rmtree(state.parent)
    descriptors = server.descriptors()
    assert told(server.ask(begun, Range="bytes=5-")) == (409, "resume-unverified")
    knows_what_it_can(server, begun, etag)
    task = json.loads(server.at("delete-async", relpaths=["nothing"]).body)["bgtask_id"]
    assert server.wait_for_task(task, lambda told: bool(told["ended_at"]))["state"] == "done"
    assert state.exists()
    server.rests(descriptors + 4)


def test_one_whose_directory_cannot_be_made_again_refuses_until_it_can(server: Served) -> None:
    begun = server.archive()
    etag = server.ask(begun).headers["etag"]
    directory = server.proxy.home / STATE.parent
    shutil.rmtree(directory)
    directory.write_text("no directory")
    minted = server.manage("/folder/file/archive-download-token", virtual_folder_id=FOLDER, files=["."])
    for answer in (server.ask(begun, Range="bytes=5-"), minted):
        assert told(answer) == UNAVAILABLE, answer.body
        assert str(directory) not in answer.body.decode()
    assert server.ask(begun, Range="bytes=5-", If_Range=etag).status == 206
    assert server.at("list", relpath=".").status == 200
    assert told(server.session(begun)) == UNAVAILABLE
    directory.unlink()
    knows_what_it_can(server, begun, etag)
