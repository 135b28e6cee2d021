"""Background tasks of a real server that is killed in the middle: they end, whole, and leave nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.proxying import FOLDER, FOLDER_PATH, Proxy, toml

CLONE = FOLDER[:-4] + "0000"
CLONE_PATH = FOLDER_PATH[:-4] + "0000"
SCOPE = FOLDER_PATH.partition("/")[0]
FILES = 6_000
LIMIT = 60.0


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume with one folder of some thousand files, links and directories."""
    plant(tmp_path / "volume" / FOLDER_PATH)
    return tmp_path / "volume"


def plant(folder: Path) -> None:
    for number in range(FILES // 100):
        directory = folder / f"{number}" / "below"
        directory.mkdir(parents=True)
        for name in range(100):
            (directory / f"{name}").write_bytes(b"%d/%d" % (number, name) * 50)
        (directory / "link").symlink_to("../below/7")
        os.link(directory / "7", directory / "again")


def content(folder: Path) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        read = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_mtime_ns, status.st_nlink, read)
    return found


def started(home: Path, volume: Path) -> Proxy:
    proxy = Proxy(home, toml(volume))
    proxy.wait_said("\n  state ")
    return proxy


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def ended(proxy: Proxy, task: str) -> dict[str, Any]:
    """Wait for the end of a task, and return what is told of it."""
    told: dict[str, Any] = {}

    def has_ended() -> bool:
        answer = proxy.manage(f"/tasks/{task}", method="GET")
        assert answer.status == 200, answer.body
        told.update(answer.document)
        return bool(told["ended_at"])

    wait_for(has_ended)
    return told


def aside(volume: Path) -> list[Path]:
    """What stands where nobody looks."""
    return list((volume / SCOPE / ".pannier").rglob("*"))


def entries(directory: Path) -> int:
    """Count what is below a directory that changes."""
    return sum(len(files) + len(below) for _, below, files in os.walk(directory))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_clone_that_is_cut_off_is_made_whole_by_the_next_server(tmp_path: Path, volume: Path, number: int) -> None:
    source, target = volume / FOLDER_PATH, volume / CLONE_PATH
    expected = content(source)
    proxy = started(tmp_path, volume)
    try:
        body = {"src_volume": "local", "src_vfid": FOLDER, "dst_vfid": CLONE}
        answer = proxy.manage("/folder/clone", body)
        assert answer.status == 200, answer.body
        task = answer.document["bgtask_id"]
        wait_for(lambda: entries(volume / SCOPE / ".pannier") > FILES // 10)
        proxy.stop(number)
        assert FILES // 10 < len(aside(volume)) < FILES, "it was in the middle"
        assert not target.exists()
    finally:
        proxy.end()
    again = started(tmp_path, volume)
    try:
        told = ended(again, task)
        assert (told["state"], told["error"]) == ("done", None)
        assert told["done"] == told["total"] == len(expected)
        assert content(target) == expected == content(source)
        assert sorted(path.name for path in (volume / SCOPE).iterdir()) == [FOLDER_PATH.split("/")[1]]
    finally:
        again.end()


@pytest.mark.parametrize("route", ["/folder/delete", "/folder/file/delete-async"])
def test_a_deletion_that_is_cut_off_is_ended_by_the_next_server(tmp_path: Path, volume: Path, route: str) -> None:
    folder = volume / FOLDER_PATH
    files = route != "/folder/delete"
    place = folder / ".upload" if files else volume / SCOPE / ".pannier"
    before, left, task = entries(folder), 0, ""
    for _ in range(5):  # a busy machine may come to the kill when all is over
        proxy = started(tmp_path, volume)
        try:
            more = {"relpaths": ["."], "recursive": True} if files else {}
            answer = proxy.manage(route, {"volume": "local", "vfid": FOLDER, **more})
            proxy.process.send_signal(signal.SIGKILL)
            proxy.process.wait(LIMIT)
        finally:
            proxy.end()
        assert answer.status == 202, answer.body
        task = answer.document["bgtask_id"]
        if left := entries(place):
            break
        plant(folder)
    assert 0 < left <= before + 2, "it was in the middle"
    assert [path.name for path in folder.iterdir()] == [".upload"] if files else not folder.exists()
    # somebody makes a folder of the same name meanwhile: it is theirs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "theirs").write_text("theirs")
    again = started(tmp_path, volume)
    try:
        told = ended(again, task)
        assert (told["state"], told["error"]) == ("done", None)
        assert {path.name for path in folder.iterdir()} == {"theirs"}
        assert not place.exists()
    finally:
        again.end()


def test_of_two_servers_on_one_state_folder_one_goes_on_with_what_the_other_began(tmp_path: Path, volume: Path) -> None:
    source, target = volume / FOLDER_PATH, volume / CLONE_PATH
    expected = content(source)
    one, other = started(tmp_path, volume), started(tmp_path, volume)
    try:
        body = {"src_volume": "local", "src_vfid": FOLDER, "dst_vfid": CLONE}
        task = one.manage("/folder/clone", body).document["bgtask_id"]
        wait_for(lambda: entries(volume / SCOPE / ".pannier") > FILES // 10)
        one.process.send_signal(signal.SIGKILL)
        told = ended(other, task)
        assert told["state"] == "done"
        assert content(target) == expected
        assert aside(volume) == []
    finally:
        one.end()
        other.end()
