"""A volume that is really full, and a process that really has no descriptor left."""

from __future__ import annotations

import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import pytest

from tests.e2e import trees
from tests.e2e.proxying import FOLDER, FOLDER_PATH
from tests.e2e.wire import Wire
from tests.faults.served import Answer, Served, served
from tests.faults.test_state import fill, small_disk

MIB = 1024 * 1024


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Served]:
    """A server of a volume with 4 MiB, of which 3 are left."""
    with small_disk(tmp_path / "disk", "4m") as disk:
        os.chmod(disk, 0o755)
        with served(tmp_path, volume=disk) as it:
            yield it


def test_an_upload_into_a_full_volume_keeps_what_was_kept_and_goes_on_when_there_is_room(full: Served) -> None:
    data = os.urandom(2 * MIB)
    url = full.upload("far/new", len(data))
    assert full.patch(url, 0, data[:MIB]).status == 204
    filler, descriptors = fill(full.root), full.descriptors()
    for _ in range(3):
        answer = full.patch(url, MIB, data[MIB:])
        assert (answer.status, answer.problem) == (507, "storage-full"), answer.body
        assert "make room" in answer.body.decode()
        assert full.offset(url) == MIB
    begin = full.at("upload", relpath="another", size=10)
    assert (begin.status, begin.problem) in ((200, ""), (507, "storage-full"))
    filler.unlink()
    assert full.patch(url, MIB, data[MIB:]).status == 204
    assert (full.folder / "far" / "new").read_bytes() == data
    if begin.status == 200:
        another = f"{full.proxy.said('client')}/upload?token={json.loads(begin.body)['token']}"
        assert full.patch(another, 0, b"x" * 10).status == 204
    full.rests(descriptors)


def test_an_upload_that_fits_in_part_counts_only_what_is_durable(full: Served) -> None:
    data = os.urandom(8 * MIB)
    url = full.upload("new", len(data))
    answer = full.patch(url, 0, data)
    assert (answer.status, answer.problem) == (507, "storage-full")
    offset = full.offset(url)
    assert 0 <= offset < 4 * MIB
    assert not (full.folder / "new").exists()
    archive = full.archive()
    assert full.ask(archive).status == 200, "what is there can be read"
    full.told_well(archive, "complete")
    assert full.ask(url.replace("/upload?", "/uploads?"), "DELETE", Tus_Resumable="1.0.0").status == 204
    assert not (full.folder / ".upload").exists()
    assert full.patch(full.upload("small", 100), 0, b"x" * 100).status == 204


def test_a_clone_for_which_there_is_no_room_fails_and_leaves_nothing(full: Served) -> None:
    (full.folder / "more.bin").write_bytes(os.urandom(2 * MIB))
    clone = f"{FOLDER[:-8]}0000ffff"
    body = {"src_volume": "local", "src_vfid": FOLDER, "dst_vfid": clone}
    answer = full.proxy.manage("/folder/clone", body)
    assert answer.status == 200, answer.body
    told = full.wait_for_task(answer.document["bgtask_id"], lambda told: bool(told["ended_at"]))
    assert told["state"] == "failed"
    assert "No space left" in told["error"]
    assert not (full.root / f"{FOLDER_PATH[:-8]}0000ffff").exists()
    full.wait_until_clear()
    assert full.ask(full.archive()).status == 200


@contextmanager
def without_descriptors(it: Served, left: int) -> Iterator[None]:
    """Let the server open only so many more."""
    pid = it.proxy.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(number) for number in os.listdir(f"/proc/{pid}/fd")}
    free = (number for number in range(hard) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(islice(free, left, None)), hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


def session_tells(it: Served, link: str, answer: Answer) -> None:
    """What came to its end, broke off, or has not begun stands in the session, with the reason."""
    if answer.broken and answer.status:
        failure = it.told(link, lambda told: told["state"] == "failed")["failure"]
        assert failure["cause"] == "source-unreadable", failure
        assert os.strerror(errno.EMFILE) in failure["detail"], failure
        assert failure["offset"] >= len(answer.body)
    elif answer.status == 200:
        it.told_well(link, "complete")
    else:
        told = it.told(link, lambda told: True)
        assert (told["state"], told["failure"]) == ("new", None), told


def test_without_descriptors_it_refuses_or_breaks_off_and_serves_again_with_them(tmp_path: Path) -> None:
    with served(tmp_path) as it:
        whole = it.ask(it.archive())
        assert whole.status == 200
        token = json.loads(it.at("download", relpath="large.bin").body)["token"]
        single = f"{it.proxy.said('client')}/download?token={token}"
        archives = [it.archive() for _ in range(7)]
        descriptors = it.descriptors()
        seen: set[tuple[int, str]] = set()
        for left, archive in enumerate(archives, 1):  # its client's connection takes one
            with without_descriptors(it, left):
                first = it.ask(archive)
                for answer in (
                    first,
                    it.ask(single),
                    it.at("list", relpath="."),
                    it.at("mkdir", relpath="new", exist_ok=True),
                    it.manage("/folder/file/archive-plan", virtual_folder_id=FOLDER, files=["."]),
                ):
                    kind = "broken" if answer.broken else answer.problem
                    assert (answer.status, kind) in {
                        (200, ""),
                        (200, "broken"),
                        (0, "broken"),
                        (422, ""),
                        (500, "source-unreadable"),
                        (503, "unavailable"),
                    }, (left, answer)
                    seen.add((answer.status, kind))
                    if answer.status == 200 and not answer.broken and answer.headers["content-type"].endswith("zip"):
                        assert trees.contents(answer.body).keys() >= {"large.bin", "small.txt"}
            session_tells(it, archive, first)
        assert (500, "source-unreadable") in seen, seen
        assert (200, "") in seen, seen
        for archive in archives:
            assert it.ask(archive).status == 200
            it.told_well(archive, "complete")
        assert it.ask(single).status == 200
        assert it.at("list", relpath=".").status == 200
        it.rests(descriptors)


def test_a_connection_that_cannot_be_accepted_waits_and_the_log_says_so_in_a_line(tmp_path: Path) -> None:
    with served(tmp_path) as it:
        sockets, archive = it.sockets(), it.archive()
        assert it.ask(archive).status == 200
        # what is given back only later would leave room for the connection that is to wait
        it.proxy.wait_for(lambda: '"path": "/download-archive"' in it.proxy.err and it.sockets() <= sockets)
        descriptors = it.descriptors()
        with Wire(int(it.proxy.said("client").rpartition(":")[2])) as wire:
            with without_descriptors(it, 0):
                waiting = Wire(int(it.proxy.said("client").rpartition(":")[2]))
                it.proxy.wait_for(lambda: "connections have to wait" in it.proxy.err)
            wire.ask(it.proxy.said("client") + "/")
            assert wire.answer()[0].status == 200
            with waiting:
                waiting.ask(it.proxy.said("client") + "/")
                assert waiting.answer()[0].status == 200
        assert "out of system resource" not in it.proxy.err
        it.rests(descriptors)
