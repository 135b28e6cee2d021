"""Nothing that a server does leaves more behind than it remembers on purpose: everything is done again and again.

What is remembered is bounded by numbers (``parts.Remembered``); with small ones, what grows after that has no bound.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sqlite3
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yarl

from pannier.parts import Remembered
from tests.api.live import SECRET, Answer
from tests.desk.desks import FOLDER, DeskServer, Person, desk

TIMES = 12
FEW = Remembered(plans=5, sessions=5, pins=5, checksums=40)
MANAGER = {"X-BackendAI-Storage-Auth-Token": SECRET}


@dataclass
class Guest:
    """Does each thing once more; ``number`` is another one each time."""

    it: DeskServer
    person: Person

    async def manage(self, path: str, **body: Any) -> Answer:
        wanted = {"volume": "trip", "vfid": str(FOLDER), "virtual_folder_id": str(FOLDER), **body}
        if "archive" in path:
            del wanted["vfid"]
        else:
            del wanted["virtual_folder_id"]
        url = self.it.listening.manager_url + path
        answer = await self.person.ask("POST", url, json=wanted, headers=MANAGER, token=False)
        assert answer.status < 300, answer.body
        return answer

    async def mint(self, *files: str, **more: Any) -> dict[str, Any]:
        minted: dict[str, Any] = (await self.manage("/folder/file/archive-download-token", files=files, **more)).json
        return minted

    async def take(self, minted: dict[str, Any], most: int | None = None) -> None:
        url = f"{self.it.base}/download-archive?token={minted['token']}"
        async with self.person.session.get(url) as response:
            assert response.status == 200
            await (response.read() if most is None else response.content.readexactly(most))

    async def whole(self, number: int) -> None:
        await self.take(await self.mint("small"))

    async def own_selection(self, number: int) -> None:
        await self.take(await self.mint("small", **{"except": [f"small/{number}"]}))

    async def changed(self, number: int) -> None:
        self.it.write("changing/file", b"%d" % number)
        await self.take(await self.mint("changing"))

    async def cut(self, number: int) -> None:
        await self.take(await self.mint("large"), most=1_000)

    async def packed(self, number: int) -> None:
        await self.take(await self.mint("small", format=("tar.gz", "tar.zst")[number % 2]))

    async def other_format(self, number: int) -> None:
        self.it.write("changing/tar", b"%d" % number)
        await self.take(await self.mint("changing", format="tar"))

    async def revoked(self, number: int) -> None:
        session = (await self.mint("small"))["session"]
        url = f"{self.it.listening.manager_url}/sessions/{session}"
        assert (await self.person.ask("DELETE", url, headers=MANAGER, token=False)).json["state"] == "revoked"

    async def planned(self, number: int) -> None:
        await self.manage("/folder/file/archive-plan", files=["."], exclude=[f"{number}.none"])

    async def refused(self, number: int) -> None:
        url = f"{self.it.base}/download-archive?token=none{number}"
        assert (await self.person.ask("GET", url, token=False)).status == 400

    async def one_file(self, number: int) -> None:
        token = (await self.manage("/folder/file/download", relpath="small/1")).json["token"]
        assert (await self.person.ask("GET", f"{self.it.base}/download?token={token}", token=False)).status == 200

    async def uploaded_and_deleted(self, number: int) -> None:
        name = f"up/{number}"
        token = (await self.manage("/folder/file/upload", relpath=name, size=3)).json["token"]
        headers = {"Upload-Offset": "0", "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        url = f"{self.it.base}/upload?token={token}"
        sent = await self.person.ask("PATCH", url, data=b"new", headers=headers, token=False)
        assert sent.status == 204
        await self.manage("/folder/file/rename", relpath=name, new_name=f"{number}.moved")
        await self.manage("/folder/file/delete", relpaths=[f"{name}.moved"])

    async def upload_left(self, number: int) -> None:
        await self.manage("/folder/file/upload", relpath=f"left/{number}", size=3)

    async def listed(self, number: int) -> None:
        await self.manage("/folder/file/list", relpath="small")
        assert (await self.person.get("/desk/list?folder=trip&path=small")).status == 200

    async def thrown_away(self, number: int) -> None:
        self.it.write(f"gone/{number}")
        thrown = await self.person.post("/desk/delete", folder="trip", paths=[f"gone/{number}"])
        forgotten = await self.person.post(f"/desk/trash/{thrown.json['id']}/forget", folder="trip")
        assert forgotten.status == 204

    async def sent_as_link(self, number: int) -> None:
        made = await self.person.post("/desk/links", folder="trip", paths=["small"], filename=f"{number}.zip")
        assert made.status == 201
        async with self.person.session.get(made.json["file_url"]) as response:
            assert len(await response.read()) == made.json["length"]
        ended = await self.person.ask("DELETE", f"/desk/links/{made.json['code']}", json={})
        assert ended.status == 200, ended.body

    async def signed_in(self, number: int) -> None:
        stranger = self.it.stranger()
        assert (await stranger.sign_in(self.it.key())).status == 303
        self.it.sessions.remove(stranger.session)
        await stranger.session.close()


THINGS: list[Callable[[Guest, int], Awaitable[None]]] = [
    *(Guest.whole, Guest.own_selection, Guest.changed, Guest.cut, Guest.packed, Guest.other_format, Guest.revoked),
    *(Guest.planned, Guest.refused, Guest.one_file, Guest.uploaded_and_deleted, Guest.upload_left, Guest.listed),
    *(Guest.thrown_away, Guest.sent_as_link, Guest.signed_in),
]


@dataclass
class Census:
    """What there is when nothing goes on any more.

    Attributes:
        kinds: Objects of ours, by type, and timers that will fire.
        sizes: What is in each container, by its place in memory.
    """

    kinds: Counter[str]
    sizes: dict[tuple[int, str], int]

    @classmethod
    async def take(cls, it: DeskServer) -> Census:
        async with asyncio.timeout(60):
            while it.server.running or any("Sessions." in repr(task) for task in asyncio.all_tasks()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # accounts are written behind
        yarl.cache_clear()
        re.purge()
        gc.collect()
        cursors = {  # sqlite3 forgets those that are gone after each 200
            id(each)
            for one in gc.get_objects()
            if isinstance(one, sqlite3.Connection)
            for each in gc.get_referents(one)
        }
        kinds: Counter[str] = Counter()
        sizes = {}
        for each in gc.get_objects():
            kind = f"{type(each).__module__}.{type(each).__qualname__}"
            if kind.startswith("pannier."):
                kinds[kind] += 1
            elif isinstance(each, asyncio.TimerHandle) and not each.cancelled():
                kinds["timer that will fire"] += 1
            elif isinstance(each, (dict, list, set, deque)) and id(each) not in cursors:
                sizes[id(each), kind] = len(each)
        return cls(kinds, sizes)

    def grown(self, before: Census, least: int) -> set[object]:
        """What has grown by at least so many."""
        kinds = {kind for kind, count in self.kinds.items() if count - before.kinds[kind] >= least}
        return kinds | {
            place for place, size in self.sizes.items() if place in before.sizes and size - before.sizes[place] >= least
        }


def told(place: object) -> str:
    """Say what grows: a type, or who holds a container, and the last that came into it."""
    if isinstance(place, str):
        return place
    assert isinstance(place, tuple)
    for each in gc.get_objects():
        if id(each) == place[0]:
            holders = [type(holder).__qualname__ for holder in gc.get_referrers(each)]
            return f"{place[1]} of {len(each)} in {holders[:5]}: … {list(each)[-1]!r:.200}"
    return f"{place[1]}, gone since"


@pytest.mark.timeout(180)
async def test_nothing_that_is_done_again_and_again_stays(tmp_path: Path) -> None:
    async with desk(tmp_path, remembered=FEW) as it:
        for number in range(10):
            it.write(f"small/{number}", b"x" * 100 * number)
        it.write("large", bytes(3_000_000))
        guest = Guest(it, await it.owner())
        taken = []
        for again in range(4):
            for thing in THINGS:
                for number in range(TIMES):
                    await thing(guest, again * TIMES + number)
            taken.append(await Census.take(it))
        least = TIMES * 4 // 5
        first, second, third = (after.grown(before, least) for before, after in pairwise(taken))
        assert not [told(each) for each in second & third], "grows each time"
        assert first, "what is remembered fills at first: or nothing was counted"
