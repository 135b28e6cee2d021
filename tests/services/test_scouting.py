"""Walks whose directories are looked at ahead by helpers: the same plans as without them."""

from __future__ import annotations

import os
import random
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pannier.archive.plan import Plan
from pannier.dto.archives import LinkPolicy
from pannier.dto.ids import FolderId
from pannier.dto.selections import Selection
from pannier.services.orders import Order, PlanSettings
from pannier.services.planning import Plans
from pannier.services.scouting import Scout
from pannier.streams.hashing import Place
from pannier.streams.helpers import Helpers
from pannier.streams.helping import SLOTS, request_to_look
from pannier.streams.workers import Workers
from pannier.volumes.base import Refused
from pannier.volumes.posix import SingleFolderVolume
from tests.streams.helping import helping, processes
from tests.volumes.process import no_descriptor_kept, unprivileged

FOLDER = FolderId(None, uuid.UUID(int=9))


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    with helping(2) as made:
        yield made


async def plan_of(folder: Path, helpers: Helpers, **selection: object) -> Plan:
    """Walk a folder once."""
    volume = SingleFolderVolume("v", folder, FOLDER)
    workers = Workers("walk", 2)
    plans = Plans(PlanSettings(fresh_least=0, fresh_most=0), workers, helpers)
    try:
        chosen = Selection(**{"files": (".",), **selection})  # type: ignore[arg-type]
        return await plans.plan(Order(Place(volume, FOLDER), chosen))
    finally:
        await plans.close()
        await workers.close()
        volume.close()


def told(plan: Plan) -> tuple[object, ...]:
    """All that a plan says."""
    return list(plan.entries), plan.offences, plan.omitted, plan.renamed, plan.warnings, plan.tag, plan.content_bytes


def grow(folder: Path, chance: random.Random, depth: int = 0) -> None:
    """Plant files, directories and what is neither."""
    for number in range(chance.randrange(1, 12)):
        (folder / f"파일-{number:02}").write_bytes(chance.randbytes(chance.randrange(300)))
    (folder / "old").touch()
    os.utime(folder / "old", ns=(-(10**17), -(10**17)))
    (folder / "Old").touch()
    (folder / "back\\slash").touch()
    (folder / "to-file").symlink_to("old")
    if depth < 4:
        for number in range(chance.randrange(1, 4)):
            below = folder / f"d{number}"
            below.mkdir()
            grow(below, chance, depth + 1)
        (folder / "d0-and-more").touch()
        (folder / "to-directory").symlink_to("d0")
        (folder / "empty").mkdir()


