"""Sessions as a machine: links that are made, used, revoked and spent in any order, by two servers of one state.

The model knows of each link what was delivered, whether it was revoked and whether it was for one download; from that
follows what each request gets and what is told.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from pannier.coverage import Coverage
from pannier.window import Window
from tests.api.live import FOLDER, MINT, SECRET, Answer, Live, gist, live
from tests.examples import examples

CONTENT = bytes(range(256)) * 5
POINTS = st.sampled_from([0, 1, 100, 640, 1_000, 1_250])


@dataclass(eq=False)
class Link:
    """What is known of a link."""

    token: str
    id: str
    one_time: bool
    delivered: Coverage = field(default_factory=Coverage)
    total: int = 0
    begun: bool = False
    revoked: bool = False

    def complete(self, size: int) -> bool:
        return self.delivered.covers(Window(0, size))

    def state(self, size: int) -> str:
        if self.revoked:
            return "revoked"
        if self.complete(size):
            return "spent" if self.one_time else "complete"
        return "active" if self.begun else "new"


class Links(RuleBasedStateMachine):
    """Two servers, one folder that stays as it is, and links to it."""

    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.home = Path(tempfile.mkdtemp())
        self.made: list[Link] = []
        self.servers: dict[int, Live] = {}
        self.stacks: dict[int, AsyncExitStack] = {}
        self.run(self.begin())

    def run(self, what: Any) -> Any:
        return self.runner.run(what)

    async def begin(self) -> None:
        await self.start(0)
        self.servers[0].write("a", CONTENT, mtime_ns=1_600_000_000 * 10**9)
        await self.start(1)
        answer = await self.servers[0].get(await self.servers[0].mint())
        self.whole = answer.body
        self.size = len(self.whole)
        page = await self.manage(0, "/sessions")
        self.first = {item["id"] for item in page.json["items"]}

    async def start(self, number: int) -> None:
        stack = AsyncExitStack()
        volume = self.servers[0].memory if self.servers else None
        server = await stack.enter_async_context(live(self.home / "state", volume=volume))
        if volume is not None:
            server.memory = volume
        self.servers[number], self.stacks[number] = server, stack

    def teardown(self) -> None:
        async def end() -> None:
            for stack in self.stacks.values():
                await stack.aclose()

        self.run(end())
        self.runner.close()
        shutil.rmtree(self.home)

    async def manage(self, where: int, path: str, method: str = "GET") -> Answer:
        server = self.servers[where]
        return await server.ask(method, server.listening.manager_url + path, X_BackendAI_Storage_Auth_Token=SECRET)

    # -- what happens

    @rule(target=links, where=st.integers(0, 1), one_time=st.booleans())
    def mint(self, where: int, one_time: bool) -> Link:
        async def ask() -> Link:
            server = self.servers[where]
            answer = await server.manage(MINT, server.order(one_time=one_time))
            return Link(answer.json["token"], answer.json["session"], one_time)

        link: Link = self.run(ask())
        self.made.append(link)
        return link

    @rule(link=links, where=st.integers(0, 1))
    def head(self, link: Link, where: int) -> None:
        async def ask() -> Answer:
            server = self.servers[where]
            return await server.ask("HEAD", server.url(link.token))

        answer = self.run(ask())
        assert answer.status == (410 if link.revoked else 200)
        link.begun = link.begun or not link.revoked

    @rule(link=links, where=st.integers(0, 1))
    def download(self, link: Link, where: int) -> None:
        spent = link.one_time and link.complete(self.size)
        outcome = "410 session-revoked" if link.revoked else "410 session-spent" if spent else "200"
        self.take(link, where, {}, outcome, Window(0, self.size))

    @rule(link=links, where=st.integers(0, 1), start=POINTS, stop=POINTS)
    def resume(self, link: Link, where: int, start: int, stop: int) -> None:
        if start >= stop:
            stop = self.size
        if link.revoked:
            outcome = "410 session-revoked"
        elif start and not link.begun:
            outcome = "409 resume-unverified"
        elif not start and link.one_time and link.complete(self.size):
            outcome = "410 session-spent"
        else:
            outcome = "206"
        self.take(link, where, {"Range": f"bytes={start}-{stop - 1}"}, outcome, Window(start, stop))

    def take(self, link: Link, where: int, headers: dict[str, str], outcome: str, window: Window) -> None:
        async def ask() -> Answer:
            return await self.servers[where].get(link.token, **headers)

        answer = self.run(ask())
        assert gist(answer) == outcome
        if answer.status in (200, 206):
            assert answer.body == self.whole[window.start : window.stop]
            link.begun = True
            link.delivered = link.delivered.add(window)
            link.total += window.length
        self.run(self.agrees(link, where))

    @rule(link=consumes(links), where=st.integers(0, 1))
    def revoke(self, link: Link, where: int) -> None:
        answer = self.run(self.manage(where, f"/sessions/{link.id}", "DELETE"))
        assert (answer.status, answer.json["state"]) == (200, "revoked")
        link.revoked = True
        self.download(link, 1 - where)

    @precondition(lambda self: len(self.made) > 3)
    @rule(where=st.integers(0, 1))
    def revoke_folder(self, where: int) -> None:
        async def ask() -> Answer:
            return await self.servers[where].manage("/folder/revoke", {"volume": "m", "vfid": str(FOLDER)})

        count = sum(not link.revoked for link in self.made) + len(self.first)
        self.first.clear()
        assert self.run(ask()).json == {"revoked": count}
        for link in self.made:
            link.revoked = True

    @rule(where=st.just(1))
    def restart(self, where: int) -> None:
        async def again() -> None:
            await self.stacks[where].aclose()
            await self.start(where)

        self.run(again())

    # -- what is always true

    async def agrees(self, link: Link, where: int) -> None:
        """A session is told of as the model has it; what is not for one download, after a moment."""
        wanted = {
            "state": link.state(self.size),
            "bytes": link.delivered.length,
            "total": link.total,
            "ranges": [[window.start, window.stop] for window in link.delivered.windows],
        }
        async with asyncio.timeout(20):
            while True:
                told = (await self.manage(where, f"/sessions/{link.id}")).json
                found = {"state": told["state"], **told["delivered"]}
                if found == wanted or link.one_time:
                    break
                await asyncio.sleep(0.005)
        assert found == wanted
        assert (told["etag"] is not None) == link.begun
        assert (told["revoked_at"] is not None) == link.revoked
        assert (told["spent_at"] is not None) == (link.one_time and link.complete(self.size))

    @invariant()
    def all_are_listed_by_both(self) -> None:
        for where in (0, 1):
            items = self.run(self.manage(where, f"/sessions?volume=m&vfid={FOLDER}&limit=1000")).json["items"]
            assert [item["id"] for item in items][: len(self.made)] == [link.id for link in reversed(self.made)]
            revoked = {item["id"] for item in items if item["state"] == "revoked"}
            assert revoked >= {link.id for link in self.made if link.revoked}


TestLinks = Links.TestCase
# without shrinking: each step asks real servers
TestLinks.settings = settings(
    max_examples=examples(12), stateful_step_count=25, deadline=None, phases=[Phase.reuse, Phase.generate]
)
