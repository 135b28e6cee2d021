"""A real server with a front desk in this process, over a directory of this machine, and people in front of it."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from pannier.config import load
from pannier.desk.door import Served
from pannier.dto.ids import FolderId
from pannier.listeners import Listening
from pannier.parts import DeskSettings, Remembered
from pannier.server import Server
from pannier.volumes.posix import SingleFolderVolume
from tests.api.live import KEY, SECRET, Answer

FOLDER = FolderId(None, uuid.UUID(int=7))
HTML = {"Accept": "text/html,application/xhtml+xml"}


@dataclass
class Person:
    """A browser: it holds cookies, and knows the token of the pages it was shown."""

    base: str
    session: aiohttp.ClientSession
    csrf: str = ""

    async def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
        token: bool = True,
    ) -> Answer:
        """Send a request; redirects are not followed."""
        sent = ({"X-Pannier-CSRF": self.csrf} if token and self.csrf else {}) | (headers or {})
        url = path if path.startswith("http") else self.base + path
        async with self.session.request(
            method, URL(url, encoded=True), json=json, data=data, headers=sent, allow_redirects=False
        ) as response:
            body = await response.read()
            is_json = response.content_type in ("application/json", "application/problem+json")
            return Answer(
                response.status, response.headers, body, await response.json(content_type=None) if is_json else None
            )

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def post(self, path: str, /, **body: Any) -> Answer:
        return await self.ask("POST", path, json=body)

    async def page(self, path: str, *, status: int = 200) -> str:
        answer = await self.ask("GET", path, headers=HTML, token=False)
        assert answer.status == status, answer.body
        return answer.body.decode()

    async def form(self, path: str, fields: dict[str, Any], *, csrf: bool = True) -> Answer:
        """Send a plain form, as a browser without a script does."""
        pairs = [
            (name, each) for name, value in fields.items() for each in (value if isinstance(value, list) else [value])
        ]
        if csrf:
            pairs.append(("csrf", self.csrf))
        headers = HTML | {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.base}
        return await self.ask("POST", path, data=urlencode(pairs), headers=headers, token=False)

    async def sign_in(self, key: str) -> Answer:
        """Spend a sign-in key, and look at the first page."""
        answer = await self.form("/enter", {"key": key}, csrf=False)
        if answer.status == 303:
            await self.know()
        return answer

    async def know(self) -> None:
        """Learn the token of the page."""
        self.csrf = (await self.ask("GET", "/desk/me", token=False)).json["csrf"] or ""


@dataclass
class DeskServer:
    """A running server with a front desk over the folder ``trip``, which is the directory ``root``."""

    server: Server
    listening: Listening
    root: Path
    state: Path
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)

    @property
    def base(self) -> str:
        return self.listening.client_url

    def key(self) -> str:
        assert self.server.signing_in is not None
        return self.server.signing_in.new_key()

    def stranger(self) -> Person:
        """A browser that holds nothing yet."""
        session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.sessions.append(session)
        return Person(self.base, session)

    async def owner(self) -> Person:
        """A browser that is signed in."""
        person = self.stranger()
        assert (await person.sign_in(self.key())).status == 303
        return person

    async def manage(self, method: str, path: str, json: Any = None) -> Answer:
        person = self.stranger()
        headers = {"X-BackendAI-Storage-Auth-Token": SECRET}
        return await person.ask(method, self.listening.manager_url + path, json=json, headers=headers)

    def write(self, path: str, data: bytes = b"content") -> None:
        where = self.root / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(data)

    def names(self) -> set[str]:
        return {
            str(each.relative_to(self.root))
            for each in self.root.rglob("*")
            if ".upload" not in each.relative_to(self.root).parts
        }


@asynccontextmanager
async def desk(
    tmp_path: Path, *, settings: dict[str, Any] | None = None, remembered: Remembered | None = None, **options: Any
) -> AsyncIterator[DeskServer]:
    """Run a server; ``options`` are those of the front desk. The same ``tmp_path`` is the same folder and state."""
    root, state = tmp_path / "trip", tmp_path / "state"
    root.mkdir(exist_ok=True)
    free = {"host": "127.0.0.1", "port": 0}
    loaded = load(
        None,
        storage_proxy={"secret": KEY, "session_expire": "1h"},
        api={
            "client": {"service_addr": free},
            "manager": {"service_addr": free, "internal_addr": free, "secret": SECRET},
        },
        state={"path": state},
        archive={"helpers": 0, "plan_fresh_min": 0, "plan_fresh_max": 0},
        **(settings or {}),
    )
    volume = SingleFolderVolume("trip", root, FOLDER)
    house = DeskSettings([Served("trip", "trip", FOLDER)], **options)
    server = Server(loaded, {"trip": volume}, internal=False, desk=house, remembered=remembered)
    it = DeskServer(server, await server.start(), root, state)
    try:
        yield it
    finally:
        for session in it.sessions:
            await session.close()
        await server.stop()
        volume.close()


def kind(answer: Answer) -> tuple[int, str]:
    """What a refusal is: status, and the end of its type."""
    return answer.status, answer.json["type"].rpartition("probs/")[2].rpartition("problem:")[2]


def hidden(page: str, name: str) -> list[str]:
    """The values of a page's hidden fields of a name."""
    return re.findall(rf'<input type="hidden" name="{name}" value="([^"]*)"', page)