@pytest.mark.parametrize("seed", range(4))
async def test_plans_are_the_same_with_and_without_helpers(tmp_path: Path, helpers: Helpers, seed: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    grow(folder, random.Random(seed))
    (folder / ".upload").mkdir()
    (folder / ".upload" / "unfinished").touch()
    for selection in (
        {},
        {"links": LinkPolicy.OMIT},
        {"links": LinkPolicy.STORE},
        {"files": ("d0", "to-directory", "old")},
        {"exclude": ("d1/", "*-01")},
        {"except_": ("d0/d0",)},
    ):
        assert told(await plan_of(folder, helpers, **selection)) == told(await plan_of(folder, Helpers(0), **selection))


async def test_offenders_are_the_same(helpers: Helpers) -> None:
    with TemporaryDirectory() as made:  # which everybody may enter, other than pytest's
        os.chmod(made, 0o755)
        await _compare_offenders(Path(made) / "folder", helpers)


async def _compare_offenders(folder: Path, helpers: Helpers) -> None:
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        os.mkfifo(folder / name / "pipe")
        (folder / name / "locked").touch(mode=0o000)
        (folder / name / "away").symlink_to("/etc/passwd")
        (folder / name / "nowhere").symlink_to("nothing")
        (folder / name / "shut").mkdir(mode=0o000)
    with unprivileged():
        alone = await plan_of(folder, Helpers(0))
        assert told(await plan_of(folder, helpers)) == told(alone)
    assert len(alone.offences) == 15


async def test_a_directory_of_many_is_gone_through_bit_by_bit(tmp_path: Path, helpers: Helpers) -> None:
    for name in ("few", "many", "none"):
        (tmp_path / name).mkdir()
    for number in range(5_000):
        (tmp_path / "many" / f"{number:04}").touch()
    (tmp_path / "few" / "one").touch()
    plan = await plan_of(tmp_path, helpers)
    assert len(plan.entries) == 5_002
    assert told(plan) == told(await plan_of(tmp_path, Helpers(0)))


async def test_directories_that_vanish_or_become_links_are_told_as_by_a_walk_of_its_own(
    tmp_path: Path, helpers: Helpers
) -> None:
    """What a helper saw counts only while the directory can still be entered."""
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for name in ("a", "b", "c"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    outside.mkdir()
    volume = SingleFolderVolume("v", folder, FOLDER)
    try:
        opened = volume.folder(FOLDER)
        scout = Scout(opened, helpers, volume.now_ns)
        scout.expect([b"a", b"b", b"c"])
        (folder / "b" / "file").unlink()
        (folder / "b").rmdir()
        (folder / "b").symlink_to(outside)
        assert [name for name, _ in scout.scan(b"a")] == [b"file"]
        with pytest.raises(Exception, match="no directory is there any more"):
            list(scout.scan(b"b"))
        assert [name for name, _ in scout.scan(b"c")] == [b"file"]
        scout.close()
        opened.close()
    finally:
        volume.close()


async def test_a_walk_looks_ahead_itself_while_a_helper_is_slow(tmp_path: Path) -> None:
    names = [b"%02d" % number for number in range(20)]
    for text in map(os.fsdecode, names):
        (tmp_path / text).mkdir()
        (tmp_path / text / f"in {text}").touch()
    with helping(1) as helpers:
        volume = SingleFolderVolume("v", tmp_path, FOLDER)
        opened = volume.folder(FOLDER)
        scout = Scout(opened, helpers, volume.now_ns)
        (pid,) = processes(helpers)
        os.kill(pid, signal.SIGSTOP)
        try:
            scout.expect(names)
            (tmp_path / "09" / "in 09").unlink()
            (tmp_path / "09").rmdir()
            assert [found for found, _ in scout.scan(b"00")] == [b"in 00"]
            assert [found for found, _ in scout.scan(b"01")] == [b"in 01"]  # which the helper was asked for
            ahead = [name for name, (looked, _) in scout._looked.items() if looked is not None]
            assert len(ahead) >= 5
            assert b"01" not in ahead
            for name in names[2:]:
                if name == b"09":
                    with pytest.raises(Refused, match="nothing is there"):
                        list(scout.scan(name))
                else:
                    assert [found for found, _ in scout.scan(name)] == [b"in " + name]
            scout.close()
        finally:
            os.kill(pid, signal.SIGCONT)
            opened.close()
            volume.close()


async def test_a_directory_that_links_lead_to_again_keeps_no_helper(tmp_path: Path, helpers: Helpers) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    for number in range(20):
        (tmp_path / f"link-{number:02}").symlink_to("a")
    assert told(await plan_of(tmp_path, helpers)) == told(await plan_of(tmp_path, Helpers(0)))
    root = os.open(tmp_path, os.O_RDONLY)
    try:
        tickets = [helpers.ask(root, request_to_look(b"a")) for _ in range(2 * SLOTS)]
        assert None not in tickets
        for ticket in filter(None, tickets):
            assert ticket.looked() is not None
            ticket.release()
    finally:
        os.close(root)


async def test_walks_without_directories_start_no_helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    asked: list[int] = []
    monkeypatch.setattr(Helpers, "ready", lambda _, files: bool(asked.append(files)))  # type: ignore[func-returns-value]
    await plan_of(tmp_path, Helpers(1), files=("file",))
    assert asked == []
    await plan_of(tmp_path, Helpers(1), files=("directory",))
    assert asked != []


async def test_nothing_is_kept_open(tmp_path: Path, helpers: Helpers) -> None:
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "file").touch()
    await plan_of(tmp_path, helpers)
    with no_descriptor_kept():
        await plan_of(tmp_path, helpers)
        volume = SingleFolderVolume("v", tmp_path, FOLDER)
        opened = volume.folder(FOLDER)
        scout = Scout(opened, helpers, volume.now_ns)
        scout.expect([b"d1", b"d2", b"d3"])
        scout.close()  # before anything was answered
        opened.close()
        volume.close()
    plan = await plan_of(tmp_path, helpers)
    assert len(plan.entries) == 30


async def test_a_walk_goes_on_without_helpers_that_hang_or_die(tmp_path: Path, helpers: Helpers) -> None:
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "file").touch()
    pids = processes(helpers)
    for pid, kind in zip(pids, (signal.SIGSTOP, signal.SIGKILL), strict=True):
        os.kill(pid, kind)
    try:
        assert len((await plan_of(tmp_path, helpers)).entries) == 30
    finally:
        os.kill(pids[0], signal.SIGCONT)
