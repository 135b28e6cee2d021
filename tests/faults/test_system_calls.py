"""System calls of a real server that fail: what its clients are told, what it logs, what stays. Needs strace(1)."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.proxying import FOLDER, FOLDER_PATH
from tests.faults.served import Answer, Served, served

PREAD = "pread64,preadv,preadv2"
STAT = "newfstatat,?fstat,statx"
RENAME = "renameat,renameat2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("calls")) as it:
        assert it.ask(it.archive()).status == 200  # its threads are there
        yield it


def words(name: str) -> str:
    """What the system calls an error."""
    return os.strerror(getattr(errno, name))


FAILED = (500, "source-unreadable")
FULL = (507, "storage-full")
BROKEN = (200, "broken")
READING: list[tuple[str, str, str, str, tuple[int, str]]] = [
    # asked for, calls, error, about, told
    *(("archive", "openat", error, "dir", FAILED) for error in ("EIO", "ESTALE", "EMFILE", "ENFILE", "ENOMEM")),
    ("archive", "openat", "EACCES", "dir", (403, "selection-refused")),
    ("archive", "getdents64", "EIO", "dir", FAILED),
    ("archive", "getdents64", "ESTALE", "dir", FAILED),
    *(("archive", STAT, error, "small.txt", FAILED) for error in ("EIO", "ESTALE", "ENOMEM")),
    *(("archive", "openat", error, "below.txt", FAILED) for error in ("EIO", "ESTALE", "EMFILE")),
    *(("archive", "read", error, "small.txt", BROKEN) for error in ("EIO", "ESTALE", "ETIMEDOUT")),
    ("archive", "read", "EIO", "below.txt", FAILED),
    ("archive", "openat", "EIO", "small.txt", BROKEN),
    ("archive", "readlinkat", "EIO", "link", FAILED),
    ("a part", "read," + PREAD, "EIO", "small.txt", FAILED),
    ("end", PREAD, "EIO", "large.bin", FAILED),
    *(("file", "openat", error, "large.bin", FAILED) for error in ("EIO", "ESTALE", "EMFILE", "ENOMEM")),
    ("file", PREAD, "EIO", "large.bin", BROKEN),
    ("file", PREAD, "ESTALE", "large.bin", BROKEN),
    ("small file", "openat", "EIO", "small.txt", FAILED),
    ("small file", PREAD, "EIO", "small.txt", FAILED),
    ("tar", PREAD, "EIO", "large.bin", BROKEN),
    ("tar", "openat", "ESTALE", "large.bin", FAILED),
    ("tar.gz", PREAD, "EIO", "large.bin", FAILED),
    ("list", "openat", "EIO", "dir", FAILED),
    ("list", "getdents64", "EIO", "dir", FAILED),
    ("list", STAT, "EIO", "below.txt", FAILED),
    ("plan", "getdents64", "EIO", "dir", FAILED),
    ("usage", "getdents64", "EIO", "dir", FAILED),
]


def _ask_for(it: Served, what: str) -> tuple[Callable[[], Answer], str | None]:
    """Return what asks for something, and the link that it spends if that has a session; tokens are made before."""
    match what:
        case "archive" | "tar" | "tar.gz":
            url = it.archive(format="zip" if what == "archive" else what)
            return lambda: it.ask(url), url
        case "a part" | "end":
            url = it.archive()
            whole = it.ask(url)
            asked = "bytes=-1000" if what == "end" else f"bytes={len(whole.body) - 5_000}-"
            (it.folder / "large.bin").write_bytes(os.urandom(700_000))  # nobody knows its checksum
            url = it.archive()
            etag = it.ask(url, "HEAD").headers["etag"]
            return lambda: it.ask(url, Range=asked, If_Range=etag), url
        case "file" | "small file":
            relpath = "large.bin" if what == "file" else "small.txt"
            token = json.loads(it.at("download", relpath=relpath).body)["token"]
            return (lambda: it.ask(f"{it.proxy.said('client')}/download?token={token}")), None
        case "list":
            return (lambda: it.at("list", relpath="dir")), None
        case "plan":
            return (lambda: it.manage("/folder/file/archive-plan", virtual_folder_id=FOLDER, files=["."])), None
        case _:
            return (lambda: it.manage("/folder/usage", "GET", vfid=FOLDER)), None


def case(row: tuple[object, ...]) -> str:
    """What a row of a table is called."""
    return ", ".join(str(each) for each in row[:-1])


@pytest.mark.parametrize(("what", "calls", "error", "about", "told"), READING, ids=map(case, READING))
def test_what_cannot_be_read_is_told_or_breaks_the_answer(
    server: Served, what: str, calls: str, error: str, about: str, told: tuple[int, str]
) -> None:
    server.plant()
    asking, link = _ask_for(server, what)
    descriptors, log = server.descriptors(), len(server.proxy.err)
    path = next(server.folder.rglob(about))
    with server.failing(calls, error, path) as met:
        answer = asking()
    assert met, "nothing has failed"
    assert (answer.status, "broken" if answer.broken else answer.problem) == told, (answer.status, answer.body[:500])
    said = server.log_since(log)
    if told == BROKEN:
        assert "download broken off" in said
        assert f"'{about}' cannot be read: {words(error)}" in said
    elif told == FAILED:
        assert "volume failed" in said
        assert words(error) in said
        assert words(error) in answer.body.decode()
        assert str(server.root) not in answer.body.decode()
    if link is not None:
        session_tells(server, link, answer, path, words(error))
    again = asking()
    assert (again.status, again.broken) in ((200, False), (206, False)), again.body[:500]
    if link is not None:
        server.told(link, lambda told: told["failure"] is None and told["state"] in ("active", "complete"))
    server.rests(descriptors)


def session_tells(server: Served, link: str, answer: Answer, path: Path, reason: str) -> None:
    """What broke off stands in its session: where, at which file and why. What was refused has not begun."""
    if not answer.broken:
        told = server.told(link, lambda told: True)
        assert (told["state"] in ("new", "active"), told["failure"]) == (True, None), told
        return
    told = server.told(link, lambda told: told["state"] == "failed")
    failure = told["failure"]
    assert failure["cause"] == "source-unreadable", failure
    assert failure["entry"] == str(path.relative_to(server.folder)), failure
    assert reason in failure["detail"], failure
    assert str(server.root) not in failure["detail"], failure
    assert len(answer.body) <= failure["offset"] < told["length"], failure


CHANGING: list[tuple[str, str, str, tuple[int, str]]] = [
    # asked for, calls, error, told
    *(("mkdir", "mkdirat", error, (422, "")) for error in ("EIO", "ENOSPC", "EDQUOT", "ESTALE", "EROFS")),
    *(("rename", RENAME, error, FAILED) for error in ("EIO", "ESTALE")),
    *(("rename", RENAME, error, FULL) for error in ("ENOSPC", "EDQUOT")),
    ("rename", RENAME, "EROFS", (400, "operation-refused")),
    *(("move", RENAME, error, told) for error, told in (("EIO", FAILED), ("EDQUOT", FULL))),
    ("delete", "unlinkat,unlink", "EIO", FAILED),
    ("delete", "unlinkat,unlink", "ESTALE", FAILED),
    ("delete a directory", RENAME, "EIO", FAILED),
    ("delete a directory", "mkdirat", "ENOSPC", FULL),
    ("delete in the background", RENAME, "EIO", FAILED),
    ("delete in the background", "mkdirat", "EDQUOT", FULL),
    ("delete a folder", RENAME, "EIO", FAILED),
    ("create a folder", "mkdirat", "EIO", FAILED),
    ("create a folder", "mkdirat", "EDQUOT", FULL),
    *(("begin an upload", "fsync", error, told) for error, told in (("EIO", FAILED), ("ENOSPC", FULL))),
    ("begin an upload", "mkdirat", "EDQUOT", FULL),
    *(("upload", "pwrite64", error, FULL) for error in ("ENOSPC", "EDQUOT")),
    *(("upload", "pwrite64", error, FAILED) for error in ("EIO", "ESTALE")),
    *(("upload", "fsync", error, told) for error, told in (("EIO", FAILED), ("EDQUOT", FULL), ("ENOSPC", FULL))),
    ("upload", "fsetxattr", "EIO", FAILED),
    ("upload", "fsetxattr", "ENOSPC", FULL),
    ("upload", "ftruncate", "EIO", FAILED),
    ("upload", "flock", "EIO", FAILED),
    ("the last of an upload", RENAME, "EIO", FAILED),
    ("the last of an upload", RENAME, "ENOSPC", FULL),
    ("the last of an upload", RENAME, "EDQUOT", FULL),
    ("the last of an upload", "mkdirat", "EDQUOT", FULL),
]


def _change(it: Served, what: str) -> tuple[Callable[[], Answer], Callable[[], None]]:
    """Return what asks for a change, and what looks whether it was made."""
    folder, data = it.folder, os.urandom(50_000)
    target = it.root / f"{FOLDER_PATH[:-4]}0000"

    def gone(name: str) -> Callable[[], None]:
        def look() -> None:
            assert not (folder / name).exists()

        return look

    def made(name: str, content: bytes | None) -> Callable[[], None]:
        def look() -> None:
            path = folder / name
            assert path.is_dir() if content is None else path.read_bytes() == content

        return look

    match what:
        case "mkdir":
            return lambda: it.at("mkdir", relpath="new", exist_ok=True), made("new", None)
        case "rename":
            return lambda: it.at("rename", relpath="small.txt", new_name="new"), made("new", b"small" * 1_000)
        case "move":
            return lambda: it.at("move", src_relpath="small.txt", dst_relpath="dir"), gone("small.txt")
        case "delete":
            return lambda: it.at("delete", relpaths=["small.txt"]), gone("small.txt")
        case "delete a directory":
            return lambda: it.at("delete", relpaths=["dir"], recursive=True), gone("dir")
        case "delete in the background":
            return lambda: it.at("delete-async", relpaths=["dir"], recursive=True), gone("dir")
        case "delete a folder":
            return lambda: it.manage("/folder/delete", vfid=FOLDER), gone(".")
        case "create a folder":
            new = FOLDER[:-4] + "0000"
            if target.exists():
                target.rmdir()
            return lambda: it.manage("/folder/create", vfid=new), lambda: None
        case "begin an upload":

            def begin() -> Answer:
                answer = it.at("upload", relpath="new", size=100)
                if answer.status == 200:
                    url = f"{it.proxy.said('client')}/upload?token={json.loads(answer.body)['token']}"
                    assert it.patch(url, 0, b"x" * 100).status == 204
                return answer

            return begin, made("new", b"x" * 100)
        case "upload":
            url = it.upload("new", len(data))

            tried: list[int] = []

            def send_some() -> Answer:
                offset = it.offset(url) if tried else 0
                tried.append(offset)
                assert offset == 0, "what could not be kept does not count"
                return it.patch(url, offset, data[:1_000])

            def go_on() -> None:
                offset = it.offset(url)
                assert offset == 1_000
                assert it.patch(url, offset, data[offset:]).status == 204
                made("new", data)()

            return send_some, go_on
        case _:
            url = it.upload("far/new", len(data))
            assert it.patch(url, 0, data[:-100]).status == 204

            def finish() -> Answer:
                answer = it.ask(url, "HEAD")
                if answer.status == 200 and int(answer.headers["upload-offset"]) == len(data):
                    return Answer(204, {}, b"")
                if answer.status != 200:
                    return answer
                return it.patch(url, len(data) - 100, data[-100:])

            return finish, made("far/new", data)


def kept(folder: Path) -> dict[str, bytes]:
    """The files of a folder without those of the server, which may be going just now."""
    tops = [path for path in folder.iterdir() if path.name != ".upload"]
    found = {path.name: path.read_bytes() for path in tops if path.is_file()}
    for top in tops:
        found |= {f"{top.name}/{name}": content for name, content in trees.files(top).items()}
    return found


@pytest.mark.parametrize(("what", "calls", "error", "told"), CHANGING, ids=map(case, CHANGING))
def test_what_cannot_be_changed_is_told_and_can_be_done_later(
    server: Served, what: str, calls: str, error: str, told: tuple[int, str]
) -> None:
    server.plant()
    before = trees.files(server.folder)
    change, look = _change(server, what)
    descriptors, log = server.descriptors(), len(server.proxy.err)
    with server.failing(calls, error) as met:
        answer = change()
    assert met, "nothing has failed"
    assert (answer.status, answer.problem) == told, (answer.status, answer.body[:500])
    assert words(error) in answer.body.decode()
    if error in ("EIO", "ESTALE"):
        assert "volume failed" in server.log_since(log)
        assert words(error) in server.log_since(log)
    assert kept(server.folder) == before, "half of it was done"
    again = change()
    assert again.status in (200, 202, 204), (again.status, again.body[:500])
    look()
    server.rests(descriptors)


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_bytes_that_could_not_be_synced_do_not_count_when_a_later_sync_works(server: Served, call: str) -> None:
    """The system tells of lost pages once: the next fsync of the file may say that all is well (fsync(2), NOTES)."""
    server.plant()
    data = os.urandom(66 * 1024 * 1024)
    url = server.upload("new", len(data))
    with server.failing(call, "EIO") as met:
        assert server.patch(url, 0, data).status == 500
    assert met
    assert server.offset(url) == 0
    assert server.patch(url, 0, data).status == 204
    assert (server.folder / "new").read_bytes() == data


def test_a_clone_that_cannot_be_made_is_tried_again_and_then_whole(server: Served, tmp_path: Path) -> None:
    server.plant()
    path = server.root / f"{FOLDER_PATH[:-8]}0000ffff"
    clone = FOLDER[:-8] + "0000ffff"
    for calls, error in (("syncfs", "EIO"), ("copy_file_range", "ENOSPC"), (RENAME, "EIO")):
        with server.failing(calls, error) as met:
            answer = server.proxy.manage(
                "/folder/clone", {"src_volume": "local", "src_vfid": FOLDER, "dst_vfid": clone}
            )
            assert answer.status == 200, answer.body
            task = answer.document["bgtask_id"]
            told = server.wait_for_task(task, lambda told: bool(told["error"]))
        assert met
        assert words(error) in told["error"]
        assert not path.exists()
        told = server.wait_for_task(task, lambda told: bool(told["ended_at"]))
        if error == "ENOSPC":
            assert told["state"] == "failed", told
            assert not path.exists()
        else:
            assert told["state"] == "done", told
            assert trees.files(path) == trees.files(server.folder)
            assert server.manage("/folder/delete", vfid=clone).status == 202
        server.wait_until_clear()
