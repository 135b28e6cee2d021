"""Those who download: from a folder that stays as it is, and from one whose files change all the time."""

from __future__ import annotations

import io
import os
import random
import tarfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import zstandard

from tests.soak.history import ABSENT, EMPTY, History, content, version_of
from tests.soak.world import Gone, Reply, World

FORMATS = (
    ("zip", "none"),
    ("zip", "none"),
    ("tar", "none"),
    ("zip", "deflate"),
    ("tar.gz", "none"),
    ("tar.zst", "none"),
)
STORED = FORMATS[:3]
RETRIED = (429, 503)
"""What a server says that has no room now, or has to look something up first."""
LARGE = 9_000_000
"""Bytes of the largest file of the folder that stays as it is."""


def unpacked(format: str, data: bytes) -> dict[str, bytes]:
    """Return the files of an archive, by name.

    Raises:
        ValueError: It is not whole.
    """
    try:
        if format == "zip":
            with zipfile.ZipFile(io.BytesIO(data)) as opened:
                return {each.filename: opened.read(each) for each in opened.infolist() if not each.is_dir()}
        if format == "tar.zst":
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz" if format == "tar.gz" else "r:") as archive:
            found = {}
            for member in archive:
                if member.isfile():
                    file = archive.extractfile(member)
                    assert file is not None
                    found[member.name] = file.read()
            return found
    except (zipfile.BadZipFile, tarfile.TarError, zstandard.ZstdError, OSError, EOFError) as error:
        raise ValueError(f"no whole {format}: {type(error).__name__}: {error}") from None


