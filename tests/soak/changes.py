"""Those who change something: uploads, what becomes of them, clones, and links that are revoked."""

from __future__ import annotations

import base64
import json
import random
import socket
import time
from pathlib import Path

from tests.soak.downloads import LARGE, Still, planted
from tests.soak.world import Gone, Reply, World

_SPOKEN = {"Tus-Resumable": "1.0.0"}
_SENDING = {**_SPOKEN, "Content-Type": "application/offset+octet-stream"}


class Uploads:
    """Files that are uploaded in pieces, over cuts and kills, and then renamed, moved and deleted.

    What was acknowledged is there: bytes by the next ``HEAD``, files on the disk.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.id, self.path = world.new_folder()
        self.path.mkdir(parents=True)
        self.there: dict[str, bytes] = {}
        """What has to be on the disk."""
        self._number = 0
        self.lost = 0
        """Uploads whose address died with the server: nobody can end them, so they lie there for a day."""

    def act(self, chance: random.Random) -> None:
        """Upload a file, then perhaps do something with one that is there."""
        self._number += 1
        name = f"{chance.choice(['', 'in/', 'in/deep/'])}{id(chance) % 1_000}-{self._number}.bin"
        data = chance.randbytes(chance.choice([1, 100, 5_000, 900_000, 4_000_000]))
        if chance.random() < 0.5:
            finished = self._by_core(name, data, chance)
        else:
            finished = self._by_creation(name, data, chance)
        if finished:
            self.there[name] = data
            self._look(name)
            if chance.random() < 0.7:
                self._afterwards(name, chance)

    # -- sending

    def _by_core(self, name: str, data: bytes, chance: random.Random) -> bool:
        try:
            minted = self.world.manage("/folder/file/upload", vfid=self.id, relpath=name, size=len(data))
        except Gone:
            return self._lose()
        url = f"{self.world.client}/upload?token={minted.document['token']}"
        return self._send(url, data, chance, finished=404, name=name)

    def _by_creation(self, name: str, data: bytes, chance: random.Random) -> bool:
        try:
            minted = self.world.manage("/folder/file/upload", vfid=self.id, relpath=".", size=len(data), multiple=True)
            told = f"filename {base64.b64encode(name.encode()).decode()}"
            url = f"{self.world.client}/uploads?token={minted.document['token']}"
            more = {**_SPOKEN, "Upload-Length": str(len(data)), "Upload-Metadata": told}
            begun = self.world.ask(url, "POST", body=b"", headers=more)
        except Gone:
            return self._lose()
        if begun.status != 201:
            self.world.violated("upload", f"POST: {begun.status} {begun.body[:300]!r}")
            return False
        url = self.world.client + begun.headers["location"]
        if chance.random() < 0.1:
            return self._give_up(url)
        return self._send(url, data, chance, finished=None, name=name)

    def _lose(self) -> bool:
        self.lost += 1
        self.world.ended("upload: its address was lost at an end of the server")
        return False

    def _give_up(self, url: str) -> bool:
        while True:
            try:
                given_up = self.world.ask(url, "DELETE", headers=_SPOKEN)
            except Gone:
                self.world.wait_up()
                continue
            if given_up.status not in (204, 404):
                self.world.violated("upload", f"DELETE: {given_up.status} {given_up.body[:300]!r}")
            self.world.ended("upload: given up")
            return False

    def _send(self, url: str, data: bytes, chance: random.Random, *, finished: int | None, name: str) -> bool:
        """Send all of it; ``finished`` is what HEAD answers of an upload that has ended, where that is no success."""
        acknowledged = 0
        while True:
            try:
                head = self.world.ask(url, "HEAD", headers=_SPOKEN)
                if head.status == finished:
                    break
                if head.status == 409:
                    time.sleep(0.05)  # the request that was cut is still being ended
                    continue
                if head.status != 200:
                    self.world.violated("upload", f"HEAD: {head.status} after {acknowledged:,} bytes")
                    return False
                at = int(head.headers["upload-offset"])
                if not acknowledged <= at <= len(data):
                    self.world.violated("upload", f"{acknowledged:,} bytes were acknowledged, {at:,} are there")
                    return False
                if at == len(data):
                    break
                here = {**_SENDING, "Upload-Offset": str(at)}
                piece = data[at : at + chance.choice([len(data), 700_000, 60_000])]
                if chance.random() < 0.25:
                    cut = chance.randrange(len(piece))
                    self.world.ask(url, "PATCH", body=piece, send_only=cut, headers=here)
                    self.world.ended("upload: cut by its client, gone on with")
                    continue
                sent = self.world.ask(url, "PATCH", body=piece, headers=here)
                if sent.status == 204:
                    acknowledged = int(sent.headers["upload-offset"])
                    if acknowledged == len(data):
                        break
                elif sent.status == 409:
                    time.sleep(0.05)  # the same, or it has brought more than was told
                else:
                    self.world.violated("upload", f"PATCH: {sent.status} {sent.body[:300]!r}")
                    return False
            except Gone:
                self.world.ended("upload: cut off by an end of the server, gone on with")
                self.world.wait_up()
        self.world.ended("upload: whole")
        return True

    # -- afterwards

    def _look(self, name: str) -> None:
        path = self.path / name
        if not path.is_file() or path.read_bytes() != self.there[name]:
            self.world.violated("upload", f"{name} was acknowledged, and is not there as it was sent")

    def check(self) -> None:
        """See that everything is there that has to be, and nothing else."""
        found = {name: data for name, data in planted(self.path).items() if not name.startswith(".upload/")}
        for name in {*found, *self.there}:
            if found.get(name) != self.there.get(name):
                state = (
                    "is not there"
                    if name not in found
                    else "should not be there"
                    if name not in self.there
                    else "is another"
                )
                self.world.violated("files", f"{name} {state}")

    def _afterwards(self, name: str, chance: random.Random) -> None:
        """Rename, move or delete a file; where nobody knows whether that was done, one of both has to be."""
        way = chance.choice(["rename", "move", "delete"])
        target = f"{name}-renamed" if way == "rename" else f"moved/{name.rpartition('/')[2]}"
        data = self.there.pop(name)
        try:
            match way:
                case "rename":
                    new_name = target.rpartition("/")[2]
                    reply = self.world.manage("/folder/file/rename", vfid=self.id, relpath=name, new_name=new_name)
                case "move":
                    paths = {"src_relpath": name, "dst_relpath": target}
                    (self.path / "moved").mkdir(exist_ok=True)
                    reply = self.world.manage("/folder/file/move", vfid=self.id, **paths)
                case _:
                    reply = self.world.manage("/folder/file/delete", vfid=self.id, relpaths=[name], recursive=False)
        except Gone:
            self.world.wait_up()  # what the old server began has ended with it
            here, there = self.path / name, self.path / target
            where = [path for path in (here, there) if path.exists()]
            if way != "delete" and len(where) != 1:
                self.world.violated(way, f"{name}: a kill left it at {len(where)} places")
            for path in where:
                self.there[str(path.relative_to(self.path))] = data
            self.world.ended(f"{way}: cut off by an end of the server")
            return
        if reply.status not in (200, 204):
            self.world.violated(way, f"{name}: {reply.status} {reply.body[:300]!r}")
            self.there[name] = data
            return
        if way != "delete":
            self.there[target] = data
            self._look(target)
        elif (self.path / name).exists():
            self.world.violated(way, f"{name} is still there")
        self.world.ended(f"{way}: done")


class Clones:
    """Clones of the folder that stays as it is, and their deletion: background tasks that outlive the server."""

    def __init__(self, world: World, still: Still) -> None:
        self.world, self.still = world, still

    def act(self, chance: random.Random) -> None:
        folder, path = self.world.new_folder()
        body = {"src_volume": "local", "src_vfid": self.still.id, "dst_vfid": folder}
        if not self._task("clone", "/folder/clone", body, path):
            return
        if planted(path) != self.still.files:
            self.world.violated("clone", "it is another one than its source")
        if self._task("delete a folder", "/folder/delete", {"vfid": folder}, path) and path.exists():
            self.world.violated("delete a folder", "it is still there")

    def _task(self, what: str, route: str, body: dict[str, str], path: Path) -> bool:
        """Have a task done, over ends of the server; whether it was."""
        while True:
            try:
                begun = self.world.manage(route, **body)
            except Gone:
                self.world.wait_up()  # whether it was begun is not known
                if self._comes_to_be(path, there=what == "clone"):
                    self.world.ended(f"{what}: begun unseen, and done")
                    return True
                continue
            break
        if begun.status not in (200, 202):
            self.world.violated(what, f"{begun.status} {begun.body[:300]!r}")
            return False
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                told = self.world.manage(f"/tasks/{begun.document['bgtask_id']}", "GET")
            except Gone:
                self.world.ended(f"{what}: an end of the server came between")
                self.world.wait_up()
                continue
            if told.status != 200:
                self.world.violated(what, f"its task is forgotten: {told.status}")
                return False
            if told.document["ended_at"]:
                if told.document["state"] != "done":
                    self.world.violated(what, json.dumps(told.document))
                    return False
                self.world.ended(f"{what}: done")
                return True
            time.sleep(0.05)
        self.world.violated(what, "its task does not end")
        return False

    def _comes_to_be(self, path: Path, *, there: bool) -> bool:
        """Whether a folder that may be on its way appears, or vanishes, within some time."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if path.exists() is there:
                return True
            time.sleep(0.1)
        return False


