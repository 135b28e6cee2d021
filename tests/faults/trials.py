"""Downloads from a volume that breaks, and the judgement of what came: right, refused, broken off, or wrong."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
import os
import random
import tarfile
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pannier import metrics
from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import FOLDER, MINT, SECRET, Live, live
from tests.e2e import trees
from tests.faults.faulty import OPERATIONS, SHORT, Fault, FaultyVolume, Schedule

SIZES = {"a.txt": 3_000, "b.bin": 60_000, "d/c.bin": 200_000, "d/e.txt": 10, "f.bin": 700_000}
"""Files that are read whole, and larger ones that pass in pieces."""
NUMBERS = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM, errno.ETIMEDOUT)
HANGS = 60.0
"""Seconds after which an answer is taken never to come."""
SETTINGS: dict[str, Any] = {"background_hash_linger": 0.1}


class Yard:
    """The files of a folder, and every content that each of them ever had."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self._chance = root, random.Random(seed)
        self._lock = threading.Lock()
        self.versions: dict[str, list[bytes]] = {name: [] for name in SIZES}
        self.touched: set[str] = set()
        """What was changed since it was mended last."""
        for name in SIZES:
            (root / name).parent.mkdir(exist_ok=True)
            self.replace(name)
        self.touched.clear()

    def mend(self) -> None:
        """Have every file there again, as a file; where one was made small, at its size."""
        for name in sorted(self.touched):
            path = self.root / name
            if path.is_symlink() or not path.exists() or path.stat().st_size != SIZES[name]:
                self.replace(name)
        self.touched.clear()

    def replace(self, name: str) -> None:
        made = self.root.parent / f"made-{name.replace('/', '-')}"
        made.write_bytes(self._content(name, SIZES[name]))
        made.rename(self.root / name)

    def rewrite(self, name: str) -> None:
        """In place and at once: a reader sees the one or the other, or both and that it changed."""
        status = (self.root / name).stat()
        with (self.root / name).open("r+b", buffering=0) as file:
            file.write(self._content(name, SIZES[name]))
        os.utime(self.root / name, ns=(status.st_atime_ns, status.st_mtime_ns))

    def grow(self, name: str) -> None:
        before = (self.root / name).read_bytes()
        more = self._chance.randbytes(5)
        with self._lock:
            self.versions[name].append(before + more)
        with (self.root / name).open("ab", buffering=0) as file:
            file.write(more)

    def shrink(self, name: str) -> None:
        half = (self.root / name).read_bytes()[: SIZES[name] // 2]
        with self._lock:
            self.versions[name].append(half)
        os.truncate(self.root / name, SIZES[name] // 2)

    def delete(self, name: str) -> None:
        (self.root / name).unlink()

    def link(self, name: str) -> None:
        link = self.root.parent / "link"
        link.symlink_to("/etc/passwd")
        link.rename(self.root / name)

    def changing(self, how: str, name: str) -> Callable[[], None]:
        """Return what changes a file in this way; where something else has changed it before, nothing."""

        def change() -> None:
            with self._lock:
                if name in self.touched:
                    return
                self.touched.add(name)
            CHANGES[how](self, name)

        return change

    def _content(self, name: str, size: int) -> bytes:
        content = self._chance.randbytes(size)
        with self._lock:
            self.versions[name].append(content)
        return content


CHANGES: dict[str, Callable[[Yard, str], None]] = {
    "is replaced": Yard.replace,
    "is rewritten": Yard.rewrite,
    "grows": Yard.grow,
    "shrinks": Yard.shrink,
    "is deleted": Yard.delete,
    "becomes a link": Yard.link,
}


REFUSALS = {
    (500, "source-unreadable"),
    (409, "source-changed"),
    (409, "selection-changed"),
    (400, "selection-refused"),
    (404, "selection-refused"),
    (404, "file-not-found"),
}
"""What may be said before the first byte."""
CAUSES = {"volume_failed", "source_changed"}


@dataclass(frozen=True)
class Outcome:
    """What became of a download."""

    kind: str
    """``right``, ``refused``, ``broken`` or ``wrong``."""
    status: int
    problem: str = ""
    """The tail of a refusal's type."""
    cause: str = ""
    """Of a broken one: as the metrics count it."""
    why: str = ""
    came: int = 0
    """Bytes of its body."""

    @property
    def is_sound(self) -> bool:
        """Whether it may be, where anything may fail."""
        match self.kind:
            case "right":
                return True
            case "refused":
                return (self.status, self.problem) in REFUSALS
            case "broken":
                return bool(self.cause) and set(self.cause.split()) <= CAUSES
        return False


ASKED = ("zip", "zip+deflate", "tar", "tar.gz", "zip, a part", "zip, the end", "tar, a part", "file", "file, a part")


class Trials:
    """A server over a volume that breaks, and a client of it."""

    def __init__(self, it: Live, yard: Yard, volume: FaultyVolume) -> None:
        self.it, self.yard, self.volume = it, yard, volume
        self._asked = 0
        self.met: list[Fault] = []
        """What the last download met."""
        self._session = ""
        """Of the link that was spent last; single files have none."""

    async def run(self, asked: str, faults: Sequence[Fault]) -> Outcome:
        """Prepare, have things go wrong, ask, and judge."""
        self.volume.schedule.arm()
        await asyncio.to_thread(self.yard.mend)
        what, _, part = asked.partition(", ")
        if what == "file":
            name = "f.bin"
            body = {"volume": "m", "vfid": str(FOLDER), "relpath": name}
            token = (await self.it.manage("/folder/file/download", body)).json["token"]
            self._session = ""
            url = f"{self.it.listening.client_url}/download?token={token}"
        else:
            how, _, packed = what.partition("+")
            options: dict[str, Any] = {"compression": packed} if packed else {}
            self._asked += 1  # a selection of its own: a plan that is taken for fresh is of this trial
            order = self.it.order(format=how, exclude=[f"nothing-{self._asked}"], **options)
            minted = (await self.it.manage(MINT, order)).json
            self._session = minted["session"]
            url = self.it.url(minted["token"])
        headers, whole = {}, b""
        if part:
            async with self.it.session.get(url) as response:
                whole = await response.read()
                headers["If-Range"] = response.headers["ETag"]
            middle = len(whole) // 3
            headers["Range"] = f"bytes={middle}-{len(whole) - middle}" if part == "a part" else "bytes=-1000"
        before = aborts()
        self.volume.schedule.arm(*faults)
        async with asyncio.timeout(HANGS):
            return await self._ask(url, headers, what, whole, before)

    async def session_contradicts(self, outcome: Outcome, *, part: bool) -> str:
        """Say what is wrong with what the manager is told of the link that was spent last; empty if nothing is.

        Args:
            outcome: What became of the download.
            part: Whether only a part was asked for, after all of it had come.
        """
        if not self._session:
            return ""
        url = f"{self.it.listening.manager_url}/sessions/{self._session}"
        deadline = time.monotonic() + HANGS
        while True:  # a stream is accounted for when its last byte is acknowledged, which its client does not wait for
            told = (await self.it.ask("GET", url, X_BackendAI_Storage_Auth_Token=SECRET)).json
            if self._agrees(told, outcome, part=part):
                return ""
            if time.monotonic() > deadline:
                return f"{outcome}: {told}"
            await asyncio.sleep(0.01)

    def _agrees(self, told: dict[str, Any], outcome: Outcome, *, part: bool) -> bool:
        failure, state = told["failure"], told["state"]
        if outcome.kind == "right":
            return failure is None and state == "complete"
        if outcome.kind == "refused":
            return failure is None and state in ({"complete"} if part else {"new", "active"})
        cause = "source-unreadable" if outcome.cause == "volume_failed" else "source-changed"
        return (
            state == "failed"
            and failure["cause"] == cause
            and failure["entry"] in SIZES
            and bool(failure["detail"])
            and str(self.yard.root) not in failure["detail"]
            and failure["offset"] >= outcome.came
            and (told["length"] is None or failure["offset"] < told["length"])
        )

    async def _ask(
        self, url: str, headers: dict[str, str], what: str, whole: bytes, before: dict[str, float]
    ) -> Outcome:
        status, body = 0, b""
        try:
            async with self.it.session.get(url, headers=headers) as response:
                status = response.status
                async for piece in response.content.iter_any():
                    body += piece
        except aiohttp.ClientError as error:
            counted = {cause for cause, count in aborts().items() if count > before.get(cause, 0.0)}
            return Outcome("broken", status, cause=" ".join(sorted(counted)), why=type(error).__name__, came=len(body))
        finally:
            self.met = self.volume.schedule.met
            self.volume.schedule.arm()
        if status == 206:
            begin, _, end = response.headers["Content-Range"].split()[1].partition("/")[0].partition("-")
            same = body == whole[int(begin) : int(end) + 1] and response.headers["ETag"] == headers["If-Range"]
            return Outcome("right" if same else "wrong", status)
        if status == 200:
            why = self._wrong_with(what, body)
            return Outcome("wrong" if why else "right", status, why=why)
        problem = str(json.loads(body)["type"]).rpartition("/")[2].rpartition(":")[2]
        return Outcome("refused", status, problem=problem)

    def _wrong_with(self, what: str, body: bytes) -> str:
        """Say what is wrong with a whole answer; empty if nothing is."""
        versions = self.yard.versions
        if what == "file":
            return "" if body in versions["f.bin"] else "content that it never had"
        try:
            found = trees.contents(body) if what.startswith("zip") else _members(body, packed=what == "tar.gz")
        except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError) as error:
            return f"no archive: {error}"
        for name, content in found.items():
            if content not in versions[name]:
                return f"{name} with content that it never had"
        missing = set(SIZES) - set(found) - self.yard.touched
        return f"{sorted(missing)} missing" if missing else ""


def _members(body: bytes, *, packed: bool) -> dict[str, bytes]:
    data = gzip.decompress(body) if packed else body
    if not data.endswith(bytes(1_024)):
        raise EOFError("it has no end")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile():
                file = archive.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


def aborts() -> dict[str, float]:
    """Streams that ended early so far, by cause."""
    return {
        sample.labels["cause"]: sample.value
        for family in metrics.ABORTS.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def by_chance(chance: random.Random, yard: Yard) -> tuple[str, list[Fault]]:
    """Return something to ask for, and one or two things that go wrong meanwhile."""
    faults: list[Fault] = []
    for _ in range(chance.choice([1, 1, 2])):
        operation = chance.choice(OPERATIONS)
        call = chance.choice([1, 1, 1, 1, 2, 2, 3, 5])
        roll = chance.random()
        what: Any = chance.choice(NUMBERS)
        if operation == "read" and roll < 0.4:
            what = SHORT
        elif roll < 0.6:
            what = yard.changing(chance.choice(list(CHANGES)), chance.choice(list(SIZES)))
        faults.append(Fault(operation, call, what, forever=chance.random() < 0.2))
    return chance.choice(ASKED), faults


def said(fault: Fault) -> str:
    """What a fault is, in a word or two."""
    if isinstance(fault.what, int):
        return errno.errorcode[fault.what]
    return fault.what if isinstance(fault.what, str) else "changes"


@asynccontextmanager
async def trials(tmp_path: Path, seed: int, *, fresh: bool) -> AsyncIterator[Trials]:
    """Run a server; nothing that was opened may be open at its end.

    Args:
        tmp_path: Where its folder and its state are made.
        seed: Of the files' contents.
        fresh: Whether plans are taken for fresh; else the files are looked at again for each answer.
    """
    root = tmp_path / "folder"
    root.mkdir()
    yard = await asyncio.to_thread(Yard, root, seed)
    volume = FaultyVolume(SingleFolderVolume("m", root, FOLDER), Schedule())
    seconds = 60 if fresh else 0
    archive = {**SETTINGS, "plan_fresh_min": seconds, "plan_fresh_max": seconds}
    try:
        async with live(tmp_path / "state", volume=volume, archive=archive) as it:
            yield Trials(it, yard, volume)
    finally:
        volume.close()
    assert not +volume.held, f"not given back: {+volume.held}"