class Still:
    """A folder that nobody changes: every download of it has to succeed, and one ETag means the same bytes for ever."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.id, self.path = world.new_folder()
        self.files: dict[str, bytes] = {}
        chance = random.Random(seed)
        for number in range(120):
            size = chance.choice([0, 10, 2_000, 30_000, 150_000])
            self._plant(f"few/{number % 5}/{number}.txt", size)
        self._plant("large.bin", LARGE)
        self._plant("medium.bin", 1_300_000)
        for path in (self.path).rglob("*"):
            os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
        self.wholes: dict[str, bytes] = {}
        """By ETag."""

    def _plant(self, name: str, size: int) -> None:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        self.files[name] = content(name, 1, size)
        place.write_bytes(self.files[name])

    def below(self, selection: str) -> dict[str, bytes]:
        return {
            name: data
            for name, data in self.files.items()
            if selection == "." or name == selection or name.startswith(f"{selection}/")
        }

    def act(self, chance: random.Random) -> None:
        """Download something, whole or in parts, over kills and cuts."""
        world = self.world
        selection = chance.choice([".", "few", "large.bin", "few/3", "medium.bin"])
        format, compression = chance.choice(FORMATS)
        minted = world.mint(self.id, selection, format=format, compression=compression)
        if minted is None:
            world.violated("mint", f"{selection} was refused")
            return
        url, stored = world.archive(minted["token"]), (format, compression) in STORED
        what = format if compression == "none" else f"{format}+{compression}"
        if not stored or chance.random() < 0.4:
            reply = self._until_answered(url)
            self._judge(f"whole {what}", selection, format, reply, stored=stored)
        elif chance.random() < 0.5:
            self._resume(url, what, selection, format, chance)
        else:
            self._ranges(url, what, selection, format, chance)

    def _until_answered(self, url: str, headers: dict[str, str] | None = None) -> Reply:
        """Ask until an answer comes, over ends of the server."""
        while True:
            try:
                reply = self.world.ask(url, headers=headers)
            except Gone:
                self.world.ended("download cut off by an end of the server, asked again")
                self.world.wait_up()
                continue
            if reply.status not in RETRIED:
                return reply
            time.sleep(0.2)

    def _judge(self, what: str, selection: str, format: str, reply: Reply, *, stored: bool) -> None:
        world = self.world
        if reply.status != 200 or not reply.complete:
            world.violated(what, f"{selection}: {reply.status} {reply.problem}, complete: {reply.complete}")
            return
        try:
            found = unpacked(format, reply.body)
        except ValueError as error:
            world.violated(what, f"{selection}: {error}")
            return
        if found != self.below(selection):
            world.violated(what, f"{selection}: other content")
            return
        if stored and self.wholes.setdefault(reply.headers["etag"], reply.body) != reply.body:
            world.violated(what, f"{selection}: other bytes under the same ETag")
            return
        world.ended(f"{what}: right")

    def _resume(self, url: str, what: str, selection: str, format: str, chance: random.Random) -> None:
        """Take it as curl -C - does: leave somewhere, ask for the rest without saying of what."""
        got, etag, length = b"", "", -1
        while length != len(got):
            most = None if chance.random() < 0.4 else chance.randrange(1, 6_000_000)
            headers = {"Range": f"bytes={len(got)}-"} if got else {}
            try:
                reply = self.world.ask(url, leave_after=most, headers=headers)
            except Gone:
                self.world.ended("download cut off by an end of the server, gone on with")
                self.world.wait_up()
                continue
            if reply.status in RETRIED:
                time.sleep(0.2)
                continue
            if reply.status != (206 if got else 200) or (etag and reply.headers["etag"] != etag):
                self.world.violated(f"resumed {what}", f"{selection}: {reply.status} {reply.problem} at {len(got)}")
                return
            etag = reply.headers["etag"]
            length = len(got) + int(reply.headers["content-length"])
            got += reply.body
            if most is None and not reply.complete:
                self.world.violated(f"resumed {what}", f"{selection}: broke off without a reason")
                return
        self._judge(f"resumed {what}", selection, format, Reply(200, {"etag": etag}, got, True), stored=True)

    def _ranges(self, url: str, what: str, selection: str, format: str, chance: random.Random) -> None:
        """Take it in ranges of one size, in any order, as clients with several connections do."""
        first = self._until_answered(url, {"Range": "bytes=0-0"})
        if first.status != 206:
            self.world.violated(f"{what} in ranges", f"{selection}: {first.status} {first.problem}")
            return
        etag, length = first.headers["etag"], int(first.headers["content-range"].rpartition("/")[2])
        step = chance.choice([200_000, 1_000_000, 3_000_000])
        starts = list(range(0, length, step))
        chance.shuffle(starts)
        got = bytearray(length)
        for start in starts:
            stop = min(start + step, length)
            reply = self._until_answered(url, {"Range": f"bytes={start}-{stop - 1}", "If-Range": etag})
            if reply.status != 206 or not reply.complete or len(reply.body) != stop - start:
                self.world.violated(f"{what} in ranges", f"{selection}: {reply.status} {reply.problem}")
                return
            got[start:stop] = reply.body
        self._judge(f"{what} in ranges", selection, format, Reply(200, {"etag": etag}, bytes(got), True), stored=True)


class Moving:
    """A folder whose files are replaced, written over, deleted and made: what comes whole was there at one instant."""

    def __init__(self, world: World) -> None:
        self.world, self.history = world, History()
        self.id, self.path = world.new_folder()
        self.path.mkdir(parents=True)
        self.names = [f"{number}.dat" for number in range(12)]
        self._version = 0
        self._current: dict[str, int] = {}
        for name in self.names:
            self._replace(name, random.Random(0))

    def change(self, chance: random.Random) -> None:
        """Change one file, in one of the ways in which files change."""
        name, way = chance.choice(self.names), chance.random()
        if way < 0.5 or name not in self._current:
            self._replace(name, chance)
        elif way < 0.8:
            self._write_over(name, chance)
        else:
            self.history.begins(name, ABSENT)
            self._current_ends(name, (self.path / name).unlink)
        time.sleep(chance.choice([0, 0.02, 0.1, 0.5]))

    def _replace(self, name: str, chance: random.Random) -> None:
        """As editors and rsync do: written aside, renamed over it."""
        version, data = self._next(name, chance)
        aside = self.path.parent / f"aside-{name}"
        aside.write_bytes(data)
        self.history.begins(name, version)
        self._current_ends(name, partial(os.replace, aside, self.path / name))
        self._current[name] = version
        self.history.ended(name, ABSENT)

    def _write_over(self, name: str, chance: random.Random) -> None:
        """In place: for a moment it is neither of two versions."""
        version, data = self._next(name, chance)
        self.history.begins(name, version)
        self.history.begins(name, EMPTY)
        self._current_ends(name, partial((self.path / name).write_bytes, data))
        self._current[name] = version
        self.history.ended(name, EMPTY)

    def _next(self, name: str, chance: random.Random) -> tuple[int, bytes]:
        self._version += 1
        return self._version, content(name, self._version, chance.choice([50, 5_000, 200_000, 1_500_000]))

    def _current_ends(self, name: str, act: Callable[[], object]) -> None:
        act()
        if (version := self._current.pop(name, None)) is not None:
            self.history.ended(name, version)

    def act(self, chance: random.Random) -> None:
        """Download the folder, whole, resumed or a file of it, and judge what came whole."""
        if chance.random() < 0.3:
            self._one(chance)
            return
        format = chance.choice(["zip", "zip", "tar", "tar.gz"])
        begin = time.monotonic()
        minted = self.world.mint(self.id, ".", format=format)
        if minted is None:
            self.world.ended("moving: refused at minting")
            return
        url, what = self.world.archive(minted["token"]), f"moving {format}"
        if format == "tar.gz" or chance.random() < 0.6:
            self._judge(what, format, self.world.ask(url), begin)
            return
        part = self.world.ask(url, leave_after=chance.randrange(1, 3_000_000))
        if part.status != 200 or len(part.body) == int(part.headers["content-length"]):
            self._judge(what, format, Reply(part.status, part.headers, part.body, True), begin)
            return
        rest = self.world.ask(url, headers={"Range": f"bytes={len(part.body)}-"})
        if rest.status == 206:
            whole = Reply(200, rest.headers, part.body + rest.body, rest.complete)
            self._judge(f"{what}, resumed", format, whole, begin)
        elif rest.status == 200:
            self.world.violated(what, "a bare range was answered with a whole archive")
        else:
            self._judge(f"{what}, resumed", format, rest, begin)

    def _judge(self, what: str, format: str, reply: Reply, begin: float) -> None:
        if reply.status != 200:
            self._refused(what, reply)
            return
        if not reply.complete:
            self.world.ended(f"{what}: broke off")
            return
        try:
            wrong = self.history.wrong_with(unpacked(format, reply.body), begin, time.monotonic())
        except ValueError as error:
            wrong = str(error)
        if wrong:
            self.world.violated(what, wrong)
        else:
            self.world.ended(f"{what}: right")

    def _refused(self, what: str, reply: Reply) -> None:
        if reply.status in (404, 409, 410, 429, 503) or reply.problem in ("selection-refused", "source-changed"):
            self.world.ended(f"{what}: refused")
        else:
            self.world.violated(what, f"{reply.status} {reply.body[:300]!r}")

    def _one(self, chance: random.Random) -> None:
        name, begin = chance.choice(self.names), time.monotonic()
        minted = self.world.manage("/folder/file/download", vfid=self.id, relpath=name)
        if minted.status != 200:
            self._refused("moving file", minted)
            return
        reply = self.world.ask(f"{self.world.client}/download?token={minted.document['token']}")
        if reply.status != 200 or not reply.complete:
            self._judge("moving file", "zip", reply, begin)
        elif reply.body and version_of(name, reply.body) is None:
            self.world.violated("moving file", f"{len(reply.body):,} bytes that it never had")
        else:
            wrong = self.history.wrong_with({name: reply.body}, begin, time.monotonic(), alone=True)
            if wrong:
                self.world.violated("moving file", wrong)
            else:
                self.world.ended("moving file: right")


def planted(place: Path) -> dict[str, bytes]:
    """Return the files below a directory."""
    return {str(each.relative_to(place)): each.read_bytes() for each in place.rglob("*") if each.is_file()}