class Revocations:
    """Links that are revoked, also while they are spent: for good, whatever becomes of the server."""

    def __init__(self, world: World, still: Still) -> None:
        self.world, self.still = world, still

    def act(self, chance: random.Random) -> None:
        world = self.world
        minted = world.mint(self.still.id, "large.bin")
        if minted is None:
            world.violated("revoke", "a link was refused")
            return
        url, running = world.archive(minted["token"]), chance.random() < 0.5
        client = world.slow_socket(url) if running else None
        life = world.life
        try:
            if client is not None and not client.recv(1_000):
                raise Gone
            reply = world.manage(f"/sessions/{minted['session']}", "DELETE")
            if reply.status != 200 or reply.document["state"] != "revoked":
                world.violated("revoke", f"{reply.status} {reply.body[:300]!r}")
                return
            if client is not None:
                least = minted.get("length", LARGE)  # none is told where the plan was not ready in time
                if _to_its_end(client) >= least:
                    world.violated("revoke", "a stream that ran came to its end")
                world.ended("revoke: a running stream was cut" if life == world.life else "revoke: and a kill")
        except OSError:
            raise Gone from None
        finally:
            if client is not None:
                client.close()
        after = self._answered(url)
        if after.status != 410:
            world.violated("revoke", f"a revoked link was answered {after.status}")
        else:
            world.ended("revoke: refused from then on")

    def _answered(self, url: str) -> Reply:
        while True:
            try:
                return self.world.ask(url)
            except Gone:
                self.world.wait_up()


def _to_its_end(client: socket.socket) -> int:
    """Take what comes until the connection ends; bytes."""
    taken = 0
    try:
        while more := client.recv(65_536):
            taken += len(more)
    except OSError:
        pass
    return taken
